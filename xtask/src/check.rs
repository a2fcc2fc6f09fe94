//! `cargo xtask check`: everything before a change is handed in, cheapest first.

use crate::repo::{self, Failure, Repo};
use crate::stages::{Ending, Policy, Stages};
use crate::test;

pub(crate) fn run(repo: &Repo, strict: bool) -> Result<(), Failure> {
    let mut stages = Stages::new(Policy {
        strict: test::nothing_may_be_skipped(strict),
        stop_at_first: true,
    });
    stages.stage("fmt (to repair: cargo fmt)", || {
        repo::run(&mut repo.cargo(&["fmt", "--all", "--check"]))?;
        for manifest in test::MANIFESTS_OUTSIDE {
            repo::run(&mut repo.cargo(&["fmt", "--manifest-path", manifest, "--check"]))?;
        }
        Ok(Ending::Passed)
    });
    test::tidy_stage(&mut stages, repo);
    stages.stage("clippy", || {
        let args = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ];
        repo::run(&mut repo.cargo(&args))?;
        Ok(Ending::Passed)
    });
    test::stages_after_tidy(&mut stages, repo);
    stages.finish()
}
