//! Pictures out of files, as the browser decodes them: bytes as they stand in the file,
//! with no colour correction, so that everything on the page compares the same bytes.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::{Clamped, JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, CanvasRenderingContext2d, ColorSpaceConversion, HtmlCanvasElement, ImageBitmap,
    ImageBitmapOptions, ImageData, PremultiplyAlpha,
};

use super::picture::{MAX_PIXELS, PairError, Picture};

/// Why a file is no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The browser cannot decode it.
    #[error("the browser cannot read it as a picture; PNG, JPEG and WebP are understood")]
    NotAPicture,
    /// It is decoded, and no picture for this page.
    #[error(transparent)]
    Unfit(#[from] PairError),
    /// The browser refused what every browser does.
    #[error("the browser cannot draw it")]
    NoCanvas,
}

/// The picture in the bytes of a file.
///
/// # Errors
/// [`DecodeError`].
pub async fn decode_bytes(bytes: &[u8]) -> Result<Picture, DecodeError> {
    let parts = Array::of1(&Uint8Array::from(bytes));
    let blob = Blob::new_with_u8_array_sequence(&parts);
    decode(&blob.map_err(|_| DecodeError::NotAPicture)?).await
}

/// The picture in a file.
///
/// # Errors
/// [`DecodeError`].
pub async fn decode(file: &Blob) -> Result<Picture, DecodeError> {
    let bitmap = bitmap(file).await.map_err(|_| DecodeError::NotAPicture)?;
    let (width, height) = (bitmap.width(), bitmap.height());
    if width as usize * height as usize > MAX_PIXELS {
        let (width, height) = (width as usize, height as usize);
        return Err(PairError::BadSize { width, height }.into());
    }
    let bytes = pixels(&bitmap).map_err(|_| DecodeError::NoCanvas)?;
    bitmap.close();
    Ok(Picture::new(width as usize, height as usize, bytes)?)
}

async fn bitmap(file: &Blob) -> Result<ImageBitmap, JsValue> {
    let options = ImageBitmapOptions::new();
    options.set_color_space_conversion(ColorSpaceConversion::None);
    options.set_premultiply_alpha(PremultiplyAlpha::None);
    let window = web_sys::window().ok_or(JsValue::NULL)?;
    let promise = window.create_image_bitmap_with_blob_and_image_bitmap_options(file, &options)?;
    JsFuture::from(promise).await?.dyn_into()
}

fn pixels(bitmap: &ImageBitmap) -> Result<Vec<u8>, JsValue> {
    let canvas = blank_canvas([bitmap.width(), bitmap.height()])?;
    let context = context(&canvas)?;
    context.draw_image_with_image_bitmap(bitmap, 0.0, 0.0)?;
    let (width, height) = (f64::from(canvas.width()), f64::from(canvas.height()));
    Ok(context.get_image_data(0.0, 0.0, width, height)?.data().0)
}

/// A canvas that is not on the page.
///
/// # Errors
/// What the browser says.
pub fn blank_canvas([width, height]: [u32; 2]) -> Result<HtmlCanvasElement, JsValue> {
    let document = web_sys::window().and_then(|window| window.document());
    let canvas = document.ok_or(JsValue::NULL)?.create_element("canvas")?;
    let canvas: HtmlCanvasElement = canvas.dyn_into()?;
    canvas.set_width(width);
    canvas.set_height(height);
    Ok(canvas)
}

/// What draws on a canvas.
///
/// # Errors
/// What the browser says.
pub fn context(canvas: &HtmlCanvasElement) -> Result<CanvasRenderingContext2d, JsValue> {
    let context = canvas.get_context("2d")?.ok_or(JsValue::NULL)?;
    Ok(context.dyn_into()?)
}

/// Puts red, green, blue and alpha on the whole of a canvas.
///
/// # Errors
/// What the browser says.
pub fn put_bytes(canvas: &HtmlCanvasElement, rgba: &[u8]) -> Result<(), JsValue> {
    let (width, height) = (canvas.width(), canvas.height());
    let data = ImageData::new_with_u8_clamped_array_and_sh(Clamped(rgba), width, height)?;
    context(canvas)?.put_image_data(&data, 0.0, 0.0)
}
