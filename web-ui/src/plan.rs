//! An open plan: what is known of it, what is shown of it, and how it is changed. Values
//! only; what draws them is elsewhere.
//!
//! In reading order:
//!
//! - [`opened`]: a plan that was opened, and what its file says about it.
//! - [`workbench`]: the state of the page for one plan: δ, edits, locks, undo and redo.
//! - [`threshold`]: at which δ the next cell changes.
//! - [`picture`]: what a grid shows of each cell, whatever the layer.
//! - [`layers`]: strategies, losses, margins and savings as such pictures.
//! - [`reason`]: one cell in words.

pub mod layers;
pub mod opened;
pub mod picture;
pub mod reason;
pub mod threshold;
pub mod workbench;

#[cfg(test)]
mod examples;
