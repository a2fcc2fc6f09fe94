//! A job as the page knows it. Values only: who fetches and who draws is elsewhere.
//!
//! - [`story`]: everything that is known of a job that is followed.
//! - [`decisions`]: a calibration's cells, as they are decided.
//! - [`summary`]: a job in a few words, its times, and what to do when it failed.
//! - [`command`]: the commands that repeat a job.

pub mod command;
pub mod decisions;
pub mod story;
pub mod summary;

#[cfg(test)]
mod examples;
