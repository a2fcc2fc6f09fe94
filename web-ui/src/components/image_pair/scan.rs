//! Computes the numbers of a pair, and its maps for the path without a GPU, in turns with
//! the browser, so that the page stays awake over large pictures.

use std::cell::Cell;
use std::rc::Rc;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Looking;
use super::painter::Prepared;
use crate::pixels::PicturePair;
use crate::pixels::cpu::{PairMaps, PairScan, PairValues};
use crate::pixels::pace::{TURN_MS, now_ms, pause};

/// A computation at work; dropping it stops it.
pub struct Scan(Rc<Cell<bool>>);

impl Drop for Scan {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Scan {
    /// Begins. What comes of it is put into `looking` and `prepared`.
    pub fn start(pair: PicturePair, prepared: Rc<Prepared>, looking: Looking) -> Self {
        let is_wanted = Rc::new(Cell::new(true));
        let scan = Self(Rc::clone(&is_wanted));
        spawn_local(async move {
            let maps = maps_of(pair, &is_wanted).await;
            let Some(maps) = maps.filter(|_| is_wanted.get()) else {
                return;
            };
            looking.numbers.set(Some(maps.numbers));
            if let Prepared::Cpu(pair) = &*prepared {
                pair.set_maps(maps);
                looking.redraw.update(|version| *version += 1);
            }
        });
        scan
    }
}

/// The maps and numbers of a pair; `None` if nobody wants them any more.
pub async fn maps_of(pair: PicturePair, is_wanted: &Cell<bool>) -> Option<PairMaps> {
    // First the pictures are drawn.
    pause(0).await;
    let values = PairValues::of(pair);
    // Pairs that exist can be compared.
    let mut scan = PairScan::new(&values).ok()?;
    let mut turn_ends = now_ms() + TURN_MS;
    while scan.advance() {
        if now_ms() < turn_ends {
            continue;
        }
        pause(0).await;
        if !is_wanted.get() {
            return None;
        }
        turn_ends = now_ms() + TURN_MS;
    }
    scan.finish().ok()
}
