//! Zip archives as `torch.save` writes them: members stored as they are, 64-bit sizes.
//!
//! Only the directory at the end is read; a member is a range of the file. Compressed,
//! encrypted and split archives are refused. Checksums are not verified: PyTorch does not
//! do so either, and may leave them out.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use super::TorchFileError;

const LOCAL_HEADER: u32 = 0x0403_4b50;
const DIRECTORY_ENTRY: u32 = 0x0201_4b50;
const END_OF_DIRECTORY: u32 = 0x0605_4b50;
const END_OF_DIRECTORY_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
const END_LEN: usize = 22;
const LOCATOR_LEN: usize = 20;
const ENTRY_LEN: usize = 46;
const LOCAL_LEN: usize = 30;
/// The end record may be followed by a comment of this length.
const MAX_COMMENT: u64 = 65_535;
const MAX_DIRECTORY_BYTES: u64 = 64 << 20;
/// What a 32-bit field holds when the real number is in the 64-bit one.
const ELSEWHERE: u64 = 0xffff_ffff;

/// Where a member's bytes are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// Its header until [`Archive::located`], then its first byte.
    pub(super) start: u64,
    pub(super) size: u64,
}

/// The directory of an archive.
#[derive(Debug)]
pub(super) struct Archive {
    file_len: u64,
    members: BTreeMap<String, Member>,
}

fn broken(what: impl Into<String>) -> TorchFileError {
    TorchFileError::BrokenArchive { what: what.into() }
}

impl Archive {
    pub(super) fn read(source: &mut (impl Read + Seek)) -> Result<Self, TorchFileError> {
        let file_len = source.seek(SeekFrom::End(0))?;
        let tail_len = file_len.min(MAX_COMMENT + (END_LEN + LOCATOR_LEN) as u64);
        let tail = bytes_at(source, file_len - tail_len, tail_len)?;
        let signature = END_OF_DIRECTORY.to_le_bytes();
        let end = tail.windows(END_LEN).rposition(|it| it[..4] == signature);
        let Some(end) = end else {
            return Err(broken("not a zip archive, or cut short"));
        };
        let (start, len) = match end.checked_sub(LOCATOR_LEN) {
            Some(at) if number(&tail, at, 4) == Some(u64::from(LOCATOR_64)) => {
                directory_64(source, number(&tail, at + 8, 8))?
            }
            _ => (number(&tail, end + 16, 4), number(&tail, end + 12, 4)),
        };
        let (Some(start), Some(len)) = (start, len) else {
            return Err(broken("its end record is cut short"));
        };
        if len > MAX_DIRECTORY_BYTES || start.checked_add(len).is_none_or(|end| end > file_len) {
            return Err(broken("its directory lies outside the file"));
        }
        let directory = bytes_at(source, start, len)?;
        let members = members(&directory)?;
        Ok(Self { file_len, members })
    }

    /// The folder that every member is in.
    pub(super) fn prefix(&self) -> Result<String, TorchFileError> {
        let mut pickles = self
            .members
            .keys()
            .filter_map(|name| name.strip_suffix("/data.pkl"));
        match (pickles.next(), pickles.next()) {
            (Some(prefix), None) => Ok(prefix.to_owned()),
            (None, _) => Err(broken("a zip archive without a data.pkl")),
            (Some(_), Some(_)) => Err(broken("a zip archive with several data.pkl")),
        }
    }

    /// A member whose header was not looked at yet.
    pub(super) fn member(&self, name: &str) -> Result<Member, TorchFileError> {
        let member = self.members.get(name).copied();
        member.ok_or_else(|| broken(format!("it has no member {name:?}")))
    }

    /// The member with its first byte instead of its header.
    pub(super) fn located(
        &self,
        source: &mut (impl Read + Seek),
        member: Member,
    ) -> Result<Member, TorchFileError> {
        let header = bytes_at(source, member.start, LOCAL_LEN as u64)?;
        let lengths = number(&header, 26, 2).zip(number(&header, 28, 2));
        let (true, Some((name, extra))) = (
            number(&header, 0, 4) == Some(u64::from(LOCAL_HEADER)),
            lengths,
        ) else {
            return Err(broken("a member's header is not where the directory says"));
        };
        let start = member.start + LOCAL_LEN as u64 + name + extra;
        let end = start.checked_add(member.size);
        if end.is_none_or(|end| end > self.file_len) {
            return Err(broken("a member reaches beyond the end of the file"));
        }
        Ok(Member { start, ..member })
    }

    /// All bytes of a small member.
    pub(super) fn bytes(
        &self,
        source: &mut (impl Read + Seek),
        member: Member,
        limit: u64,
    ) -> Result<Vec<u8>, TorchFileError> {
        let member = self.located(source, member)?;
        if member.size > limit {
            return Err(broken(format!(
                "a member of {} bytes where at most {limit} are read",
                member.size
            )));
        }
        bytes_at(source, member.start, member.size)
    }
}

/// Start and length of the directory, from the 64-bit end record.
fn directory_64(
    source: &mut (impl Read + Seek),
    at: Option<u64>,
) -> Result<(Option<u64>, Option<u64>), TorchFileError> {
    let record = bytes_at(source, at.unwrap_or(u64::MAX), 56)?;
    if number(&record, 0, 4) != Some(u64::from(END_OF_DIRECTORY_64)) {
        return Err(broken("its 64-bit end record is not where it should be"));
    }
    Ok((number(&record, 48, 8), number(&record, 40, 8)))
}

fn members(mut directory: &[u8]) -> Result<BTreeMap<String, Member>, TorchFileError> {
    let mut members = BTreeMap::new();
    while number(directory, 0, 4) == Some(u64::from(DIRECTORY_ENTRY)) {
        let (name, member, len) = entry(directory)?;
        if members.insert(name.clone(), member).is_some() {
            return Err(broken(format!("two members are named {name:?}")));
        }
        directory = directory.get(len..).unwrap_or_default();
    }
    Ok(members)
}

/// Name, place and length of the first entry.
fn entry(directory: &[u8]) -> Result<(String, Member, usize), TorchFileError> {
    let cut = || broken("its directory is cut short");
    let field = |at, n_bytes| number(directory, at, n_bytes).ok_or_else(cut);
    let (flags, method) = (field(8, 2)?, field(10, 2)?);
    let (packed, size, start) = (field(20, 4)?, field(24, 4)?, field(42, 4)?);
    let lengths = [field(28, 2)?, field(30, 2)?, field(32, 2)?].map(|len| len as usize);
    let [name_len, extra_len, comment_len] = lengths;
    let name = directory.get(ENTRY_LEN..ENTRY_LEN + name_len);
    let name = String::from_utf8_lossy(name.ok_or_else(cut)?).into_owned();
    let extra_start = ENTRY_LEN + name_len;
    let extra = directory.get(extra_start..extra_start + extra_len);
    let [size, packed, start] = wide_fields(extra.ok_or_else(cut)?, [size, packed, start])?;
    if method != 0 || flags & 1 != 0 || packed != size {
        return Err(broken(format!(
            "its member {name:?} is compressed or encrypted; torch.save does neither"
        )));
    }
    let len = extra_start + extra_len + comment_len;
    Ok((name, Member { start, size }, len))
}

/// Fills the fields that do not fit 32 bits from the extra record 1.
fn wide_fields(mut extra: &[u8], mut fields: [u64; 3]) -> Result<[u64; 3], TorchFileError> {
    while let Some((id, len)) = number(extra, 0, 2).zip(number(extra, 2, 2)) {
        let end = (4 + len as usize).min(extra.len());
        if id == 1 {
            let mut at = 4;
            for field in fields.iter_mut().filter(|field| **field == ELSEWHERE) {
                let wide = number(&extra[..end], at, 8);
                *field = wide.ok_or_else(|| broken("a 64-bit size is missing"))?;
                at += 8;
            }
        }
        extra = &extra[end..];
    }
    Ok(fields)
}

/// An unsigned little-endian number; none beyond the end.
fn number(bytes: &[u8], at: usize, n_bytes: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(n_bytes)?)?;
    let digits = field.iter().rev();
    Some(digits.fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

/// `len` must have been held against a limit.
fn bytes_at(
    source: &mut (impl Read + Seek),
    start: u64,
    len: u64,
) -> Result<Vec<u8>, TorchFileError> {
    let place = source.seek(SeekFrom::Start(start));
    place.map_err(|_| broken("a record lies outside the file"))?;
    let mut bytes = Vec::new();
    source.take(len).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == len {
        Ok(bytes)
    } else {
        Err(broken("the file ends too early"))
    }
}
