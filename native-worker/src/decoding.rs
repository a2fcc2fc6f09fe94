//! From final latents to what people see: images or videos.

use candle_core::Tensor;

use crate::model::vae::Vae;
use crate::model_folder::FolderError;
use crate::picture::{Clip, Picture, PictureError};
use crate::run_setup::RunSetup;

/// Why latents could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A picture could not be made.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The VAE cannot be loaded.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// The images or videos of latents (B, C, …), one after the other.
///
/// # Errors
/// [`DecodeError`].
pub fn clips(setup: &RunSetup, latent: &Tensor) -> Result<Vec<Clip>, DecodeError> {
    let folder = &setup.loaded.folder;
    let vae = match &folder.vae {
        Some(config) => Some(Vae::load(
            &folder.path.join("vae"),
            config,
            &setup.loaded.placement,
        )?),
        None => None,
    };
    let decoder = Decoder {
        vae,
        cut_to: setup.run.cut_to,
    };
    (0..latent.dim(0)?)
        .map(|image| decoder.clip(&latent.get(image)?, setup.run.shown_fps()))
        .collect()
}

/// Makes pictures of latents.
struct Decoder {
    /// None if latents are pixels.
    vae: Option<Vae>,
    /// Width and height that pictures are cut to.
    cut_to: Option<(usize, usize)>,
}

impl Decoder {
    /// One image (C, h, w), or one video (C, F, h, w) that is shown at `fps`.
    fn clip(&self, latent: &Tensor, fps: Option<f64>) -> Result<Clip, DecodeError> {
        let Some(fps) = fps else {
            return Ok(Clip::image(self.picture(latent)?));
        };
        let frames =
            (0..latent.dim(1)?).map(|frame| self.picture(&latent.narrow(1, frame, 1)?.squeeze(1)?));
        Ok(Clip::video(frames.collect::<Result<_, _>>()?, fps)?)
    }

    /// One picture, from a latent (C, h, w).
    fn picture(&self, latent: &Tensor) -> Result<Picture, DecodeError> {
        let mut image = latent.clone();
        if let Some(vae) = &self.vae {
            image = vae.decode(&image.unsqueeze(0)?)?.squeeze(0)?; // (3, H, W)
        }
        if let Some(size) = self.cut_to {
            image = cut_to(&image, size)?;
        }
        Ok(Picture::from_latent(&image)?)
    }
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
