//! Moments as people write them.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hubledger::clock::TIME_US_MAX;

/// A moment, said in one of four ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// There is none.
    Never,
    /// Microseconds since the Unix epoch.
    At(u64),
    /// So many microseconds after now.
    In(u64),
}

impl When {
    /// The moment in microseconds since the Unix epoch, where it is `now_us`; 0 for never. Not beyond the year 9999.
    pub(crate) fn after(self, now_us: u64) -> u64 {
        match self {
            Self::Never => 0,
            Self::At(time) => time,
            Self::In(later) => now_us.saturating_add(later).min(TIME_US_MAX),
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "never" {
            return Ok(Self::Never);
        }
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number && let Ok(length) = humantime::parse_duration(text) {
            return micros(length).map(Self::In);
        }
        time(text)
            .map(Self::At)
            .map_err(|problem| format!("{problem}; or a duration from now, such as 10m, or never"))
    }
}

/// A moment by itself, in microseconds since the Unix epoch: RFC 3339 in UTC, or that number.
pub(crate) fn time(text: &str) -> Result<u64, String> {
    let form = "expected a time such as 2030-01-31T12:00:00Z, or microseconds since the Unix epoch";
    let us = match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse().map_err(|_| form.to_owned())?,
        false => {
            let time: SystemTime = humantime::parse_rfc3339(text).map_err(|_| form.to_owned())?;
            // Before 1970 there is no chain.
            micros(
                time.duration_since(UNIX_EPOCH)
                    .map_err(|_| form.to_owned())?,
            )?
        }
    };
    match us {
        1..=TIME_US_MAX => Ok(us),
        _ => Err(format!("{us} µs is not between 1970 and 9999")),
    }
}

fn micros(length: Duration) -> Result<u64, String> {
    u64::try_from(length.as_micros()).map_err(|_| "that is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_a_number_a_duration_or_never() {
        const NOON: u64 = 1_801_396_800_000_000;
        for (text, moment) in [
            ("2027-01-31T12:00:00Z", When::At(NOON)),
            ("1801396800000000", When::At(NOON)),
            ("2027-01-31T12:00:00.000001Z", When::At(NOON + 1)),
            ("10m", When::In(600_000_000)),
            ("1h 30s", When::In(3_630_000_000)),
            ("never", When::Never),
        ] {
            assert_eq!(text.parse(), Ok(moment), "{text}");
        }
        for text in [
            "",
            "0",
            "soon",
            "2027-02-30T12:00:00Z",
            "1960-01-01T00:00:00Z",
            "300000000000000000",
        ] {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
        assert_eq!(When::In(5).after(NOON), NOON + 5);
        assert_eq!(When::In(u64::MAX).after(NOON), TIME_US_MAX);
        assert_eq!(When::Never.after(NOON), 0);
    }
}
