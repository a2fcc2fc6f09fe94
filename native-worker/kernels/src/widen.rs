//! Weights as a file stores them, and widening them to f32: exact, every f16 and bf16 has
//! an f32 of the same value.

use rayon::prelude::*;

use super::isa::{Isa, Lanes, for_each_isa};

/// Elements per parallel task.
const CHUNK: usize = 64 * 1024;

/// Values in their stored type.
#[derive(Clone, Copy, Debug)]
pub enum Stored<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// Bits of 16-bit IEEE floats.
    F16(&'a [u16]),
    /// Upper halves of the bits of 32-bit floats.
    Bf16(&'a [u16]),
}

impl<'a> Stored<'a> {
    /// Number of values.
    pub fn len(self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(bits) | Self::Bf16(bits) => bits.len(),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Some of the values.
    ///
    /// # Panics
    /// If there are no such values.
    #[must_use]
    pub fn slice(self, range: std::ops::Range<usize>) -> Self {
        match self {
            Self::F32(values) => Self::F32(&values[range]),
            Self::F16(bits) => Self::F16(&bits[range]),
            Self::Bf16(bits) => Self::Bf16(&bits[range]),
        }
    }

    /// Writes the values as f32, on several threads if they are many.
    ///
    /// # Panics
    /// If `out` has another length.
    pub fn widen_into(self, out: &mut [f32]) {
        assert_eq!(out.len(), self.len(), "one f32 for each value");
        let chunks = out.par_chunks_mut(CHUNK).enumerate();
        chunks.for_each(|(idx, out)| {
            let start = idx * CHUNK;
            self.slice(start..start + out.len()).widen_chunk(out);
        });
    }

    fn widen_chunk(self, out: &mut [f32]) {
        match self {
            Self::F32(values) => out.copy_from_slice(values),
            Self::F16(bits) => widen_f16(Isa::best(), bits, out),
            Self::Bf16(bits) => widen_bf16(Isa::best(), bits, out),
        }
    }
}

for_each_isa! {
    pub(crate) fn widen_f16(bits: &[u16], out: &mut [f32]) = widen_f16_body;
}

for_each_isa! {
    pub(crate) fn widen_bf16(bits: &[u16], out: &mut [f32]) = widen_bf16_body;
}

#[inline(always)]
fn widen_f16_body<L: Lanes>(bits: &[u16], out: &mut [f32]) {
    for (out, &bits) in out.iter_mut().zip(bits) {
        *out = f16_to_f32(bits);
    }
}

#[inline(always)]
fn widen_bf16_body<L: Lanes>(bits: &[u16], out: &mut [f32]) {
    for (out, &bits) in out.iter_mut().zip(bits) {
        *out = bf16_to_f32(bits);
    }
}

/// The value of an IEEE half. No branches, so that loops of it become vector code.
#[inline(always)]
pub fn f16_to_f32(bits: u16) -> f32 {
    /// Exponent biases: 127 of f32, 15 of f16.
    const REBIAS: u32 = (127 - 15) << 23;
    /// 2⁻¹⁴, the smallest normal half, as bits.
    const SMALLEST_NORMAL: u32 = (127 - 14) << 23;
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7fff) << 13;
    let exponent = bits & 0x7c00;
    let normal = magnitude + REBIAS;
    // A subnormal's bits are added below the leading one of 2⁻¹⁴, which is then taken away.
    let subnormal = f32::from_bits(magnitude + SMALLEST_NORMAL) - f32::from_bits(SMALLEST_NORMAL);
    let value = if exponent == 0 {
        subnormal.to_bits()
    } else if exponent == 0x7c00 {
        normal + REBIAS
    } else {
        normal
    };
    f32::from_bits(value | sign)
}

/// The value of a bfloat16: the upper half of an f32.
#[inline(always)]
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_widened_exactly() {
        let all: Vec<u16> = (0..=u16::MAX).collect();
        for isa in Isa::available() {
            let mut found = vec![0f32; all.len()];
            widen_f16(isa, &all, &mut found);
            for (&bits, &found) in all.iter().zip(&found) {
                let expected = half::f16::from_bits(bits).to_f32();
                let same =
                    expected.to_bits() == found.to_bits() || expected.is_nan() && found.is_nan();
                assert!(
                    same,
                    "{} {bits:#06x}: {found} is not {expected}",
                    isa.name()
                );
            }
            widen_bf16(isa, &all, &mut found);
            for (&bits, &found) in all.iter().zip(&found) {
                let expected = u32::from(bits) << 16;
                assert_eq!(found.to_bits(), expected, "{} {bits:#06x}", isa.name());
            }
        }
    }

    #[test]
    fn parts_of_many_values_keep_their_places() {
        let bits: Vec<u16> = (0..3 * CHUNK as u32 + 5)
            .map(|i| (i % 0x7c00) as u16)
            .collect();
        let mut found = vec![0f32; bits.len()];
        Stored::F16(&bits).widen_into(&mut found);
        for (&bits, &found) in bits.iter().zip(&found) {
            assert_eq!(found.to_bits(), f16_to_f32(bits).to_bits());
        }
    }
}
