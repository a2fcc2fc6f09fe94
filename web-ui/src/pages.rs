//! The pages, one file each.

pub mod calibrate;
pub mod generate;
pub mod jobs;
pub mod plan;
