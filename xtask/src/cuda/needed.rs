//! Takes libraries out of the list of those that a program cannot start without. What it
//! calls of them is bound at the first call, by which time it has loaded them itself, or
//! said that it cannot. Needs a program that is linked lazily.

use std::path::Path;

use crate::repo::{Failure, because};

const LOADED: u32 = 1;
const DYNAMIC: u32 = 2;
const ENTRY_BYTES: usize = 16;
const END: u64 = 0;
const NEEDED: u64 = 1;
const STRINGS: u64 = 5;

/// A part of the file that goes into memory or is about it.
struct Segment {
    kind: u32,
    offset: usize,
    address: u64,
    size: usize,
}

/// Rewrites the program at `path`; the names of what it needs still, of those with `prefix`.
pub(super) fn remove(path: &Path, prefixes: &[&str]) -> Result<(), Failure> {
    let mut file =
        std::fs::read(path).map_err(because(format!("cannot read {}", path.display())))?;
    without(&mut file, prefixes)
        .ok_or_else(|| Failure::new(format!("{} is not a 64-bit ELF program", path.display())))?;
    std::fs::write(path, file).map_err(because(format!("cannot write {}", path.display())))
}

fn without(file: &mut [u8], prefixes: &[&str]) -> Option<()> {
    let segments = segments(file)?;
    let dynamic = segments.iter().find(|segment| segment.kind == DYNAMIC)?;
    let entries: Vec<(u64, u64)> = (0..dynamic.size / ENTRY_BYTES)
        .map(|idx| {
            let at = dynamic.offset + idx * ENTRY_BYTES;
            Some((u64_at(file, at)?, u64_at(file, at + 8)?))
        })
        .collect::<Option<_>>()?;
    let strings = entries.iter().find(|(tag, _)| *tag == STRINGS)?.1;
    let strings = segments.iter().find_map(|segment| {
        let within = strings.checked_sub(segment.address)? as usize;
        (segment.kind == LOADED && within < segment.size).then_some(segment.offset + within)
    })?;
    let is_kept = |&(tag, value): &(u64, u64)| {
        let name = file.get(strings + value as usize..).unwrap_or_default();
        tag != NEEDED
            || !prefixes
                .iter()
                .any(|prefix| name.starts_with(prefix.as_bytes()))
    };
    let mut kept: Vec<(u64, u64)> = entries.iter().copied().filter(is_kept).collect();
    // The list ends at the first entry of zeros.
    kept.resize(entries.len(), (END, 0));
    for (idx, (tag, value)) in kept.into_iter().enumerate() {
        let at = dynamic.offset + idx * ENTRY_BYTES;
        file[at..at + 8].copy_from_slice(&tag.to_le_bytes());
        file[at + 8..at + ENTRY_BYTES].copy_from_slice(&value.to_le_bytes());
    }
    Some(())
}

/// The program headers of a little-endian 64-bit ELF file.
fn segments(file: &[u8]) -> Option<Vec<Segment>> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let first = u64_at(file, 0x20)? as usize;
    let size = u16_at(file, 0x36)? as usize;
    let n = u16_at(file, 0x38)? as usize;
    let headers = (0..n).map(|idx| {
        let at = first + idx * size;
        Some(Segment {
            kind: u64_at(file, at)? as u32,
            offset: u64_at(file, at + 0x08)? as usize,
            address: u64_at(file, at + 0x10)?,
            size: u64_at(file, at + 0x20)? as usize,
        })
    });
    headers.collect()
}

fn u64_at(file: &[u8], at: usize) -> Option<u64> {
    let bytes = file.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn u16_at(file: &[u8], at: usize) -> Option<u16> {
    let bytes = file.get(at..at + 2)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This test's own program: it starts with libc needed, and without once it is removed.
    #[test]
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    fn only_what_is_named_is_removed() {
        let program = std::env::current_exe().unwrap();
        let original = std::fs::read(program).unwrap();
        let needs = |file: &[u8]| {
            let segments = segments(file).unwrap();
            let dynamic = segments.iter().find(|it| it.kind == DYNAMIC).unwrap();
            let tags = (0..dynamic.size / ENTRY_BYTES)
                .map(|idx| u64_at(file, dynamic.offset + idx * ENTRY_BYTES).unwrap());
            tags.take_while(|tag| *tag != END)
                .filter(|tag| *tag == NEEDED)
                .count()
        };
        let check = |prefixes: &[&str], n_fewer: usize| {
            let mut file = original.clone();
            without(&mut file, prefixes).unwrap();
            assert_eq!(needs(&file) + n_fewer, needs(&original), "{prefixes:?}");
        };
        check(&["libnobody"], 0);
        check(&["libc.so"], 1);
        assert_eq!(without(&mut [0; 64], &[]), None);
    }
}
