//! Dates and times as text and as numbers: ISO dates, RFC 3339 times, and what zone they are in.
//! Knows the calendar; knows no column and no file.

use jiff::civil::{Date, DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Seconds of a day without leap.
pub(crate) const DAY_SECONDS: i64 = 86_400;
/// Days since 1970 of 0001-01-01 and 9999-12-31: the dates that text can spell.
const DAY_MIN: i32 = -719_162;
const DAY_MAX: i32 = 2_932_896;

/// The date of a number of days since 1970-01-01; none outside the years 1 to 9999.
pub(crate) fn date_of(days: i32) -> Option<Date> {
    if !(DAY_MIN..=DAY_MAX).contains(&days) {
        return None;
    }
    date(1970, 1, 1).checked_add(SignedDuration::from_secs(i64::from(days) * DAY_SECONDS)).ok()
}

/// Reads `2026-11-01` exactly, without any time after it.
pub(crate) fn parse_plain_date(text: &str) -> Option<i32> {
    let bytes: &[u8; 10] = text.as_bytes().try_into().ok()?;
    let digits = |range: std::ops::Range<usize>| {
        bytes[range].iter().try_fold(0i16, |n, b| b.is_ascii_digit().then(|| n * 10 + i16::from(b - b'0')))
    };
    if bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let date = Date::new(digits(0..4)?, digits(5..7)? as i8, digits(8..10)? as i8).ok()?;
    (date.year() >= 1).then(|| days_of(date))
}

fn days_of(date: Date) -> i32 {
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    let (year, month, day) = (i32::from(date.year()), i32::from(date.month()), i32::from(date.day()));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Reads a date, or the day of a time, in `zone`.
pub(crate) fn parse_date(text: &str, zone: &TimeZone) -> Option<i32> {
    if let Some(days) = parse_plain_date(text) {
        return Some(days);
    }
    match parse_moment(text)? {
        Moment::Absolute(seconds) => day_in_zone(seconds, zone),
        Moment::Civil(civil) => Some(days_of(civil.date())),
    }
}

/// Reads a moment: RFC 3339; without offset, and a mere date's midnight, are in `zone`.
pub(crate) fn parse_instant(text: &str, zone: &TimeZone) -> Option<i64> {
    if let Some(days) = parse_plain_date(text) {
        return midnight_in_zone(days, zone);
    }
    match parse_moment(text)? {
        Moment::Absolute(seconds) => Some(seconds),
        Moment::Civil(civil) => civil_in_zone(civil, zone),
    }
}

/// True for a date with a time of day.
pub(crate) fn is_moment(text: &str) -> bool {
    parse_moment(text).is_some()
}

enum Moment {
    Absolute(i64),
    Civil(DateTime),
}

fn parse_moment(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    // jiff takes more shapes than we promise: a time must follow the date, and no zone name in brackets.
    if bytes.len() < 16 || !matches!(bytes[10], b'T' | b't' | b' ') || text.contains('[') {
        return None;
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(Moment::Absolute(floor_second(timestamp)));
    }
    let has_offset = matches!(bytes[bytes.len() - 1], b'Z' | b'z') || text[11..].contains(['+', '-']);
    if has_offset {
        return None;
    }
    text.parse::<DateTime>().ok().map(Moment::Civil)
}

fn floor_second(timestamp: Timestamp) -> i64 {
    timestamp.as_nanosecond().div_euclid(1_000_000_000) as i64
}

/// The day on which a moment falls in a zone.
pub(crate) fn day_in_zone(seconds: i64, zone: &TimeZone) -> Option<i32> {
    let timestamp = Timestamp::from_second(seconds).ok()?;
    let local = seconds.checked_add(i64::from(zone.to_offset(timestamp).seconds()))?;
    i32::try_from(local.div_euclid(DAY_SECONDS)).ok().filter(|d| (DAY_MIN..=DAY_MAX).contains(d))
}

/// The moment of a day's midnight in a zone.
pub(crate) fn midnight_in_zone(days: i32, zone: &TimeZone) -> Option<i64> {
    civil_in_zone(date_of(days)?.to_datetime(jiff::civil::Time::midnight()), zone)
}

/// The moment of seconds since 1970-01-01T00:00:00 on a clock of the zone.
pub(crate) fn clock_in_zone(clock_seconds: i64, zone: &TimeZone) -> Option<i64> {
    let days = i32::try_from(clock_seconds.div_euclid(DAY_SECONDS)).ok()?;
    let midnight = date_of(days)?.to_datetime(jiff::civil::Time::midnight());
    let civil = midnight.checked_add(SignedDuration::from_secs(clock_seconds.rem_euclid(DAY_SECONDS))).ok()?;
    civil_in_zone(civil, zone)
}

fn civil_in_zone(civil: DateTime, zone: &TimeZone) -> Option<i64> {
    Some(floor_second(zone.to_timestamp(civil).ok()?))
}

/// A day as days since 1970 that text can spell, or none.
pub(crate) fn checked_day(days: i64) -> Option<i32> {
    i32::try_from(days).ok().filter(|d| (DAY_MIN..=DAY_MAX).contains(d))
}

/// Appends `2026-11-01`.
pub(crate) fn write_date(days: i32, out: &mut Vec<u8>) {
    // Howard Hinnant, civil_from_days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i32::from(month <= 2);
    write_digits(year.max(0) as u32, 4, out);
    out.push(b'-');
    write_digits(month as u32, 2, out);
    out.push(b'-');
    write_digits(day as u32, 2, out);
}

/// Appends `2026-11-01T02:30:00Z`.
pub(crate) fn write_instant(seconds: i64, out: &mut Vec<u8>) {
    let days = seconds.div_euclid(DAY_SECONDS).clamp(i64::from(DAY_MIN), i64::from(DAY_MAX));
    let of_day = seconds.rem_euclid(DAY_SECONDS) as u32;
    write_date(days as i32, out);
    for (mark, value) in [(b'T', of_day / 3600), (b':', of_day / 60 % 60), (b':', of_day % 60)] {
        out.push(mark);
        write_digits(value, 2, out);
    }
    out.push(b'Z');
}

/// Appends a number with at least `width` digits.
pub(crate) fn write_digits(value: u32, width: usize, out: &mut Vec<u8>) {
    let mut buffer = [b'0'; 10];
    let mut at = buffer.len();
    let mut rest = value;
    while rest != 0 || buffer.len() - at < width {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&buffer[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shanghai() -> TimeZone {
        TimeZone::get("Asia/Shanghai").unwrap()
    }

    #[test]
    fn dates_are_days_since_1970() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("2026-11-01", 20_758),
            ("0001-01-01", DAY_MIN),
        ] {
            assert_eq!(parse_plain_date(text), Some(days), "{text}");
            assert_eq!(days_of(date_of(days).unwrap()), days);
            let mut written = Vec::new();
            write_date(days, &mut written);
            assert_eq!(String::from_utf8(written).unwrap(), text);
        }
        assert_eq!(parse_plain_date("9999-12-31"), Some(DAY_MAX));
        for bad in ["2025-02-29", "2026-13-01", "2026-1-01", "20261101", "2026/11/01", "", "0000-01-01", "２０26-11-01"]
        {
            assert_eq!(parse_date(bad, &TimeZone::UTC), None, "{bad}");
        }
    }

    #[test]
    fn moments_without_offset_are_in_the_zone() {
        let zone = shanghai();
        for (text, seconds) in [
            ("1970-01-01T08:00:00", 0),
            ("1970-01-01 08:00:00", 0),
            ("1970-01-01T08:00:00+08:00", 0),
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.999Z", 0),
            ("1969-12-31T23:59:59.999Z", -1),
            ("1970-01-01", -28_800),
            ("1970-01-01T08:00", 0),
        ] {
            assert_eq!(parse_instant(text, &zone), Some(seconds), "{text}");
        }
        for bad in ["1970-01-01T", "yesterday", "1970-01-01T25:00:00", "08:00:00", "1970-01-01T08:00:00[Asia/Tokyo]"] {
            assert_eq!(parse_instant(bad, &zone), None, "{bad}");
        }
    }

    #[test]
    fn a_moment_is_a_day_of_the_zone() {
        assert_eq!(parse_date("1970-01-01T20:00:00Z", &shanghai()), Some(1));
        assert_eq!(parse_date("1970-01-01T20:00:00", &shanghai()), Some(0));
        assert_eq!(clock_in_zone(28_800, &shanghai()), Some(0));
    }

    #[test]
    fn instants_are_written_in_utc() {
        let mut written = Vec::new();
        write_instant(20_758 * DAY_SECONDS + 9_045, &mut written);
        assert_eq!(written, b"2026-11-01T02:30:45Z");
    }
}
