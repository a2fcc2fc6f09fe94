//! What a run makes of one sample: an image, or the frames of a video.
//!
//! A video is written as an animated PNG, which browsers play and every PNG reader shows
//! the first frame of, and as a strip of frames, which can be compared pixel by pixel.

use png::{BitDepth, ColorType, DisposeOp, Encoder};

use super::{Picture, PictureError, png_file};

/// Most frames on a strip; of longer videos every so many-th is shown.
const MAX_STRIP_FRAMES: usize = 16;
/// Frames in a row of a strip.
const STRIP_COLUMNS: usize = 4;

/// An image, or a video: at least one frame, all of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    frames: Vec<Picture>,
    /// Frames per second as shown; none for an image.
    fps: Option<f64>,
}

impl Clip {
    /// An image.
    pub fn image(picture: Picture) -> Self {
        Self {
            frames: vec![picture],
            fps: None,
        }
    }

    /// A video, shown at `fps` frames per second.
    ///
    /// # Errors
    /// [`PictureError::BadSize`] without a frame, [`PictureError::DifferentSizes`] if the
    /// frames are not alike.
    pub fn video(frames: Vec<Picture>, fps: f64) -> Result<Self, PictureError> {
        let size = |frame: &Picture| (frame.width(), frame.height());
        let Some(first) = frames.first().map(size) else {
            return Err(PictureError::BadSize {
                width: 0,
                height: 0,
            });
        };
        match frames.iter().map(size).find(|&other| other != first) {
            Some(second) => Err(PictureError::DifferentSizes { first, second }),
            None => Ok(Self {
                frames,
                fps: Some(fps),
            }),
        }
    }

    /// Its pictures, in order.
    pub fn frames(&self) -> &[Picture] {
        &self.frames
    }

    /// Frames per second, if it is a video.
    pub fn fps(&self) -> Option<f64> {
        self.fps
    }

    /// The image; of a video the strip of its frames, four in a row.
    ///
    /// # Errors
    /// [`PictureError::BadSize`] if the strip is too large.
    pub fn still(&self) -> Result<Picture, PictureError> {
        if self.frames.len() == 1 {
            return Ok(self.frames[0].clone());
        }
        let every = self.frames.len().div_ceil(MAX_STRIP_FRAMES);
        let shown: Vec<&Picture> = self.frames.iter().step_by(every).collect();
        let (width, height) = (shown[0].width(), shown[0].height());
        let columns = shown.len().min(STRIP_COLUMNS);
        let rows = shown.len().div_ceil(columns);
        let mut strip = Picture::plain(width * columns, height * rows, [0; 3])?;
        for (idx, frame) in shown.iter().enumerate() {
            strip.paste(frame, idx % columns * width, idx / columns * height);
        }
        Ok(strip)
    }

    /// An animated PNG that repeats for ever, with these keywords and texts.
    ///
    /// # Errors
    /// [`PictureError::Encoding`].
    pub fn to_apng_bytes(&self, text: &[(&str, String)]) -> Result<Vec<u8>, PictureError> {
        let (width, height) = png_file::size_of(&self.frames[0])?;
        let n_frames = u32::try_from(self.frames.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, width, height);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_animated(n_frames, 0)?;
        let (delay, per) = frame_delay(self.fps.unwrap_or(1.0));
        encoder.set_frame_delay(delay, per)?;
        encoder.set_dispose_op(DisposeOp::None)?;
        png_file::add_text(&mut encoder, text)?;
        let mut writer = encoder.write_header()?;
        for frame in &self.frames {
            writer.write_image_data(frame.rgb())?;
        }
        writer.finish()?;
        Ok(bytes)
    }
}

/// The time that a frame is shown, as a fraction of a second.
fn frame_delay(fps: f64) -> (u16, u16) {
    // Thousandths of a second; a frame rate far below one is shown as one per minute.
    let thousandths = (1000.0 / fps).round().clamp(1.0, 60_000.0);
    (thousandths as u16, 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(red: u8) -> Picture {
        Picture::plain(3, 2, [red, 0, 0]).unwrap()
    }

    #[test]
    fn a_video_has_frames_of_one_size() {
        assert!(Clip::video(Vec::new(), 8.0).is_err());
        let odd = Picture::plain(2, 2, [0; 3]).unwrap();
        assert!(Clip::video(vec![frame(0), odd], 8.0).is_err());
    }

    #[test]
    fn a_strip_has_four_frames_in_a_row_and_at_most_sixteen() {
        let check = |n: u8, size: (usize, usize), last: u8| {
            let clip = Clip::video((0..n).map(frame).collect(), 8.0).unwrap();
            let strip = clip.still().unwrap();
            assert_eq!((strip.width(), strip.height()), size, "{n} frames");
            let mut reds: Vec<u8> = strip.rgb().chunks(3).map(|pixel| pixel[0]).collect();
            reds.sort_unstable();
            assert_eq!(reds.last(), Some(&last), "{n} frames");
        };
        check(1, (3, 2), 0);
        check(2, (6, 2), 1);
        check(5, (12, 4), 4);
        check(16, (12, 8), 15);
        check(33, (12, 6), 30);
    }

    #[test]
    fn an_animated_png_holds_every_frame_and_its_words() {
        let clip = Clip::video(vec![frame(1), frame(2), frame(3)], 8.0).unwrap();
        let bytes = clip.to_apng_bytes(&[("dfa:seed", "7".into())]).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let control = *reader.info().animation_control().unwrap();
        assert_eq!((control.num_frames, control.num_plays), (3, 0));
        let mut rgb = [0; 18];
        for red in 1..=3 {
            reader.next_frame(&mut rgb).unwrap();
            assert_eq!(rgb[0], red);
            let frame = reader.info().frame_control().unwrap();
            assert_eq!((frame.delay_num, frame.delay_den), (125, 1000));
        }
        assert_eq!(reader.info().uncompressed_latin1_text[0].text, "7");
    }

    #[test]
    fn delays_fit_their_field() {
        let check = |fps, expected| assert_eq!(frame_delay(fps), (expected, 1000), "{fps}");
        check(24.0, 42);
        check(1e9, 1);
        check(1e-9, 60_000);
    }
}
