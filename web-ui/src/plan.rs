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
//! - [`layers`]: strategies, losses, margins and savings as such pictures.
//! - [`totals`]: what the whole plan keeps, costs and holds in memory.
//! - [`reason`]: one cell in words.
//! - [`difference`]: two plans held against each other.
//! - [`pareto`]: many plans, quality against cost.

pub mod difference;
pub mod layers;
pub mod open_file;
pub mod opened;
pub mod pareto;
pub mod picture;
pub mod reason;
pub mod share;
pub mod threshold;
pub mod totals;
pub mod workbench;

#[cfg(test)]
pub(crate) mod examples;
