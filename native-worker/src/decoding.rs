//! From final latents to what people see: images or videos.

use candle_core::Tensor;

use crate::picture::{Clip, Picture, PictureError};
use crate::run_setup::RunSetup;

/// Why latents could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A picture could not be made.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// The images or videos of latents (B, C, …), one after the other.
///
/// # Errors
/// [`DecodeError`].
pub fn clips(setup: &RunSetup, latent: &Tensor) -> Result<Vec<Clip>, DecodeError> {
    (0..latent.dim(0)?)
        .map(|image| clip(setup, &latent.get(image)?))
        .collect()
}

/// One image (C, h, w) or video (C, F, h, w).
fn clip(setup: &RunSetup, latent: &Tensor) -> Result<Clip, DecodeError> {
    let Some(n_frames) = setup.run.size.frames else {
        return Ok(Clip::image(decoded(latent)?));
    };
    let frames = (0..n_frames).map(|frame| decoded(&latent.narrow(1, frame, 1)?.squeeze(1)?));
    let frames = frames.collect::<Result<Vec<_>, DecodeError>>()?;
    let fps = setup.run.shown_fps().unwrap_or(1.0);
    Ok(Clip::video(frames, fps)?)
}

/// One picture, from a latent (C, h, w).
fn decoded(latent: &Tensor) -> Result<Picture, DecodeError> {
    Ok(Picture::from_latent(latent)?)
}

/// An image (C, H, W) scaled until it covers `width` × `height`, and cut at its middle: what
/// PixArt-Sigma's resolution binning ends with.
fn cut_to(image: &Tensor, (width, height): (usize, usize)) -> candle_core::Result<Tensor> {
    let (_, found_height, found_width) = image.dims3()?;
    let ratio = f64::max(
        height as f64 / found_height as f64,
        width as f64 / found_width as f64,
    );
    let scaled = |side: usize| (side as f64 * ratio) as usize;
    // A side may come out a hair short of what it was scaled to.
    let (rows, columns) = (
        scaled(found_height).max(height),
        scaled(found_width).max(width),
    );
    let image = image
        .unsqueeze(0)?
        .upsample_bilinear2d(rows, columns, false)?;
    image
        .squeeze(0)?
        .narrow(1, (rows - height) / 2, height)?
        .narrow(2, (columns - width) / 2, width)
}
