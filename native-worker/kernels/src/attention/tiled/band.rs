//! Which keys a tile of queries visits, in which order, and which pairs of them count.
//!
//! Keys are visited in whole groups of [`KEY_GROUP`]: ranges start at a multiple of it and
//! end at one or at the last key. What that adds at the edges of a band is masked.

use std::ops::Range;

use dfa_core::Window;

use super::packed::KEY_GROUP;
use crate::attention::AttentionMask;

/// A range of keys, and which pairs of it count.
pub(super) struct Segment {
    pub(super) keys: Range<usize>,
    /// `None`: all of them.
    pub(super) mask: Option<PairMask>,
}

impl Segment {
    fn plain(keys: Range<usize>) -> Self {
        Self { keys, mask: None }
    }
}

/// Which pairs of a tile count: those inside the window, or those outside.
#[derive(Clone, Copy)]
pub(super) struct PairMask {
    window: Window,
    first_query: usize,
    pub(super) inside: bool,
}

impl PairMask {
    /// The queries of the tile, counted from its first, that see a key: a range that is
    /// clipped to `0..n`.
    #[inline(always)]
    pub(super) fn seen_by(&self, key: usize, n: usize) -> Range<usize> {
        let start = key.saturating_sub(self.window.right);
        let end = key + self.window.left + 1;
        let clip = |query: usize| query.saturating_sub(self.first_query).min(n);
        clip(start)..clip(end)
    }
}

/// Which output a phase makes.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Output,
    /// The window's output, on the way to the full one.
    Window,
}

/// The queries of a tile, for deciding which keys are inside their windows.
pub(super) struct Band {
    pub(super) first_query: usize,
    pub(super) n_queries: usize,
    pub(super) n_keys: usize,
}

impl Band {
    /// The keys to visit, phase by phase; after a phase the state is that phase's output.
    /// The code that visits them exists once: it is large.
    pub(super) fn phases(&self, mask: AttentionMask) -> Vec<(Part, Vec<Segment>)> {
        match mask {
            AttentionMask::Full => vec![(Part::Output, vec![Segment::plain(0..self.n_keys)])],
            AttentionMask::Windowed(window) => vec![(Part::Output, self.inside(window))],
            AttentionMask::FullAndResidual(window) => vec![
                (Part::Window, self.inside(window)),
                (Part::Output, self.outside(window)),
            ],
        }
    }

    fn inside(&self, window: Window) -> Vec<Segment> {
        let mut segments = vec![Segment::plain(self.all(window))];
        segments.extend(self.edges(window, true));
        segments
    }

    fn outside(&self, window: Window) -> Vec<Segment> {
        let any = self.any(window);
        let mut segments = vec![
            Segment::plain(0..any.start),
            Segment::plain(any.end..self.n_keys),
        ];
        segments.extend(self.edges(window, false));
        segments
    }

    /// Keys that some queries of the tile see and others do not.
    fn edges(&self, window: Window, inside: bool) -> [Segment; 2] {
        let (any, all) = (self.any(window), self.all(window));
        let mask = Some(PairMask {
            window,
            first_query: self.first_query,
            inside,
        });
        let before = any.start..all.start.min(any.end);
        let after = all.end.max(before.end)..any.end;
        [before, after].map(|keys| Segment { keys, mask })
    }

    /// Keys that at least one query of the tile sees, and those in their groups.
    fn any(&self, window: Window) -> Range<usize> {
        let last = self.first_query + self.n_queries - 1;
        let start = window.keys_of(self.first_query, self.n_keys).start;
        let end = window.keys_of(last, self.n_keys).end;
        group_before(start)..self.group_after(end)
    }

    /// Whole groups of keys that every query of the tile sees; may be empty.
    fn all(&self, window: Window) -> Range<usize> {
        let last = self.first_query + self.n_queries - 1;
        let start = self.group_after(window.keys_of(last, self.n_keys).start);
        let end = window.keys_of(self.first_query, self.n_keys).end;
        let end = if end == self.n_keys {
            end
        } else {
            group_before(end)
        };
        start..end.max(start)
    }

    fn group_after(&self, key: usize) -> usize {
        key.next_multiple_of(KEY_GROUP).min(self.n_keys)
    }
}

fn group_before(key: usize) -> usize {
    key / KEY_GROUP * KEY_GROUP
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every phase visits each pair that it should exactly once, and no other.
    #[test]
    fn phases_count_every_pair_once() {
        let check = |first_query: usize, n_queries: usize, n_keys: usize, window: Window| {
            let band = Band {
                first_query,
                n_queries,
                n_keys,
            };
            let phases = band.phases(AttentionMask::FullAndResidual(window));
            let mut counts = vec![[0; 2]; n_queries * n_keys];
            for (part, segments) in &phases {
                let phase = usize::from(matches!(part, Part::Output));
                for segment in segments {
                    let starts_a_group = segment.keys.start.is_multiple_of(KEY_GROUP);
                    assert!(segment.keys.is_empty() || starts_a_group);
                    for key in segment.keys.clone() {
                        for query in 0..n_queries {
                            let counted = segment.mask.is_none_or(|mask| {
                                mask.seen_by(key, n_queries).contains(&query) == mask.inside
                            });
                            counts[query * n_keys + key][phase] += usize::from(counted);
                        }
                    }
                }
            }
            for (at, &[in_window, outside]) in counts.iter().enumerate() {
                let (query, key) = (at / n_keys, at % n_keys);
                let keys = window.keys_of(first_query + query, n_keys);
                let expected = usize::from(keys.contains(&key));
                let row = format!("{first_query} {n_queries} {n_keys} {window:?} {query} {key}");
                assert_eq!((in_window, outside), (expected, 1 - expected), "{row}");
            }
        };
        for n_keys in [1, 7, 8, 9, 40, 131] {
            for n_queries in [1, 3, 16] {
                for first_query in [0, 1, 8, 23, 115] {
                    if first_query + n_queries > n_keys {
                        continue;
                    }
                    for (left, right) in [(0, 0), (3, 9), (20, 1), (16, 16), (500, 0), (500, 500)] {
                        check(first_query, n_queries, n_keys, Window { left, right });
                    }
                }
            }
        }
    }
}
