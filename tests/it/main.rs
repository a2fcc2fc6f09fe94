//! The one integration binary: a module per subject, so that it links once.

#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test; the lint's own exception ends at #[test]"
)]

// Attention kernels, every instruction set against the plain reference.
mod attention;

// DiT against diffusers' outputs.
mod dit;

// The method's invariants on real runs.
mod invariants;

// Calibration: PyTorch oracle, plain search, resume.
mod calibration;

// Plan files of every format against arbitrary and damaged input.
mod plan_file;

// The plan file's document and schema against reader and writer.
mod plan_documents;

// Plans of xDiT and the reference project.
mod foreign_plans;

// Losses and image metrics against torch, scikit-image and torchmetrics.
mod metrics;

// Samplers, step by step, against diffusers.
mod samplers;

// Jobs: lifecycle, idempotency, cancel, resume, fencing, retention, watching.
mod jobs;
