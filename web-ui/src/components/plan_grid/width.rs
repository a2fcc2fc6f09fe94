//! The width that a frame has, as it changes.

use leptos::html::Div;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use wasm_bindgen::closure::Closure;
use web_sys::ResizeObserver;

/// A width before the first measurement.
const START_PX: f64 = 640.0;

/// The width of an element in CSS pixels.
pub(super) fn observed(frame: NodeRef<Div>) -> ReadSignal<f64> {
    let (width, set_width) = signal(START_PX);
    Effect::new(move |_| {
        let Some(frame) = frame.get() else { return };
        set_width.set(f64::from(frame.offset_width()));
        let element = frame.clone();
        let changed = Closure::<dyn FnMut()>::new(move || {
            let now = f64::from(element.offset_width());
            if now > 0.0 && now != width.get_untracked() {
                set_width.set(now);
            }
        });
        let Ok(observer) = ResizeObserver::new(changed.as_ref().unchecked_ref()) else {
            return;
        };
        observer.observe(&frame);
        let kept = StoredValue::new_local((observer, changed));
        on_cleanup(move || {
            kept.try_with_value(|(observer, _)| observer.disconnect());
        });
    });
    width
}
