//! A plan as a picture or a table for a paper: text in, text out.
//!
//! - [`palette`]: colours and letters of strategies and scales, for figures and style sheet.
//! - [`svg`]: the grid as a drawing that stands alone.
//! - [`latex`]: shares and totals as a table.

pub mod latex;
pub mod palette;
pub mod svg;
