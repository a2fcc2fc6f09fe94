//! The plan library: plans by id, from calibrations and from people.

use dfa_core::Window;
use dfa_core::wire::job::{PlanList, PlanOrigin, PlanView};
use dfa_core::wire::plan_file::MAX_PLAN_FILE_BYTES;
use dfa_core::wire::{CheckedPlan, ContentHash, JobId, Timestamp, plan_hash};

use super::MAX_PAGE;
use super::store::library_rows::PlanCursor;
use super::store::{Store, StoreError};
use crate::plan_import::{ImportHints, PlanFormat, format_of, plan_from_bytes};

/// A plan of the library.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredPlan {
    /// What is known about it.
    pub view: PlanView,
    /// The plan.
    pub checked: CheckedPlan,
    /// Its file; its SHA-256 is the plan's id.
    pub text: String,
}

/// How a foreign plan is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportSettings {
    /// The format; found in the content if not given.
    pub format: Option<PlanFormat>,
    /// The window, which foreign files do not have. Default: an eighth of `n_tokens`.
    pub window: Option<Window>,
    /// Image tokens of the model.
    pub n_tokens: Option<usize>,
}

/// A plan that came into the library, and what is not known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedPlan {
    /// The plan.
    pub plan: PlanView,
    /// Whether it was there before.
    pub is_new: bool,
    /// What the file does not say.
    pub warnings: Vec<String>,
}

/// Why there is no such plan, or none could be made of a file.
#[derive(Debug, thiserror::Error)]
pub enum PlanLibraryError {
    /// Not in the library (404).
    #[error("there is no plan {0} in the library; GET /v1/plans lists them")]
    Unknown(ContentHash),
    /// The file is no plan; every problem, one per line (400).
    #[error("{}", problems.join("\n"))]
    Unreadable {
        /// What is wrong.
        problems: Vec<String>,
    },
    /// The database failed (500).
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is known about a plan whose file is `text`.
pub fn view_of(
    checked: &CheckedPlan,
    text: &str,
    origin: PlanOrigin,
    (job, created_at): (Option<JobId>, Timestamp),
) -> PlanView {
    let shape = checked.plan.shape();
    let search = checked.search.as_ref();
    let provenance = checked.provenance.as_ref();
    PlanView {
        id: ContentHash::of(text.as_bytes()),
        plan_hash: plan_hash(&checked.plan),
        origin,
        job,
        model: provenance.map(|provenance| provenance.model_id.clone()),
        n_steps: shape.n_steps as u32,
        n_blocks: shape.n_blocks as u32,
        threshold: search.map(|search| search.record.settings().threshold.value()),
        created_at,
        size_bytes: text.len() as u64,
    }
}

/// A page of the library, newest first. A cursor that no page gave lists nothing.
///
/// # Errors
/// [`StoreError`].
pub async fn page(store: &Store, cursor: Option<&str>, limit: u32) -> Result<PlanList, StoreError> {
    let limit = if limit == 0 { 50 } else { limit.min(MAX_PAGE) };
    let after = match cursor.map(parse_cursor) {
        Some(None) => {
            let (plans, next_cursor) = (Vec::new(), None);
            return Ok(PlanList { plans, next_cursor });
        }
        Some(after) => after,
        None => None,
    };
    let mut plans = store.plan_page(after, limit + 1).await?;
    let has_more = plans.len() > limit as usize;
    plans.truncate(limit as usize);
    let last = plans.last().filter(|_| has_more);
    let next_cursor = last.map(|plan| format!("{}.{}", plan.created_at.unix_ms(), plan.id));
    Ok(PlanList { plans, next_cursor })
}

fn parse_cursor(text: &str) -> Option<PlanCursor> {
    let (created_ms, id) = text.split_once('.')?;
    Some(PlanCursor {
        created_ms: created_ms.parse().ok()?,
        id: id.parse().ok()?,
    })
}

/// A plan of the library.
///
/// # Errors
/// [`PlanLibraryError`].
pub async fn get(store: &Store, id: ContentHash) -> Result<StoredPlan, PlanLibraryError> {
    let (view, text) = store.plan(id).await?.ok_or(PlanLibraryError::Unknown(id))?;
    let checked = CheckedPlan::parse(&text).map_err(|error| StoreError::broken("plan", error))?;
    Ok(StoredPlan {
        view,
        checked,
        text,
    })
}

/// Reads a plan of any known format into the library. Every problem is reported.
///
/// # Errors
/// [`PlanLibraryError`].
pub async fn import(
    store: &Store,
    bytes: &[u8],
    settings: &ImportSettings,
) -> Result<ImportedPlan, PlanLibraryError> {
    let unreadable = |problems| PlanLibraryError::Unreadable { problems };
    if bytes.len() > MAX_PLAN_FILE_BYTES {
        let problem = format!("a plan has at most {MAX_PLAN_FILE_BYTES} bytes");
        return Err(unreadable(vec![problem]));
    }
    let format = settings.format.unwrap_or_else(|| format_of(bytes));
    let hints = ImportHints {
        file_name: None,
        window: settings.window,
        n_tokens: settings.n_tokens,
    };
    let read = plan_from_bytes(bytes, format, hints);
    let read = read.map_err(|error| unreadable(error.problems()))?;
    if !read.has_window {
        let problem = "the file does not say its window; give window, or n_tokens for the usual eighth of them";
        return Err(unreadable(vec![problem.into()]));
    }
    let text = read
        .checked
        .to_json()
        .map_err(|error| unreadable(vec![error.to_string()]))?;
    let about = (None, store.now());
    let plan = view_of(&read.checked, &text, PlanOrigin::Imported, about);
    let is_new = store.insert_plan(&plan, &text).await?;
    let kept = store.plan(plan.id).await?;
    Ok(ImportedPlan {
        plan: kept.map_or(plan, |(view, _)| view),
        is_new,
        warnings: read.warnings,
    })
}
