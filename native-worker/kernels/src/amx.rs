//! Intel's matrix unit (AMX): products of bf16 tiles, summed in f32.
//!
//! The unit has no f32 products. Each f32 is split into three bf16 whose sum it is
//! ([`split`]); of the nine products of parts those count that are not lost in f32's own
//! rounding (Henry, Tang, Heinecke 2019, "Leveraging the bfloat16 Artificial Intelligence
//! Datatype For Higher-Precision Computations", arXiv 1904.06376). What comes out is as
//! near to the exact result as a sum of f32 products, for the sizes that networks have: a
//! value above 3.39e38 and infinities give NaN, and the unit takes what is below 1e-38 as
//! zero, products of parts included.
//!
//! Rust has no stable intrinsics for the unit: it is used by `asm!`, here and nowhere
//! else. How many rows or columns a product has does not change a bit of any of them.

use std::arch::asm;
use std::marker::PhantomData;
use std::sync::OnceLock;

use crate::isa::{Isa, IsaKind};

pub(crate) mod split;

use split::{PARTS, RightParts};

/// Rows of a tile.
pub(crate) const TILE_ROWS: usize = 16;
/// Rows and columns of the block of a result that stays in the tile registers.
pub(crate) const SIDE: usize = 2 * TILE_ROWS;
/// Values of the inner dimension that one instruction sums over.
pub(crate) const DEPTH: usize = 32;
/// bf16 of a tile.
pub(crate) const TILE: usize = TILE_ROWS * DEPTH;
/// Bytes of a tile's row.
const ROW_BYTES: usize = 64;

/// Memory that tiles are read from: whole cache lines.
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
pub(crate) struct TileRow([u16; DEPTH]);

/// The values of rows one after the other.
pub(crate) fn values_of(rows: &mut [TileRow]) -> &mut [u16] {
    // SAFETY: a `TileRow` is `DEPTH` u16 without padding, aligned at least as one.
    unsafe { std::slice::from_raw_parts_mut(rows.as_mut_ptr().cast(), rows.len() * DEPTH) }
}

/// Whether this machine has the unit and the system lets this process use it.
pub(crate) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        is_x86_feature_detected!("avx512bf16") && machine_has_it() && system_allows()
    })
}

fn machine_has_it() -> bool {
    /// Of leaf 7, register EDX: `AMX-BF16` and `AMX-TILE`.
    const WANTED: u32 = 1 << 22 | 1 << 24;
    let highest_leaf = std::arch::x86_64::__cpuid(0).eax;
    highest_leaf >= 7 && std::arch::x86_64::__cpuid_count(7, 0).edx & WANTED == WANTED
}

/// Tiles make a thread's saved registers 8 KiB larger, so Linux wants to be asked.
#[cfg(target_os = "linux")]
fn system_allows() -> bool {
    /// `ARCH_REQ_XCOMP_PERM` of arch_prctl.
    const ASK: libc::c_long = 0x1023;
    /// The number of the tiles' state.
    const TILE_DATA: libc::c_long = 18;
    // SAFETY: asks for a permission of this process; no memory is given to the call.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ASK, TILE_DATA) == 0 }
}

/// Not tried elsewhere.
#[cfg(not(target_os = "linux"))]
fn system_allows() -> bool {
    false
}

/// `asm!` that changes the tile registers.
macro_rules! tile_asm {
    ($options:tt, $($argument:tt)*) => {
        asm!(
            $($argument)*,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options $options
        )
    };
}

/// The tile registers of this thread, set up as eight whole tiles. A thread has one of
/// these at a time.
pub(crate) struct Tiles {
    /// Of one thread: not `Send`.
    thread: PhantomData<*const ()>,
}

/// What LDTILECFG reads: palette 1, then bytes of a row and rows of every tile.
#[repr(C, align(64))]
struct TileConfig([u8; 64]);

impl Tiles {
    /// Sets the registers up until the value is dropped.
    ///
    /// # Panics
    /// If `isa` is not the one with the unit.
    pub(crate) fn claim(isa: Isa) -> Self {
        assert_eq!(isa.kind(), IsaKind::Amx, "the matrix unit was detected");
        let mut config = TileConfig([0; 64]);
        config.0[0] = 1;
        for tile in 0..8 {
            config.0[16 + 2 * tile] = ROW_BYTES as u8;
            config.0[48 + tile] = TILE_ROWS as u8;
        }
        // SAFETY: the unit was detected; it reads the 64 bytes of the configuration.
        unsafe {
            tile_asm!((nostack, readonly), "ldtilecfg [{}]", in(reg) config.0.as_ptr());
        }
        Self {
            thread: PhantomData,
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the unit was detected. A thread without tiles is switched faster.
        unsafe {
            tile_asm!((nostack, nomem), "tilerelease");
        }
    }
}

/// Where the sums of a block begin.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    /// [`SIDE`] values, the same for every row.
    Row(&'a [f32]),
    /// What the result holds.
    Result,
}

/// One block of a product, [`SIDE`] × [`SIDE`].
pub(crate) struct Product<'a> {
    /// As [`split::pack_left`] lays it out, of these rows.
    pub(crate) left: &'a [u16],
    /// As [`split::pack_right`] lays it out, of these columns.
    pub(crate) right: &'a [u16],
    pub(crate) right_parts: RightParts,
    /// Blocks of [`DEPTH`] of the inner dimension.
    pub(crate) n_depths: usize,
    pub(crate) start: Start<'a>,
    /// What is wanted soon: 256 bytes from its start are brought nearer with every product
    /// of parts and depth, beyond its end too.
    pub(crate) soon: &'a [u16],
}

/// The loop of a product. `[left 4096 right 0]` loads the left's part at byte 4096, the
/// right's at byte 0, and adds their product; a part that is there still is not named.
macro_rules! multiply_by {
    (@left $at:literal) => {
        concat!(
            "tileloadd tmm4, [{left}+{row}+", $at, "]\n",
            "tileloadd tmm5, [{left}+{row}+", $at, "+1024]",
        )
    };
    (@right $at:literal) => {
        concat!(
            "tileloadd tmm6, [{right}+{row}+", $at, "]\n",
            "tileloadd tmm7, [{right}+{row}+", $at, "+1024]",
        )
    };
    ($product:expr, $from:expr, $to:expr, $([$($side:ident $at:literal)*])*) => {{
        let ((from, from_stride), (to, to_stride)) = ($from, $to);
        tile_asm!(
            (nostack),
            "tileloadd tmm0, [{from}+{from_stride}]",
            "tileloadd tmm1, [{from}+{from_stride}+64]",
            "tileloadd tmm2, [{from_below}+{from_stride}]",
            "tileloadd tmm3, [{from_below}+{from_stride}+64]",
            "2:",
            $(
                $(multiply_by!(@$side $at),)*
                "tdpbf16ps tmm0, tmm4, tmm6",
                "prefetcht1 [{soon}]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "prefetcht1 [{soon}+64]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "prefetcht1 [{soon}+128]",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "prefetcht1 [{soon}+192]",
                "add {soon}, 256",
            )*
            "add {left}, {left_bytes}",
            "add {right}, {right_bytes}",
            "dec {n_depths}",
            "jnz 2b",
            "tilestored [{to}+{to_stride}], tmm0",
            "tilestored [{to}+{to_stride}+64], tmm1",
            "tilestored [{to_below}+{to_stride}], tmm2",
            "tilestored [{to_below}+{to_stride}+64], tmm3",
            left = inout(reg) $product.left.as_ptr() => _,
            right = inout(reg) $product.right.as_ptr() => _,
            n_depths = inout(reg) $product.n_depths => _,
            soon = inout(reg) $product.soon.as_ptr() => _,
            from = in(reg) from,
            from_below = in(reg) from.wrapping_byte_add(TILE_ROWS * from_stride),
            from_stride = in(reg) from_stride,
            to = in(reg) to,
            to_below = in(reg) to.wrapping_byte_add(TILE_ROWS * to_stride),
            to_stride = in(reg) to_stride,
            row = in(reg) ROW_BYTES,
            left_bytes = in(reg) 2 * PARTS * 2 * TILE,
            right_bytes = in(reg) $product.right_parts.count() * 2 * 2 * TILE
        )
    }};
}

impl Tiles {
    /// `result = start + left · right`, rows of the result `stride` apart.
    ///
    /// # Panics
    /// If a slice is shorter than the block needs.
    pub(crate) fn multiply(&self, product: &Product<'_>, result: &mut [f32], stride: usize) {
        let Product {
            left,
            right,
            right_parts,
            n_depths,
            start,
            soon: _,
        } = product;
        assert!(*n_depths > 0, "a product has an inner dimension");
        assert!(
            left.len() >= n_depths * PARTS * 2 * TILE,
            "left is (depths, parts, 2 tiles)"
        );
        assert!(
            right.len() >= n_depths * right_parts.count() * 2 * TILE,
            "right likewise"
        );
        assert!(
            stride >= SIDE && result.len() >= (SIDE - 1) * stride + SIDE,
            "a block fits"
        );
        let to = (result.as_mut_ptr(), 4 * stride);
        let from = match start {
            Start::Row(row) => {
                assert!(row.len() >= SIDE, "a row of the block");
                (row.as_ptr(), 0)
            }
            Start::Result => (to.0.cast_const(), to.1),
        };
        // SAFETY: the unit is set up (`self`); 16 rows of 64 bytes each are read at every
        // place of `left` and `right` below `n_depths` blocks and at `from`, and written at
        // `to`: the asserts above checked that they are inside the slices. `from` is either
        // the result or a row that all tiles' rows begin with (stride 0).
        unsafe {
            match right_parts {
                RightParts::One => multiply_by!(product, from, to,
                    [left 4096 right 0] [left 2048] [left 0]),
                RightParts::Two => multiply_by!(product, from, to,
                    [left 4096 right 0] [left 2048] [right 2048] [left 0] [right 0]),
                RightParts::Three => multiply_by!(product, from, to,
                    [left 4096 right 0] [left 2048] [right 2048] [left 0] [right 0] [right 4096]),
            }
        }
    }
}
