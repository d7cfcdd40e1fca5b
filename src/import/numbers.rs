//! Decimal text to fixed-point `i64` and back, exactly: no float on the way.
//! Knows digits; knows no column and no file.
//!
//! ```text
//!   text = [+-] digits [. digits] [e [+-] digits]        value = integer / 10^scale
//! ```

/// Why a text is not a number of a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberMisfit {
    /// It is no decimal number.
    NotNumber,
    /// It has more digits after the point than the scale, and not all of them are zero.
    TooPrecise,
    /// It does not fit 64 bits.
    TooLarge,
}

/// Digits that are looked at before a number counts as too large.
const DIGITS_MAX: usize = 400;

/// The value of a decimal text, in units of `10^-scale`.
pub(crate) fn parse_decimal(text: &[u8], scale: u8) -> Result<i64, NumberMisfit> {
    let parts = split(text)?;
    if parts.integer.len() + parts.fraction.len() > DIGITS_MAX {
        return Err(NumberMisfit::TooLarge);
    }
    // The value is digits × 10^shift in units of the scale.
    let shift = i64::from(scale) - parts.fraction.len() as i64 + parts.exponent;
    let digits = parts.integer.iter().chain(parts.fraction).copied();
    let count = (parts.integer.len() + parts.fraction.len()) as i64;
    let kept = (count + shift.min(0)).max(0) as usize;
    let mut value: i64 = 0;
    for (at, digit) in digits.enumerate() {
        let digit = i64::from(digit - b'0');
        if at >= kept {
            if digit != 0 {
                return Err(NumberMisfit::TooPrecise);
            }
            continue;
        }
        // Built below zero, where i64 reaches one further.
        value = value.checked_mul(10).and_then(|v| v.checked_sub(digit)).ok_or(NumberMisfit::TooLarge)?;
    }
    if value != 0 {
        for _ in 0..shift.max(0) {
            value = value.checked_mul(10).ok_or(NumberMisfit::TooLarge)?;
        }
    }
    if parts.negative { Ok(value) } else { value.checked_neg().ok_or(NumberMisfit::TooLarge) }
}

/// Digits after the point that a decimal text needs, trailing zeros not counted; none where it is no number.
pub(crate) fn scale_needed(text: &[u8]) -> Option<u32> {
    let parts = split(text).ok()?;
    let zeros = parts.fraction.iter().rev().take_while(|d| **d == b'0').count();
    let needed = (parts.fraction.len() - zeros) as i64 - parts.exponent;
    Some(needed.clamp(0, i64::from(u32::MAX)) as u32)
}

struct Parts<'a> {
    negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

fn split(text: &[u8]) -> Result<Parts<'_>, NumberMisfit> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (integer, rest) = digits(rest);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => digits(rest),
        _ => (&rest[..0], rest),
    };
    if integer.is_empty() && fraction.is_empty() {
        return Err(NumberMisfit::NotNumber);
    }
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', rest @ ..] => parse_exponent(rest)?,
        _ => return Err(NumberMisfit::NotNumber),
    };
    Ok(Parts { negative, integer, fraction, exponent })
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|b| b.is_ascii_digit()).count())
}

fn parse_exponent(text: &[u8]) -> Result<i64, NumberMisfit> {
    let text = std::str::from_utf8(text).map_err(|_| NumberMisfit::NotNumber)?;
    let value: i64 = text.parse().map_err(|_| NumberMisfit::NotNumber)?;
    // Beyond this every non-zero number is too large or too precise anyway.
    Ok(value.clamp(-1_000, 1_000))
}

/// The value of a float's shortest decimal text, in units of `10^-scale`.
pub(crate) fn from_f64(value: f64, scale: u8) -> Result<i64, NumberMisfit> {
    let unit = POWERS[usize::from(scale)] as f64;
    let scaled = (value * unit).round();
    // Up to 15 digits every decimal is the shortest text of its own float, so a hit here is that text.
    if scaled.abs() < 1e15 && scaled / unit == value {
        return Ok(scaled as i64);
    }
    from_float_text(&value.to_string(), scale)
}

/// As [`from_f64`], of a single-precision float.
pub(crate) fn from_f32(value: f32, scale: u8) -> Result<i64, NumberMisfit> {
    from_float_text(&value.to_string(), scale)
}

fn from_float_text(text: &str, scale: u8) -> Result<i64, NumberMisfit> {
    parse_decimal(text.as_bytes(), scale)
}

/// Powers of ten that fit 64 bits.
pub(crate) const POWERS: [i64; 19] = {
    let mut powers = [1; 19];
    let mut at = 1;
    while at < 19 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// An integer of `from` digits after the point as one of `to`.
pub(crate) fn rescale(value: i128, from: i32, to: u8) -> Result<i64, NumberMisfit> {
    let shift = i32::from(to) - from;
    let power = 10i128.checked_pow(shift.unsigned_abs());
    let scaled = match (power, shift >= 0) {
        _ if value == 0 => 0,
        (Some(power), true) => value.checked_mul(power).ok_or(NumberMisfit::TooLarge)?,
        (Some(power), false) if value % power == 0 => value / power,
        (None, true) => return Err(NumberMisfit::TooLarge),
        _ => return Err(NumberMisfit::TooPrecise),
    };
    i64::try_from(scaled).map_err(|_| NumberMisfit::TooLarge)
}

/// Appends the decimal text of `value / 10^scale`, with all its digits after the point.
pub(crate) fn write_decimal(value: i64, scale: u8, out: &mut Vec<u8>) {
    let mut buffer = [b'0'; 24];
    let mut at = buffer.len();
    let mut rest = value.unsigned_abs();
    let mut written = 0;
    while rest != 0 || written <= usize::from(scale) {
        if written == usize::from(scale) && scale != 0 {
            at -= 1;
            buffer[at] = b'.';
        }
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        written += 1;
    }
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    out.extend_from_slice(&buffer[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, scale: u8, expected: Result<i64, NumberMisfit>) {
        assert_eq!(parse_decimal(text.as_bytes(), scale), expected, "{text} at scale {scale}");
    }

    #[test]
    fn decimals_are_read_exactly() {
        use NumberMisfit::{NotNumber, TooLarge, TooPrecise};
        check("12.50", 2, Ok(1250));
        check("12.5", 2, Ok(1250));
        check("12", 2, Ok(1200));
        check("12.500", 2, Ok(1250));
        check("12.505", 2, Err(TooPrecise));
        check("-0.01", 2, Ok(-1));
        check("+3", 0, Ok(3));
        check(".5", 1, Ok(5));
        check("5.", 1, Ok(50));
        check("1e3", 0, Ok(1000));
        check("1.25E1", 1, Ok(125));
        check("125e-2", 2, Ok(125));
        check("125e-3", 2, Err(TooPrecise));
        check("0e999", 2, Ok(0));
        check("0.000000000000000000000", 2, Ok(0));
        check("1e-999", 2, Err(TooPrecise));
        check("1e999", 2, Err(TooLarge));
        check("9223372036854775807", 0, Ok(i64::MAX));
        check("-9223372036854775808", 0, Ok(i64::MIN));
        check("9223372036854775808", 0, Err(TooLarge));
        check("92233720368547758.07", 2, Ok(i64::MAX));
        check("00012", 0, Ok(12));
        for bad in ["", "-", ".", "e5", "1e", "1e+", "0x10", "1 2", "1,000", "NaN", "inf", "--1", "1.2.3"] {
            check(bad, 2, Err(NotNumber));
        }
    }

    #[test]
    fn floats_go_by_their_shortest_text() {
        for (value, scale, expected) in [
            (0.1 + 0.2, 2, Err(NumberMisfit::TooPrecise)),
            (12.5, 2, Ok(1250)),
            (-0.07, 2, Ok(-7)),
            (1e15, 2, Ok(100_000_000_000_000_000)),
            (f64::NAN, 2, Err(NumberMisfit::NotNumber)),
            (f64::INFINITY, 2, Err(NumberMisfit::NotNumber)),
            (1e300, 0, Err(NumberMisfit::TooLarge)),
        ] {
            assert_eq!(from_f64(value, scale), expected, "{value}");
        }
        assert_eq!(from_f32(0.1, 1), Ok(1));
    }

    #[test]
    fn every_text_written_reads_back() {
        for value in [0, 1, -1, 9, 10, 99, 100, -100, 12_345, i64::MAX, i64::MIN] {
            for scale in 0..=9 {
                let mut text = Vec::new();
                write_decimal(value, scale, &mut text);
                assert_eq!(parse_decimal(&text, scale), Ok(value), "{}", String::from_utf8_lossy(&text));
            }
        }
    }

    #[test]
    fn rescaling_loses_nothing() {
        assert_eq!(rescale(125, 1, 2), Ok(1250));
        assert_eq!(rescale(1250, 3, 2), Ok(125));
        assert_eq!(rescale(1255, 3, 2), Err(NumberMisfit::TooPrecise));
        assert_eq!(rescale(0, -500, 2), Ok(0));
        assert_eq!(rescale(i128::MAX, 0, 2), Err(NumberMisfit::TooLarge));
        assert_eq!(rescale(7, -2, 0), Ok(700));
    }

    #[test]
    fn scale_needed_ignores_trailing_zeros() {
        for (text, needed) in [("12", 0), ("12.50", 1), ("1.250e1", 1), ("1e-9", 9), ("3.0", 0)] {
            assert_eq!(scale_needed(text.as_bytes()), Some(needed), "{text}");
        }
        assert_eq!(scale_needed(b"abc"), None);
    }
}
