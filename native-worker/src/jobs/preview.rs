//! A small picture of what a run now takes for its first image. No VAE is asked: it would
//! take longer than a step.

use candle_core::Tensor;
use dfa_core::Step;
use dfa_core::wire::job_event::PreviewEvent;

use crate::base64::base64;
use crate::picture::{Picture, PictureError};

/// Longest side of a preview.
const SIDE: usize = 64;

/// The first image of a batch of clean latents (B, C, …), small; of a video its middle
/// frame.
///
/// # Errors
/// [`PictureError`] if the latent is nothing that can be shown.
pub(super) fn preview(
    step: Step,
    clean: &Tensor,
    image_index: usize,
) -> Result<PreviewEvent, PictureError> {
    let latent = still(&clean.get(0)?)?;
    let picture = Picture::from_latent(&visible(&latent)?)?.reduced_to(SIDE)?;
    Ok(PreviewEvent {
        step: step.0 as u32,
        image_index: image_index as u32,
        width: picture.width() as u32,
        height: picture.height() as u32,
        png_base64: base64(&picture.to_png_bytes(&[])?),
    })
}

/// (C, h, w) of an image, or of the middle frame of a video (C, F, h, w).
fn still(latent: &Tensor) -> candle_core::Result<Tensor> {
    match *latent.dims() {
        [_, n_frames, _, _] => latent.narrow(1, n_frames / 2, 1)?.squeeze(1),
        _ => Ok(latent.clone()),
    }
}

/// Latents of three channels are pixels. Of the others the first channel is shown in grey,
/// from its least to its greatest value: in the VAEs of the SD and SDXL families it is
/// close to brightness.
fn visible(latent: &Tensor) -> candle_core::Result<Tensor> {
    let n_channels = latent.dim(0)?;
    if n_channels == 3 {
        return Ok(latent.clone());
    }
    let (_, height, width) = latent.dims3()?;
    let values: Vec<f32> = latent.get(0)?.flatten_all()?.to_vec1()?;
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let greatest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let scale = 2.0 / (greatest - least).max(f32::MIN_POSITIVE);
    let grey: Vec<f32> = values.iter().map(|v| (v - least) * scale - 1.0).collect();
    let grey = Tensor::from_vec(grey, (1, height, width), latent.device())?;
    Tensor::cat(&[&grey, &grey, &grey], 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn pixels_latents_and_videos_are_shown() {
        let check = |shape: &[usize], size: (u32, u32)| {
            let n: usize = shape.iter().product();
            let values: Vec<f32> = (0..n).map(|i| i as f32 / n as f32).collect();
            let clean = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            let event = preview(Step(4), &clean, 3).unwrap();
            assert_eq!((event.width, event.height), size, "{shape:?}");
            assert_eq!((event.step, event.image_index), (4, 3));
        };
        check(&[2, 3, 8, 16], (16, 8));
        check(&[1, 4, 6, 10], (10, 6));
        check(&[1, 4, 5, 6, 10], (10, 6));
    }

    #[test]
    fn a_latent_is_shown_from_black_to_white_and_a_video_by_its_middle() {
        let frames: Vec<f32> = vec![0.0, 0.0, -2.0, 6.0, 0.0, 0.0];
        // (C, F, h, w): four channels of three frames, one row of two.
        let all = [frames.clone(), frames.clone(), frames.clone(), frames].concat();
        let video = Tensor::from_vec(all, (4, 3, 1, 2), &Device::Cpu).unwrap();
        let shown = visible(&still(&video).unwrap()).unwrap();
        let shown: Vec<f32> = shown.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(shown, [-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]);
        let flat = Tensor::zeros((4, 1, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
        let shown = visible(&flat).unwrap().flatten_all().unwrap();
        assert_eq!(shown.to_vec1::<f32>().unwrap(), [-1.0; 6]);
    }
}
