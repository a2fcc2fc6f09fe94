//! Names of jobs: 128 bits, written as a UUID. They are made elsewhere (version 7, so
//! that a later job has a larger name); here they are only read and written.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a job: 32 lower-case hexadecimal digits in groups of 8-4-4-4-12.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u128);

impl JobId {
    /// From the bits of a UUID.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The bits of the UUID.
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            bits >> 96,
            (bits >> 80) & 0xffff,
            (bits >> 64) & 0xffff,
            (bits >> 48) & 0xffff,
            bits & 0xffff_ffff_ffff
        )
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

/// Text that names no job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job is named by a UUID in lower case, like 019abc12-3456-7890-abcd-ef0123456789")]
pub struct BadJobId;

impl FromStr for JobId {
    type Err = BadJobId;

    fn from_str(text: &str) -> Result<Self, BadJobId> {
        if text.len() != 36 || !text.is_ascii() {
            return Err(BadJobId);
        }
        let mut bits = 0u128;
        for (place, letter) in text.bytes().enumerate() {
            let digit = match (place, letter) {
                (8 | 13 | 18 | 23, b'-') => continue,
                (8 | 13 | 18 | 23, _) => return Err(BadJobId),
                (_, b'0'..=b'9') => letter - b'0',
                (_, b'a'..=b'f') => letter - b'a' + 10,
                _ => return Err(BadJobId),
            };
            bits = bits << 4 | u128::from(digit);
        }
        Ok(Self(bits))
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        super::as_text::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::as_text::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_round_trip_and_nothing_else_is_one() {
        let text = "019abc12-3456-7890-abcd-ef0123456789";
        let id: JobId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(id.bits(), 0x019a_bc12_3456_7890_abcd_ef01_2345_6789);
        let check = |text: &str| assert_eq!(text.parse::<JobId>(), Err(BadJobId), "{text:?}");
        check("");
        check(&text.to_uppercase());
        check(&text.replace('-', ""));
        check("../../../../etc/passwd-and-some-more");
        check("019abc12-3456-7890-abcd-ef012345678é");
        check("019abc1-23456-7890-abcd-ef0123456789");
    }
}
