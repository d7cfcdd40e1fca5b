//! Spelling: numbers, dates and texts appended to bytes, without a text of their own in between.
//! Knows digits and the calendar; what a cell is, is `cell`'s matter. Lists of members are written through here.

/// The calendar's year, month and day of a day since 1970-01-01.
/// After Howard Hinnant's "chrono-compatible low-level date algorithms".
pub(crate) fn civil_of(day: i64) -> (i64, u8, u8) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month as u8, day_of_month as u8)
}

/// Appends a whole number.
pub(crate) fn push_int(value: i128, out: &mut Vec<u8>) {
    push_decimal(value, 0, out);
}

/// Appends `value / 10^scale` with all digits of its scale.
pub(crate) fn push_decimal(value: i128, scale: u8, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    push_digits(value.unsigned_abs(), usize::from(scale) + 1, out);
    if scale > 0 {
        let point = out.len() - usize::from(scale);
        out.insert(point, b'.');
    }
}

/// Appends at least so many digits.
fn push_digits(value: u128, digits_min: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 40];
    let mut at = digits.len();
    // Nearly all fit in 64 bits, whose divisions are an order of magnitude faster.
    let mut wide = value;
    while wide > u128::from(u64::MAX) {
        at -= 1;
        digits[at] = b'0' + (wide % 10) as u8;
        wide /= 10;
    }
    let mut left = wide as u64;
    while left > 0 {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    out.extend_from_slice(&digits[at.min(digits.len() - digits_min)..]);
}

/// Appends a day since 1970-01-01 as year-month-day; false, and nothing, where the year has not four digits.
pub(crate) fn push_date(day: i64, out: &mut Vec<u8>) -> bool {
    /// Days of the years 0 to 9999.
    const DAYS: std::ops::RangeInclusive<i64> = -719_528..=2_932_896;
    if !DAYS.contains(&day) {
        return false;
    }
    let (year, month, day) = civil_of(day);
    push_digits(year.unsigned_abs().into(), 4, out);
    out.push(b'-');
    push_digits(month.into(), 2, out);
    out.push(b'-');
    push_digits(day.into(), 2, out);
    true
}

/// Appends a text as JSON spells it.
pub(crate) fn push_json_text(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    // A text has a spelling, and memory takes all bytes.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spelled(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"before ".to_vec();
        push(&mut out);
        String::from_utf8(out).unwrap().split_off("before ".len())
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for day in (-719_528..2_932_896).step_by(97).chain([-719_528, -1, 0, 1, 2_932_896]) {
            let date = crate::query::bind::date_of(day);
            assert_eq!(civil_of(day), (date.year().into(), date.month() as u8, date.day() as u8), "{day}");
            assert_eq!(spelled(|out| assert!(push_date(day, out))), date.to_string());
        }
        assert!(!push_date(2_932_897, &mut Vec::new()) && !push_date(-719_529, &mut Vec::new()));
    }

    proptest! {
        #[test]
        fn numbers_and_texts_are_spelled_as_everywhere(value in any::<i128>(), small in any::<i64>(), scale in 0u8..18, text in any::<String>()) {
            for value in [value / 100, small.into(), i128::from(small % 1000), 0] {
                prop_assert_eq!(spelled(|out| push_int(value, out)), value.to_string());
                prop_assert_eq!(spelled(|out| push_decimal(value, scale, out)), crate::query::number::decimal_text(value, scale));
            }
            prop_assert_eq!(spelled(|out| push_json_text(&text, out)), serde_json::to_string(&text).unwrap());
        }
    }
}
