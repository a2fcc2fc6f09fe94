//! Checks SentencePiece's table of character replacements before the tokenizer library
//! uses it, because the library indexes with whatever the table says.
//!
//! The table: length in bytes of a trie (u32), the trie as a double array of u32 units,
//! then the replacements as UTF-8, each ended by a zero byte.

/// What one unit of the double array says; facts from the format's own library, darts-clone.
#[derive(Clone, Copy)]
struct Unit(u32);

impl Unit {
    /// The byte that leads to this unit. A leaf has the top bit set and matches no byte.
    fn label(self) -> usize {
        (self.0 & (1 << 31 | 0xff)) as usize
    }

    fn has_leaf(self) -> bool {
        self.0 >> 8 & 1 == 1
    }

    fn offset(self) -> usize {
        ((self.0 >> 10) as usize) << ((self.0 & 1 << 9) >> 6)
    }

    /// Of a leaf: where its replacement begins.
    fn value(self) -> usize {
        (self.0 & !(1 << 31)) as usize
    }
}

/// Walks every path of the trie: each must stay inside it, and each leaf must point to
/// the start of a character.
pub(super) fn check(charsmap: &[u8]) -> Result<(), String> {
    let (units, replacements) = split(charsmap)?;
    let outside = || "its character map points outside of itself".to_owned();
    let root = units.first().ok_or_else(outside)?;
    let mut seen = vec![false; units.len()];
    let mut open = vec![root.offset()];
    while let Some(node) = open.pop() {
        for byte in 1..=255 {
            let place = node ^ byte;
            let unit = units.get(place).ok_or_else(outside)?;
            if unit.label() != byte {
                continue;
            }
            let child = place ^ unit.offset();
            let leaf = units.get(child).ok_or_else(outside)?;
            if unit.has_leaf() && !replacements.is_char_boundary(leaf.value()) {
                return Err(outside());
            }
            if !std::mem::replace(&mut seen[child], true) {
                open.push(child);
            }
        }
    }
    Ok(())
}

fn split(charsmap: &[u8]) -> Result<(Vec<Unit>, &str), String> {
    let truncated = || format!("its character map is truncated ({} bytes)", charsmap.len());
    let (length, rest) = charsmap.split_first_chunk::<4>().ok_or_else(truncated)?;
    let n_bytes = u32::from_le_bytes(*length) as usize / 4 * 4;
    let (trie, replacements) = rest.split_at_checked(n_bytes).ok_or_else(truncated)?;
    let units = trie
        .chunks_exact(4)
        .map(|four| Unit(u32::from_le_bytes([four[0], four[1], four[2], four[3]])));
    let replacements = std::str::from_utf8(replacements)
        .map_err(|error| format!("the replacements of its character map are no UTF-8 ({error})"))?;
    Ok((units.collect(), replacements))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trie with one key, "a", whose replacement begins at `value`; `offset` leads from
    /// the root to its units.
    fn table(offset: u32, value: u32) -> Vec<u8> {
        let mut units = vec![0u32; 512];
        units[0] = offset << 10;
        let place = 256 ^ u32::from(b'a');
        units[place as usize] = (place ^ 300) << 10 | 1 << 8 | u32::from(b'a');
        units[300] = 1 << 31 | value;
        let trie: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        [&2048u32.to_le_bytes()[..], &trie, "é\0b\0".as_bytes()].concat()
    }

    #[test]
    fn tables_that_lie_are_refused() {
        let check_row = |bytes: &[u8], expected: &str| {
            let error = check(bytes).err().unwrap_or_default();
            assert!(
                error.contains(expected) && error.is_empty() == expected.is_empty(),
                "{expected:?}: {error:?}"
            );
        };
        check_row(&table(256, 0), "");
        check_row(&table(256, 3), "");
        check_row(&table(256, 1), "outside of itself"); // inside é
        check_row(&table(256, 9), "outside of itself");
        check_row(&table(5000, 0), "outside of itself");
        check_row(&[], "truncated (0 bytes)");
        check_row(&[0; 4], "outside of itself");
        check_row(&table(256, 0)[..1000], "truncated (1000 bytes)");
        let mut spoiled = table(256, 0);
        let last = spoiled.len() - 1;
        spoiled[last] = 0xff;
        check_row(&spoiled, "no UTF-8");
    }
}
