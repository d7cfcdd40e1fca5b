//! Dates, timestamps and intervals as they are written, checked against the calendar.
//! Knows the Gregorian calendar; knows no time zone: a timestamp without offset stays as written.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

use crate::ast::{Interval, LiteralValue, Unit};

/// 0001-01-01T00:00:00Z and 9999-12-30T22:00:00Z: what four digits of a year can say and `jiff` holds.
const INSTANTS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_207_200;

/// Whether `text` is shaped `2026-11-01`, possible or not.
pub(crate) fn is_date_shaped(text: &str) -> bool {
    fits(text.as_bytes(), b"dddd-dd-dd")
}

/// The date that `text` says: `YYYY-MM-DD`, from year 1.
///
/// # Errors
/// A sentence for the message.
pub fn date(text: &str) -> Result<Date, String> {
    if !is_date_shaped(text) {
        return Err(format!("{} is not a date: a date is written like 2026-11-01", quoted(text)));
    }
    match text.parse::<Date>() {
        Ok(date) if date.year() >= 1 => Ok(date),
        _ => Err(format!("there is no date {text}")),
    }
}

/// The moment that `text` says: a date, or a date, a blank or `T`, and a time; with an offset an instant, else local.
///
/// # Errors
/// A sentence for the message.
pub fn timestamp(text: &str) -> Result<LiteralValue, String> {
    let misshapen = || {
        let text = quoted(text);
        format!("{text} is not a timestamp: one is written like 2026-11-01 09:00:00 or 2026-11-01T09:00:00+08:00")
    };
    let impossible = || format!("there is no moment {}", quoted(text));
    let bytes = text.as_bytes();
    let shapes: [&[u8]; 4] = [b"dddd-dd-ddsdd:dd:dd", b"dddd-dd-ddsdd:dd", b"dddd-dd-dd", b""];
    let shape = shapes.into_iter().find(|shape| bytes.get(..shape.len()).is_some_and(|start| fits(start, shape)));
    let local_length = shape.map_or(0, <[u8]>::len);
    let (local, offset) = text.split_at_checked(local_length).unwrap_or_default();
    if local.is_empty() || (local.len() == 10 && !offset.is_empty()) {
        return Err(misshapen());
    }
    let moment: DateTime = local.parse().map_err(|_| impossible())?;
    if moment.year() < 1 || local.ends_with(":60") {
        return Err(impossible());
    }
    if offset.is_empty() {
        return Ok(LiteralValue::LocalTimestamp(moment));
    }
    let offset_s = offset_seconds(offset).ok_or_else(misshapen)?;
    let utc = jiff::tz::Offset::UTC.to_timestamp(moment).map_err(|_| impossible())?.as_second() - offset_s;
    if INSTANTS.contains(&utc) { Ok(LiteralValue::Instant(utc)) } else { Err(impossible()) }
}

/// `2026-11-01T01:00:00Z`.
pub(crate) fn instant_text(second: i64) -> String {
    let clamped = second.clamp(*INSTANTS.start(), *INSTANTS.end());
    Timestamp::from_second(clamped).map_or_else(|_| String::new(), |instant| instant.to_string())
}

/// `2026-11-01 09:00:00`.
pub(crate) fn local_text(moment: DateTime) -> String {
    let (date, time) = (moment.date(), moment.time());
    format!("{date} {:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}

/// `Z`, `+08`, `+0800` or `+08:00`, in seconds east of Greenwich.
fn offset_seconds(text: &str) -> Option<i64> {
    if text == "Z" || text == "z" {
        return Some(0);
    }
    let bytes = text.as_bytes();
    let digits: [&[u8]; 3] = [b"+dd:dd", b"+dddd", b"+dd"];
    digits.into_iter().find(|shape| bytes.len() == shape.len() && fits(bytes, shape))?;
    let hours: i64 = text[1..3].parse().ok()?;
    let minutes: i64 = if bytes.len() > 3 { text[text.len() - 2..].parse().ok()? } else { 0 };
    let seconds = (hours <= 15 && minutes <= 59).then_some(hours * 3600 + minutes * 60)?;
    Some(if bytes[0] == b'-' { -seconds } else { seconds })
}

/// Whether `bytes` have the shape: `d` a digit, `s` a blank or T, `+` a sign, else themselves.
fn fits(bytes: &[u8], shape: &[u8]) -> bool {
    let alike = |(b, s): (&u8, &u8)| match s {
        b'd' => b.is_ascii_digit(),
        b's' => matches!(b, b' ' | b'T' | b't'),
        b'+' => matches!(b, b'+' | b'-'),
        _ => b == s,
    };
    bytes.len() == shape.len() && bytes.iter().zip(shape).all(alike)
}

fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(40).collect();
    format!("'{shown}'")
}

/// The unit that a word names: `DAY`, and with `plural` also `days`.
pub(crate) fn unit(word: &str, plural: bool) -> Option<Unit> {
    let lower = word.to_ascii_lowercase();
    match if plural { lower.strip_suffix('s').unwrap_or(&lower) } else { &lower } {
        "day" => Some(Unit::Day),
        "week" => Some(Unit::Week),
        "month" => Some(Unit::Month),
        "year" => Some(Unit::Year),
        _ => None,
    }
}

/// The unit as SQL spells it.
pub(crate) fn unit_word(unit: Unit) -> &'static str {
    match unit {
        Unit::Day => "DAY",
        Unit::Week => "WEEK",
        Unit::Month => "MONTH",
        Unit::Year => "YEAR",
    }
}

/// The same distance the other way; `None` past the range.
pub(crate) fn turned(interval: Interval) -> Option<Interval> {
    interval.count.checked_neg().map(|count| Interval { count, ..interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_of_the_calendar() {
        let check = |text: &str, good: bool| assert_eq!(date(text).is_ok(), good, "{text}");
        check("2024-02-29", true);
        check("9999-12-31", true);
        for bad in ["2023-02-29", "2023-02-30", "2023-13-01", "0000-01-01", "2023-1-1", "20230101", "2023-01-01 ", ""] {
            check(bad, false);
        }
    }

    #[test]
    fn timestamps_are_local_or_instants() {
        let check = |text: &str, expected: Option<&str>| {
            let read = match timestamp(text) {
                Ok(LiteralValue::LocalTimestamp(moment)) => Some(local_text(moment)),
                Ok(LiteralValue::Instant(second)) => Some(instant_text(second)),
                _ => None,
            };
            assert_eq!(read.as_deref(), expected, "{text}");
        };
        check("2026-11-01 09:00:00", Some("2026-11-01 09:00:00"));
        check("2026-11-01T09:30", Some("2026-11-01 09:30:00"));
        check("2026-11-01", Some("2026-11-01 00:00:00"));
        check("2026-11-01T09:00:00+08:00", Some("2026-11-01T01:00:00Z"));
        check("2026-11-01 09:00:00-0330", Some("2026-11-01T12:30:00Z"));
        check("2026-11-01 09:00+08", Some("2026-11-01T01:00:00Z"));
        check("2026-11-01T09:00:00Z", Some("2026-11-01T09:00:00Z"));
        for bad in [
            "2026-11-31 09:00:00",
            "2026-11-01 24:00:00",
            "2026-11-01 23:59:60",
            "2026-11-01 09:00:00.5",
            "2026-11-01+08:00",
            "0001-01-01 00:00:00+08:00",
            "9999-12-31 23:59:59-15:00",
            "2026-11-01T09:00:00+99:00",
            "2026-11-01T09:00:00+08:00[Asia/Shanghai]",
            "2026-11-01T09:00:0０",
            "now",
            "",
        ] {
            check(bad, None);
        }
    }
}
