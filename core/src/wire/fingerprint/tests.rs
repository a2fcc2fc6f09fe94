//! Mismatches between a plan and a run.

use super::*;
use alloc::vec;

fn fingerprint() -> Fingerprint {
    Fingerprint {
        weights_sha256: ContentHash::of(b"weights"),
        config_sha256: ContentHash::of(b"config"),
        scheduler_sha256: ContentHash::of(b"scheduler"),
        n_tokens: 256,
        n_blocks: 4,
        timesteps: vec![999.0, 500.0],
        sampler: SamplerKind::Ddim,
        guidance_scale: 4.0,
        dtype: "f32".into(),
        residual_half: ResidualHalf::Conditional,
    }
}

#[test]
fn every_field_can_mismatch_and_names_both_values() {
    let check = |change: fn(&mut Fingerprint), expected: &str| {
        let mut actual = fingerprint();
        change(&mut actual);
        let found = fingerprint().mismatches(&actual, &[]);
        assert_eq!(found.len(), 1, "{expected}: {found:?}");
        let message = found[0].to_string();
        assert!(message.starts_with(expected), "{message}");
        let allowed = fingerprint().mismatches(&actual, &[found[0].field]);
        assert_eq!(
            allowed.is_empty(),
            found[0].field.can_be_allowed(),
            "{expected}"
        );
        assert_eq!(message.contains("--allow-mismatch"), allowed.is_empty());
    };
    check(
        |f| f.weights_sha256 = ContentHash::of(b"x"),
        "weights_sha256: ",
    );
    check(
        |f| f.config_sha256 = ContentHash::of(b"x"),
        "config_sha256: ",
    );
    check(
        |f| f.scheduler_sha256 = ContentHash::of(b"x"),
        "scheduler_sha256: ",
    );
    check(
        |f| f.n_tokens = 1024,
        "n_tokens: the plan was made for 256 but this run has 1024; calibrate again",
    );
    check(|f| f.n_blocks = 5, "n_blocks: the plan was made for 4 but");
    check(
        |f| f.timesteps.push(0.0),
        "n_steps: the plan was made for 2 but this run has 3",
    );
    check(
        |f| f.timesteps[1] = 499.0,
        "timesteps: the plan was made for timestep 500 at step 1 but this run has timestep 499",
    );
    check(
        |f| f.sampler = SamplerKind::DpmSolver,
        "sampler: the plan was made for ddim",
    );
    check(
        |f| f.guidance_scale = 1.5,
        "guidance_scale: the plan was made for 4 but",
    );
    check(
        |f| f.dtype = "bf16".into(),
        "dtype: the plan was made for f32 but",
    );
    check(|f| f.residual_half = ResidualHalf::First, "residual_half: ");
}

#[test]
fn all_mismatches_are_reported_together() {
    let mut actual = fingerprint();
    actual.n_tokens = 1;
    actual.dtype = "f16".into();
    let error = fingerprint().check(&actual, &[]).unwrap_err();
    assert_eq!(error.0.len(), 2);
    assert!(error.to_string().contains("\n  n_tokens: "));
    let allowed = [FingerprintField::Tokens, FingerprintField::Dtype];
    assert_eq!(fingerprint().check(&actual, &allowed), Ok(()));
}

#[test]
fn field_names_round_trip() {
    for field in FingerprintField::ALL {
        assert_eq!(field.to_string().parse(), Ok(field));
    }
    assert!("seed".parse::<FingerprintField>().is_err());
}
