//! Draws panes: the newest view that is wanted, one at a time, never faster than the
//! screen. What is drawn in between was never seen by anybody and is left out.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use leptos::html::Canvas;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsValue;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use crate::pixels::cpu::{PairMaps, difference_colours, ssim_colours};
use crate::pixels::decode::{blank_canvas, context, put_bytes};
use crate::pixels::gpu::{GpuError, GpuPair, PaneFrame};
use crate::pixels::palette::palette;
use crate::pixels::view::{Content, Gain, View};
use crate::pixels::{Picture, PicturePair, pace};

/// A pair, ready to be drawn.
pub enum Prepared {
    /// By the shaders.
    Gpu(GpuPair),
    /// By the browser's own canvas.
    Cpu(CpuPair),
}

/// A pair as canvases that are not on the page: the browser zooms them quickly.
pub struct CpuPair {
    raw: HtmlCanvasElement,
    compressed: HtmlCanvasElement,
    maps: RefCell<Option<PairMaps>>,
    difference: RefCell<Option<(Gain, HtmlCanvasElement)>>,
    ssim: RefCell<Option<HtmlCanvasElement>>,
}

impl CpuPair {
    /// The pictures; the maps come later.
    ///
    /// # Errors
    /// What the browser says.
    pub fn new(pair: &PicturePair) -> Result<Self, JsValue> {
        let canvas = |picture: &Picture| canvas_of(picture.size(), picture.rgba());
        Ok(Self {
            raw: canvas(pair.raw())?,
            compressed: canvas(pair.compressed())?,
            maps: RefCell::default(),
            difference: RefCell::default(),
            ssim: RefCell::default(),
        })
    }

    /// The maps, now that they are known.
    pub fn set_maps(&self, maps: PairMaps) {
        *self.maps.borrow_mut() = Some(maps);
    }

    /// The canvas with the difference map; `None` before it is known.
    fn difference(&self, gain: Gain) -> Result<Option<HtmlCanvasElement>, JsValue> {
        let maps = self.maps.borrow();
        let Some(maps) = maps.as_ref() else {
            return Ok(None);
        };
        let mut kept = self.difference.borrow_mut();
        if let Some((_, canvas)) = kept.as_ref().filter(|(kept, _)| *kept == gain) {
            return Ok(Some(canvas.clone()));
        }
        let bytes = difference_colours(&maps.difference, gain.factor(), &palette());
        let canvas = canvas_of(maps.size, &bytes)?;
        *kept = Some((gain, canvas.clone()));
        Ok(Some(canvas))
    }

    /// The canvas with the SSIM map; `None` before it is known.
    fn ssim(&self) -> Result<Option<HtmlCanvasElement>, JsValue> {
        let maps = self.maps.borrow();
        let Some(maps) = maps.as_ref() else {
            return Ok(None);
        };
        let mut kept = self.ssim.borrow_mut();
        if kept.is_none() {
            let bytes = ssim_colours(&maps.ssim, &palette());
            *kept = Some(canvas_of(maps.size, &bytes)?);
        }
        Ok(kept.clone())
    }

    fn draw(&self, canvas: &HtmlCanvasElement, frame: &PaneFrame) -> Result<(), JsValue> {
        let pane = frame.pane.map(f64::from);
        let context = context(canvas)?;
        context.clear_rect(0.0, 0.0, pane[0], pane[1]);
        // Nearer than one to one a pixel stays a square.
        context.set_image_smoothing_enabled(frame.view.scale(pane) < 1.0);
        let place = |source: &HtmlCanvasElement| place(&context, source, &frame.view, pane);
        match frame.content {
            Content::Raw => place(&self.raw),
            Content::Compressed => place(&self.compressed),
            Content::Wipe => {
                place(&self.raw)?;
                let line = (frame.view.wipe() * pane[0]).round();
                context.save();
                context.begin_path();
                context.rect(line, 0.0, pane[0] - line, pane[1]);
                context.clip();
                context.clear_rect(line, 0.0, pane[0] - line, pane[1]);
                let placed = place(&self.compressed);
                context.restore();
                placed
            }
            Content::Difference => self
                .difference(frame.view.gain)?
                .map_or(Ok(()), |map| place(&map)),
            Content::Ssim => self.ssim()?.map_or(Ok(()), |map| place(&map)),
        }
    }
}

fn canvas_of(size: [usize; 2], rgba: &[u8]) -> Result<HtmlCanvasElement, JsValue> {
    let canvas = blank_canvas(size.map(|side| side as u32))?;
    put_bytes(&canvas, rgba)?;
    Ok(canvas)
}

fn place(
    context: &CanvasRenderingContext2d,
    source: &HtmlCanvasElement,
    view: &View,
    pane: [f64; 2],
) -> Result<(), JsValue> {
    let (scale, [left, top]) = (view.scale(pane), view.corner(pane));
    let (width, height) = (f64::from(source.width()), f64::from(source.height()));
    context.draw_image_with_html_canvas_element_and_dw_and_dh(
        source,
        -left * scale,
        -top * scale,
        width * scale,
        height * scale,
    )
}

/// What is to be seen.
#[derive(Clone)]
pub struct Scene {
    /// The pair.
    pub prepared: Rc<Prepared>,
    /// The view of all panes.
    pub view: View,
    /// What each pane shows.
    pub panes: &'static [Content],
}

/// Draws scenes onto the panes.
pub struct Painter {
    canvases: [NodeRef<Canvas>; 2],
    wanted: RefCell<Option<Scene>>,
    is_busy: Cell<bool>,
    on_lost: Box<dyn Fn(GpuError)>,
}

impl Painter {
    /// A painter of two canvases; `on_lost` is told when the GPU fails.
    pub fn new(canvases: [NodeRef<Canvas>; 2], on_lost: impl Fn(GpuError) + 'static) -> Rc<Self> {
        Rc::new(Self {
            canvases,
            wanted: RefCell::default(),
            is_busy: Cell::new(false),
            on_lost: Box::new(on_lost),
        })
    }

    /// Draws a scene as soon as the one at work is done, unless another is wanted by then.
    pub fn want(self: &Rc<Self>, scene: Scene) {
        *self.wanted.borrow_mut() = Some(scene);
        if self.is_busy.replace(true) {
            return;
        }
        let painter = Rc::clone(self);
        spawn_local(async move {
            loop {
                pace::frame().await;
                let scene = painter.wanted.borrow_mut().take();
                let Some(scene) = scene else { break };
                if let Err(error) = painter.draw(&scene).await {
                    (painter.on_lost)(error);
                }
            }
            painter.is_busy.set(false);
        });
    }

    async fn draw(&self, scene: &Scene) -> Result<(), GpuError> {
        for (canvas, &content) in self.canvases.iter().zip(scene.panes) {
            // Gone when the page was left meanwhile.
            let Some(Some(canvas)) = canvas.try_get_untracked() else {
                continue;
            };
            let frame = PaneFrame {
                view: scene.view,
                content,
                pane: fit_screen(&canvas),
            };
            match &*scene.prepared {
                Prepared::Gpu(pair) => {
                    let bytes = pair.frame(&frame).await?;
                    // A pane that changed its size meanwhile is drawn again anyway.
                    let _ = put_bytes(&canvas, &bytes);
                }
                Prepared::Cpu(pair) => {
                    let _ = pair.draw(&canvas, &frame);
                }
            }
        }
        Ok(())
    }
}

/// Gives a canvas as many pixels as the screen has under it.
fn fit_screen(canvas: &HtmlCanvasElement) -> [u32; 2] {
    let ratio = window().device_pixel_ratio();
    let sides = [canvas.client_width(), canvas.client_height()];
    let [width, height] = sides.map(|side| (f64::from(side) * ratio).round().max(1.0) as u32);
    if (canvas.width(), canvas.height()) != (width, height) {
        canvas.set_width(width);
        canvas.set_height(height);
    }
    [width, height]
}
