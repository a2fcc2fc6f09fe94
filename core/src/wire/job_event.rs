//! What happens in a job, one [`JobEvent`] after the other, as kept in the worker's log
//! and sent to whoever watches.
//!
//! Sequence numbers of a job begin at 1 and have no gaps. The last event of a job that
//! ended is a `status` with a terminal state.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::search::CellRecord;
use crate::strategy::Strategy;
use crate::wire::as_text;
use crate::wire::job::{JobError, JobProgress, JobState};
use crate::wire::timestamp::Timestamp;

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobEvent {
    /// Its place in the job's log, from 1.
    pub seq: u64,
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub data: JobEventData,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum JobEventData {
    /// The job's state changed.
    Status(StatusEvent),
    /// The job got on; sent at most a few times a second.
    Progress(JobProgress),
    /// Calibration decided one cell; every one is sent.
    Decision(DecisionEvent),
    /// What the images will probably look like.
    Preview(PreviewEvent),
    /// Something a person should know; the job goes on.
    Warning(WarningEvent),
}

impl JobEventData {
    /// The name of the kind of event, as in `type`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Progress(_) => "progress",
            Self::Decision(_) => "decision",
            Self::Preview(_) => "preview",
            Self::Warning(_) => "warning",
        }
    }

    /// Whether no event follows.
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Status(status) if status.state.is_terminal())
    }
}

/// The job's new state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusEvent {
    /// The state.
    pub state: JobState,
    /// How often the job began.
    pub attempt: u32,
    /// Why, if it failed or was cancelled, or was put back into the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
}

/// One cell of the plan, decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionEvent {
    /// Step of the cell, from 0.
    pub step: u32,
    /// Block of the cell, from 0.
    pub block: u32,
    /// Losses in the order in which they were measured; none at step 0.
    pub measured: Vec<DecisionLoss>,
    /// What a loss has to stay under.
    pub budget: f64,
    /// What was chosen.
    #[serde(with = "as_text")]
    pub choice: Strategy,
}

/// The loss of one candidate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionLoss {
    /// The candidate.
    #[serde(with = "as_text")]
    pub candidate: Strategy,
    /// L(O, O′), or in mode `fast` the local loss.
    pub loss: f32,
    /// Whether the loss is at least this: the candidate was rejected before all of it was
    /// added up.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub at_least: bool,
}

impl DecisionEvent {
    /// The event of a cell.
    pub fn new((step, block): (u32, u32), budget: f64, record: &CellRecord) -> Self {
        let measured = record.measured.iter().map(|measured| DecisionLoss {
            candidate: measured.candidate,
            loss: measured.loss,
            at_least: measured.is_lower_bound,
        });
        Self {
            step,
            block,
            measured: measured.collect(),
            budget,
            choice: record.choice,
        }
    }
}

/// A small picture of the predicted clean images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewEvent {
    /// The step after which it was predicted, from 0.
    pub step: u32,
    /// Index in the run of the image shown.
    pub image_index: u32,
    /// Columns, at most 64.
    pub width: u32,
    /// Rows, at most 64.
    pub height: u32,
    /// A PNG, in base64.
    pub png_base64: String,
}

/// Something a person should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningEvent {
    /// For programs, for example `mostly_full_plan`.
    pub code: String,
    /// For people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::MeasuredLoss;
    use alloc::vec;

    #[test]
    fn events_are_flat_json_with_a_type() {
        let record = CellRecord {
            measured: vec![MeasuredLoss::whole(Strategy::ShareSteps, 0.25)],
            choice: Strategy::Full,
        };
        let event = JobEvent {
            seq: 7,
            time: Timestamp::from_unix_ms(1),
            data: JobEventData::Decision(DecisionEvent::new((1, 2), 0.125, &record)),
        };
        let text = serde_json::to_string(&event).unwrap();
        let expected = concat!(
            r#"{"seq":7,"time":"1970-01-01T00:00:00.001Z","type":"decision","step":1,"block":2,"#,
            r#""measured":[{"candidate":"ast","loss":0.25}],"budget":0.125,"choice":"full"}"#
        );
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<JobEvent>(&text).unwrap(), event);
    }

    #[test]
    fn only_a_terminal_status_is_last() {
        let status = |state| {
            JobEventData::Status(StatusEvent {
                state,
                attempt: 1,
                error: None,
            })
        };
        for state in JobState::ALL {
            assert_eq!(status(state).is_last(), state.is_terminal(), "{state}");
        }
        assert_eq!(status(JobState::Queued).name(), "status");
    }
}
