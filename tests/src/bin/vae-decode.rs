//! Decodes random latents with the autoencoder of a folder and says how long each took:
//! `vae-decode VAE_FOLDER HEIGHT WIDTH RUNS`, sizes in latent values. The last line is the
//! most memory that the process had at any time.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]

use std::path::Path;
use std::time::Instant;

use candle_core::{Device, Tensor};
use dfa_native_worker::device::Placement;
use dfa_native_worker::model::vae::Vae;
use dfa_native_worker::model_folder::VaeConfig;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, height, width, n_runs] = &arguments[..] else {
        return Err("vae-decode VAE_FOLDER HEIGHT WIDTH RUNS".into());
    };
    let config = VaeConfig::read(&Path::new(folder).join("config.json"))?;
    let vae = Vae::load(Path::new(folder), &config, &Placement::cpu())?;
    let dims = (1, config.latent_channels, height.parse()?, width.parse()?);
    for _ in 0..n_runs.parse::<usize>()? {
        let latent = Tensor::randn(0f32, 1.0, dims, &Device::Cpu)?;
        let start = Instant::now();
        let image = vae.decode(&latent)?;
        println!(
            "{:?} in {:.3} s",
            image.dims(),
            start.elapsed().as_secs_f64()
        );
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = status.lines().filter(|line| {
        ["VmHWM", "RssAnon", "RssFile"]
            .iter()
            .any(|name| line.starts_with(name))
    });
    memory.for_each(|line| println!("{line}"));
    Ok(())
}
