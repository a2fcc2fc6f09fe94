//! Support for the integration tests: where fixtures are, and how arrays are compared.
//!
//! Not shipped. The tests themselves are modules of the one binary `it/main.rs`.

pub mod closeness;
pub mod engine;
pub mod fixtures;
pub mod worker;
