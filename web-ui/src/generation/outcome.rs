//! What came of a job that made pictures: one entry per picture, and which one suffered
//! most from the plan.

use std::cmp::Ordering;

use dfa_core::wire::ContentHash;
use dfa_core::wire::job::{Artifact, ArtifactRole, JobResult};
use dfa_core::wire::report::{ImageMetrics, Report};

use crate::forms::texts::beginning;
use crate::words;

/// One picture of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct MadeImage {
    /// Its position in the run.
    pub index: u32,
    /// The files of it.
    pub files: ImageFiles,
    /// The worker's numbers, of a comparison.
    pub metrics: Option<ImageMetrics>,
}

/// The files of one picture.
#[derive(Clone, Debug, PartialEq)]
pub enum ImageFiles {
    /// Made once.
    One(ImageFile),
    /// Made without compression and with it.
    Pair {
        /// Without.
        raw: ImageFile,
        /// With.
        compressed: ImageFile,
    },
}

/// A picture's file; of a video the strip of its frames, which can be compared as a
/// picture can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// What a person would call it.
    pub name: String,
    /// Where it can be fetched.
    pub url: String,
    /// The video itself, an animated picture.
    pub video: Option<VideoFile>,
}

/// A video's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFile {
    /// What a person would call it.
    pub name: String,
    /// Where it can be fetched.
    pub url: String,
}

impl MadeImage {
    /// What people call it.
    pub fn title(&self) -> String {
        let number = self.index + 1;
        match &self.metrics {
            Some(metrics) => format!("{number} · {}", beginning(&metrics.label)),
            None if self.is_video() => format!("Video {number}"),
            None => format!("Picture {number}"),
        }
    }

    /// Whether it moves.
    pub fn is_video(&self) -> bool {
        match &self.files {
            ImageFiles::One(file) | ImageFiles::Pair { raw: file, .. } => file.video.is_some(),
        }
    }
}

/// The pictures and videos of a job, in their order. `url_of` says where a file can be
/// fetched.
pub fn made_images(result: &JobResult, url_of: impl Fn(ContentHash) -> String) -> Vec<MadeImage> {
    let files = Files { result, url_of };
    let pairs = files.of(RAW_ROLES).into_iter().filter_map(|(index, raw)| {
        let mut all = files.of(COMPRESSED_ROLES).into_iter();
        let (_, compressed) = all.find(|(other, _)| *other == index)?;
        Some((index, ImageFiles::Pair { raw, compressed }))
    });
    let singles = files.of(GENERATED_ROLES).into_iter();
    let singles = singles.map(|(index, file)| (index, ImageFiles::One(file)));
    let report = result.report.as_ref();
    let images = pairs.chain(singles).map(|(index, files)| MadeImage {
        index,
        files,
        metrics: report.and_then(|report| metrics_of(report, index)),
    });
    let mut images: Vec<MadeImage> = images.collect();
    images.sort_by_key(|image| image.index);
    images
}

/// The roles of a picture, and of a video: the strip that stands for it and itself.
#[derive(Clone, Copy)]
struct Roles {
    image: ArtifactRole,
    strip: ArtifactRole,
    video: ArtifactRole,
}

const GENERATED_ROLES: Roles = Roles {
    image: ArtifactRole::Image,
    strip: ArtifactRole::Strip,
    video: ArtifactRole::Video,
};
const RAW_ROLES: Roles = Roles {
    image: ArtifactRole::RawImage,
    strip: ArtifactRole::RawStrip,
    video: ArtifactRole::RawVideo,
};
const COMPRESSED_ROLES: Roles = Roles {
    image: ArtifactRole::CompressedImage,
    strip: ArtifactRole::CompressedStrip,
    video: ArtifactRole::CompressedVideo,
};

struct Files<'a, F> {
    result: &'a JobResult,
    url_of: F,
}

impl<F: Fn(ContentHash) -> String> Files<'_, F> {
    /// The pictures, and the strips with their videos, by index.
    fn of(&self, roles: Roles) -> Vec<(u32, ImageFile)> {
        let all = || self.result.artifacts.iter();
        let stills = all().filter(|it| it.role == roles.image || it.role == roles.strip);
        let files = stills.filter_map(|still| {
            let index = still.image_index?;
            let video = all()
                .filter(|_| still.role == roles.strip)
                .find(|it| it.role == roles.video && it.image_index == Some(index));
            Some((index, self.file(still, video)))
        });
        files.collect()
    }

    fn file(&self, still: &Artifact, video: Option<&Artifact>) -> ImageFile {
        ImageFile {
            name: still.name.clone(),
            url: (self.url_of)(still.hash),
            video: video.map(|video| VideoFile {
                name: video.name.clone(),
                url: (self.url_of)(video.hash),
            }),
        }
    }
}

fn metrics_of(report: &Report, index: u32) -> Option<ImageMetrics> {
    let mut images = report.images.iter();
    images.find(|image| image.index == index as usize).cloned()
}

/// The pictures that a report of `dfa compare` was written with, in a folder.
pub fn images_beside(report: &Report, folder: &str) -> Vec<MadeImage> {
    let images = report.images.iter().filter_map(|metrics| {
        let index = u32::try_from(metrics.index).ok()?;
        // As the worker names files: what some file system would refuse is a low line.
        let letters = metrics.label.chars().take(40);
        let plain: String = letters
            .map(|letter| {
                if letter.is_ascii_alphanumeric() || letter == '-' {
                    letter
                } else {
                    '_'
                }
            })
            .collect();
        let file = |half: &str| {
            let name = format!("{half}-{index:03}-{plain}.png");
            let url = format!("{folder}/{name}");
            let video = None;
            ImageFile { name, url, video }
        };
        Some(MadeImage {
            index,
            files: ImageFiles::Pair {
                raw: file("raw"),
                compressed: file("compressed"),
            },
            metrics: Some(metrics.clone()),
        })
    });
    images.collect()
}

/// The index of the picture that differs most from its raw one: lowest SSIM, and between
/// equals the lowest PSNR. `None` if there is nothing to choose between.
pub fn worst_image(images: &[MadeImage]) -> Option<u32> {
    let compared: Vec<&ImageMetrics> = images.iter().filter_map(|it| it.metrics.as_ref()).collect();
    if compared.len() < 2 {
        return None;
    }
    let psnr = |image: &ImageMetrics| image.psnr_db.unwrap_or(f64::INFINITY);
    let order = |a: &&&ImageMetrics, b: &&&ImageMetrics| -> Ordering {
        a.ssim.total_cmp(&b.ssim).then(psnr(a).total_cmp(&psnr(b)))
    };
    let worst = compared.iter().min_by(order)?;
    u32::try_from(worst.index).ok()
}

/// What the plan saved, as lines of a table: name, raw, compressed, in words.
pub fn savings(report: &Report) -> Vec<[String; 4]> {
    let times = |raw: f64, compressed: f64| {
        let gain = if compressed > 0.0 {
            raw / compressed
        } else {
            1.0
        };
        format!("{gain:.2} × as fast")
    };
    let seconds = |name: &str, raw: f64, compressed: f64| {
        [
            name.into(),
            words::seconds(raw),
            words::seconds(compressed),
            times(raw, compressed),
        ]
    };
    let (raw, compressed) = (&report.timings.raw, &report.timings.compressed);
    let cost = &report.cost;
    vec![
        seconds("Whole run", raw.total_secs, compressed.total_secs),
        seconds(
            "Attention layers",
            raw.attention_secs,
            compressed.attention_secs,
        ),
        [
            "Attention MACs of one picture".into(),
            words::large(cost.raw_attention_macs),
            words::large(cost.compressed_attention_macs),
            format!("{} kept", words::percent(cost.attention_kept_share)),
        ],
        [
            "With projections".into(),
            "100.0 %".into(),
            words::percent(cost.layer_kept_share),
            format!("{} kept", words::percent(cost.layer_kept_share)),
        ],
    ]
}

/// Where the pictures come from, as names and values: all that somebody needs who wants
/// to make them again.
pub fn provenance(report: &Report) -> Vec<(&'static str, String)> {
    let settings = &report.settings;
    let threshold = report.plan.threshold;
    vec![
        ("Model", report.model.model_id.clone()),
        ("Weights (SHA-256)", report.model.weights_sha256.to_string()),
        ("Plan (hash)", report.plan.plan_hash.to_string()),
        ("δ", threshold.map_or("made by hand".into(), words::number)),
        ("Seed, the same for both", settings.seed.to_string()),
        ("Steps", settings.n_steps.to_string()),
        ("Sampler", settings.sampler.to_string()),
        ("Guidance scale", words::number(settings.guidance_scale)),
        (
            "Computed with",
            format!(
                "{}, {} threads, {}",
                settings.dtype, settings.n_threads, report.tool_version
            ),
        ),
    ]
}

/// Decibels, for people.
pub fn decibels(psnr_db: Option<f64>) -> String {
    psnr_db.map_or_else(|| "identical".into(), |psnr| format!("{psnr:.2} dB"))
}

/// A similarity, for people; only identical pictures read as 1.
pub fn similarity(ssim: f64) -> String {
    let rounded = format!("{ssim:.4}");
    if ssim < 1.0 && rounded == "1.0000" {
        return "0.9999".into();
    }
    rounded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(role: ArtifactRole, image_index: Option<u32>) -> Artifact {
        let half = if role == ArtifactRole::RawImage {
            "raw"
        } else {
            "compressed"
        };
        let name = format!("{half}-{}", image_index.unwrap_or(9));
        let hash = ContentHash::of(name.as_bytes());
        Artifact {
            hash,
            name,
            role,
            media_type: "image/png".into(),
            size_bytes: 1,
            image_index,
            href: String::new(),
        }
    }

    #[test]
    fn pictures_come_in_pairs_and_in_order() {
        use ArtifactRole::{CompressedImage, Grid, Image, RawImage};
        let result = JobResult {
            artifacts: vec![
                artifact(Grid, None),
                artifact(RawImage, Some(1)),
                artifact(RawImage, Some(0)),
                artifact(CompressedImage, Some(0)),
                artifact(CompressedImage, Some(1)),
                artifact(RawImage, Some(2)),
                artifact(Image, Some(3)),
            ],
            ..JobResult::default()
        };
        let images = made_images(&result, |hash| hash.to_string());
        let indices: Vec<_> = images.iter().map(|image| image.index).collect();
        assert_eq!(indices, [0, 1, 3]);
        assert!(matches!(images[2].files, ImageFiles::One(_)));
        let ImageFiles::Pair { raw, compressed } = &images[1].files else {
            panic!("a pair");
        };
        assert_eq!(
            (raw.name.as_str(), compressed.name.as_str()),
            ("raw-1", "compressed-1")
        );
        assert_eq!(images[0].title(), "Picture 1");
    }

    #[test]
    fn a_video_is_its_strip_and_what_moves() {
        use ArtifactRole::{CompressedStrip, CompressedVideo, RawStrip, RawVideo, Strip, Video};
        let of = |roles: &[ArtifactRole]| {
            let artifacts = roles.iter().map(|&role| Artifact {
                name: role.as_str().into(),
                ..artifact(role, Some(0))
            });
            let result = JobResult {
                artifacts: artifacts.collect(),
                ..JobResult::default()
            };
            made_images(&result, |hash| hash.to_string())
        };
        let names = |file: &ImageFile| {
            let video = file.video.as_ref().map(|video| video.name.clone());
            (file.name.clone(), video.unwrap_or_default())
        };
        let made = of(&[Video, Strip]);
        let ImageFiles::One(file) = &made[0].files else {
            panic!("{made:?}");
        };
        assert_eq!(names(file), ("strip".into(), "video".into()));
        let made = of(&[RawVideo, RawStrip, CompressedVideo, CompressedStrip]);
        let ImageFiles::Pair { raw, compressed } = &made[0].files else {
            panic!("{made:?}");
        };
        assert_eq!(names(raw), ("raw_strip".into(), "raw_video".into()));
        let expected = ("compressed_strip".into(), "compressed_video".into());
        assert_eq!(names(compressed), expected);
    }

    #[test]
    fn the_worst_picture_is_the_least_similar() {
        let image = |index, ssim, psnr_db| MadeImage {
            index,
            files: ImageFiles::One(ImageFile {
                name: String::new(),
                url: String::new(),
                video: None,
            }),
            metrics: Some(ImageMetrics {
                index: index as usize,
                label: "fox".into(),
                mse: 0.0,
                psnr_db,
                ssim,
            }),
        };
        let all = [
            image(0, 1.0, None),
            image(1, 0.9, Some(30.0)),
            image(2, 0.9, Some(20.0)),
            image(3, 0.95, Some(10.0)),
        ];
        assert_eq!(worst_image(&all), Some(2));
        assert_eq!(worst_image(&all[..1]), None);
        assert_eq!(worst_image(&[]), None);
        assert_eq!(all[0].title(), "1 · fox");
    }

    #[test]
    fn numbers_do_not_claim_too_much() {
        assert_eq!(decibels(None), "identical");
        assert_eq!(similarity(0.999_99), "0.9999");
        assert_eq!(similarity(1.0), "1.0000");
    }
}
