//! Raw | compressed | difference, one row per image, as one picture with words around it.

use super::font::{self, LINE_HEIGHT};
use super::{DIFFERENCE_GAIN, Picture, PictureError};

/// Pictures are enlarged by a whole number so that their longer side has at least this
/// many pixels; larger ones stay as they are.
const SHOWN_SIDE: usize = 128;
/// Space around everything and between rows and columns.
const MARGIN: usize = 8;
/// Letters are drawn twice their size.
const FONT_SCALE: usize = 2;
/// Longer labels are cut.
const MAX_LABEL_LETTERS: usize = 16;

const PAPER: [u8; 3] = [255, 255, 255];
const INK: [u8; 3] = [34, 34, 34];

/// One image of the grid.
#[derive(Clone, Debug)]
pub struct GridRow {
    /// What was drawn, for example the name of the class.
    pub label: String,
    /// Without compression.
    pub raw: Picture,
    /// With the plan.
    pub compressed: Picture,
}

/// Rows of raw | compressed | difference.
#[derive(Clone, Debug, Default)]
pub struct PictureGrid {
    /// The images, top to bottom.
    pub rows: Vec<GridRow>,
}

/// Where the grid's parts are, in pixels.
struct Layout {
    label_width: usize,
    column_width: usize,
    row_height: usize,
}

impl PictureGrid {
    /// The grid as one picture.
    ///
    /// # Errors
    /// [`PictureError::DifferentSizes`] if a row's pictures differ in size, and
    /// [`PictureError::BadSize`] if there is no row or the grid gets too large.
    pub fn draw(&self) -> Result<Picture, PictureError> {
        let rows = self
            .rows
            .iter()
            .map(drawn_row)
            .collect::<Result<Vec<_>, _>>()?;
        let layout = self.layout(&rows);
        let (width, height) = layout.size(rows.len());
        if rows.is_empty() {
            return Err(PictureError::BadSize {
                width: 0,
                height: 0,
            });
        }
        let mut grid = Picture::plain(width, height, PAPER)?;
        let captions = [
            "raw".into(),
            "compressed".into(),
            format!("difference ×{DIFFERENCE_GAIN}"),
        ];
        for (idx, caption) in captions.iter().enumerate() {
            let centred = layout
                .column_width
                .saturating_sub(font::width_of(caption) * FONT_SCALE)
                / 2;
            let corner = (layout.column_at(idx) + centred, MARGIN);
            font::draw(&mut grid, caption, corner, FONT_SCALE, INK);
        }
        for (idx, (row, pictures)) in self.rows.iter().zip(&rows).enumerate() {
            let top = layout.row_at(idx);
            let middle = top + layout.row_height.saturating_sub(LINE_HEIGHT * FONT_SCALE) / 2;
            font::draw(
                &mut grid,
                &short_label(&row.label),
                (MARGIN, middle),
                FONT_SCALE,
                INK,
            );
            for (column, picture) in pictures.iter().enumerate() {
                let centred = (layout.column_width - picture.width()) / 2;
                grid.paste(picture, layout.column_at(column) + centred, top);
            }
        }
        Ok(grid)
    }

    fn layout(&self, rows: &[[Picture; 3]]) -> Layout {
        let pictures = || rows.iter().flatten();
        let labels = self
            .rows
            .iter()
            .map(|row| font::width_of(&short_label(&row.label)));
        let caption = font::width_of("difference ×4") * FONT_SCALE;
        Layout {
            label_width: labels.max().unwrap_or(0) * FONT_SCALE,
            column_width: pictures()
                .map(Picture::width)
                .max()
                .unwrap_or(0)
                .max(caption),
            row_height: pictures().map(Picture::height).max().unwrap_or(0),
        }
    }
}

impl Layout {
    fn size(&self, n_rows: usize) -> (usize, usize) {
        let width = self.column_at(3);
        let height = self
            .row_height
            .saturating_add(MARGIN)
            .saturating_mul(n_rows);
        (width, height.saturating_add(self.row_at(0)))
    }

    fn column_at(&self, idx: usize) -> usize {
        let labels = self.label_width + 2 * MARGIN;
        labels.saturating_add((self.column_width + MARGIN).saturating_mul(idx))
    }

    fn row_at(&self, idx: usize) -> usize {
        let captions = LINE_HEIGHT * FONT_SCALE + 2 * MARGIN;
        captions.saturating_add((self.row_height + MARGIN).saturating_mul(idx))
    }
}

/// Raw, compressed and difference, enlarged.
fn drawn_row(row: &GridRow) -> Result<[Picture; 3], PictureError> {
    let difference = row.raw.difference(&row.compressed)?;
    let side = row.raw.width().max(row.raw.height());
    let factor = SHOWN_SIDE.div_ceil(side).max(1);
    Ok([
        row.raw.enlarged(factor)?,
        row.compressed.enlarged(factor)?,
        difference.enlarged(factor)?,
    ])
}

fn short_label(label: &str) -> String {
    if label.chars().count() <= MAX_LABEL_LETTERS {
        return label.to_owned();
    }
    let mut short: String = label.chars().take(MAX_LABEL_LETTERS - 2).collect();
    short.push_str("..");
    short
}
