//! What is typed into the page's forms, and whether a worker could take it. Values only:
//! a form knows its texts, what draws it knows its controls.
//!
//! - [`calibrate`]: the form of a calibration, and the job that it asks for.
//! - [`measurements`]: what a search costs, said before it is asked for.
//! - [`reading`]: numbers, lists and sizes from what people type.
//! - [`classes`]: the classes of a model, found by name.
//! - [`texts`]: prompts, one a line.

pub mod calibrate;
pub mod classes;
pub mod measurements;
pub mod reading;
pub mod texts;

#[cfg(test)]
pub(crate) mod examples;
