//! How a command ends badly: the command line asked for the impossible (exit code 2), or
//! it failed on the way (exit code 1).

use std::process::ExitCode;

use crate::generate::RunError;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub enum Failure {
    /// The command line is at fault; exit code 2.
    Usage(anyhow::Error),
    /// Something else is; exit code 1.
    Failed(anyhow::Error),
}

impl Failure {
    /// The command line is at fault.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::Usage(error.into())
    }

    /// Something but the command line is at fault.
    pub(crate) fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self::Failed(error.into())
    }

    /// Prints the error with its causes and gives the exit code.
    #[expect(
        clippy::print_stderr,
        reason = "errors of the command line go to standard error"
    )]
    pub(crate) fn report(&self) -> ExitCode {
        let (error, code) = match self {
            Self::Usage(error) => (error, 2),
            Self::Failed(error) => (error, 1),
        };
        eprintln!("error: {error:#}");
        ExitCode::from(code)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::PlanDoesNotFit { .. }
            | RunError::PlanNeedsGuidance
            | RunError::ConditionCount { .. } => Self::usage(error),
            _ => Self::failed(error),
        }
    }
}
