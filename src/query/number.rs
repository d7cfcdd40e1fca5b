//! Exact numbers: what a literal or an average is worth, and which column values lie on which side of it.
//! Knows fractions and fixed-point columns; never rounds.

use queryparser::ast::{CompareOp, Decimal};
use storage::column::NUMBER_MAX;

/// An exact fraction; `den` is positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fraction {
    num: i128,
    den: i128,
}

/// Values of a column from `low` to `high`, both included; nothing where `low > high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Range {
    /// Least value.
    pub low: i64,
    /// Greatest value.
    pub high: i64,
}

impl Range {
    /// Every known value.
    pub const ALL: Range = Range { low: i64::MIN, high: i64::MAX };
    /// No value.
    pub const NONE: Range = Range { low: 1, high: 0 };

    /// Whether no value lies in it.
    pub fn is_empty(self) -> bool {
        self.low > self.high
    }

    /// Whether a value lies in it.
    pub fn contains(self, value: i64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// Ten to the power of a scale.
pub(crate) fn power_of_ten(scale: u8) -> i128 {
    10i128.pow(scale.into())
}

impl Fraction {
    /// `num / den`; `den` must be positive.
    pub(crate) fn new(num: i128, den: i128) -> Fraction {
        assert!(den > 0, "a fraction's denominator is positive");
        Fraction { num, den }
    }

    /// What a column value of a scale is worth.
    pub(crate) fn of_scaled(value: i64, scale: u8) -> Fraction {
        Fraction { num: value.into(), den: power_of_ten(scale) }
    }

    /// What a literal is worth.
    pub(crate) fn of_decimal(decimal: Decimal) -> Fraction {
        // Digits beyond what a column can hold only matter by their side: 38 digits are far outside of ±2^62.
        let scale = decimal.scale.min(37);
        Fraction { num: decimal.digits, den: power_of_ten(scale) }
    }

    /// Greatest whole number of 1/10^scale not above it, and whether it is equal; saturates outside of columns.
    fn floor_scaled(self, scale: u8) -> (i64, bool) {
        match self.num.checked_mul(power_of_ten(scale)) {
            Some(scaled) => {
                let floor = scaled.div_euclid(self.den);
                let bound = i128::from(NUMBER_MAX) + 1;
                match floor {
                    f if f > bound => (NUMBER_MAX + 1, false),
                    f if f < -bound => (-NUMBER_MAX - 2, false),
                    f => (f as i64, scaled.rem_euclid(self.den) == 0),
                }
            }
            None if self.num > 0 => (NUMBER_MAX + 1, false),
            None => (-NUMBER_MAX - 2, false),
        }
    }

    /// Whether `value op self` for a mean, which is a double already.
    pub(crate) fn compare_f64(self, value: f64, op: CompareOp) -> bool {
        let own = self.num as f64 / self.den as f64;
        match op {
            CompareOp::Equal => value == own,
            CompareOp::NotEqual => value != own,
            CompareOp::Less => value < own,
            CompareOp::LessOrEqual => value <= own,
            CompareOp::Greater => value > own,
            CompareOp::GreaterOrEqual => value >= own,
        }
    }

    /// Column values of a scale for which `value op self`; `<>` has two sides and is not a range.
    pub(crate) fn range(self, op: CompareOp, scale: u8) -> Range {
        let (floor, exact) = self.floor_scaled(scale);
        match op {
            CompareOp::Equal | CompareOp::NotEqual if exact => Range { low: floor, high: floor },
            CompareOp::Equal | CompareOp::NotEqual => Range::NONE,
            CompareOp::Less => Range { high: if exact { floor - 1 } else { floor }, ..Range::ALL },
            CompareOp::LessOrEqual => Range { high: floor, ..Range::ALL },
            CompareOp::Greater => Range { low: floor + 1, ..Range::ALL },
            CompareOp::GreaterOrEqual => Range { low: if exact { floor } else { floor + 1 }, ..Range::ALL },
        }
    }
}

/// A fixed-point value as text: all digits of its scale.
pub fn decimal_text(value: i128, scale: u8) -> String {
    if scale == 0 {
        return value.to_string();
    }
    let power = power_of_ten(scale).unsigned_abs();
    let (whole, rest) = (value.unsigned_abs() / power, value.unsigned_abs() % power);
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{whole}.{rest:0width$}", width = usize::from(scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(literal: &str, scale: u8, op: CompareOp, wanted: (Option<i64>, Option<i64>)) {
        let range = Fraction::of_decimal(Decimal::parse(literal).unwrap()).range(op, scale);
        let wanted = Range { low: wanted.0.unwrap_or(i64::MIN), high: wanted.1.unwrap_or(i64::MAX) };
        assert_eq!(range, wanted, "{op:?} {literal} at scale {scale}");
    }

    #[test]
    fn a_finer_literal_falls_between_two_values() {
        check("493.999", 2, CompareOp::Greater, (Some(49_400), None));
        check("493.999", 2, CompareOp::GreaterOrEqual, (Some(49_400), None));
        check("493.999", 2, CompareOp::Less, (None, Some(49_399)));
        check("-0.5", 0, CompareOp::Less, (None, Some(-1)));
        check("-0.5", 0, CompareOp::GreaterOrEqual, (Some(0), None));
        check("10.00", 0, CompareOp::Equal, (Some(10), Some(10)));
        check("10", 2, CompareOp::Less, (None, Some(999)));
        assert!(Fraction::of_decimal(Decimal::parse("2.5").unwrap()).range(CompareOp::Equal, 0).is_empty());
    }

    #[test]
    fn a_literal_beyond_all_values_has_everyone_on_one_side() {
        let huge = Fraction::of_decimal(Decimal::parse("1e30").unwrap());
        assert!(huge.range(CompareOp::Less, 9).contains(NUMBER_MAX));
        assert!(!huge.range(CompareOp::Greater, 0).contains(NUMBER_MAX));
        let tiny = Fraction::of_decimal(Decimal::parse("-1e30").unwrap());
        assert!(tiny.range(CompareOp::GreaterOrEqual, 9).contains(-NUMBER_MAX));
        assert!(!tiny.range(CompareOp::Less, 0).contains(-NUMBER_MAX));
    }

    #[test]
    fn decimals_show_all_digits_of_their_scale() {
        assert_eq!(decimal_text(49_400, 2), "494.00");
        assert_eq!(decimal_text(-5, 2), "-0.05");
        assert_eq!(decimal_text(7, 0), "7");
    }
}
