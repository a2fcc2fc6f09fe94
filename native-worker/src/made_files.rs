//! The files that a run makes, as bytes: pictures, a picture grid, reports. Whoever asked
//! for the run writes them, into a folder or into a store.

use dfa_core::wire::job::ArtifactRole;
use dfa_core::wire::{CheckedPlan, plan_hash};

use crate::compare::Comparison;
use crate::decoding::DecodeError;
use crate::image_batch::ImageRun;
use crate::model_folder::ModelFolder;
use crate::picture::{Clip, GridRow, Picture, PictureError, PictureGrid};
use crate::report_html::{ReportImage, ReportPage, report_html};
use crate::run_setup::{RunSetup, Subjects, tool_version};

/// A file that a run made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeFile {
    /// Its path below the run's folder, `/` between the parts.
    pub name: String,
    /// What it is to the run.
    pub role: ArtifactRole,
    /// Its media type.
    pub media_type: &'static str,
    /// Index of the image, if it is one image of the run.
    pub image_index: Option<usize>,
    /// Its contents.
    pub bytes: Vec<u8>,
}

/// Why the files could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MadeFilesError {
    /// A picture could not be made.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The latents could not be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The report could not be written as JSON.
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl MadeFile {
    fn png(name: String, role: ArtifactRole, bytes: Vec<u8>) -> Self {
        Self {
            name,
            role,
            media_type: "image/png",
            image_index: None,
            bytes,
        }
    }

    fn of_image(self, index: usize) -> Self {
        Self {
            image_index: Some(index),
            ..self
        }
    }

    fn text(name: &str, role: ArtifactRole, media_type: &'static str, text: String) -> Self {
        Self {
            name: name.to_owned(),
            role,
            media_type,
            image_index: None,
            bytes: text.into_bytes(),
        }
    }

    /// The plan file of a calibration.
    pub fn plan(text: String) -> Self {
        Self::text("plan.json", ArtifactRole::Plan, "application/json", text)
    }
}

/// `000-name.png` and so on, of videos also `000-name.apng`, and `000-name.mp4` where the
/// machine has an encoder; every picture says how it was made.
///
/// # Errors
/// [`MadeFilesError`].
pub fn image_files(
    setup: &RunSetup,
    plan: Option<&CheckedPlan>,
    made: &ImageRun,
) -> Result<Vec<MadeFile>, MadeFilesError> {
    let mut files = Vec::new();
    for (index, clip) in made.clips(setup)?.iter().enumerate() {
        let name = ClipName {
            folder: "",
            stem: picture_name(setup, index),
            roles: GENERATED,
        };
        let text = picture_text(setup, plan, index);
        files.extend(clip_files(clip, &name, &text, index)?);
        files.extend(mp4_file(clip, &name, index));
    }
    Ok(files)
}

/// What the files of an image or a video are called.
struct ClipName {
    /// Folder and prefix.
    folder: &'static str,
    /// Name without its ending.
    stem: String,
    roles: ClipRoles,
}

/// Roles of the files of an image or a video.
#[derive(Clone, Copy)]
struct ClipRoles {
    image: ArtifactRole,
    video: ArtifactRole,
    strip: ArtifactRole,
}

const GENERATED: ClipRoles = ClipRoles {
    image: ArtifactRole::Image,
    video: ArtifactRole::Video,
    strip: ArtifactRole::Strip,
};
const RAW: ClipRoles = ClipRoles {
    image: ArtifactRole::RawImage,
    video: ArtifactRole::RawVideo,
    strip: ArtifactRole::RawStrip,
};
const COMPRESSED: ClipRoles = ClipRoles {
    image: ArtifactRole::CompressedImage,
    video: ArtifactRole::CompressedVideo,
    strip: ArtifactRole::CompressedStrip,
};

/// An image is a PNG; a video is an animated PNG, and a PNG with a strip of its frames.
fn clip_files(
    clip: &Clip,
    name: &ClipName,
    text: &[(&str, String)],
    index: usize,
) -> Result<Vec<MadeFile>, MadeFilesError> {
    let ClipName {
        folder,
        stem,
        roles,
    } = name;
    let bytes = clip.still()?.to_png_bytes(text)?;
    if clip.fps().is_none() {
        let image = MadeFile::png(format!("{folder}{stem}.png"), roles.image, bytes);
        return Ok(vec![image.of_image(index)]);
    }
    let strip = MadeFile::png(format!("{folder}{stem}-strip.png"), roles.strip, bytes);
    let video = MadeFile {
        name: format!("{folder}{stem}.apng"),
        role: roles.video,
        media_type: "image/apng",
        image_index: Some(index),
        bytes: clip.to_apng_bytes(text)?,
    };
    Ok(vec![video, strip.of_image(index)])
}

/// The video once more, as people pass it on. Not worth losing a run for: without an
/// encoder it is left out, and if the encoder fails, that is said.
fn mp4_file(clip: &Clip, name: &ClipName, index: usize) -> Option<MadeFile> {
    let bytes = clip.to_mp4_bytes().unwrap_or_else(|error| {
        tracing::warn!(%error, "no MP4 was made");
        None
    })?;
    Some(MadeFile {
        name: format!("{}{}.mp4", name.folder, name.stem),
        role: ArtifactRole::VideoMp4,
        media_type: "video/mp4",
        image_index: Some(index),
        bytes,
    })
}

/// Everything that a comparison leaves: `images/`, `grid.png`, `report.json` and
/// `report.html`, which shows `commands` as the way to make it again.
///
/// # Errors
/// [`MadeFilesError`].
pub fn comparison_files(
    setup: &RunSetup,
    plan: &CheckedPlan,
    found: &Comparison,
    commands: &[String],
) -> Result<Vec<MadeFile>, MadeFilesError> {
    let mut files = vec![
        report_page(plan, found, commands)?,
        report_json(found)?,
        grid_file(setup, plan, found)?,
    ];
    for (index, (raw, compressed)) in found.raw.iter().zip(&found.compressed).enumerate() {
        let name = |folder, roles| ClipName {
            folder,
            stem: picture_name(setup, index),
            roles,
        };
        let text = picture_text(setup, None, index);
        files.extend(clip_files(raw, &name("images/raw-", RAW), &text, index)?);
        let text = picture_text(setup, Some(plan), index);
        let name = name("images/compressed-", COMPRESSED);
        files.extend(clip_files(compressed, &name, &text, index)?);
    }
    Ok(files)
}

fn grid_file(
    setup: &RunSetup,
    plan: &CheckedPlan,
    found: &Comparison,
) -> Result<MadeFile, MadeFilesError> {
    let pairs = found.raw.iter().zip(&found.compressed);
    let rows = pairs.zip(&found.report.images);
    let rows = rows.map(|((raw, compressed), metrics)| {
        Ok(GridRow {
            label: metrics.label.clone(),
            raw: raw.still()?,
            compressed: compressed.still()?,
        })
    });
    let rows = rows.collect::<Result<_, PictureError>>()?;
    let grid = PictureGrid { rows }.draw()?;
    let mut text = picture_text(setup, Some(plan), 0);
    text.retain(|(key, _)| !matches!(*key, "dfa:class" | "dfa:prompt" | "dfa:image_index"));
    let bytes = grid.to_png_bytes(&text)?;
    Ok(MadeFile::png("grid.png".into(), ArtifactRole::Grid, bytes))
}

fn report_json(found: &Comparison) -> Result<MadeFile, MadeFilesError> {
    let text = serde_json::to_string_pretty(&found.report)? + "\n";
    let role = ArtifactRole::Report;
    Ok(MadeFile::text(
        "report.json",
        role,
        "application/json",
        text,
    ))
}

fn report_page(
    plan: &CheckedPlan,
    found: &Comparison,
    commands: &[String],
) -> Result<MadeFile, MadeFilesError> {
    let mut pngs = Vec::new();
    for (raw, compressed) in found.raw.iter().zip(&found.compressed) {
        let (raw, compressed) = (raw.still()?, compressed.still()?);
        let difference = raw.difference(&compressed)?;
        let png = |picture: &Picture| picture.to_png_bytes(&[]);
        pngs.push([png(&raw)?, png(&compressed)?, png(&difference)?]);
    }
    let images = pngs.iter().zip(&found.report.images);
    let images = images.map(|([raw, compressed, difference], metrics)| ReportImage {
        label: &metrics.label,
        raw_png: raw,
        compressed_png: compressed,
        difference_png: difference,
    });
    let images: Vec<_> = images.collect();
    let text = report_html(&ReportPage {
        report: &found.report,
        plan,
        images: &images,
        commands,
    });
    let role = ArtifactRole::ReportPage;
    Ok(MadeFile::text(
        "report.html",
        role,
        "text/html; charset=utf-8",
        text,
    ))
}

/// Why the model's latents cannot be made into pictures here.
pub fn why_no_pictures(folder: &ModelFolder) -> Option<String> {
    let channels = folder.transformer.geometry().in_channels;
    if let Some(vae) = &folder.vae {
        return (vae.latent_channels != channels).then(|| {
            format!(
                "vae/ decodes latents of {} channels, the transformer makes {channels}: put the VAE of this model there",
                vae.latent_channels
            )
        });
    }
    if folder.has_vae {
        return Some(
            "this model's latents need its VAE, and vae/config.json is missing: fetch the folder vae/ too"
                .into(),
        );
    }
    (channels != 3)
        .then(|| format!("the model has no VAE and {channels} channels, which are no RGB pictures"))
}

/// `000-name`: the index, and what it shows in letters that every file system takes.
fn picture_name(setup: &RunSetup, index: usize) -> String {
    let plain: String = setup
        .subject_name(index)
        .chars()
        .take(40)
        .map(|letter| {
            if letter.is_ascii_alphanumeric() || letter == '-' {
                letter
            } else {
                '_'
            }
        })
        .collect();
    format!("{index:03}-{plain}")
}

/// What made a picture, for its text chunks.
fn picture_text(
    setup: &RunSetup,
    plan: Option<&CheckedPlan>,
    index: usize,
) -> Vec<(&'static str, String)> {
    let subject = match &setup.run.subjects {
        Subjects::Classes(classes) => {
            let name = setup.subject_name(index);
            ("dfa:class", format!("{} {name}", classes[index]))
        }
        _ => ("dfa:prompt", setup.subject_name(index)),
    };
    let plan = plan.map_or_else(|| "none".into(), |plan| plan_hash(&plan.plan).to_string());
    vec![
        ("Software", tool_version()),
        ("dfa:model", setup.loaded.folder.model_id.clone()),
        (
            "dfa:weights_sha256",
            setup.loaded.identity.weights_sha256.to_string(),
        ),
        subject,
        ("dfa:seed", setup.run.seed.to_string()),
        ("dfa:image_index", index.to_string()),
        ("dfa:steps", setup.run.sampler.n_steps().to_string()),
        ("dfa:sampler", setup.run.sampler_kind.to_string()),
        ("dfa:guidance_scale", setup.run.guidance.scale().to_string()),
        ("dfa:plan_hash", plan),
    ]
}
