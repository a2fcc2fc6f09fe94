//! An open plan: what is known of it, what is shown of it, and how it is changed. Values
//! only; what draws them is elsewhere.
//!
//! In reading order:
//!
//! - [`opened`]: a plan that was opened, and what its file says about it.
//! - [`open_file`]: from the bytes of any file that holds a plan to an opened plan.
//! - [`share`]: a small plan as text inside an address, and back.
//! - [`workbench`]: the state of the page for one plan: δ, edits, locks, undo and redo.
//! - [`threshold`]: at which δ the next cell changes.
//! - [`picture`]: what a grid shows of each cell, whatever the layer.
//! - [`layout`]: which way the steps run, and how large a cell is.
//! - [`cursor`]: where the keyboard stands, and which cells are selected.
//! - [`layers`]: strategies, losses, margins and savings as such pictures.
//! - [`totals`]: what the whole plan keeps, costs and holds in memory.
//! - [`reason`]: one cell in words.
//! - [`calibrate_again`]: the calibration that tells the truth about an estimate.
//! - [`difference`]: two plans held against each other.
//! - [`sweep`]: reports of comparisons, and which of them tell something of a plan.
//! - [`pareto`]: many plans, quality against cost.

pub mod calibrate_again;
pub mod cursor;
pub mod difference;
pub mod layers;
pub mod layout;
pub mod open_file;
pub mod opened;
pub mod pareto;
pub mod picture;
pub mod reason;
pub mod share;
pub mod sweep;
pub mod threshold;
pub mod totals;
pub mod workbench;

#[cfg(test)]
pub(crate) mod examples;
