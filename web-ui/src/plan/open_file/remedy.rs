//! What to do about each thing that can be wrong with a file, in one sentence.

use dfa_core::wire::csv::CsvError;
use dfa_core::wire::foreign::GridError;
use dfa_core::wire::reference::ReferenceError;
use dfa_core::wire::xdit::XditError;
use dfa_core::wire::{PlanFileError, Problem};

use super::{FileProblem, MAX_FILE_BYTES};
use crate::words::bytes;

fn problem(what: &(impl ToString + ?Sized), remedy: &str) -> FileProblem {
    FileProblem {
        what: what.to_string(),
        remedy: remedy.to_owned(),
    }
}

/// A file that is too long to be read.
pub(super) fn too_large(n_bytes: usize) -> FileProblem {
    problem(
        &format!(
            "the file has {}; the longest plan has {}",
            bytes(n_bytes as u64),
            bytes(MAX_FILE_BYTES as u64)
        ),
        "Check that this is a plan and not a model's weights.",
    )
}

/// A file that is none of those that are known.
pub(super) fn unknown(contents: &[u8]) -> FileProblem {
    let is_picture = contents.starts_with(b"\x89PNG") || contents.starts_with(b"\xff\xd8");
    let what = match contents {
        [] => "the file is empty",
        _ if is_picture => "this is a picture, not a plan",
        _ => "this is no kind of plan that is known here",
    };
    problem(
        what,
        "Open a plan file (JSON), a plan of the reference project or of xDiT, or a table with \
         the columns step, block and strategy.",
    )
}

/// A plan file that cannot even be read.
pub(super) fn of_plan_file(error: &PlanFileError) -> FileProblem {
    let remedy = match error {
        PlanFileError::UnknownFormat { found } if found == "dfa-report" => {
            "This is the report of a comparison; open the plan that it was made with."
        }
        PlanFileError::UnknownFormat { .. } => "Open a file whose format is \"dfa-plan\".",
        PlanFileError::UnknownVersion { .. } => "Update this page, or calibrate again.",
        PlanFileError::NotReadable { .. } => {
            "Look at the line and column named; a download that was cut short ends too early."
        }
        _ => "Check that this is a plan.",
    };
    problem(error, remedy)
}

/// One problem of a plan file that can be read.
pub(super) fn of_problem(found: &Problem) -> FileProblem {
    let remedy = match found {
        Problem::BadWord { .. } => "Write one of the words that are expected there.",
        Problem::OutOfRange { .. } => "Write a number in that range.",
        Problem::WrongLength { .. } => "Add what is missing or take away what is too much.",
        Problem::Plan(_) => "Make the grid complete, with full attention at step 0.",
        Problem::Candidates(_) => "Leave that candidate out and calibrate again.",
        Problem::NeedsGuidance { .. } => {
            "Choose a strategy without sharing across CFG, or a guidance scale above 1."
        }
        Problem::WindowTooWide { .. } => "Make the window at most as wide as the sequence.",
        Problem::WrongMeasurements { .. } => {
            "Take the losses from the calibration as it wrote them, or leave search out."
        }
        Problem::ContradictsLosses { .. } => {
            "If the cell was changed by hand, put the hash of the plan it comes from into \
             edited_from; otherwise write the strategy that is expected."
        }
    };
    problem(found, remedy)
}

/// What is wrong with a plan of xDiT.
pub(super) fn of_xdit(error: &XditError) -> FileProblem {
    let remedy = match error {
        XditError::NotReadable { .. } => "Open the file that xDiT's save_config_file wrote.",
        XditError::BadKey { .. } => "Name blocks block0, block1, … and steps step0, step1, ….",
        XditError::UnknownStrategy { .. } => "Write one of xDiT's strategies.",
        XditError::Grid(grid) => of_grid(grid),
        _ => "Check that this is a plan.",
    };
    problem(error, remedy)
}

/// What is wrong with a table.
pub(super) fn of_table(error: &CsvError) -> FileProblem {
    let remedy = match error {
        CsvError::MissingColumn { .. } | CsvError::BadHeader => {
            "Give the table one header line with the columns step, block and strategy, separated \
             by commas."
        }
        CsvError::Grid(grid) => of_grid(grid),
        CsvError::TooLarge { .. } => "Check that this is a plan.",
        _ => "Mend that line, or export the table again.",
    };
    problem(error, remedy)
}

/// What is wrong with a plan of the reference.
pub(super) fn of_reference(error: &ReferenceError) -> FileProblem {
    let remedy = match error {
        ReferenceError::Zip(_) => "Open the file as torch.save wrote it, not compressed again.",
        ReferenceError::Pickle(_) => {
            "Only plain data is read and nothing is ever executed; save the plan again with \
             torch.save."
        }
        ReferenceError::UnknownStrategy { .. } => {
            "This strategy does not exist here; change the cell before you save the plan."
        }
        ReferenceError::Grid(grid) => of_grid(grid),
        _ => "Check that this is a plan of the reference project, not its model or its inputs.",
    };
    problem(error, remedy)
}

fn of_grid(error: &GridError) -> &'static str {
    match error {
        GridError::TooLarge { .. } => "Check the numbers of steps and blocks.",
        GridError::Repeated { .. } => "Keep one of the two.",
        GridError::Missing { .. } => "Add the missing cell: every block needs every step.",
        GridError::Plan(_) => "Every block of step 0 must be full attention.",
    }
}
