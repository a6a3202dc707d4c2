//! The scale of a microscope: found in a picture of a stage micrometer or ruler, and kept per device, magnification
//! and picture size until it expires.

pub mod spacing;
pub mod store;
