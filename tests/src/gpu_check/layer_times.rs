//! One self-attention layer with its projections, 16 heads of 72, for one guided image: how
//! long each strategy takes, and PyTorch's whole layer beside it.

use dfa_core::{Strategy, Window};
use dfa_native_worker::attention::{LayerCache, LayerCall, Retention};
use dfa_native_worker::device::Placement;

use super::peer::Peer;
use super::random_values::{attention_layer, rounded};
use super::{Outcome, median};

/// Lengths that are measured.
pub const LENGTHS: [usize; 3] = [1024, 4096, 16384];
const WIDTH: usize = 1152;
const N_HEADS: usize = 16;
/// Both branches of one image.
const BATCH: usize = 2;
const WARM_UP: usize = 3;

/// Times at one length, in milliseconds.
pub struct LayerTimes {
    /// T.
    pub n_tokens: usize,
    /// Without a residual.
    pub full: f64,
    /// With the window residual that later steps use.
    pub full_and_residual: f64,
    /// Every strategy but `full`.
    pub strategies: Vec<(Strategy, f64)>,
    /// PyTorch's layer: its own choice of kernel, and its flash kernel.
    pub torch: Option<(f64, f64)>,
}

/// Measures one length.
///
/// # Errors
/// If the device fails or has not enough memory.
pub fn measure(
    n_tokens: usize,
    placement: &Placement,
    peer: Option<&mut Peer>,
) -> Outcome<LayerTimes> {
    let layer = attention_layer(WIDTH, N_HEADS, placement, placement)?;
    let x = placement.place(&rounded(&[BATCH, n_tokens, WIDTH], 1, placement)?)?;
    let n_runs = if n_tokens > 8192 { 10 } else { 30 };
    let mut cache = LayerCache::default();
    let time = |strategy, makes_residual, cache: &LayerCache| -> Outcome<f64> {
        let call = LayerCall {
            strategy,
            window: Window::eighth_of(n_tokens),
            guided: true,
            makes_residual,
            cache,
        };
        let mut millis = Vec::with_capacity(n_runs);
        for run in 0..WARM_UP + n_runs {
            let secs = layer.execute(&x, call)?.elapsed.secs()?;
            if run >= WARM_UP {
                millis.push(secs * 1e3);
            }
        }
        Ok(median(&millis))
    };
    let full = time(Strategy::Full, false, &cache)?;
    let full_and_residual = time(Strategy::Full, true, &cache)?;
    let first = LayerCall {
        strategy: Strategy::Full,
        window: Window::eighth_of(n_tokens),
        guided: true,
        makes_residual: true,
        cache: &LayerCache::default(),
    };
    cache.adopt(layer.execute(&x, first)?.update, Retention::ALL);
    let others = Strategy::ALL.into_iter().filter(|it| *it != Strategy::Full);
    let strategies = others.map(|strategy| Ok((strategy, time(strategy, false, &cache)?)));
    let strategies = strategies.collect::<Outcome<Vec<_>>>()?;
    let torch = peer.and_then(|peer| {
        let request = format!("attention {n_tokens} {n_runs} {}", placement.number());
        peer.or_dash(&request, |answer| {
            Ok((answer.number("sdpa_ms")?, answer.number("flash_ms")?))
        })
    });
    Ok(LayerTimes {
        n_tokens,
        full,
        full_and_residual,
        strategies,
        torch,
    })
}

/// The times as a Markdown table, each with its share of our own full layer.
pub fn table(times: &[LayerTimes]) -> String {
    let mut text = String::from("| layer, ms (share of full) |");
    for of_length in times {
        text += &format!(" N = {} |", of_length.n_tokens);
    }
    text += &format!("\n|---|{}\n", "---|".repeat(times.len()));
    let mut row = |name: &str, of: &dyn Fn(&LayerTimes) -> Option<f64>| {
        let cells = times.iter().map(|times| match of(times) {
            Some(millis) => format!("{millis:.3} ({:.2})", millis / times.full),
            None => "–".into(),
        });
        text += &format!("| {name} | {} |\n", cells.collect::<Vec<_>>().join(" | "));
    };
    row("full", &|times| Some(times.full));
    row("full, with residual", &|times| {
        Some(times.full_and_residual)
    });
    for idx in 0..times.first().map_or(0, |times| times.strategies.len()) {
        let name = times[0].strategies[idx].0.as_str();
        row(name, &|times| Some(times.strategies[idx].1));
    }
    row("PyTorch, SDPA", &|times| Some(times.torch?.0));
    row("PyTorch, SDPA, flash backend", &|times| {
        Some(times.torch?.1)
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_full_layer() {
        let times = LayerTimes {
            n_tokens: 1024,
            full: 2.0,
            full_and_residual: 3.0,
            strategies: vec![(Strategy::ShareSteps, 0.0)],
            torch: Some((2.5, 2.25)),
        };
        let found = table(&[times]);
        assert!(
            found.contains("| full, with residual | 3.000 (1.50) |"),
            "{found}"
        );
        assert!(found.contains("| ast | 0.000 (0.00) |"), "{found}");
        assert!(
            found.contains("| PyTorch, SDPA | 2.500 (1.25) |"),
            "{found}"
        );
    }
}
