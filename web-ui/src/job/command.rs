//! The commands that repeat a job: with the program alone, and through a worker.
//!
//! Every choice that the request makes is spelled out; what it leaves open the program
//! chooses as the worker did. Texts are quoted for a POSIX shell.

use std::fmt::Display;

use dfa_core::wire::job_request::{CalibrateJob, CompareJob, FieldName, GenerateJob, Label};
use dfa_core::wire::{ContentHash, JobRequest};
use serde_json::Value;

/// A command and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What it does, for people.
    pub title: &'static str,
    /// One line each, to be run in order.
    pub text: String,
}

/// The commands that repeat a job; `base` is the worker's address without a last slash.
pub fn commands(request: &JobRequest, base: &str) -> Vec<Command> {
    vec![
        Command {
            title: "Without a worker, beside the model's folder",
            text: on_its_own(request, base),
        },
        Command {
            title: "Through this worker",
            text: through_worker(request, base),
        },
    ]
}

/// `dfa calibrate …`; a plan of the library is fetched first.
pub fn on_its_own(request: &JobRequest, base: &str) -> String {
    let mut line = Line::of("dfa");
    line.word(request.kind());
    match request {
        JobRequest::Calibrate(job) => calibrate_flags(&mut line, job),
        JobRequest::Generate(job) => generate_flags(&mut line, job),
        JobRequest::Compare(job) => compare_flags(&mut line, job),
    }
    match request.plan() {
        None => line.text,
        Some(id) => {
            let mut fetch = Line::of("curl --fail");
            fetch.flag("output", plan_file(id));
            fetch.word(format!("{base}/v1/plans/{id}"));
            format!("{}\n{}", fetch.text, line.text)
        }
    }
}

/// `curl --json …`: the very request.
pub fn through_worker(request: &JobRequest, base: &str) -> String {
    let mut line = Line::of("curl");
    line.flag("json", compact_json(request));
    line.word(format!("{base}/v1/jobs"));
    line.text
}

/// The request without the fields that say nothing.
fn compact_json(request: &JobRequest) -> String {
    let mut value = serde_json::to_value(request).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, value| match value {
            Value::Null => false,
            Value::Array(entries) => !entries.is_empty(),
            _ => true,
        });
    }
    value.to_string()
}

fn plan_file(id: ContentHash) -> String {
    format!("plan-{}.json", id.short())
}

/// The flags that every kind of job has, under the names of the command line.
macro_rules! run_flags {
    ($line:expr, $job:expr) => {{
        let (line, job): (&mut Line, _) = ($line, $job);
        line.flag("model", &job.model);
        line.list("labels", job.labels.iter().map(label));
        for prompt in &job.prompts {
            line.flag("prompt", prompt);
        }
        line.given("negative-prompt", job.negative_prompt.as_ref());
        line.given("n-images", job.n_images);
        line.given("size", job.size);
        line.given("num-frames", job.num_frames);
        line.given("fps", job.fps);
        line.given("steps", job.steps);
        line.given("sampler", job.sampler);
        line.given("guidance", job.guidance_scale);
        line.flag("seed", job.seed);
        line.given("residual-half", job.residual_half);
    }};
}

fn calibrate_flags(line: &mut Line, job: &CalibrateJob) {
    run_flags!(line, job);
    match job.target {
        Some(target) => line.flag("target", target),
        None => line.flag("threshold", job.threshold_or_default()),
    }
    line.flag("window", job.window);
    line.flag("loss", job.loss);
    if let Some(candidates) = &job.candidates {
        line.list(
            "candidates",
            candidates.iter().map(|name| name.0.to_string()),
        );
    }
    line.flag("search", job.search.as_str());
    if job.reject_early {
        line.word("--reject-early");
    }
}

fn generate_flags(line: &mut Line, job: &GenerateJob) {
    run_flags!(line, job);
    line.given("plan", job.plan.map(plan_file));
    line.list("allow-mismatch", job.allow_mismatch.iter().map(field));
    line.flag("batch-size", job.batch_size);
}

fn compare_flags(line: &mut Line, job: &CompareJob) {
    run_flags!(line, job);
    line.flag("plan", plan_file(job.plan));
    line.list("allow-mismatch", job.allow_mismatch.iter().map(field));
    line.flag("batch-size", job.batch_size);
}

fn label(label: &Label) -> String {
    label.to_string()
}

fn field(name: &FieldName) -> String {
    name.0.to_string()
}

/// A command line that grows.
struct Line {
    text: String,
}

impl Line {
    fn of(program: &str) -> Self {
        Self {
            text: program.to_owned(),
        }
    }

    fn word(&mut self, word: impl Display) {
        self.text.push(' ');
        self.text += &quoted(&word.to_string());
    }

    fn flag(&mut self, name: &str, value: impl Display) {
        let value = quoted(&value.to_string());
        // A value that begins with a hyphen would be read as the next flag.
        let mark = if value.starts_with('-') { '=' } else { ' ' };
        self.text += &format!(" --{name}{mark}{value}");
    }

    fn given(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.flag(name, value);
        }
    }

    fn list(&mut self, name: &str, values: impl Iterator<Item = String>) {
        let values: Vec<String> = values.collect();
        if !values.is_empty() {
            self.flag(name, values.join(","));
        }
    }
}

/// A text as one word of a shell, whatever is in it.
pub fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:,+@%".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    // Within single quotes nothing has a meaning but their end.
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> JobRequest {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_calibration_is_repeated_with_every_choice() {
        let request = request(
            r#"{"kind": "calibrate", "model": "avatars-dit", "labels": ["micah", 4],
                "n_images": 2, "size": "64x64", "steps": 6, "sampler": "ddim",
                "guidance_scale": 3, "seed": 7, "residual_half": "first", "threshold": "D4",
                "window": "16,8", "candidates": ["wa_rs+asc", "ast"], "search": "record-all"}"#,
        );
        let expected = "dfa calibrate --model avatars-dit --labels micah,4 --n-images 2 \
                        --size 64x64 --steps 6 --sampler ddim --guidance 3 --seed 7 \
                        --residual-half first --threshold 0.1 --window 16,8 --loss relative \
                        --candidates wa_rs+asc,ast --search record-all";
        assert_eq!(on_its_own(&request, "http://host"), expected);
    }

    #[test]
    fn prompts_are_repeated_one_by_one_in_quotes() {
        let request = request(
            r#"{"kind": "generate", "model": "m", "prompts": ["a cat, red", "-it's $HOME"],
                "negative_prompt": "", "num_frames": 16, "fps": 24}"#,
        );
        let expected = r"dfa generate --model m --prompt 'a cat, red' --prompt '-it'\''s $HOME' --negative-prompt '' --num-frames 16 --fps 24 --seed 0 --batch-size 8";
        let text = on_its_own(&request, "http://host");
        assert_eq!(text.replace("--prompt='", "--prompt '"), expected, "{text}");
    }

    #[test]
    fn what_a_request_leaves_open_is_left_open() {
        let request = request(r#"{"kind": "calibrate", "model": "avatars-dit"}"#);
        assert_eq!(
            on_its_own(&request, "http://host"),
            "dfa calibrate --model avatars-dit --seed 0 --threshold 0.05 --window 1/8 \
             --loss relative --search exact"
        );
        assert_eq!(
            through_worker(&request, "http://host"),
            r#"curl --json '{"kind":"calibrate","loss":"relative","model":"avatars-dit","search":"exact","seed":0,"window":"1/8"}' http://host/v1/jobs"#
        );
    }

    #[test]
    fn a_plan_is_fetched_first() {
        let id = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let text = format!(
            r#"{{"kind": "compare", "model": "m", "plan": "{id}", "allow_mismatch": ["timesteps"]}}"#
        );
        let expected = format!(
            "curl --fail --output plan-e3b0c44298fc.json http://host/v1/plans/{id}\n\
             dfa compare --model m --seed 0 --plan plan-e3b0c44298fc.json \
             --allow-mismatch timesteps --batch-size 8"
        );
        assert_eq!(on_its_own(&request(&text), "http://host"), expected);
    }

    #[test]
    fn nothing_in_a_request_reaches_the_shell() {
        let request = request(
            r#"{"kind": "generate", "model": "a b'; rm -rf $HOME #", "labels": ["-x", "`id`"]}"#,
        );
        let text = on_its_own(&request, "http://host");
        assert!(
            text.contains(r"--model 'a b'\''; rm -rf $HOME #' "),
            "{text}"
        );
        assert!(text.contains("--labels '-x,`id`'"), "{text}");
        assert!(through_worker(&request, "http://host").contains(r"a b'\''; rm"));
        let dash = serde_json::from_str(r#"{"kind": "generate", "model": "-m"}"#);
        assert!(on_its_own(&dash.unwrap(), "").contains("--model=-m"));
    }

    #[test]
    fn quoting_leaves_plain_words_alone() {
        let check = |text: &str, expected: &str| assert_eq!(quoted(text), expected);
        check("models/avatars-dit", "models/avatars-dit");
        check("", "''");
        check("a b", "'a b'");
        check("it's", r"'it'\''s'");
        check("line\nbreak", "'line\nbreak'");
        check("$x", "'$x'");
    }
}
