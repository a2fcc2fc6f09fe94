//! A plan as a picture or a table for a paper: text in, text out.
//!
//! - [`palette`]: colours and letters of strategies and scales, for figures and style sheet.
//! - [`shades`]: the classes of the style sheet that colour cells.
//! - [`svg`]: the grid as a drawing that stands alone.
//! - [`latex`]: shares and totals as a table.

pub mod latex;
pub mod palette;
pub mod shades;
pub mod svg;
