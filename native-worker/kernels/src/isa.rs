//! Instruction sets: a kernel's body is written once, generic over [`Lanes`], and
//! compiled for AVX-512, AVX2 and the portable baseline; the best one that this machine
//! has is chosen at run time.
//!
//! The compiler vectorises simple loops; the inner loops of attention name their vectors
//! ([`Lanes::Vector`]), because there it does not find them. A body must be
//! `#[inline(always)]`, or it would be compiled for the baseline only.

use std::sync::OnceLock;

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
}

impl Isa {
    /// The best instruction set of this machine.
    pub fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| *Self::available().last().unwrap_or(&Isa(IsaKind::Portable)))
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
        }
        found
    }

    /// For people: `avx512`, `avx2` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            IsaKind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            IsaKind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            IsaKind::Avx512 => "avx512",
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
}

/// The vector operations of one x86 register size. They are inlined into functions
/// compiled for that instruction set, which run only where it was detected.
macro_rules! x86_lanes {
    ($name:ident, $vector:ident, $width:literal, $set1:ident, $loadu:ident, $storeu:ident, $fmadd:ident) => {
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
        }
    };
}
x86_lanes!(
    Avx2,
    __m256,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_fmadd_ps
);
x86_lanes!(
    Avx512,
    __m512,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_fmadd_ps
);

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
            }
        }
    };
}
pub(crate) use for_each_isa;
