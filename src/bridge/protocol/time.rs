//! Points in time as RFC 3339 writes them. They are only handed on, so the text is kept.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize};

/// `2026-01-02T03:04:05.678Z`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Timestamp(String);

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        if is_rfc3339(&text) {
            return Ok(Timestamp(text));
        }
        Err(serde::de::Error::custom(format!("`{text}` is not a time like 2026-01-02T03:04:05Z (RFC 3339)")))
    }
}

/// The present time.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(format(since.as_secs(), since.subsec_nanos()))
}

fn format(seconds: u64, nanoseconds: u32) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
}

/// The Gregorian date of a day counted from 1970-01-01.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    loop {
        let len = if is_leap(year) { 366 } else { 365 };
        if days < len {
            break;
        }
        days -= len;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < len {
            break;
        }
        days -= len;
        month += 1;
    }
    (year, month, days + 1)
}

fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<u32> {
        let part = bytes.get(from..to)?;
        part.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(part).ok()?.parse().ok())?
    };
    let is = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|byte| set.contains(byte));
    let within = |number: Option<u32>, low: u32, high: u32| number.is_some_and(|number| (low..=high).contains(&number));
    let date = number(0, 4).is_some()
        && is(4, b"-")
        && within(number(5, 7), 1, 12)
        && is(7, b"-")
        && within(number(8, 10), 1, 31);
    let time = is(10, b"Tt ") && within(number(11, 13), 0, 23) && is(13, b":") && within(number(14, 16), 0, 59);
    if !(date && time && is(16, b":") && within(number(17, 19), 0, 60)) {
        return false;
    }
    let mut at = 19;
    if is(at, b".") {
        let digits = bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return false;
        }
        at += 1 + digits;
    }
    let offset = is(at, b"+-")
        && within(number(at + 1, at + 3), 0, 23)
        && is(at + 3, b":")
        && within(number(at + 4, at + 6), 0, 59);
    (is(at, b"Zz") && bytes.len() == at + 1) || (offset && bytes.len() == at + 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(format(951_782_400 + 3661, 5), "2000-02-29T01:01:01.000000005Z");
        assert_eq!(format(1_767_312_245, 0), "2026-01-02T00:04:05.000000000Z");
        for right in ["2026-01-02T03:04:05Z", "2023-04-25T13:02:29.123456789+02:00", "2023-04-25 13:02:29-11:30"] {
            assert!(is_rfc3339(right), "{right}");
        }
        for wrong in
            ["", "now", "2026-13-02T03:04:05Z", "2026-01-02T03:04:05", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05Zx"]
        {
            assert!(!is_rfc3339(wrong), "{wrong}");
        }
    }
}
