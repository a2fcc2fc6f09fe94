//! From the size in pixels that a person asks for to the size of the latent.

use super::{MAX_FRAMES, MAX_SIDE, RunSpec, SetupError, aspect_ratio_bins, within};
use crate::model::{LatentSize, VideoFacts};
use crate::model_folder::{Family, ModelFolder};

/// Size of an Open-Sora video where nobody says it, in pixels: the paper's 240p.
pub(crate) const VIDEO_SIZE: (usize, usize) = (426, 240);
/// Frames of a video where nobody says it.
pub(crate) const VIDEO_FRAMES: usize = 16;
/// Frames per second that a video model is told where nobody says it.
pub(crate) const VIDEO_FPS: f64 = 24.0;
/// What Open-Sora is told instead for a single frame.
const STILL_FPS: f64 = 120.0;

/// Open-Sora learned from every third frame of its footage.
const FRAME_INTERVAL: f64 = 3.0;

/// Frames per second to show a video with, from those that the model was told.
pub(super) fn shown_fps(told: f64) -> f64 {
    (told / FRAME_INTERVAL).max(1.0)
}

/// Sizes of the images or videos of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunSize {
    /// Of the latent.
    pub latent: LatentSize,
    /// The size that pictures are cut to, width and height in pixels, where they are drawn
    /// at another.
    pub cut_to: Option<(usize, usize)>,
    /// For videos.
    pub video: Option<VideoFacts>,
}

impl RunSize {
    /// The size that `spec` asks for, or the model's; `given` is the size of a given start
    /// noise, which decides instead.
    pub(super) fn resolve(
        spec: &RunSpec,
        folder: &ModelFolder,
        given: Option<LatentSize>,
    ) -> Result<Self, SetupError> {
        let size = if folder.transformer.family().makes_videos() {
            video_size(spec, folder, given)?
        } else {
            image_size(spec, folder, given)?
        };
        check_sides(size.latent, folder)?;
        Ok(size)
    }
}

fn image_size(
    spec: &RunSpec,
    folder: &ModelFolder,
    given: Option<LatentSize>,
) -> Result<RunSize, SetupError> {
    for (what, is_given) in [
        ("--num-frames", spec.n_frames.is_some()),
        ("--fps", spec.fps.is_some()),
    ] {
        if is_given {
            return Err(SetupError::NotForThisFamily {
                what,
                family: folder.transformer.family().name(),
                remedy: "it makes images: leave the flag out",
            });
        }
    }
    let drawn = match spec.size {
        Some(wish) if spec.resolution_binning => Some(binned_size(wish, folder)?),
        wish => wish,
    };
    let latent = match given {
        Some(size) => {
            refuse_other_size(drawn, size, folder)?;
            size
        }
        None => requested_image_size(drawn, folder)?,
    };
    Ok(RunSize {
        latent,
        cut_to: spec.size.filter(|_| drawn != spec.size),
        video: None,
    })
}

/// Start latents have a size of their own, which a wish cannot change.
fn refuse_other_size(
    wish: Option<(usize, usize)>,
    given: LatentSize,
    folder: &ModelFolder,
) -> Result<(), SetupError> {
    if wish.is_none() || requested_image_size(wish, folder)? == given {
        return Ok(());
    }
    Err(SetupError::OutOfRange {
        what: "--size",
        found: wish.map_or_else(String::new, |(width, height)| format!("{width}x{height}")),
        expected: format!("left out: the start latents are {given}"),
    })
}

/// The size that PixArt-Sigma draws for a wish.
fn binned_size(wish: (usize, usize), folder: &ModelFolder) -> Result<(usize, usize), SetupError> {
    let family = folder.transformer.family();
    let native = folder.transformer.geometry().native_size;
    let bin = aspect_ratio_bins::nearest(native.height, wish);
    let (Family::PixArt, Some(bin)) = (family, bin) else {
        return Err(SetupError::NotForThisFamily {
            what: "--resolution-binning",
            family: family.name(),
            remedy: "only PixArt-Sigma of 256, 512, 1024 or 2048 pixels has such sizes",
        });
    };
    within("--size", wish.0, 1, MAX_SIDE)?;
    within("--size", wish.1, 1, MAX_SIDE)?;
    Ok(bin)
}

fn requested_image_size(
    size: Option<(usize, usize)>,
    folder: &ModelFolder,
) -> Result<LatentSize, SetupError> {
    let factor = folder.vae_factor();
    let Some((width, height)) = size else {
        return Ok(folder.transformer.geometry().native_size);
    };
    if !width.is_multiple_of(factor) || !height.is_multiple_of(factor) {
        return Err(SetupError::OutOfRange {
            what: "--size",
            found: format!("{width}x{height}"),
            expected: format!("a multiple of {factor} on both sides (the VAE's factor)"),
        });
    }
    Ok(LatentSize::image(height / factor, width / factor))
}

/// A video's pixels need not be a multiple of anything: the latent is rounded down, as
/// Open-Sora does.
fn video_size(
    spec: &RunSpec,
    folder: &ModelFolder,
    given: Option<LatentSize>,
) -> Result<RunSize, SetupError> {
    let factor = folder.vae_factor();
    let n_frames = spec.n_frames.unwrap_or(VIDEO_FRAMES);
    within("--num-frames", n_frames, 1, MAX_FRAMES)?;
    let (width, height) = match (spec.size, given) {
        (Some(size), _) => size,
        (None, Some(given)) => (given.width * factor, given.height * factor),
        (None, None) => VIDEO_SIZE,
    };
    let latent = given.unwrap_or(LatentSize {
        frames: Some(n_frames),
        height: height / factor,
        width: width / factor,
    });
    let still = latent.frames == Some(1);
    let fps = spec
        .fps
        .unwrap_or(if still { STILL_FPS } else { VIDEO_FPS });
    if !(fps > 0.0 && fps <= 1000.0) {
        return Err(SetupError::OutOfRange {
            what: "--fps",
            found: fps.to_string(),
            expected: "above 0 and at most 1000".into(),
        });
    }
    let video = VideoFacts { height, width, fps };
    Ok(RunSize {
        latent,
        cut_to: None,
        video: Some(video),
    })
}

fn check_sides(size: LatentSize, folder: &ModelFolder) -> Result<(), SetupError> {
    let patch = folder.transformer.geometry().patch_size;
    // A video's last patches may be partly empty.
    let whole = if size.frames.is_some() { 1 } else { patch };
    let fits = |side: usize| side > 0 && side <= MAX_SIDE && side.is_multiple_of(whole);
    if fits(size.height) && fits(size.width) {
        return Ok(());
    }
    let multiple = match whole {
        1 => String::new(),
        patch => format!("a multiple of the patch, {patch}, "),
    };
    Err(SetupError::OutOfRange {
        what: "the latent's size",
        found: size.to_string(),
        expected: format!("{multiple}positive and at most {MAX_SIDE} on both sides"),
    })
}
