//! The one integration binary: a module per subject, so that it links once.

#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test; the lint's own exception ends at #[test]"
)]

// Attention kernels, every instruction set against the plain reference.
mod attention;

// DiT against diffusers' outputs.
mod dit;

// PixArt-Sigma against diffusers: forward passes, a whole run; its plans against the oracle.
mod pixart;

// Open-Sora against the authors' network; a whole run and its plans against the oracle.
mod open_sora;

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

// Shaders of the page: valid, and within every device's limits.
mod shaders;

// Prompts: tokenizer, T5, captions, embeddings, against transformers and diffusers.
mod text;

// Pictures: from latents, as PNG files, as a grid.
mod picture;

// Model folders, whole and spoiled.
mod model_folder;

// Pickles of PyTorch, and the model folders made of them.
mod convert;

// The real binary.
mod cli;

// The worker over HTTP: who may ask, limits, refusals, operations.
mod http;

// Malformed requests of every kind are refused in the envelope.
mod http_malformed;

// Jobs, plans, artifacts and images over HTTP, on a real model.
mod http_jobs;

// Models that take text and models that make videos, over HTTP.
mod http_families;

// The schemas of /openapi.json against the wire types.
mod http_schemas;

// Every example of docs/http-api.md.
mod http_documents;

// Jobs: lifecycle, idempotency, cancel, resume, fencing, retention, watching.
mod jobs;

// The worker as a process: killed, stopped, cut off, asked by our own client.
mod worker_process;

// The image autoencoder against diffusers' outputs; its convolution kernels.
mod vae;
