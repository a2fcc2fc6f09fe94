//! Instruction sets: a kernel's body is written once, generic over [`Lanes`], and
//! compiled for AVX-512, AVX2 and the portable baseline; the best one that this machine
//! has is chosen at run time. The matrix unit is AVX-512 and something more, for the
//! kernels that ask for it.
//!
//! The compiler vectorises simple loops; the inner loops of attention name their vectors
//! ([`Lanes::Vector`]), because there it does not find them. A body must be
//! `#[inline(always)]`, or it would be compiled for the baseline only.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64 as x86;
use std::sync::OnceLock;

use crate::elementwise::{EXP2, exp2};

/// An instruction set that this machine has. Can only be obtained by detection, which is
/// what makes calling code compiled for it sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(IsaKind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IsaKind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX-512, and the matrix unit where a kernel has a path for it.
    #[cfg(target_arch = "x86_64")]
    Amx,
}

static BEST: OnceLock<Isa> = OnceLock::new();

impl Isa {
    /// The instruction set that kernels use: the best of this machine, unless another was
    /// [chosen](Self::choose).
    pub fn best() -> Self {
        *BEST.get_or_init(|| *Self::available().last().unwrap_or(&Isa(IsaKind::Portable)))
    }

    /// Makes this the one that kernels use, in the whole process, and says whether that
    /// was possible: after the first use it is too late.
    pub fn choose(self) -> bool {
        *BEST.get_or_init(|| self) == self
    }

    /// The one with this [name](Self::name), if this machine has it.
    pub fn named(name: &str) -> Option<Self> {
        Self::available().into_iter().find(|isa| isa.name() == name)
    }

    /// Every instruction set of this machine, worst to best.
    pub fn available() -> Vec<Self> {
        let mut found = vec![Isa(IsaKind::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Isa(IsaKind::Avx2));
            }
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("fma");
            if avx512 {
                found.push(Isa(IsaKind::Avx512));
            }
            if avx512 && crate::amx::available() {
                found.push(Isa(IsaKind::Amx));
            }
        }
        found
    }

    /// For people: `amx`, `avx512`, `avx2` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            IsaKind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            IsaKind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            IsaKind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            IsaKind::Amx => "amx",
        }
    }

    /// Whether kernels may use the matrix unit.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn has_matrix_unit(self) -> bool {
        self.0 == IsaKind::Amx
    }

    /// f32 of a vector register.
    pub(crate) fn width(self) -> usize {
        match self.0 {
            IsaKind::Portable => Portable::WIDTH,
            #[cfg(target_arch = "x86_64")]
            IsaKind::Avx2 => Avx2::WIDTH,
            #[cfg(target_arch = "x86_64")]
            IsaKind::Avx512 => Avx512::WIDTH,
            #[cfg(target_arch = "x86_64")]
            IsaKind::Amx => Avx512::WIDTH,
        }
    }

    pub(crate) fn kind(self) -> IsaKind {
        self.0
    }
}

/// What a kernel body may know of the instruction set that it is compiled for.
pub(crate) trait Lanes {
    /// One vector register of f32.
    type Vector: Copy;
    /// Lanes of a vector.
    const WIDTH: usize;
    /// Whether a fused multiply-add is one instruction.
    const FMA: bool;

    /// `a * b + c`, one lane.
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        if Self::FMA {
            a.mul_add(b, c)
        } else {
            a * b + c
        }
    }

    /// The same value in every lane.
    fn splat(value: f32) -> Self::Vector;

    /// `WIDTH` values from the start of a slice.
    fn load(values: &[f32]) -> Self::Vector;

    /// Writes the lanes to the start of a slice.
    fn store(vector: Self::Vector, values: &mut [f32]);

    /// `a * b + c`, every lane.
    fn mul_add_lanes(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// `a + b`, every lane.
    fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// `a - b`, every lane.
    fn sub(a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// `a * b`, every lane.
    fn mul(a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// The larger of both, every lane.
    fn max(a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// Whether `a > b` in any lane.
    fn any_greater(a: Self::Vector, b: Self::Vector) -> bool;

    /// 2^x in every lane, for x of at most 127, as [`exp2`].
    fn exp2(x: Self::Vector) -> Self::Vector;
}

pub(crate) struct Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) struct Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) struct Avx512;

impl Lanes for Portable {
    type Vector = [f32; 4];
    const WIDTH: usize = 4;
    const FMA: bool = false;

    #[inline(always)]
    fn splat(value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    fn load(values: &[f32]) -> [f32; 4] {
        [values[0], values[1], values[2], values[3]]
    }

    #[inline(always)]
    fn store(vector: [f32; 4], values: &mut [f32]) {
        values[..4].copy_from_slice(&vector);
    }

    #[inline(always)]
    fn mul_add_lanes(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }

    #[inline(always)]
    fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    fn sub(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|lane| a[lane] - b[lane])
    }

    #[inline(always)]
    fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|lane| a[lane] * b[lane])
    }

    #[inline(always)]
    fn max(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|lane| if a[lane] > b[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    fn any_greater(a: [f32; 4], b: [f32; 4]) -> bool {
        (0..4).any(|lane| a[lane] > b[lane])
    }

    #[inline(always)]
    fn exp2(x: [f32; 4]) -> [f32; 4] {
        x.map(exp2::<Self>)
    }
}

/// The vector operations of one x86 register size. They are inlined into functions
/// compiled for that instruction set, which run only where it was detected.
macro_rules! x86_lanes {
    (
        $name:ident: [f32; $width:literal] as $vector:ident,
        $set1:ident, $loadu:ident, $storeu:ident, $fmadd:ident,
        $add:ident, $sub:ident, $mul:ident, $max:ident,
        any_greater: $any_greater:ident, exp2: $exp2:ident,
    ) => {
        #[cfg(target_arch = "x86_64")]
        impl Lanes for $name {
            type Vector = std::arch::x86_64::$vector;
            const WIDTH: usize = $width;
            const FMA: bool = true;

            #[inline(always)]
            fn splat(value: f32) -> Self::Vector {
                // SAFETY: only called from code that `for_each_isa` guards by detection.
                unsafe { std::arch::x86_64::$set1(value) }
            }

            #[inline(always)]
            fn load(values: &[f32]) -> Self::Vector {
                let values = &values[..$width];
                // SAFETY: as `splat`; the slice holds a whole vector, checked above.
                unsafe { std::arch::x86_64::$loadu(values.as_ptr()) }
            }

            #[inline(always)]
            fn store(vector: Self::Vector, values: &mut [f32]) {
                let values = &mut values[..$width];
                // SAFETY: as `splat`; the slice holds a whole vector, checked above.
                unsafe { std::arch::x86_64::$storeu(values.as_mut_ptr(), vector) }
            }

            #[inline(always)]
            fn mul_add_lanes(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
                // SAFETY: as `splat`.
                unsafe { std::arch::x86_64::$fmadd(a, b, c) }
            }

            #[inline(always)]
            fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector {
                // SAFETY: as `splat`.
                unsafe { std::arch::x86_64::$add(a, b) }
            }

            #[inline(always)]
            fn sub(a: Self::Vector, b: Self::Vector) -> Self::Vector {
                // SAFETY: as `splat`.
                unsafe { std::arch::x86_64::$sub(a, b) }
            }

            #[inline(always)]
            fn mul(a: Self::Vector, b: Self::Vector) -> Self::Vector {
                // SAFETY: as `splat`.
                unsafe { std::arch::x86_64::$mul(a, b) }
            }

            #[inline(always)]
            fn max(a: Self::Vector, b: Self::Vector) -> Self::Vector {
                // SAFETY: as `splat`.
                unsafe { std::arch::x86_64::$max(a, b) }
            }

            #[inline(always)]
            fn any_greater(a: Self::Vector, b: Self::Vector) -> bool {
                // SAFETY: as `splat`.
                unsafe { $any_greater(a, b) }
            }

            #[inline(always)]
            fn exp2(x: Self::Vector) -> Self::Vector {
                // SAFETY: as `splat`.
                unsafe { $exp2(x) }
            }
        }
    };
}
x86_lanes!(
    Avx2: [f32; 8] as __m256,
    _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps,
    _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_max_ps,
    any_greater: any_greater_avx2, exp2: exp2_avx2,
);
x86_lanes!(
    Avx512: [f32; 16] as __m512,
    _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps,
    _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_max_ps,
    any_greater: any_greater_avx512, exp2: exp2_avx512,
);

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2,fma")]
fn any_greater_avx2(a: x86::__m256, b: x86::__m256) -> bool {
    x86::_mm256_movemask_ps(x86::_mm256_cmp_ps::<{ x86::_CMP_GT_OQ }>(a, b)) != 0
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn any_greater_avx512(a: x86::__m512, b: x86::__m512) -> bool {
    x86::_mm512_cmp_ps_mask::<{ x86::_CMP_GT_OQ }>(a, b) != 0
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2,fma")]
fn exp2_avx2(x: x86::__m256) -> x86::__m256 {
    use x86::*;
    let lowest = _mm256_set1_ps(-126.0);
    let counts = _mm256_cmp_ps::<_CMP_GE_OQ>(x, lowest);
    let x = _mm256_max_ps(x, lowest);
    let whole = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
    let fraction = _mm256_sub_ps(x, whole);
    let mut sum = _mm256_set1_ps(EXP2[0]);
    for coefficient in &EXP2[1..] {
        sum = _mm256_fmadd_ps(sum, fraction, _mm256_set1_ps(*coefficient));
    }
    let biased = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
    let scale = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased));
    _mm256_and_ps(_mm256_mul_ps(sum, scale), counts)
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn exp2_avx512(x: x86::__m512) -> x86::__m512 {
    use x86::*;
    let counts = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(x, _mm512_set1_ps(-126.0));
    // Adding 1.5 · 2^23 rounds to an integer in the low bits; cheaper than instructions
    // that are made for it, because it keeps to other ports than the sum.
    let round = _mm512_set1_ps(12_582_912.0);
    let shifted = _mm512_add_ps(x, round);
    let fraction = _mm512_sub_ps(x, _mm512_sub_ps(shifted, round));
    let mut sum = _mm512_set1_ps(EXP2[0]);
    for coefficient in &EXP2[1..] {
        sum = _mm512_fmadd_ps(sum, fraction, _mm512_set1_ps(*coefficient));
    }
    let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
    let scaled = _mm512_maskz_add_epi32(counts, _mm512_castps_si512(sum), exponent);
    _mm512_castsi512_ps(scaled)
}

/// Defines `fn NAME(isa: Isa, ARGS)` that runs `BODY::<L>(ARGS)` compiled for `isa`.
macro_rules! for_each_isa {
    ($(#[$attribute:meta])* pub(crate) fn $name:ident($($arg:ident: $ty:ty),* $(,)?) = $body:ident;) => {
        $(#[$attribute])*
        pub(crate) fn $name(isa: $crate::isa::Isa, $($arg: $ty),*) {
            use $crate::isa;

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $ty),*) {
                $body::<isa::Avx2>($($arg),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
            fn avx512($($arg: $ty),*) {
                $body::<isa::Avx512>($($arg),*);
            }
            match isa.kind() {
                isa::IsaKind::Portable => $body::<isa::Portable>($($arg),*),
                // SAFETY: an `Isa` exists only if `Isa::available` detected its features.
                #[cfg(target_arch = "x86_64")]
                isa::IsaKind::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: an `Isa` exists only if `Isa::available` detected its features.
                #[cfg(target_arch = "x86_64")]
                isa::IsaKind::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: an `Isa` exists only if `Isa::available` detected its features.
                #[cfg(target_arch = "x86_64")]
                isa::IsaKind::Amx => unsafe { avx512($($arg),*) },
            }
        }
    };
}
pub(crate) use for_each_isa;

#[cfg(test)]
mod tests {
    use super::*;

    for_each_isa! {
        pub(crate) fn powers(x: &[f32], found: &mut [f32]) = powers_body;
    }

    #[inline(always)]
    fn powers_body<L: Lanes>(x: &[f32], found: &mut [f32]) {
        for (x, found) in x.chunks(L::WIDTH).zip(found.chunks_mut(L::WIDTH)) {
            L::store(L::exp2(L::load(x)), found);
        }
    }

    #[test]
    fn powers_of_two_are_within_two_units() {
        let mut x: Vec<f32> = (0..1600).map(|i| i as f32 * 0.1579 - 126.0).collect();
        x[..6].copy_from_slice(&[0.0, -1.0, f32::NEG_INFINITY, -126.5, -1e30, 127.0]);
        for isa in Isa::available() {
            let mut found = vec![f32::NAN; x.len()];
            powers(isa, &x, &mut found);
            for (&x, &found) in x.iter().zip(&found) {
                let exact = f64::from(x).exp2();
                let expected = if x < -126.0 { 0.0 } else { exact };
                let error = (f64::from(found) - expected).abs();
                assert!(
                    error <= 2.5 * f64::from(f32::EPSILON) * expected,
                    "{} 2^{x}: {found} is not {expected}",
                    isa.name()
                );
            }
            assert_eq!(found[..2], [1.0, 0.5], "whole powers are exact");
        }
    }
}
