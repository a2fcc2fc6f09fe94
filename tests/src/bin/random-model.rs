//! Writes a model folder of a real family's true size, names and shapes, with random
//! weights: for measuring memory and speed where the real weights are not to be had.
//!
//! `random-model KIND DIR [--dtype f32|f16|bf16] [--text-encoder]`; the kinds are those of
//! `dfa_tests::random_model::KINDS`. Tensors are written as they are made, so it needs
//! hardly any memory.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]

use std::path::PathBuf;
use std::process::ExitCode;

use dfa_tests::random_model::tensor_file::StoredAs;
use dfa_tests::random_model::{KINDS, Order, write_folder};

fn order(mut arguments: impl Iterator<Item = String>) -> Option<Order> {
    let wanted = arguments.next()?;
    let mut order = Order {
        kind: KINDS.into_iter().find(|kind| *kind == wanted)?,
        folder: PathBuf::from(arguments.next()?),
        stored_as: StoredAs::F16,
        text_encoder: false,
    };
    while let Some(flag) = arguments.next() {
        match flag.as_str() {
            "--text-encoder" => order.text_encoder = true,
            "--dtype" => order.stored_as = StoredAs::parse(&arguments.next()?)?,
            _ => return None,
        }
    }
    Some(order)
}

fn main() -> ExitCode {
    let Some(order) = order(std::env::args().skip(1)) else {
        eprintln!("random-model KIND DIR [--dtype f32|f16|bf16] [--text-encoder]");
        eprintln!("KIND is one of {}", KINDS.join(", "));
        return ExitCode::from(2);
    };
    match write_folder(&order) {
        Ok(()) => {
            println!("{}", order.folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", order.folder.display());
            ExitCode::FAILURE
        }
    }
}
