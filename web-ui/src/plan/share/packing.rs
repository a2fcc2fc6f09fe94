//! Numbers and cells as few bytes. A number takes seven bits a byte, the eighth says that
//! more follow. Cells are runs of one byte (5 bits of length, 3 of strategy) or 3 bits
//! each, whichever is shorter.

use dfa_core::Strategy;

/// Cells as runs.
const RUNS: u8 = 0;
/// Cells at 3 bits each.
const TRIPLES: u8 = 1;
/// The longest run of one byte.
const MAX_RUN: usize = 32;

/// Appends a number.
pub(super) fn push_number(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 128 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number of at most 28 bits off the front.
pub(super) fn number(bytes: &mut &[u8]) -> Option<usize> {
    let mut found = 0;
    for idx in 0..4 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        found |= usize::from(byte & 127) << (7 * idx);
        if byte < 128 {
            return Some(found);
        }
    }
    None
}

/// Appends cells.
pub(super) fn push_cells(bytes: &mut Vec<u8>, cells: &[Strategy]) {
    let runs = runs(cells);
    if runs.len() <= (3 * cells.len()).div_ceil(8) {
        bytes.push(RUNS);
        bytes.extend(runs);
    } else {
        bytes.push(TRIPLES);
        bytes.extend(triples(cells));
    }
}

fn runs(cells: &[Strategy]) -> Vec<u8> {
    let same = cells.chunk_by(|a, b| a == b);
    let runs = same.flat_map(|run| run.chunks(MAX_RUN));
    runs.map(|run| (run.len() as u8 - 1) << 3 | code(run[0]))
        .collect()
}

fn triples(cells: &[Strategy]) -> Vec<u8> {
    let groups = cells.chunks(8).map(|group| {
        let codes = group.iter().enumerate();
        codes.fold(0u32, |bits, (idx, &cell)| {
            bits | u32::from(code(cell)) << (3 * idx)
        })
    });
    let mut bytes: Vec<u8> = groups
        .flat_map(|bits| bits.to_le_bytes().into_iter().take(3))
        .collect();
    bytes.truncate((3 * cells.len()).div_ceil(8));
    bytes
}

/// Reads `n_cells` cells that take up all of `bytes`.
pub(super) fn cells(bytes: &[u8], n_cells: usize) -> Option<Vec<Strategy>> {
    let (&packing, bytes) = bytes.split_first()?;
    match packing {
        RUNS => from_runs(bytes, n_cells),
        TRIPLES => from_triples(bytes, n_cells),
        _ => None,
    }
}

fn from_runs(bytes: &[u8], n_cells: usize) -> Option<Vec<Strategy>> {
    let mut cells = Vec::new();
    for byte in bytes {
        let n_run = usize::from(byte >> 3) + 1;
        cells.extend(std::iter::repeat_n(strategy(byte & 7)?, n_run));
    }
    (cells.len() == n_cells).then_some(cells)
}

fn from_triples(bytes: &[u8], n_cells: usize) -> Option<Vec<Strategy>> {
    if bytes.len() != n_cells.checked_mul(3)?.div_ceil(8) {
        return None;
    }
    let cells = (0..n_cells).map(|idx| {
        let (byte, bit) = (3 * idx / 8, 3 * idx % 8);
        let next = bytes.get(byte + 1).copied().unwrap_or(0);
        let bits = u16::from_le_bytes([bytes[byte], next]) >> bit;
        strategy(bits as u8 & 7)
    });
    cells.collect()
}

fn code(strategy: Strategy) -> u8 {
    let mut all = Strategy::ALL.iter();
    // There are six strategies, so the place always fits into 3 bits.
    all.position(|&other| other == strategy).unwrap_or(0) as u8
}

fn strategy(code: u8) -> Option<Strategy> {
    Strategy::ALL.get(usize::from(code)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_packings_come_back() {
        let mixed: Vec<Strategy> = (0..37).map(|idx| Strategy::ALL[idx * 5 % 6]).collect();
        let alike = vec![Strategy::ShareSteps; 100];
        for (cells, packing) in [(mixed, TRIPLES), (alike, RUNS)] {
            let mut bytes = Vec::new();
            push_cells(&mut bytes, &cells);
            assert_eq!(bytes[0], packing);
            assert_eq!(super::cells(&bytes, cells.len()), Some(cells.clone()));
            assert_eq!(super::cells(&bytes, cells.len() + 9), None);
            assert_eq!(super::cells(&bytes[..bytes.len() - 1], cells.len()), None);
        }
    }

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 127, 128, 300, 1 << 24] {
            let mut bytes = Vec::new();
            push_number(&mut bytes, value);
            assert_eq!(number(&mut bytes.as_slice()), Some(value));
        }
        assert_eq!(number(&mut [255u8; 9].as_slice()), None);
    }
}
