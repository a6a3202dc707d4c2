//! Draws nailfolds with known truth: `cohort` chooses subjects and views, `scene` holds a finger's geometry,
//! `render`, `optics` and `camera` make a picture of it, `truth` says what is in it, `set` writes training sets.

pub mod camera;
pub mod canvas;
pub mod cohort;
pub mod edge;
pub mod exam;
pub mod label;
pub mod loops;
pub mod marker;
pub mod noise;
pub mod optics;
pub mod pathology;
pub mod plate;
pub mod plexus;
pub mod render;
pub mod rng;
pub mod rows;
pub mod scene;
pub mod set;
pub mod skin;
pub mod surface;
pub mod truth;
