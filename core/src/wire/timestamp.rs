//! Points in time on the wire: milliseconds since 1970 in UTC, written as RFC 3339 text
//! like `2026-11-23T11:49:34.123Z`. No clock is read here; whoever has one passes it in.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MS_PER_DAY: u64 = 86_400_000;
/// 9999-12-31T23:59:59.999Z, the last that four digits of a year can say.
const LAST_MS: u64 = 253_402_300_799_999;

/// Milliseconds since 1970-01-01T00:00:00Z, at most the end of the year 9999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A point in time; later ones than the year 9999 become its end.
    pub const fn from_unix_ms(ms: u64) -> Self {
        Self(if ms > LAST_MS { LAST_MS } else { ms })
    }

    /// Milliseconds since 1970.
    pub const fn unix_ms(self) -> u64 {
        self.0
    }

    /// Seconds from `earlier` to this; 0 if it is not earlier.
    pub fn secs_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1000.0
    }
}

/// Year, month and day of a number of days since 1970 (Howard Hinnant, "chrono-compatible
/// low-level date algorithms").
fn date_of(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// Days since 1970 of a date from 1970 on.
fn days_of((year, month, day): (u64, u64, u64)) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.0 / MS_PER_DAY);
        let ms = self.0 % MS_PER_DAY;
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        let fraction = ms % 1000;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z"
        )
    }
}

/// Text that is no point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is written like 2026-11-23T11:49:34.123Z, in UTC, from 1970 on")]
pub struct BadTimestamp;

impl FromStr for Timestamp {
    type Err = BadTimestamp;

    /// Reads what [`Display`](fmt::Display) writes, and nothing else.
    fn from_str(text: &str) -> Result<Self, BadTimestamp> {
        let digits = |from: usize, n: usize| -> Result<u64, BadTimestamp> {
            let part = text.get(from..from + n).ok_or(BadTimestamp)?;
            if !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(BadTimestamp);
            }
            part.parse().map_err(|_| BadTimestamp)
        };
        let date = (digits(0, 4)?, digits(5, 2)?, digits(8, 2)?);
        if date.0 < 1970 || !(1..=12).contains(&date.1) || date.2 == 0 {
            return Err(BadTimestamp);
        }
        let ms = digits(11, 2)? * 3_600_000
            + digits(14, 2)? * 60_000
            + digits(17, 2)? * 1000
            + digits(20, 3)?;
        let read = Self(days_of(date) * MS_PER_DAY + ms);
        // Impossible dates and other separators do not come out as they went in.
        if alloc::format!("{read}") == text {
            Ok(read)
        } else {
            Err(BadTimestamp)
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        super::as_text::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::as_text::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn times_are_rfc_3339_and_round_trip() {
        let check = |ms, text: &str| {
            let time = Timestamp::from_unix_ms(ms);
            assert_eq!(time.to_string(), text);
            assert_eq!(text.parse(), Ok(time), "{text}");
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(951_868_800_001, "2000-03-01T00:00:00.001Z");
        check(1_795_434_574_123, "2026-11-23T11:49:34.123Z");
        check(4_107_542_399_999, "2100-02-28T23:59:59.999Z");
        check(LAST_MS, "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::from_unix_ms(u64::MAX).unix_ms(), LAST_MS);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "2026-11-23",
            "2026-11-23 11:49:34.123Z",
            "2026-11-23T11:49:34Z",
            "2026-02-30T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "1969-12-31T23:59:59.999Z",
            "2026-11-23T24:00:00.000Z",
            "2026-11-23T11:49:34.1+3Z",
            "२०२६-11-23T11:49:34.123Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(BadTimestamp), "{text}");
        }
    }
}
