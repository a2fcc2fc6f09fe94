//! Results as bytes, so that two of them are equal only if every bit is; and the numbers
//! that the scenario starts from, from a generator of integers.

use dfa_core::wire::ContentHash;

/// Bytes of results, in the order in which they were computed.
#[derive(Default)]
pub(crate) struct Bits(Vec<u8>);

impl Bits {
    pub(crate) fn f64(&mut self, value: f64) {
        self.0.extend(value.to_bits().to_le_bytes());
    }

    pub(crate) fn f32(&mut self, value: f32) {
        self.0.extend(value.to_bits().to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.u64(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    pub(crate) fn hash(&self) -> ContentHash {
        ContentHash::of(&self.0)
    }
}

/// SplitMix64: the next number depends on nothing but the seed.
pub(crate) struct Generator(pub(crate) u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// In (0, 1): 24 bits, so that it is exact in f32 and its logarithm is finite.
    pub(crate) fn uniform(&mut self) -> f32 {
        ((self.next() >> 40) as f32 + 0.5) / 16_777_216.0
    }

    /// Standard normal (Box and Muller), through libm as everywhere in core.
    pub(crate) fn normal(&mut self) -> f32 {
        let radius = libm::sqrtf(-2.0 * libm::logf(self.uniform()));
        radius * libm::cosf(core::f32::consts::TAU * self.uniform())
    }
}
