//! Hairpin reads nailfold capillaries live: it grabs the frames of a videocapillaroscope, refuses those that
//! cannot be read, reads the rest with ONNX Runtime, and reports per finger whether a scleroderma pattern is
//! seen. Modules stand in the order in which the data meets them; ARCHITECTURE.md is the long form.

pub mod aggregate;
pub mod append;
pub mod bundle;
pub mod calibrate;
pub mod capture;
pub mod cli;
pub mod client;
pub mod command;
pub mod config;
pub mod daemon;
pub mod decode;
pub mod digest;
pub mod emit;
pub mod evaluate;
pub mod exam;
pub mod failure;
pub mod fast_track;
pub mod finger;
pub mod frame;
pub mod infer;
pub mod measure;
pub mod measured;
pub mod outcome;
pub mod pipeline;
pub mod preprocess;
pub mod quality;
pub mod reader;
pub mod record;
pub mod report;
pub mod scale;
pub mod synth;
pub mod telemetry;
pub mod time;
pub mod view;
