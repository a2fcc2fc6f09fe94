//! An open plan: what is known of it, what is shown of it, and how it is changed. Values
//! only; what draws them is elsewhere.
//!
//! In reading order:
//!
//! - [`picture`]: what a grid shows of each cell, whatever the layer.

pub mod picture;
