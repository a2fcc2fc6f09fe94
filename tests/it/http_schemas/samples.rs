//! A sample of every answer: once with everything, once with nothing that can be absent,
//! and every variant of every enum. Struct literals name every field, so that a new one
//! cannot be forgotten here.

use dfa_core::wire::api_error::{ErrorBody, ErrorEnvelope};
use dfa_core::wire::job::{
    Artifact, JobError, JobLinks, JobList, JobProgress, JobResult, PlanList, PlanView,
};
use dfa_core::wire::openai_images::{ImageData, ImagesResponse};
use dfa_core::wire::plan_answer::{CellPlace, PlanImport, RedecideAnswer};
use dfa_core::wire::report::REPORT_FORMAT;
use dfa_core::wire::service::{
    Capabilities, ClassView, DefaultsView, DeviceView, HealthView, LimitsView, ModelDefaults,
    ModelList, ModelView, NamedThreshold, StrategyView, WorkerInfo,
};
use dfa_core::wire::{ContentHash, JobId, JobView, Timestamp};
use serde_json::{Value, json};

use super::observed::{Observed, variants};

pub(super) fn see_answers(observed: &mut Observed) {
    see_jobs(observed);
    see_plans(observed);
    see_service(observed);
    for kind in variants() {
        let error = ErrorBody {
            message: "no".into(),
            kind,
            param: Some("steps".into()),
            code: "invalid_request".into(),
            problems: vec!["one".into()],
        };
        let bare = ErrorBody {
            param: None,
            problems: Vec::new(),
            ..error.clone()
        };
        for error in [error, bare] {
            observed.see("ErrorEnvelope", &ErrorEnvelope { error });
        }
    }
    let image = ImageData {
        url: Some("http://localhost".into()),
        b64_json: Some("iVBO".into()),
    };
    let images = ImagesResponse {
        created: 1,
        data: vec![image, ImageData::default()],
        warnings: vec!["style".into()],
    };
    observed.see("ImagesResponse", &images);
}

fn hash() -> ContentHash {
    ContentHash::of(b"a file")
}

fn see_jobs(observed: &mut Observed) {
    let job = whole_job();
    let bare = JobView {
        queue_position: None,
        progress: None,
        started_at: None,
        finished_at: None,
        error: None,
        result: None,
        ..job.clone()
    };
    let list = |jobs, next_cursor| JobList { jobs, next_cursor };
    observed.see("JobList", &list(vec![job.clone(), bare], Some(job.id)));
    observed.see("JobList", &list(Vec::new(), None));
    observed.see("JobResult", &JobResult::default());
    let no_image = Artifact {
        image_index: None,
        ..whole_artifact()
    };
    observed.see("Artifact", &no_image);
    let early = JobProgress {
        block: None,
        blocks: None,
        eta_secs: None,
        ..whole_progress()
    };
    observed.see("JobProgress", &early);
    for kind in variants() {
        observed.see(
            "JobView",
            &JobView {
                kind,
                ..job.clone()
            },
        );
    }
    for state in variants() {
        observed.see(
            "JobView",
            &JobView {
                state,
                ..job.clone()
            },
        );
    }
    for phase in variants() {
        let progress = whole_progress();
        observed.see("JobProgress", &JobProgress { phase, ..progress });
    }
    for code in variants() {
        let message = "no".into();
        observed.see("JobError", &JobError { code, message });
    }
    for role in variants() {
        observed.see(
            "Artifact",
            &Artifact {
                role,
                ..whole_artifact()
            },
        );
    }
}

fn whole_job() -> JobView {
    let id = JobId::from_bits(7);
    let time = Timestamp::from_unix_ms(1);
    JobView {
        id,
        kind: variants()[0],
        state: variants()[0],
        request: serde_json::from_value(json!({"kind": "generate", "model": "m"})).unwrap(),
        queue_position: Some(1),
        progress: Some(whole_progress()),
        created_at: time,
        started_at: Some(time),
        finished_at: Some(time),
        attempts: 1,
        cancel_requested: false,
        error: Some(JobError {
            code: variants()[0],
            message: "no".into(),
        }),
        result: Some(JobResult {
            artifacts: vec![whole_artifact()],
            plan: Some(hash()),
            report: Some(serde_json::from_value(report()).unwrap()),
            run_secs: 0.5,
        }),
        links: JobLinks::of(id),
    }
}

fn whole_progress() -> JobProgress {
    JobProgress {
        phase: variants()[0],
        step: 1,
        steps: 4,
        block: Some(2),
        blocks: Some(6),
        batch: 0,
        batches: 1,
        done_share: 0.25,
        eta_secs: Some(1.5),
    }
}

fn whole_artifact() -> Artifact {
    Artifact {
        hash: hash(),
        name: "0.png".into(),
        role: variants()[0],
        media_type: "image/png".into(),
        size_bytes: 9,
        image_index: Some(0),
        href: "/v1/artifacts/0".into(),
    }
}

/// The numbers of a comparison; their form is the report's own.
fn report() -> Value {
    let run = json!({"total_secs": 1.0, "attention_secs": 0.5});
    json!({
        "format": REPORT_FORMAT, "version": 1, "tool_version": "dfa",
        "model": {"model_id": "m", "weights_sha256": hash(), "n_blocks": 1, "n_tokens": 4, "width": 8},
        "plan": {"plan_hash": hash(), "file": null, "threshold": null, "loss": null,
            "window": {"left": 1, "right": 1}, "strategies": []},
        "settings": {"n_steps": 1, "sampler": "ddim", "guidance_scale": 4.0, "seed": 0,
            "dtype": "f32", "n_threads": 1},
        "cost": {"attention_kept_share": 1.0, "layer_kept_share": 1.0,
            "raw_attention_macs": 1, "compressed_attention_macs": 1},
        "timings": {"raw": run, "compressed": run},
        "cache": {"predicted_peak_bytes": 0, "measured_peak_bytes": null},
        "images": [],
    })
}

fn see_plans(observed: &mut Observed) {
    let plan = PlanView {
        id: hash(),
        plan_hash: hash(),
        origin: variants()[0],
        job: Some(JobId::from_bits(7)),
        model: Some("m".into()),
        n_steps: 2,
        n_blocks: 6,
        threshold: Some(0.5),
        created_at: Timestamp::from_unix_ms(1),
        size_bytes: 9,
    };
    let bare = PlanView {
        job: None,
        model: None,
        threshold: None,
        ..plan.clone()
    };
    for origin in variants() {
        observed.see(
            "PlanView",
            &PlanView {
                origin,
                ..plan.clone()
            },
        );
    }
    let import = PlanImport {
        plan: plan.clone(),
        is_new: true,
        warnings: vec!["no model".into()],
    };
    observed.see("PlanImport", &import);
    let list = |plans, next_cursor| PlanList { plans, next_cursor };
    observed.see("PlanList", &list(vec![plan, bare], Some("next".into())));
    observed.see("PlanList", &list(Vec::new(), None));
    let place = CellPlace { step: 1, block: 0 };
    let answer = RedecideAnswer {
        threshold: 0.5,
        is_estimate: true,
        changed: vec![place],
        unmeasured: vec![place],
        plan: json!({}),
    };
    observed.see("RedecideAnswer", &answer);
}

fn see_service(observed: &mut Observed) {
    let model = ModelView {
        family: "Open-Sora".into(),
        takes: variants()[0],
        makes: variants()[0],
        defaults: ModelDefaults {
            steps: 200,
            guidance_scale: 7.0,
            n_calibration_inputs: 4,
            num_frames: Some(16),
            fps: Some(24.0),
        },
        pixels_per_latent: 8,
        patch_size: 2,
        id: "m".into(),
        object: "model".into(),
        created: 1,
        owned_by: "local".into(),
        weights_sha256: hash(),
        n_blocks: 6,
        n_heads: 6,
        width: 384,
        n_tokens: 256,
        size: "64x64".parse().unwrap(),
        size_multiple: 4,
        sampler: "ddim".into(),
        n_classes: 1,
        classes: vec![ClassView {
            index: 0,
            name: "fox".into(),
        }],
    };
    observed.see("Capabilities", &capabilities(&model));
    let of_images = ModelView {
        defaults: ModelDefaults {
            num_frames: None,
            fps: None,
            ..model.defaults
        },
        ..model.clone()
    };
    observed.see("ModelView", &of_images);
    for takes in variants() {
        let model = model.clone();
        observed.see("ModelView", &ModelView { takes, ..model });
    }
    for makes in variants() {
        let model = model.clone();
        observed.see("ModelView", &ModelView { makes, ..model });
    }
    let list = ModelList {
        object: "list".into(),
        data: vec![model],
    };
    observed.see("ModelList", &list);
    let info = WorkerInfo {
        name: "dfa".into(),
        version: "0".into(),
        models: vec!["m".into()],
        needs_key: false,
        uptime_secs: 1,
        jobs_waiting: 0,
        jobs_running: 0,
    };
    observed.see("WorkerInfo", &info);
    for device in [None, Some("cpu".into())] {
        let status = "ok".into();
        observed.see("HealthView", &HealthView { status, device });
    }
}

fn capabilities(model: &ModelView) -> Capabilities {
    Capabilities {
        version: "0".into(),
        kinds: variants(),
        models: vec![model.clone()],
        devices: vec![DeviceView {
            id: "cpu".into(),
            name: "CPU".into(),
        }],
        strategies: vec![StrategyView {
            id: "full".into(),
            paper_name: "full attention".into(),
            is_candidate: false,
            needs_guidance: false,
        }],
        losses: vec!["relative".into()],
        samplers: vec!["ddim".into()],
        search_modes: vec!["exact".into()],
        thresholds: vec![NamedThreshold {
            name: "D1".into(),
            value: 0.5,
        }],
        limits: LimitsView {
            max_queued_jobs: 1,
            max_steps: 1,
            max_images: 1,
            max_batch_size: 1,
            max_side: 1,
            max_tokens: 1,
            max_frames: 1,
            max_prompt_chars: 1,
            max_body_bytes: 1,
            max_json_depth: 1,
        },
        defaults: DefaultsView {
            model: "m".into(),
            steps: 50,
            guidance_scale: 4.0,
            threshold: 0.1,
            loss: "relative".into(),
            window: "1/8".into(),
        },
    }
}
