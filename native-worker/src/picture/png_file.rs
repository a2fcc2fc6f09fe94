//! Pictures as PNG files. What made a picture (seed, steps, model, plan) travels with it
//! in text chunks: `tEXt` where the words are Latin-1, `iTXt` otherwise.

use std::io::{BufRead, Cursor, Seek};
use std::path::Path;

use png::{BitDepth, ColorType, Encoder};

use super::{Picture, PictureError};
use crate::whole_file::write_whole;

impl Picture {
    /// The bytes of a PNG with these keywords and texts.
    ///
    /// # Errors
    /// [`PictureError::Encoding`], for example for a keyword of more than 79 letters.
    pub fn to_png_bytes(&self, text: &[(&str, String)]) -> Result<Vec<u8>, PictureError> {
        let (width, height) = size_of(self)?;
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, width, height);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        add_text(&mut encoder, text)?;
        let mut writer = encoder.write_header()?;
        writer.write_image_data(self.rgb())?;
        writer.finish()?;
        Ok(bytes)
    }
}

/// Width and height as a PNG holds them.
pub(super) fn size_of(picture: &Picture) -> Result<(u32, u32), PictureError> {
    let too_large = |_| PictureError::BadSize {
        width: picture.width(),
        height: picture.height(),
    };
    let width = u32::try_from(picture.width()).map_err(too_large)?;
    let height = u32::try_from(picture.height()).map_err(too_large)?;
    Ok((width, height))
}

/// Adds keywords and texts.
pub(super) fn add_text(
    encoder: &mut Encoder<'_, &mut Vec<u8>>,
    text: &[(&str, String)],
) -> Result<(), PictureError> {
    for (keyword, text) in text {
        let keyword = (*keyword).to_owned();
        if text.chars().all(|letter| u32::from(letter) < 256) {
            encoder.add_text_chunk(keyword, text.clone())?;
        } else {
            encoder.add_itxt_chunk(keyword, text.clone())?;
        }
    }
    Ok(())
}

/// Writes a PNG with these keywords and texts, whole or not at all.
///
/// # Errors
/// [`PictureError::Encoding`] or [`PictureError::File`].
pub fn write_png(
    path: &Path,
    picture: &Picture,
    text: &[(&str, String)],
) -> Result<(), PictureError> {
    let bytes = picture.to_png_bytes(text)?;
    write_whole(path, &bytes).map_err(|source| PictureError::File {
        verb: "write",
        path: path.to_path_buf(),
        source,
    })
}

/// Reads a PNG as [`write_png`] writes them: the picture, and every text with its keyword.
///
/// # Errors
/// [`PictureError::File`], [`PictureError::Decoding`], or [`PictureError::NotRgb`] for
/// PNGs of other programs.
pub fn read_png(path: &Path) -> Result<(Picture, Vec<(String, String)>), PictureError> {
    let bytes = std::fs::read(path).map_err(|source| PictureError::File {
        verb: "read",
        path: path.to_path_buf(),
        source,
    })?;
    decode(Cursor::new(bytes))
}

fn decode(png: impl BufRead + Seek) -> Result<(Picture, Vec<(String, String)>), PictureError> {
    let mut reader = png::Decoder::new(png).read_info()?;
    let (colour, depth) = reader.output_color_type();
    let (width, height) = reader.info().size();
    if (colour, depth) != (ColorType::Rgb, BitDepth::Eight) {
        let found = format!("{colour:?} of {depth:?} bits");
        return Err(PictureError::NotRgb { found });
    }
    let mut picture = Picture::plain(width as usize, height as usize, [0; 3])?;
    reader.next_frame(&mut picture.rgb)?;
    let info = reader.info();
    let latin = info.uncompressed_latin1_text.iter();
    let mut text: Vec<(String, String)> = latin
        .map(|chunk| (chunk.keyword.clone(), chunk.text.clone()))
        .collect();
    for chunk in &info.utf8_text {
        text.push((chunk.keyword.clone(), chunk.get_text()?));
    }
    Ok((picture, text))
}
