//! Instruction sets: a kernel's body is written once, generic over [`Lanes`], and
//! compiled for AVX-512, AVX2 and the portable baseline; the best one that this machine
//! has is chosen at run time.
//!
//! The compiler vectorises the bodies; there are no intrinsics. A body must be
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
    /// Whether a fused multiply-add is one instruction.
    const FMA: bool;
    /// Queries per tile of the attention kernel: two vectors.
    const QUERIES: usize;

    /// `a * b + c`.
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        if Self::FMA { a.mul_add(b, c) } else { a * b + c }
    }
}

pub(crate) struct Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) struct Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) struct Avx512;

impl Lanes for Portable {
    const FMA: bool = false;
    const QUERIES: usize = 8;
}

#[cfg(target_arch = "x86_64")]
impl Lanes for Avx2 {
    const FMA: bool = true;
    const QUERIES: usize = 16;
}

#[cfg(target_arch = "x86_64")]
impl Lanes for Avx512 {
    const FMA: bool = true;
    const QUERIES: usize = 32;
}

/// Defines `fn NAME(isa: Isa, ARGS)` that runs `BODY::<L>(ARGS)` compiled for `isa`.
macro_rules! for_each_isa {
    ($(#[$attribute:meta])* pub(crate) fn $name:ident($($arg:ident: $ty:ty),* $(,)?) = $body:ident;) => {
        $(#[$attribute])*
        pub(crate) fn $name(isa: $crate::kernels::isa::Isa, $($arg: $ty),*) {
            use $crate::kernels::isa;

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
