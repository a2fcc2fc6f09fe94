//! The first look: its losses against the layers themselves.

use candle_core::Tensor;
use dfa_core::metric::{LossKind, relative};
use dfa_core::search::SearchMode;
use dfa_core::{Strategy, Window};
use dfa_native_worker::attention::{LayerCache, LayerCall, Retention, SelfAttention};
use dfa_tests::engine::TestRun;
use dfa_tests::fixtures::values;

use super::{calibrated, request};

/// Every local loss by the layer itself, as generation computes it.
#[test]
fn the_fast_searchs_losses_are_those_of_the_layers() {
    let run = TestRun::tiny(4, 4.0, &[1, 2]);
    let window = Window::eighth_of(run.n_tokens());
    let request = request(LossKind::Relative, 0.2, SearchMode::Fast, window);
    let found = calibrated(&run, &request, 5);
    let shape = found.plan.shape();
    assert_eq!(
        found.n_block_evaluations,
        shape.n_cells() as f64,
        "one pass a step"
    );
    let n_later = shape.n_cells() - shape.n_blocks;
    assert_eq!(found.record.n_measured(), 4 * n_later, "every candidate");

    let denoiser = run.denoiser();
    let mut caches = vec![LayerCache::default(); shape.n_blocks];
    let (mut latent, mut sampler) = (run.noise(5), denoiser.sampler.start());
    for step in run.steps() {
        let pass = denoiser.begin(step).unwrap();
        let mut hidden = denoiser.embed(pass.as_ref(), &latent).unwrap();
        let mut error_before = 0.0;
        for block in shape.blocks() {
            let mut update = None;
            let mut attend = |layer: &SelfAttention, x: &Tensor| {
                let by = |strategy| {
                    let cache = &caches[block.0];
                    let call = LayerCall {
                        strategy,
                        window,
                        guided: true,
                        makes_residual: true,
                        cache,
                    };
                    layer.execute(x, call)
                };
                let full = values(&by(Strategy::Full)?.output);
                let choice = found.plan.strategy(step, block);
                let mut error_here = 0.0;
                for measured in &found.record.cell(step, block).unwrap().measured {
                    let output = values(&by(measured.candidate)?.output);
                    let error = relative::loss(LossKind::Relative, &full, &output).unwrap();
                    let loss = (error_before + f64::from(error)) / shape.n_blocks as f64;
                    assert_eq!(measured.loss, loss as f32, "{step}, {block}: {measured:?}");
                    if measured.candidate == choice {
                        error_here = f64::from(error);
                    }
                }
                error_before += error_here;
                let chosen = by(choice)?;
                update = Some(chosen.update);
                Ok(chosen.output)
            };
            hidden = pass.block(block, &hidden, &mut attend).unwrap();
            caches[block.0].adopt(update.unwrap(), Retention::ALL);
        }
        let output = pass.output(&hidden).unwrap();
        latent = denoiser
            .next_latent(&mut sampler, step, &latent, &output)
            .unwrap();
    }
    assert_eq!(values(&latent), values(&found.latent));
}
