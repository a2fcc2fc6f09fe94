//! A plan as a picture or a table for a paper: text in, text out.
//!
//! - [`palette`]: colours and letters of strategies and scales, for figures and style sheet.

pub mod palette;
