//! Support for the integration tests: where fixtures are, how arrays are compared, how the
//! binary is run.
//!
//! Not shipped. The tests themselves are modules of the one binary `it/main.rs`.

pub mod client;
pub mod closeness;
pub mod dfa_command;
pub mod engine;
pub mod family_run;
pub mod fixtures;
pub mod gpu_check;
pub mod random_model;
pub mod worker;
pub mod worker_process;
