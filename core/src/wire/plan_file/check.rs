//! From a plan file as written to what it means, collecting every problem on the way.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;
use core::str::FromStr;

use crate::grid::GridShape;
use crate::plan::{CompressionPlan, PlanError};
use crate::strategy::Strategy;
use crate::window::Window;
use crate::wire::fingerprint::{CalibrationInputs, Fingerprint, Provenance};
use crate::wire::job_request::MAX_PROMPT_CHARS;
use crate::wire::plan_file::{
    CheckedPlan, FingerprintFields, MAX_TOKENS, PlanFile, Problem, Problems,
};

mod search;

/// Longest name (model, dtype, tool version), in bytes.
const MAX_NAME_BYTES: usize = 1024;
/// Problems that are kept, so that a hostile file cannot grow into a hostile report.
const MAX_PROBLEMS: usize = 1000;
/// Most calibration inputs.
const MAX_INPUTS: usize = 65_536;
/// Most frames of a video, and most frames per second.
const MAX_FRAMES: u32 = 65_536;
/// Largest model width.
const MAX_WIDTH: usize = 1 << 20;

impl PlanFile {
    /// Everything that is wrong with the file; empty if [`check`](Self::check) succeeds.
    pub fn problems(&self) -> Vec<Problem> {
        match self.check() {
            Ok(_) => Vec::new(),
            Err(Problems(problems)) => problems,
        }
    }

    /// What the file means.
    ///
    /// # Errors
    /// [`Problems`] lists everything that is wrong, up to 1000 problems. Losses are held
    /// against choices only once both are readable.
    pub fn check(&self) -> Result<CheckedPlan, Problems> {
        let mut checker = Checker::default();
        let plan = checker.plan(self);
        let shape = self.shape();
        let fingerprint = self.fingerprint.as_ref();
        let fingerprint = fingerprint.and_then(|fields| checker.fingerprint(fields, shape));
        let guided = fingerprint.as_ref().is_none_or(Fingerprint::is_guided);
        let search = self.search.as_ref();
        let search = search.and_then(|fields| checker.search(fields, shape, guided));
        let edited_from = self.edited_from.as_deref();
        let edited_from = edited_from.and_then(|text| checker.word(|| "edited_from".into(), text));
        if let Some(provenance) = &self.provenance {
            checker.provenance(provenance);
        }
        if let Some(plan) = &plan {
            if let Some(fingerprint) = &fingerprint {
                checker.plan_fits(plan, fingerprint);
            }
            if let (Some(search), None) = (&search, &self.edited_from) {
                checker.plan_is_chosen(plan, &search.record);
            }
        }
        match plan {
            Some(plan) if checker.problems.is_empty() => Ok(CheckedPlan {
                plan,
                search,
                fingerprint,
                provenance: self.provenance.clone(),
                edited_from,
                notes: self.notes.clone(),
            }),
            _ => Err(Problems(checker.problems)),
        }
    }

    /// Rows × entries of the first row; the other rows are checked against it.
    fn shape(&self) -> GridShape {
        let rows = &self.strategies.0;
        GridShape {
            n_steps: rows.len(),
            n_blocks: rows.first().map_or(0, |row| row.0.len()),
        }
    }
}

/// Collects problems while it converts. A method that returns `None` has reported why.
#[derive(Default)]
struct Checker {
    problems: Vec<Problem>,
}

impl Checker {
    fn report(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    /// Parses a word. Its place is only written out if it is wrong.
    fn word<T: FromStr<Err: Display>>(
        &mut self,
        place: impl FnOnce() -> String,
        text: &str,
    ) -> Option<T> {
        match text.parse::<T>() {
            Ok(parsed) => Some(parsed),
            Err(reason) => {
                self.report(Problem::BadWord {
                    place: place(),
                    reason: reason.to_string(),
                });
                None
            }
        }
    }

    fn require(&mut self, holds: bool, place: &str, expected: &'static str, found: impl Display) {
        if !holds {
            self.report(Problem::OutOfRange {
                place: place.into(),
                expected,
                found: found.to_string(),
            });
        }
    }

    fn require_len(&mut self, place: String, [expected, found]: [usize; 2], because: &'static str) {
        if expected != found {
            self.report(Problem::WrongLength {
                place,
                expected,
                found,
                because,
            });
        }
    }

    fn plan(&mut self, file: &PlanFile) -> Option<CompressionPlan> {
        let n_problems = self.problems.len();
        let shape = file.shape();
        let mut cells = Vec::new();
        for (step, row) in file.strategies.0.iter().enumerate() {
            let place = || alloc::format!("strategies[{step}]");
            self.require_len(
                place(),
                [shape.n_blocks, row.0.len()],
                "one per block, as at step 0",
            );
            for (block, text) in row.0.iter().enumerate() {
                let place = || alloc::format!("strategies[{step}][{block}]");
                cells.extend(self.word::<Strategy>(place, text));
            }
        }
        self.window(file);
        if self.problems.len() > n_problems {
            return None;
        }
        self.first_step(&cells, shape);
        let window = Window {
            left: file.window.left,
            right: file.window.right,
        };
        match CompressionPlan::new(shape, window, cells) {
            Ok(plan) => Some(plan),
            Err(PlanError::FirstStepNotFull { .. }) => None,
            Err(error) => {
                self.report(error.into());
                None
            }
        }
    }

    fn window(&mut self, file: &PlanFile) {
        const EXPECTED: &str = "at most 16777216 keys";
        let window = file.window;
        self.require(
            window.left <= MAX_TOKENS,
            "window.left",
            EXPECTED,
            window.left,
        );
        self.require(
            window.right <= MAX_TOKENS,
            "window.right",
            EXPECTED,
            window.right,
        );
    }

    /// Every block of step 0 that is not full, not only the first.
    fn first_step(&mut self, cells: &[Strategy], shape: GridShape) {
        for (block, &strategy) in shape.blocks().zip(cells) {
            if strategy != Strategy::Full {
                let error = PlanError::FirstStepNotFull { block, strategy };
                self.report(error.into());
            }
        }
    }

    fn fingerprint(&mut self, fields: &FingerprintFields, shape: GridShape) -> Option<Fingerprint> {
        let n_problems = self.problems.len();
        let at = |name: &'static str| move || alloc::format!("fingerprint.{name}");
        let weights_sha256 = self.word(at("weights_sha256"), &fields.weights_sha256);
        let config_sha256 = self.word(at("config_sha256"), &fields.config_sha256);
        let scheduler_sha256 = self.word(at("scheduler_sha256"), &fields.scheduler_sha256);
        let sampler = self.word(at("sampler"), &fields.sampler);
        let residual_half = self.word(at("residual_half"), &fields.residual_half);
        self.fingerprint_numbers(fields);
        let lengths = [shape.n_steps, fields.timesteps.len()];
        self.require_len(at("timesteps")(), lengths, "one per row of strategies");
        self.name("fingerprint.dtype", &fields.dtype);
        if self.problems.len() > n_problems {
            return None;
        }
        Some(Fingerprint {
            weights_sha256: weights_sha256?,
            config_sha256: config_sha256?,
            scheduler_sha256: scheduler_sha256?,
            n_tokens: fields.n_tokens,
            n_blocks: shape.n_blocks,
            timesteps: fields.timesteps.clone(),
            sampler: sampler?,
            guidance_scale: fields.guidance_scale,
            dtype: fields.dtype.clone(),
            residual_half: residual_half?,
        })
    }

    fn fingerprint_numbers(&mut self, fields: &FingerprintFields) {
        let n_tokens = fields.n_tokens;
        let fits = (1..=MAX_TOKENS).contains(&n_tokens);
        self.require(fits, "fingerprint.n_tokens", "1 to 16777216", n_tokens);
        let scale = fields.guidance_scale;
        let finite = scale.is_finite();
        self.require(
            finite,
            "fingerprint.guidance_scale",
            "a finite number",
            scale,
        );
        let mut previous = f64::INFINITY;
        for (step, &timestep) in fields.timesteps.iter().enumerate() {
            let place = || alloc::format!("fingerprint.timesteps[{step}]");
            if !timestep.is_finite() || timestep < 0.0 {
                self.require(false, &place(), "finite and at least 0", timestep);
            } else if timestep > previous {
                self.require(false, &place(), "at most the timestep before", timestep);
            }
            previous = timestep;
        }
    }

    fn name(&mut self, place: &str, name: &str) {
        let fits = (1..=MAX_NAME_BYTES).contains(&name.len());
        self.require(fits, place, "1 to 1024 bytes of text", name.len());
    }

    fn provenance(&mut self, provenance: &Provenance) {
        self.name("provenance.model_id", &provenance.model_id);
        self.name("provenance.tool_version", &provenance.tool_version);
        if let Some(width) = provenance.width {
            let fits = (1..=MAX_WIDTH).contains(&width);
            self.require(fits, "provenance.width", "1 to 1048576", width);
        }
        let n_inputs = provenance.inputs.n_calibration_inputs();
        let fits = (1..=MAX_INPUTS).contains(&n_inputs);
        self.require(fits, "provenance.inputs", "1 to 65536 inputs", n_inputs);
        if let CalibrationInputs::Prompts(prompts) = &provenance.inputs {
            self.texts("provenance.inputs.prompts", prompts);
        }
        let negative = provenance.negative_prompt.as_slice();
        self.texts("provenance.negative_prompt", negative);
        if let Some(n_frames) = provenance.num_frames {
            let fits = (1..=MAX_FRAMES).contains(&n_frames);
            self.require(fits, "provenance.num_frames", "1 to 65536", n_frames);
        }
        if let Some(fps) = provenance.fps {
            let fits = fps > 0.0 && fps <= f64::from(MAX_FRAMES);
            self.require(fits, "provenance.fps", "above 0, at most 65536", fps);
        }
    }

    fn texts(&mut self, place: &str, texts: &[String]) {
        let n_chars = texts.iter().map(|text| text.chars().count());
        let longest = n_chars.max().unwrap_or(0);
        let fits = longest <= MAX_PROMPT_CHARS as usize;
        self.require(fits, place, "at most 65536 characters each", longest);
    }

    fn plan_fits(&mut self, plan: &CompressionPlan, fingerprint: &Fingerprint) {
        let n_tokens = fingerprint.n_tokens;
        let Window { left, right } = plan.window();
        for (side, found) in [("left", left), ("right", right)] {
            if found > n_tokens {
                self.report(Problem::WindowTooWide {
                    side,
                    found,
                    n_tokens,
                });
            }
        }
        if !fingerprint.is_guided() {
            for (step, block, strategy) in plan.cells().filter(|cell| cell.2.shares_cfg()) {
                self.report(Problem::NeedsGuidance {
                    step,
                    block,
                    strategy,
                });
            }
        }
    }
}
