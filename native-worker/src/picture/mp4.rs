//! Videos as MP4 files (H.264), by the program `ffmpeg` where the machine has one.
//!
//! An MP4 is for passing on: it is small and loses a little. What is looked at and
//! compared here are the animated PNG and the strip, which need no other program.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Clip;

/// The program, as the search path finds it.
const PROGRAM: &str = "ffmpeg";
/// H.264 in the form that browsers play has an even number of rows and columns.
const EVEN: &str = "pad=ceil(iw/2)*2:ceil(ih/2)*2";
/// Constant quality of x264; 18 is hard to tell from the original.
const QUALITY: &str = "18";

/// Why there is no MP4.
#[derive(Debug, thiserror::Error)]
pub enum Mp4Error {
    /// The program could not be run, or its files could not be read or written.
    #[error("{PROGRAM} could not be used: {0}")]
    Io(#[from] io::Error),
    /// The program refused.
    #[error("{PROGRAM} ended with {status}: {said}")]
    Refused {
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to its standard error.
        said: String,
    },
}

/// What `ffmpeg` calls itself; `None` if the search path has no such program.
pub fn ffmpeg_version() -> Option<String> {
    let output = Command::new(PROGRAM).arg("-version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().next()?;
    output.status.success().then(|| line.to_owned())
}

impl Clip {
    /// The video as MP4; `None` of an image, and where there is no `ffmpeg`.
    ///
    /// # Errors
    /// [`Mp4Error`] if there is one that fails.
    pub fn to_mp4_bytes(&self) -> Result<Option<Vec<u8>>, Mp4Error> {
        let Some(fps) = self.fps() else {
            return Ok(None);
        };
        let desk = Desk::new()?;
        let Some(mut child) = desk.start(self, fps)? else {
            return Ok(None);
        };
        let sent = send_frames(self, &mut child);
        let status = child.wait()?;
        if !status.success() {
            let said = std::fs::read_to_string(desk.said()).unwrap_or_default();
            let said = said.trim().to_owned();
            return Err(Mp4Error::Refused { status, said });
        }
        sent?;
        Ok(Some(std::fs::read(desk.video())?))
    }
}

/// Frame after frame, red, green, blue; then the end of the stream.
fn send_frames(clip: &Clip, child: &mut Child) -> io::Result<()> {
    let Some(mut input) = child.stdin.take() else {
        return Err(io::Error::other("no standard input"));
    };
    let mut frames = clip.frames().iter();
    frames.try_for_each(|frame| input.write_all(frame.rgb()))
}

/// A folder of its own for one encoding, gone afterwards.
struct Desk(PathBuf);

impl Desk {
    fn new() -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("dfa-mp4-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Fails if it exists: nobody can have put something there for us to write to.
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn video(&self) -> PathBuf {
        self.0.join("video.mp4")
    }

    fn said(&self) -> PathBuf {
        self.0.join("said.txt")
    }

    /// `None` if there is no such program.
    fn start(&self, clip: &Clip, fps: f64) -> io::Result<Option<Child>> {
        let said = File::create(self.said())?;
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments(clip, fps, &self.video()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(said);
        match command.spawn() {
            Ok(child) => Ok(Some(child)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // What stays behind in the system's temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Raw frames from standard input to a file; equal frames give equal bytes.
fn arguments(clip: &Clip, fps: f64, video: &Path) -> Vec<std::ffi::OsString> {
    let first = &clip.frames()[0];
    let size = format!("{}x{}", first.width(), first.height());
    let rate = fps.to_string();
    let mut words = vec!["-hide_banner", "-loglevel", "error"];
    words.extend(["-f", "rawvideo", "-pixel_format", "rgb24"]);
    words.extend(["-video_size", &size, "-framerate", &rate, "-i", "pipe:0"]);
    words.extend(["-vf", EVEN, "-c:v", "libx264", "-crf", QUALITY]);
    words.extend(["-pix_fmt", "yuv420p", "-movflags", "+faststart"]);
    words.extend(["-fflags", "+bitexact", "-flags:v", "+bitexact"]);
    let mut arguments: Vec<_> = words.into_iter().map(Into::into).collect();
    arguments.push(video.into());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Picture;

    fn frame(red: u8) -> Picture {
        Picture::plain(33, 17, [red, 40, 90]).unwrap()
    }

    #[test]
    fn an_image_has_no_mp4() {
        assert!(Clip::image(frame(1)).to_mp4_bytes().unwrap().is_none());
    }

    #[test]
    fn a_video_is_an_mp4_where_there_is_an_encoder() {
        let clip = Clip::video((0..5).map(|idx| frame(idx * 50)).collect(), 7.5).unwrap();
        let bytes = clip.to_mp4_bytes().unwrap();
        assert_eq!(bytes.is_some(), ffmpeg_version().is_some());
        let Some(bytes) = bytes else {
            eprintln!("not checked further: this machine has no {PROGRAM}");
            return;
        };
        assert_eq!(&bytes[4..8], b"ftyp");
        let has = |word: &[u8]| bytes.windows(word.len()).any(|found| found == word);
        assert!(has(b"avc1"), "H.264");
        let again = clip.to_mp4_bytes().unwrap();
        assert_eq!(again.as_deref(), Some(bytes.as_slice()));
    }
}
