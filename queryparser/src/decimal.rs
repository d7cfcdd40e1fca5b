//! Exact decimal numbers: what a literal says, digit for digit. No rounding anywhere: what does not fit is refused.

use std::fmt;

use crate::ast::Decimal;

impl Decimal {
    /// Digits that a number may have, before and after the point together.
    pub const DIGITS_MAX: u32 = 38;

    /// A whole number.
    pub fn integer(value: i64) -> Decimal {
        Decimal { digits: i128::from(value), scale: 0 }
    }

    /// The whole number that it is, if it is one.
    pub fn to_integer(self) -> Option<i128> {
        (self.scale == 0).then_some(self.digits)
    }

    /// Reads `[+|-] digits [. digits] [e [+|-] digits]`, at least one digit before or after the point.
    /// `None` if `text` is something else, or has more than [`Decimal::DIGITS_MAX`] digits.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() == 0 {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let mut digits: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            digits = digits.checked_mul(10)?.checked_add(digit)?;
        }
        let scale = i64::try_from(fraction.len()).ok()? - i64::from(exponent);
        Decimal::normal(if negative { -digits } else { digits }, scale)
    }

    /// `digits / 10^scale` without trailing zeros after the point, if it fits.
    fn normal(mut digits: i128, mut scale: i64) -> Option<Decimal> {
        if digits == 0 {
            return Some(Decimal { digits: 0, scale: 0 });
        }
        if scale < 0 {
            digits = digits.checked_mul(10_i128.checked_pow(u32::try_from(-scale).ok()?)?)?;
            scale = 0;
        }
        while scale > 0 && digits % 10 == 0 {
            digits /= 10;
            scale -= 1;
        }
        let fits = digits.unsigned_abs() < 10_u128.pow(Decimal::DIGITS_MAX) && scale <= i64::from(Decimal::DIGITS_MAX);
        let scale = u8::try_from(scale).ok()?;
        fits.then_some(Decimal { digits, scale })
    }
}

/// The exponent; beyond any use it is merely large.
fn exponent(text: &str) -> Option<i32> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let size = unsigned.parse::<i32>().unwrap_or(1_000_000).min(1_000_000);
    Some(if text.starts_with('-') { -size } else { size })
}

impl fmt::Display for Decimal {
    /// Plain digits, never an exponent: `-0.05`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = self.digits.unsigned_abs().to_string();
        let scale = usize::from(self.scale);
        if scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        let check = |text: &str, expected: Option<&str>| {
            let printed = Decimal::parse(text).map(|number| number.to_string());
            assert_eq!(printed.as_deref(), expected, "{text}");
        };
        check("31", Some("31"));
        check("-5.250", Some("-5.25"));
        check("10.00", Some("10"));
        check(".5", Some("0.5"));
        check("007", Some("7"));
        check("-0.0", Some("0"));
        check("1e3", Some("1000"));
        check("1.5E-3", Some("0.0015"));
        check("1200e-2", Some("12"));
        check("0e999999999999", Some("0"));
        check("99999999999999999999999999999999999999", Some("99999999999999999999999999999999999999"));
        check("1000000000000000000000000000000000000000", None);
        check("1e38", None);
        check("1e-38", Some("0.00000000000000000000000000000000000001"));
        check("1e-39", None);
        check("1e999999999999", None);
        for nonsense in ["", "-", ".", "e5", "1e", "1e+", "1.2.3", "٣", "1_000", "+-1"] {
            check(nonsense, None);
        }
    }
}
