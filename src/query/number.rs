//! Exact numbers: what a literal or an average is worth, and which column values lie on which side of it.
//! Knows fractions and fixed-point columns; never rounds.

use std::cmp::Ordering;

use queryparser::ast::{CompareOp, Decimal};
use storage::column::NUMBER_MAX;

use super::cell::Cell;

/// An exact fraction; `den` is positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fraction {
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

/// Sums from `low` to `high`, both included; nothing where `low > high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WideRange {
    /// Least sum.
    pub low: i128,
    /// Greatest sum.
    pub high: i128,
}

impl WideRange {
    /// Whether a sum lies in it.
    pub fn contains(self, sum: i128) -> bool {
        self.low <= sum && sum <= self.high
    }

    /// What lies in both.
    pub fn and(self, other: WideRange) -> WideRange {
        WideRange { low: self.low.max(other.low), high: self.high.min(other.high) }
    }
}

/// Fractions on the right side of one or two others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExactRange {
    low: Option<(Fraction, bool)>,
    high: Option<(Fraction, bool)>,
}

impl ExactRange {
    /// What lies in both; each must leave an end open that the other closes.
    pub(crate) fn and(self, other: ExactRange) -> ExactRange {
        ExactRange { low: self.low.or(other.low), high: self.high.or(other.high) }
    }

    /// Whether a fraction lies in it; `den` is positive.
    pub fn contains(&self, num: i128, den: i128) -> bool {
        let fraction = Fraction { num, den };
        let fits = |bound: Option<(Fraction, bool)>, wanted: Ordering| {
            bound.is_none_or(|(bound, included)| match fraction.compare(bound) {
                Ordering::Equal => included,
                order => order == wanted,
            })
        };
        fits(self.low, Ordering::Greater) && fits(self.high, Ordering::Less)
    }
}

/// Bounds of means in 64 bits: `den * sum - num * count >= least`, and the other way about, as `[den, num, least]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MeanBounds {
    pub(crate) low: [i64; 3],
    pub(crate) high: [i64; 3],
}

impl ExactRange {
    /// The range as bounds of means, if sums of at most `sum` and counts of at most `count` stay within 62 bits by them.
    /// A bound of more digits gives way to the nearest fraction that is the mean of so many whole numbers at all.
    pub(crate) fn mean_bounds(&self, sum: u128, count: u64) -> Option<MeanBounds> {
        let in_62_bits = |bound: Fraction, included: bool| {
            let largest = (bound.den.unsigned_abs().checked_mul(sum)?)
                .max(bound.num.unsigned_abs().checked_mul(u128::from(count))?);
            let parts = (i64::try_from(bound.den).ok()?, i64::try_from(bound.num).ok()?);
            (largest < 1 << 62).then_some([parts.0, parts.1, i64::from(!included)])
        };
        let bound = |bound: Option<(Fraction, bool)>, is_above: bool| {
            let Some((bound, included)) = bound else { return Some([0, 0, 0]) };
            in_62_bits(bound, included).or_else(|| {
                let (below, above) = bound.neighbours(count.max(1).into())?;
                let nearest = if is_above { above } else { below };
                in_62_bits(nearest, included || nearest.compare(bound) != Ordering::Equal)
            })
        };
        Some(MeanBounds { low: bound(self.low, true)?, high: bound(self.high, false)? })
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

    /// The greatest fraction not above it and the least not below whose denominators are at most `den`, which is positive;
    /// `None` where that takes more than 128 bits.
    fn neighbours(self, den: i128) -> Option<(Fraction, Fraction)> {
        let whole = self.num.div_euclid(self.den);
        let (mut below, mut above) = (Fraction::new(whole, 1), Fraction::new(whole.checked_add(1)?, 1));
        // How far it lies from each, times both denominators.
        let from_below = |f: &Fraction| self.num.checked_mul(f.den)?.checked_sub(f.num.checked_mul(self.den)?);
        loop {
            let (to_below, to_above) = (from_below(&below)?, -from_below(&above)?);
            if to_below == 0 {
                return Some((below, below));
            }
            if to_above == 0 {
                return Some((above, above));
            }
            // Between two neighbours lies their mediant and nothing of a lesser denominator; as many steps at once as
            // stay on one side.
            let room = (den - below.den).div_euclid(above.den).min(to_below / to_above);
            if room > 0 {
                below = Fraction::new(below.num + room * above.num, below.den + room * above.den);
                continue;
            }
            let room = (den - above.den).div_euclid(below.den).min(to_above / to_below);
            if room <= 0 {
                return Some((below, above));
            }
            above = Fraction::new(above.num + room * below.num, above.den + room * below.den);
        }
    }

    /// What a column value of a scale is worth.
    pub(crate) fn of_scaled(value: i64, scale: u8) -> Fraction {
        Fraction { num: value.into(), den: power_of_ten(scale) }
    }

    /// As an answer shows it: in full where its digits end, else as near as a double comes.
    pub(crate) fn to_cell(self) -> Cell<'static> {
        let in_full = (0..=18).find_map(|scale| {
            let scaled = self.num.checked_mul(power_of_ten(scale))?;
            (scaled % self.den == 0).then_some(Cell::Decimal(scaled / self.den, scale))
        });
        in_full.unwrap_or(Cell::Float(self.num as f64 / self.den as f64))
    }

    /// As a date: days since 1970-01-01.
    pub(crate) fn to_date(self) -> Cell<'static> {
        Cell::Date(self.floor_scaled(0).0)
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

    /// Whole numbers of 1/10^scale for which `value op self`; `<>` has two sides and is not a range.
    pub(crate) fn wide_range(self, op: CompareOp, scale: u8) -> WideRange {
        let all = WideRange { low: i128::MIN, high: i128::MAX };
        let none = WideRange { low: 1, high: 0 };
        let Some(scaled) = self.num.checked_mul(power_of_ten(scale)) else {
            // No sum is as large: 2^32 values below 2^62.
            let is_above = matches!(op, CompareOp::Less | CompareOp::LessOrEqual) == (self.num > 0);
            let is_equality = matches!(op, CompareOp::Equal | CompareOp::NotEqual);
            return if is_above && !is_equality { all } else { none };
        };
        let (floor, exact) = (scaled.div_euclid(self.den), scaled.rem_euclid(self.den) == 0);
        match op {
            CompareOp::Equal | CompareOp::NotEqual if exact => WideRange { low: floor, high: floor },
            CompareOp::Equal | CompareOp::NotEqual => none,
            CompareOp::Less => WideRange { high: if exact { floor - 1 } else { floor }, ..all },
            CompareOp::LessOrEqual => WideRange { high: floor, ..all },
            CompareOp::Greater => WideRange { low: floor + 1, ..all },
            CompareOp::GreaterOrEqual => WideRange { low: if exact { floor } else { floor + 1 }, ..all },
        }
    }

    /// Fractions in units of 1/10^scale for which `value op self`; `<>` has two sides and is not a range.
    pub(crate) fn exact_range(self, op: CompareOp, scale: u8) -> ExactRange {
        // `value / 10^scale op num / den`: the unit goes to the right, by the smaller of both ways.
        let power = power_of_ten(scale);
        let bound = match self.num.checked_mul(power) {
            Some(num) => Fraction { num, den: self.den },
            None => Fraction { num: self.num, den: (self.den / power).max(1) },
        };
        let (low, high) = match op {
            CompareOp::Equal | CompareOp::NotEqual => (Some((bound, true)), Some((bound, true))),
            CompareOp::Less => (None, Some((bound, false))),
            CompareOp::LessOrEqual => (None, Some((bound, true))),
            CompareOp::Greater => (Some((bound, false)), None),
            CompareOp::GreaterOrEqual => (Some((bound, true)), None),
        };
        ExactRange { low, high }
    }

    /// Compares by cross-multiplication, in 256 bits.
    fn compare(self, other: Fraction) -> Ordering {
        if let [Ok(a), Ok(b), Ok(c), Ok(d)] = [self.num, self.den, other.num, other.den].map(i64::try_from) {
            return (i128::from(a) * i128::from(d)).cmp(&(i128::from(c) * i128::from(b)));
        }
        let sign = |num: i128| num.signum();
        if sign(self.num) != sign(other.num) {
            return sign(self.num).cmp(&sign(other.num));
        }
        let one = wide_product(self.num.unsigned_abs(), other.den.unsigned_abs());
        let two = wide_product(other.num.unsigned_abs(), self.den.unsigned_abs());
        if self.num < 0 { two.cmp(&one) } else { one.cmp(&two) }
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

/// High and low half of a product.
fn wide_product(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (a_high, a_low, b_high, b_low) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let (low, high) = (a_low * b_low, a_high * b_high);
    let (one, two) = (a_high * b_low, a_low * b_high);
    let middle = (low >> 64) + (one & LOW) + (two & LOW);
    (high + (one >> 64) + (two >> 64) + (middle >> 64), middle << 64 | low & LOW)
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
    fn means_are_compared_exactly() {
        let third = Fraction::of_decimal(Decimal::parse("0.333333333333333333333333333333").unwrap());
        // One third, of values with two digits after the point: 100 of 1/100 over 3.
        assert!(third.exact_range(CompareOp::Greater, 2).contains(100, 3));
        assert!(!third.exact_range(CompareOp::Equal, 2).contains(100, 3));
        let half = Fraction::of_decimal(Decimal::parse("-0.5").unwrap());
        let check = |op, wanted: [bool; 3]| {
            let range = half.exact_range(op, 1);
            assert_eq!([(-11, 2), (-10, 2), (-9, 2)].map(|(num, den)| range.contains(num, den)), wanted, "{op:?}");
        };
        check(CompareOp::Less, [true, false, false]);
        check(CompareOp::LessOrEqual, [true, true, false]);
        check(CompareOp::Equal, [false, true, false]);
        check(CompareOp::GreaterOrEqual, [false, true, true]);
        check(CompareOp::Greater, [false, false, true]);
    }

    #[test]
    fn bounds_of_means_say_what_the_range_says() {
        for (literal, scale) in [("-0.5", 1), ("100", 2), ("33.333", 0)] {
            let literal = Fraction::of_decimal(Decimal::parse(literal).unwrap());
            for op in [
                CompareOp::Less,
                CompareOp::LessOrEqual,
                CompareOp::Equal,
                CompareOp::GreaterOrEqual,
                CompareOp::Greater,
            ] {
                let range = literal.exact_range(op, scale);
                let MeanBounds { low, high } = range.mean_bounds(1 << 40, 1 << 20).unwrap();
                for (sum, count) in [(-11, 2), (-10, 2), (-9, 2), (-5, 1), (99, 3), (100, 3), (10_000, 1), (30_001, 3)]
                {
                    let above = low[0] * sum - low[1] * count >= low[2];
                    let below = high[1] * count - high[0] * sum >= high[2];
                    assert_eq!(above && below, range.contains(sum.into(), count.into()), "{sum}/{count} {op:?}");
                }
                assert_eq!(range.mean_bounds(1 << 63, 1), None);
            }
        }
    }

    #[test]
    fn bounds_of_many_digits_are_those_of_the_nearest_means() {
        for literal in ["128.03712345678901", "-7.77777777777777777", "0.5000000000000001", "33.3333333333333333"] {
            let literal = Fraction::of_decimal(Decimal::parse(literal).unwrap());
            for op in [CompareOp::Less, CompareOp::GreaterOrEqual, CompareOp::Greater, CompareOp::LessOrEqual] {
                let range = literal.exact_range(op, 0);
                let MeanBounds { low, high } = range.mean_bounds(1 << 44, 1 << 12).unwrap();
                for count in 1..60 {
                    let near = (literal.num * count).div_euclid(literal.den) as i64;
                    for sum in near - 2..=near + 2 {
                        let above = low[0] * sum - low[1] * count as i64 >= low[2];
                        let below = high[1] * count as i64 - high[0] * sum >= high[2];
                        assert_eq!(above && below, range.contains(sum.into(), count), "{sum}/{count} {op:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn neighbours_are_those_of_all_fractions() {
        for num in -40..40i128 {
            for of in 1..40i128 {
                let fraction = Fraction::new(num, of);
                for most in [1, 2, 3, 7, 12] {
                    let all =
                        || (1..=most).flat_map(|den| (-41 * den..=41 * den).map(move |num| Fraction::new(num, den)));
                    let below = all().filter(|f| f.compare(fraction).is_le()).max_by(|a, b| a.compare(*b)).unwrap();
                    let above = all().filter(|f| f.compare(fraction).is_ge()).min_by(|a, b| a.compare(*b)).unwrap();
                    let (lower, upper) = fraction.neighbours(most).unwrap();
                    assert!(lower.compare(below).is_eq() && upper.compare(above).is_eq(), "{num}/{of} by {most}");
                    assert!(lower.den <= most && upper.den <= most);
                }
            }
        }
    }

    #[test]
    fn sums_go_beyond_what_a_value_can_be() {
        let literal = Fraction::of_decimal(Decimal::parse("9223372036854775808000").unwrap());
        let range = literal.wide_range(CompareOp::GreaterOrEqual, 2);
        let sum = 922_337_203_685_477_580_800_000i128;
        assert!(range.contains(sum) && !range.contains(sum - 1));
        let huge = Fraction::of_decimal(Decimal::parse("1e37").unwrap());
        assert!(huge.wide_range(CompareOp::Less, 9).contains(sum));
        assert!(!huge.wide_range(CompareOp::Greater, 9).contains(sum));
    }

    #[test]
    fn decimals_show_all_digits_of_their_scale() {
        assert_eq!(decimal_text(49_400, 2), "494.00");
        assert_eq!(decimal_text(-5, 2), "-0.05");
        assert_eq!(decimal_text(7, 0), "7");
    }
}
