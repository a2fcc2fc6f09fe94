//! Hands a file to the person: a text as it is, or a drawing as pixels.

use leptos::prelude::{document, window};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, BlobPropertyBag, CanvasRenderingContext2d, HtmlAnchorElement, HtmlCanvasElement,
    HtmlImageElement, Url,
};

/// How long a browser may take to begin with a download before its address is forgotten.
const KEPT_MS: i32 = 60_000;

/// Offers a text as a file.
///
/// # Errors
/// What the browser says.
pub fn save_text(name: &str, media_type: &str, text: &str) -> Result<(), JsValue> {
    save_blob(name, &blob_of(media_type, text)?)
}

/// Offers an SVG drawing as a PNG file, `scale` pixels to a unit.
///
/// # Errors
/// What the browser says.
pub async fn save_png(name: &str, svg: &str, scale: f64) -> Result<(), JsValue> {
    let url = Url::create_object_url_with_blob(&blob_of("image/svg+xml", svg)?)?;
    let image = HtmlImageElement::new()?;
    image.set_src(&url);
    let loaded = JsFuture::from(image.decode()).await;
    Url::revoke_object_url(&url)?;
    loaded?;
    let blob = png_of(&image, scale).await?;
    save_blob(name, &blob)
}

async fn png_of(image: &HtmlImageElement, scale: f64) -> Result<Blob, JsValue> {
    let canvas: HtmlCanvasElement = document().create_element("canvas")?.unchecked_into();
    let (width, height) = (
        f64::from(image.natural_width()) * scale,
        f64::from(image.natural_height()) * scale,
    );
    canvas.set_width(width as u32);
    canvas.set_height(height as u32);
    let context = canvas.get_context("2d")?;
    let context = context.ok_or("this browser draws no pictures")?;
    let context: CanvasRenderingContext2d = context.unchecked_into();
    context.draw_image_with_html_image_element_and_dw_and_dh(image, 0.0, 0.0, width, height)?;
    let promise = js_sys::Promise::new(&mut |resolve, reject| {
        let done = Closure::once_into_js(move |blob: JsValue| {
            // Whoever waits is told; there is nobody else to tell.
            let _ = match blob.is_null() {
                true => reject.call1(&JsValue::NULL, &"the picture is too large".into()),
                false => resolve.call1(&JsValue::NULL, &blob),
            };
        });
        // An exception here rejects the promise.
        let _ = canvas.to_blob(done.unchecked_ref());
    });
    Ok(JsFuture::from(promise).await?.unchecked_into())
}

fn blob_of(media_type: &str, text: &str) -> Result<Blob, JsValue> {
    let options = BlobPropertyBag::new();
    options.set_type(media_type);
    let parts = js_sys::Array::of1(&text.into());
    Blob::new_with_str_sequence_and_options(&parts, &options)
}

fn save_blob(name: &str, blob: &Blob) -> Result<(), JsValue> {
    let url = Url::create_object_url_with_blob(blob)?;
    let anchor: HtmlAnchorElement = document().create_element("a")?.unchecked_into();
    anchor.set_href(&url);
    anchor.set_download(name);
    anchor.click();
    let forget = Closure::once_into_js(move || {
        // An address that is gone already is as good.
        let _ = Url::revoke_object_url(&url);
    });
    let forget = forget.unchecked_ref();
    window().set_timeout_with_callback_and_timeout_and_arguments_0(forget, KEPT_MS)?;
    Ok(())
}
