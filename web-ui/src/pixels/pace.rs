//! Time in a browser, where everything runs on one thread: pauses between pieces of work,
//! and an end to waiting.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use js_sys::Promise;
use wasm_bindgen_futures::JsFuture;

/// Work longer than this is felt; then the browser has its turn.
pub const TURN_MS: f64 = 12.0;

/// Milliseconds since the page was opened.
pub fn now_ms() -> f64 {
    let performance = web_sys::window().and_then(|window| window.performance());
    performance.map_or_else(js_sys::Date::now, |performance| performance.now())
}

/// Lets the browser do what it has to do; goes on after so many milliseconds.
pub async fn pause(ms: i32) {
    let promise = Promise::new(&mut |resolve, _| {
        let window = web_sys::window();
        let set = |window: web_sys::Window| {
            window.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms)
        };
        if !matches!(window.map(set), Some(Ok(_))) {
            // Nothing to wait with: better at once than never.
            let _ = resolve.call0(&wasm_bindgen::JsValue::NULL);
        }
    });
    // It is never refused.
    let _ = JsFuture::from(promise).await;
}

/// What `future` gives; `None` if that takes longer than so many milliseconds.
pub async fn within<T>(ms: i32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut alarm = pin!(pause(ms));
    poll_fn(|context| {
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(Some(value));
        }
        alarm.as_mut().poll(context).map(|()| None)
    })
    .await
}

/// Waits until the browser is about to draw.
pub async fn frame() {
    let promise = Promise::new(&mut |resolve, _| {
        let window = web_sys::window();
        let asked = window.map(|window| window.request_animation_frame(&resolve));
        if !matches!(asked, Some(Ok(_))) {
            let _ = resolve.call0(&wasm_bindgen::JsValue::NULL);
        }
    });
    let _ = JsFuture::from(promise).await;
}
