//! What the network is told of a video besides its latent, as vectors that are added to
//! the timestep's: size and shape for space, length and speed for time.

use candle_core::{Result, Tensor};

use crate::model::VideoFacts;
use crate::model::adaln_single::NumberEmbedder;
use crate::model_folder::weights::{Weights, WeightsError};

pub(super) struct VideoEmbedding {
    /// Of each side in pixels, a third of D.
    sides: NumberEmbedder,
    /// Of height / width, a third of D.
    aspect_ratio: NumberEmbedder,
    n_frames: NumberEmbedder,
    fps: NumberEmbedder,
}

impl VideoEmbedding {
    pub(super) fn load(
        weights: &mut Weights,
        width: usize,
    ) -> std::result::Result<Self, WeightsError> {
        let mut embedder = |name: &str, width| {
            let names = ["mlp.0", "mlp.2"].map(|layer| format!("{name}.{layer}"));
            NumberEmbedder::load(weights, names.each_ref().map(String::as_str), width)
        };
        Ok(Self {
            sides: embedder("csize_embedder", width / 3)?,
            aspect_ratio: embedder("ar_embedder", width / 3)?,
            n_frames: embedder("fl_embedder", width)?,
            fps: embedder("fps_embedder", width)?,
        })
    }

    /// Height, width, then their ratio, (1, D).
    pub(super) fn in_space(&self, video: VideoFacts) -> Result<Tensor> {
        let VideoFacts { height, width, .. } = video;
        let sides = self.sides.forward(&[height as f32, width as f32])?; // (2, D/3)
        let ratio = self
            .aspect_ratio
            .forward(&[(height as f64 / width as f64) as f32])?;
        let joined = Tensor::cat(&[&sides, &ratio], 0)?; // (3, D/3)
        let d = joined.elem_count();
        joined.reshape((1, d))
    }

    /// Number of frames and frames per second, (1, D).
    pub(super) fn in_time(&self, video: VideoFacts, n_frames: usize) -> Result<Tensor> {
        self.n_frames.forward(&[n_frames as f32])? + self.fps.forward(&[video.fps as f32])?
    }
}
