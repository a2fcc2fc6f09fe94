//! The only serializable types of this crate, and their checked conversion into domain
//! types. What comes from disk or network is untrusted until it has been checked here.
//!
//! - [`plan_file`]: the plan file, version 1.
//! - [`fingerprint`]: what a plan was made for, and whether a run is the same.
//! - [`foreign`]: what the formats of other projects share. They are [`xdit`],
//!   [`reference`](mod@reference) (through [`stored_zip`] and [`pickle`]) and [`csv`].
//! - [`job_request`], [`job`] and [`job_event`]: what clients ask of a worker, and what it
//!   tells them; [`job_id`] and [`timestamp`] are parts of these.
//! - [`service`]: what a worker says about itself; [`plan_answer`] and [`openai_images`]: the
//!   other things that its routes take and answer; [`api_error`]: how they refuse.
//! - [`report`]: a raw and a compressed run, compared.
//! - [`content_hash`]: SHA-256 of weights, configs and plans.

pub mod api_error;
pub mod bounded;
pub mod content_hash;
pub mod csv;
pub mod fingerprint;
pub mod foreign;
pub mod job;
pub mod job_event;
pub mod job_id;
pub mod job_request;
pub mod openai_images;
pub mod pickle;
pub mod pixel_size;
pub mod plan_answer;
pub mod plan_file;
pub mod reference;
pub mod report;
pub mod service;
pub mod stored_zip;
pub mod timestamp;
pub mod xdit;

mod as_text;

pub use content_hash::{ContentHash, plan_hash};
pub use fingerprint::{
    CalibrationInputs, Fingerprint, FingerprintError, FingerprintField, Mismatch, Provenance,
};
pub use foreign::Imported;
pub use job::{JobState, JobView};
pub use job_event::JobEvent;
pub use job_id::JobId;
pub use job_request::{JobKind, JobRequest};
pub use pixel_size::PixelSize;
pub use plan_file::{CheckedPlan, PlanFile, PlanFileError, PlanSearch, Problem, Problems};
pub use report::Report;
pub use timestamp::Timestamp;
