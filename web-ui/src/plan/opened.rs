//! A plan that was opened: what its file says, where it came from, and what can be asked
//! of it. It never changes; what a person does to it is the workbench's.

use dfa_core::cost::LayerShape;
use dfa_core::search::{CellRecord, SearchMode, SearchRecord, Threshold};
use dfa_core::wire::{CheckedPlan, ContentHash, JobId, plan_hash};
use dfa_core::{Block, CompressionPlan, PlanError, Step, Strategy, Window};

/// Where an open plan came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The sample that comes with the page.
    Sample,
    /// A file of this computer.
    File,
    /// The worker's library, under this hash.
    Library(ContentHash),
    /// The outcome of a calibration.
    Job(JobId),
    /// Inside the address of the page.
    Link,
    /// Changed on this page.
    Edited,
}

/// An open plan.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenPlan {
    /// What people call it: the file's name, or the model and δ.
    pub name: String,
    /// Where it came from.
    pub origin: Origin,
    /// The plan with everything that its file says about it.
    pub checked: CheckedPlan,
    /// What the file does not say and was assumed, one sentence each.
    pub warnings: Vec<String>,
    /// Whether the window is a guess, because the file does not name it.
    pub window_is_assumed: bool,
    /// Size of the layers as a person stated it, for a file that does not say.
    pub stated_layer: Option<LayerShape>,
}

impl OpenPlan {
    /// A plan about which there is nothing to warn.
    pub fn new(name: impl Into<String>, origin: Origin, checked: CheckedPlan) -> Self {
        Self {
            name: name.into(),
            origin,
            checked,
            warnings: Vec::new(),
            window_is_assumed: false,
            stated_layer: None,
        }
    }

    /// The strategies and the window.
    pub const fn plan(&self) -> &CompressionPlan {
        &self.checked.plan
    }

    /// The identity of the plan.
    pub fn hash(&self) -> ContentHash {
        plan_hash(self.plan())
    }

    /// Whether runs of this plan have two branches: what the file says, and without a
    /// word about it, whether any cell shares the conditional branch.
    pub fn is_guided(&self) -> bool {
        let fingerprint = self.checked.fingerprint.as_ref();
        fingerprint.map_or_else(|| self.plan().needs_cfg(), |found| found.is_guided())
    }

    /// Whether a cell may share the conditional branch: unless the file says that there
    /// is only one.
    pub fn may_share_cfg(&self) -> bool {
        let fingerprint = self.checked.fingerprint.as_ref();
        fingerprint.is_none_or(|found| found.is_guided())
    }

    /// Strategies that a cell may get by hand, in the order of [`Strategy::ALL`].
    pub fn choices(&self) -> Vec<Strategy> {
        let all = Strategy::ALL.into_iter();
        all.filter(|strategy| self.may_share_cfg() || !strategy.shares_cfg())
            .collect()
    }

    /// N, image tokens, if the file or a person says so.
    pub fn n_tokens(&self) -> Option<usize> {
        let fingerprint = self.checked.fingerprint.as_ref();
        let known = fingerprint.map(|found| found.n_tokens);
        known.or(self.stated_layer.map(|layer| layer.n_tokens))
    }

    /// d, the model's width, if the file or a person says so.
    pub fn width(&self) -> Option<usize> {
        let provenance = self.checked.provenance.as_ref();
        let known = provenance.and_then(|found| found.width);
        known.or(self.stated_layer.map(|layer| layer.width))
    }

    /// Size of the layers, if both numbers are known.
    pub fn layer_shape(&self) -> Option<LayerShape> {
        Some(LayerShape {
            n_tokens: self.n_tokens()?,
            width: self.width()?,
        })
    }

    /// What the search measured, if the plan was searched.
    pub fn record(&self) -> Option<&SearchRecord> {
        self.checked.search.as_ref().map(|search| &search.record)
    }

    /// What the search measured at one cell.
    pub fn cell_record(&self, step: Step, block: Block) -> Option<&CellRecord> {
        self.record()?.cell(step, block)
    }

    /// δ of the search.
    pub fn recorded_threshold(&self) -> Option<Threshold> {
        Some(self.record()?.settings().threshold)
    }

    /// Whether only the losses up to each cell's winner were measured, so that a larger
    /// δ is decided well but a smaller one finds cells without measurements.
    pub fn stops_at_winner(&self) -> bool {
        let record = self.record();
        record.is_some_and(|record| record.settings().mode == SearchMode::Exact)
    }

    /// The budget of a cell of `block` at `threshold`.
    pub fn budget(&self, threshold: Threshold, block: Block) -> f64 {
        threshold.block_budget(block, self.plan().shape().n_blocks)
    }

    /// The loss that speaks for `strategy` at a cell: its own, and for `full`, which has
    /// none, the smallest that was measured, that is the nearest miss.
    pub fn telling_loss(&self, step: Step, block: Block, strategy: Strategy) -> Option<f32> {
        let cell = self.cell_record(step, block)?;
        if strategy != Strategy::Full {
            return cell.loss_of(strategy);
        }
        let losses = cell.measured.iter().map(|measured| measured.loss);
        losses.min_by(f32::total_cmp)
    }

    /// How far a cell's telling loss stays below its budget, as a share of the budget:
    /// 1 is no loss at all, 0 just the budget, negative above it. `None` where nothing
    /// was measured or the budget is 0.
    pub fn margin(
        &self,
        threshold: Threshold,
        step: Step,
        block: Block,
        strategy: Strategy,
    ) -> Option<f64> {
        let budget = self.budget(threshold, block);
        let loss = f64::from(self.telling_loss(step, block, strategy)?);
        (budget > 0.0).then(|| (budget - loss) / budget)
    }

    /// The same with the size of its layers as a person states it; what the file says
    /// stands above it.
    #[must_use]
    pub fn with_layer(mut self, layer: LayerShape) -> Self {
        self.stated_layer = Some(layer);
        self
    }

    /// The same with a window that a person names, for a file that does not.
    ///
    /// # Errors
    /// None in practice: a window breaks no rule of plans.
    pub fn with_window(mut self, window: Window) -> Result<Self, PlanError> {
        let plan = &self.checked.plan;
        let cells = plan.cells().map(|(_, _, strategy)| strategy).collect();
        self.checked.plan = CompressionPlan::new(plan.shape(), window, cells)?;
        self.window_is_assumed = false;
        Ok(self)
    }
}
