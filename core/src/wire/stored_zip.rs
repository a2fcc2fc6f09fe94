//! Zip archives whose members are stored as they are, the way `torch.save` writes them.
//!
//! No decompression exists here, so an archive cannot grow: a member is a slice of the
//! archive's own bytes. Members are found through the central directory, their checksums
//! are verified, and compressed, encrypted, split and 64-bit archives are refused.

use alloc::string::String;
use alloc::vec::Vec;

use crate::wire::foreign::shortened;

const LOCAL_HEADER: u32 = 0x0403_4b50;
const DIRECTORY_ENTRY: u32 = 0x0201_4b50;
const END_OF_DIRECTORY: u32 = 0x0605_4b50;
const LOCAL_HEADER_LEN: usize = 30;
const DIRECTORY_ENTRY_LEN: usize = 46;
const END_OF_DIRECTORY_LEN: usize = 22;
/// Most members that are looked at.
const MAX_MEMBERS: usize = 4096;

/// Why an archive is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZipError {
    /// No end-of-directory record.
    #[error("not a zip archive, or cut short: its directory is missing")]
    NoDirectory,
    /// A record that points outside the archive or is not what it should be.
    #[error("zip archive is broken: {what}")]
    Broken {
        /// The record.
        what: &'static str,
    },
    /// A feature that `torch.save` does not use.
    #[error("zip member {member:?} is {how}; only stored members are read")]
    NotStored {
        /// The member, shortened to 40 characters.
        member: String,
        /// How it is stored instead.
        how: &'static str,
    },
    /// No member of the name.
    #[error("zip archive has no member {suffix:?}; is this a file of torch.save?")]
    NoMember {
        /// How the member's name should end.
        suffix: &'static str,
    },
    /// Several members of the name.
    #[error("zip archive has several members {suffix:?}; expected one")]
    SeveralMembers {
        /// How the members' names end.
        suffix: &'static str,
    },
    /// The checksum does not match.
    #[error("zip member {member:?} is damaged: its checksum does not match")]
    BadChecksum {
        /// The member, shortened to 40 characters.
        member: String,
    },
}

/// One entry of the central directory.
struct Member<'a> {
    name: &'a [u8],
    flags: u16,
    method: u16,
    crc: u32,
    compressed_len: usize,
    len: usize,
    header_offset: usize,
}

/// The content of the only member whose name ends with `suffix`.
///
/// # Errors
/// [`ZipError`] says why the archive or the member cannot be read.
pub(crate) fn member_ending_with<'a>(
    archive: &'a [u8],
    suffix: &'static str,
) -> Result<&'a [u8], ZipError> {
    let members = directory(archive)?;
    let mut found = members
        .iter()
        .filter(|member| member.name.ends_with(suffix.as_bytes()));
    let member = found.next().ok_or(ZipError::NoMember { suffix })?;
    if found.next().is_some() {
        return Err(ZipError::SeveralMembers { suffix });
    }
    content(archive, member)
}

/// The central directory.
fn directory(archive: &[u8]) -> Result<Vec<Member<'_>>, ZipError> {
    let end = end_of_directory(archive).ok_or(ZipError::NoDirectory)?;
    let record = Fields(end);
    let what = "its end record";
    let broken = ZipError::Broken { what };
    let (disk, directory_disk) = (record.u16(4), record.u16(6));
    let n_members = record.u16(10).ok_or(broken.clone())?;
    let mut offset = record.u32(16).ok_or(broken.clone())? as usize;
    if disk != Some(0) || directory_disk != Some(0) || usize::from(n_members) > MAX_MEMBERS {
        return Err(broken);
    }
    let mut members = Vec::new();
    for _ in 0..n_members {
        let (member, entry_len) = directory_entry(archive, offset)?;
        offset += entry_len;
        members.push(member);
    }
    Ok(members)
}

/// The end record, found from the back: only a comment may follow it.
fn end_of_directory(archive: &[u8]) -> Option<&[u8]> {
    let last = archive.len().checked_sub(END_OF_DIRECTORY_LEN)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    (first..=last)
        .rev()
        .map(|offset| &archive[offset..])
        .find(|record| {
            let comment_len = Fields(record).u16(20).map(usize::from);
            Fields(record).u32(0) == Some(END_OF_DIRECTORY)
                && comment_len == Some(record.len() - END_OF_DIRECTORY_LEN)
        })
}

/// One directory entry and its length.
fn directory_entry(archive: &[u8], offset: usize) -> Result<(Member<'_>, usize), ZipError> {
    let what = "a directory entry";
    let broken = || ZipError::Broken { what };
    let entry = archive.get(offset..).ok_or_else(broken)?;
    let fields = Fields(entry);
    if fields.u32(0) != Some(DIRECTORY_ENTRY) {
        return Err(broken());
    }
    let u16_at = |offset| fields.u16(offset).ok_or_else(broken);
    let u32_at = |offset| fields.u32(offset).ok_or_else(broken);
    let name_len = usize::from(u16_at(28)?);
    let entry_len =
        DIRECTORY_ENTRY_LEN + name_len + usize::from(u16_at(30)?) + usize::from(u16_at(32)?);
    let name = entry.get(DIRECTORY_ENTRY_LEN..DIRECTORY_ENTRY_LEN + name_len);
    let member = Member {
        name: name.ok_or_else(broken)?,
        flags: u16_at(8)?,
        method: u16_at(10)?,
        crc: u32_at(16)?,
        compressed_len: u32_at(20)? as usize,
        len: u32_at(24)? as usize,
        header_offset: u32_at(42)? as usize,
    };
    Ok((member, entry_len))
}

/// The bytes of a member.
fn content<'a>(archive: &'a [u8], member: &Member<'_>) -> Result<&'a [u8], ZipError> {
    let name = || shortened(&String::from_utf8_lossy(member.name));
    let not_stored = |how| {
        let member = name();
        Err(ZipError::NotStored { member, how })
    };
    if member.flags & 1 != 0 {
        return not_stored("encrypted");
    }
    if member.method != 0 || member.compressed_len != member.len {
        return not_stored("compressed");
    }
    let what = "a member's header";
    let broken = || ZipError::Broken { what };
    let local = archive.get(member.header_offset..).ok_or_else(broken)?;
    let fields = Fields(local);
    if fields.u32(0) != Some(LOCAL_HEADER) {
        return Err(broken());
    }
    let name_len = usize::from(fields.u16(26).ok_or_else(broken)?);
    let extra_len = usize::from(fields.u16(28).ok_or_else(broken)?);
    let start = LOCAL_HEADER_LEN + name_len + extra_len;
    let end = start.checked_add(member.len).ok_or_else(broken)?;
    let bytes = local.get(start..end).ok_or_else(broken)?;
    if crc32(bytes) != member.crc {
        return Err(ZipError::BadChecksum { member: name() });
    }
    Ok(bytes)
}

/// Little-endian fields of a record, by their offset.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u16(&self, offset: usize) -> Option<u16> {
        let bytes = self.0.get(offset..)?.first_chunk()?;
        Some(u16::from_le_bytes(*bytes))
    }

    fn u32(&self, offset: usize) -> Option<u32> {
        let bytes = self.0.get(offset..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }
}

/// The CRC-32 of zip (ISO 3309, reflected polynomial 0xEDB88320).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            let carry = if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
            crc >> 1 ^ carry
        })
    })
}

/// An archive of stored members, in the order given. Names and contents must be short
/// (names below 64 KiB, the whole archive below 4 GiB), which plans are.
pub(crate) fn archive_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    for &(name, content) in members {
        let header_offset = archive.len() as u32;
        let shared = shared_fields(name, content);
        archive.extend(LOCAL_HEADER.to_le_bytes());
        archive.extend(&shared);
        archive.extend(name.as_bytes());
        archive.extend(content);
        directory.extend(DIRECTORY_ENTRY.to_le_bytes());
        directory.extend(VERSION.to_le_bytes());
        directory.extend(&shared);
        // Comment length, disk, internal and external attributes.
        directory.extend([0; 10]);
        directory.extend(header_offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let n_members = (members.len() as u16).to_le_bytes();
    let directory_offset = archive.len() as u32;
    archive.extend(&directory);
    archive.extend(END_OF_DIRECTORY.to_le_bytes());
    archive.extend([0; 4]);
    archive.extend(n_members);
    archive.extend(n_members);
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(directory_offset.to_le_bytes());
    archive.extend([0; 2]);
    archive
}

/// Version 1.0 of the zip format: stored members only.
const VERSION: u16 = 10;
/// 1 January 1980, midnight: the same plan always gives the same archive.
const TIME_AND_DATE: u32 = 0x0021_0000;

/// What a local header and a directory entry have in common, from the version to the
/// length of the extra field.
fn shared_fields(name: &str, content: &[u8]) -> Vec<u8> {
    let len = (content.len() as u32).to_le_bytes();
    let mut fields = Vec::new();
    fields.extend(VERSION.to_le_bytes());
    // No flags, method "stored".
    fields.extend([0; 4]);
    fields.extend(TIME_AND_DATE.to_le_bytes());
    fields.extend(crc32(content).to_le_bytes());
    fields.extend(len);
    fields.extend(len);
    fields.extend((name.len() as u16).to_le_bytes());
    fields.extend([0; 2]);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn sample() -> Vec<u8> {
        archive_of(&[("plan/data.pkl", b"content"), ("plan/version", b"3\n")])
    }

    #[test]
    fn members_round_trip() {
        let archive = sample();
        assert_eq!(
            member_ending_with(&archive, "/data.pkl"),
            Ok(&b"content"[..])
        );
        assert_eq!(member_ending_with(&archive, "/version"), Ok(&b"3\n"[..]));
        let mut commented = archive.clone();
        let comment_len = commented.len() - 2;
        commented[comment_len] = 3;
        commented.extend(b"abc");
        assert_eq!(
            member_ending_with(&commented, "/data.pkl"),
            Ok(&b"content"[..])
        );
    }

    #[test]
    fn the_checksum_is_that_of_zip() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn bad_archives_are_refused() {
        let check = |damage: fn(&mut Vec<u8>), expected: &str| {
            let mut archive = sample();
            damage(&mut archive);
            let error = member_ending_with(&archive, "/data.pkl")
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        };
        // The first directory entry starts after both members.
        const ENTRY: usize = 30 + 13 + 7 + 30 + 12 + 2;
        check(Vec::clear, "not a zip archive");
        check(|a| a.truncate(40), "not a zip archive");
        check(|a| a[30 + 13] ^= 1, "\"plan/data.pkl\" is damaged");
        check(|a| a[0] = 0, "a member's header");
        check(|a| a[ENTRY] = 0, "a directory entry");
        check(|a| a[ENTRY + 8] = 1, "is encrypted");
        check(|a| a[ENTRY + 10] = 8, "is compressed");
        check(|a| a[ENTRY + 20] = 6, "is compressed");
        check(|a| a[ENTRY + 45] = 0xff, "a member's header");
        check(
            |a| {
                let end = a.len() - 22;
                a[end + 19] = 0xff;
            },
            "a directory entry",
        );
        check(
            |a| *a = archive_of(&[("a/data.pkl", b"x"), ("b/data.pkl", b"y")]),
            "several members",
        );
        check(
            |a| *a = archive_of(&[("data", b"x")]),
            "no member \"/data.pkl\"",
        );
    }
}
