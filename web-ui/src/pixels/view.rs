//! What is shown of a pair: in which mode, how near, which part. One view is shared by
//! all panes, so that they always show the same place.
//!
//! Values only. A pane is measured in screen pixels, whatever they are (CSS or device);
//! pictures in their own. Always true: at least the whole picture fits (zoom 1), a
//! picture's pixel is never larger than [`MAX_SCALE`], and a pane is never empty while
//! the picture could fill it.

/// Screen pixels of one picture pixel at the nearest.
pub const MAX_SCALE: f64 = 64.0;
/// One press of a zoom key or button.
pub const ZOOM_STEP: f64 = 1.25;
/// What one press of an arrow key moves, in shares of the pane.
const PAN_STEP: f64 = 0.125;
/// What a key moves the wipe line, in shares of the picture's pane.
const WIPE_STEP: f64 = 0.02;

/// How two pictures are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Both, next to each other.
    #[default]
    SideBySide,
    /// One over the other, cut at a line.
    Wipe,
    /// One after the other in the same place.
    Blink,
    /// The absolute difference.
    Difference,
    /// Structural similarity.
    Ssim,
}

impl Mode {
    /// Every mode, in the order of the buttons.
    pub const ALL: [Self; 5] = [
        Self::SideBySide,
        Self::Wipe,
        Self::Blink,
        Self::Difference,
        Self::Ssim,
    ];

    /// The word of addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SideBySide => "side-by-side",
            Self::Wipe => "wipe",
            Self::Blink => "blink",
            Self::Difference => "difference",
            Self::Ssim => "ssim",
        }
    }

    /// The word of the button.
    pub const fn title(self) -> &'static str {
        match self {
            Self::SideBySide => "Side by side",
            Self::Wipe => "Wipe",
            Self::Blink => "Blink",
            Self::Difference => "Difference",
            Self::Ssim => "SSIM map",
        }
    }

    /// The mode of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }

    /// What each pane shows.
    pub fn panes(self, blink_shows_compressed: bool) -> &'static [Content] {
        match self {
            Self::SideBySide => &[Content::Raw, Content::Compressed],
            Self::Wipe => &[Content::Wipe],
            Self::Blink if blink_shows_compressed => &[Content::Compressed],
            Self::Blink => &[Content::Raw],
            Self::Difference => &[Content::Difference],
            Self::Ssim => &[Content::Ssim],
        }
    }
}

/// What one pane shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// The picture without compression.
    Raw,
    /// The picture with it.
    Compressed,
    /// Raw left of the line, compressed right of it.
    Wipe,
    /// The difference map.
    Difference,
    /// The SSIM map.
    Ssim,
}

impl Content {
    /// The caption of a pane.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Raw => "Raw",
            Self::Compressed => "Compressed",
            Self::Wipe => "Raw | compressed",
            Self::Difference => "Absolute difference",
            Self::Ssim => "Structural similarity",
        }
    }
}

/// Which part of the pair is seen, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Columns and rows of the pictures.
    picture: [f64; 2],
    /// 1 shows the whole picture, as large as it fits.
    zoom: f64,
    /// What stands in the middle of a pane, in shares of the picture.
    centre: [f64; 2],
    /// How the pictures are shown.
    pub mode: Mode,
    /// Where the wipe cuts, in shares of the pane.
    wipe: f64,
    /// How many times a difference is enlarged.
    pub gain: Gain,
}

/// How many times a difference is enlarged so that people see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Gain {
    /// As it is.
    One,
    /// As in the worker's grid of differences.
    #[default]
    Four,
    /// What no eye would see.
    Sixteen,
}

impl Gain {
    /// Every gain.
    pub const ALL: [Self; 3] = [Self::One, Self::Four, Self::Sixteen];

    /// The factor.
    pub const fn factor(self) -> f32 {
        match self {
            Self::One => 1.0,
            Self::Four => 4.0,
            Self::Sixteen => 16.0,
        }
    }
}

/// Something that a person does to a view with a key or a button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Nearer.
    ZoomIn,
    /// Farther.
    ZoomOut,
    /// The whole picture.
    Fit,
    /// One picture pixel for each screen pixel.
    ActualSize,
    /// The part to the left.
    Left,
    /// The part to the right.
    Right,
    /// The part above.
    Up,
    /// The part below.
    Down,
    /// The wipe line to the left.
    WipeLeft,
    /// The wipe line to the right.
    WipeRight,
}

impl Command {
    /// What a key means on a pane; `key` as browsers name it.
    pub fn of_key(key: &str) -> Option<Self> {
        Some(match key {
            "+" | "=" => Self::ZoomIn,
            "-" | "_" => Self::ZoomOut,
            "0" => Self::Fit,
            "1" => Self::ActualSize,
            "ArrowLeft" => Self::Left,
            "ArrowRight" => Self::Right,
            "ArrowUp" => Self::Up,
            "ArrowDown" => Self::Down,
            "," | "<" => Self::WipeLeft,
            "." | ">" => Self::WipeRight,
            _ => return None,
        })
    }
}

impl View {
    /// The whole of a pair.
    pub fn of(picture: [usize; 2], mode: Mode) -> Self {
        Self {
            picture: picture.map(|side| side.max(1) as f64),
            zoom: 1.0,
            centre: [0.5, 0.5],
            mode,
            wipe: 0.5,
            gain: Gain::default(),
        }
    }

    /// The same view of another pair: the same part, if it has the same size.
    #[must_use]
    pub fn onto(self, picture: [usize; 2]) -> Self {
        let whole = Self::of(picture, self.mode);
        if whole.picture == self.picture {
            return self;
        }
        Self {
            wipe: self.wipe,
            gain: self.gain,
            ..whole
        }
    }

    /// Screen pixels of one picture pixel.
    pub fn scale(&self, pane: [f64; 2]) -> f64 {
        self.fit(pane) * self.zoom
    }

    /// What stands at the top left of a pane, in picture pixels; negative where the
    /// picture does not reach.
    pub fn corner(&self, pane: [f64; 2]) -> [f64; 2] {
        let scale = self.scale(pane);
        axes(|axis| self.centre[axis] * self.picture[axis] - pane[axis] / (2.0 * scale))
    }

    /// How much nearer than the whole picture.
    pub fn zoom(&self) -> f64 {
        self.zoom
    }

    /// Where the wipe cuts, in shares of the pane.
    pub fn wipe(&self) -> f64 {
        self.wipe
    }

    /// The wipe's line elsewhere, in shares of the pane.
    pub fn wipe_to(&mut self, share: f64) {
        if share.is_finite() {
            self.wipe = share.clamp(0.0, 1.0);
        }
    }

    /// `factor` times nearer; what stands at `point` of the pane stays there, unless the
    /// picture would leave the pane.
    pub fn zoom_about(&mut self, factor: f64, point: [f64; 2], pane: [f64; 2]) {
        if !(factor.is_finite() && factor > 0.0) {
            return;
        }
        let under = |view: &Self| -> [f64; 2] {
            let (corner, scale) = (view.corner(pane), view.scale(pane));
            axes(|axis| corner[axis] + point[axis] / scale)
        };
        let before = under(self);
        let nearest = (MAX_SCALE / self.fit(pane)).max(1.0);
        self.zoom = (self.zoom * factor).clamp(1.0, nearest);
        let after = under(self);
        self.centre =
            axes(|axis| self.centre[axis] + (before[axis] - after[axis]) / self.picture[axis]);
        self.keep_inside(pane);
    }

    /// The picture moved by so many screen pixels: a drag.
    pub fn pan_by(&mut self, moved: [f64; 2], pane: [f64; 2]) {
        let scale = self.scale(pane);
        self.centre = axes(|axis| self.centre[axis] - moved[axis] / (scale * self.picture[axis]));
        self.keep_inside(pane);
    }

    /// Two fingers that moved from `before` to `after`.
    pub fn pinch(&mut self, before: [[f64; 2]; 2], after: [[f64; 2]; 2], pane: [f64; 2]) {
        let apart = |[p, q]: [[f64; 2]; 2]| (p[0] - q[0]).hypot(p[1] - q[1]).max(1.0);
        let middle = |[p, q]: [[f64; 2]; 2]| axes(|axis| (p[axis] + q[axis]) / 2.0);
        let (from, to) = (middle(before), middle(after));
        self.pan_by(axes(|axis| to[axis] - from[axis]), pane);
        self.zoom_about(apart(after) / apart(before), to, pane);
    }

    /// Does what a key or a button asks for.
    pub fn obey(&mut self, command: Command, pane: [f64; 2]) {
        let middle = pane.map(|side| side / 2.0);
        let [width, height] = pane.map(|side| side * PAN_STEP);
        match command {
            Command::ZoomIn => self.zoom_about(ZOOM_STEP, middle, pane),
            Command::ZoomOut => self.zoom_about(1.0 / ZOOM_STEP, middle, pane),
            Command::Fit => self.zoom_about(1.0 / self.zoom, middle, pane),
            Command::ActualSize => self.zoom_about(1.0 / self.scale(pane), middle, pane),
            Command::Left => self.pan_by([width, 0.0], pane),
            Command::Right => self.pan_by([-width, 0.0], pane),
            Command::Up => self.pan_by([0.0, height], pane),
            Command::Down => self.pan_by([0.0, -height], pane),
            Command::WipeLeft => self.wipe_to(self.wipe - WIPE_STEP),
            Command::WipeRight => self.wipe_to(self.wipe + WIPE_STEP),
        }
    }

    /// Keeps the rules of this file in a pane that may have changed its size.
    pub fn keep_inside(&mut self, pane: [f64; 2]) {
        let nearest = (MAX_SCALE / self.fit(pane)).max(1.0);
        self.zoom = self.zoom.clamp(1.0, nearest);
        let scale = self.scale(pane);
        self.centre = axes(|axis| {
            let half = pane[axis] / (2.0 * scale * self.picture[axis]);
            if half >= 0.5 {
                return 0.5;
            }
            self.centre[axis].clamp(half, 1.0 - half)
        });
    }

    /// The scale at which the whole picture just fits.
    fn fit(&self, pane: [f64; 2]) -> f64 {
        let [across, down] = axes(|axis| pane[axis].max(1.0) / self.picture[axis]);
        across.min(down).min(MAX_SCALE)
    }
}

/// A value for each axis.
fn axes(value: impl Fn(usize) -> f64) -> [f64; 2] {
    [value(0), value(1)]
}

#[cfg(test)]
mod tests;
