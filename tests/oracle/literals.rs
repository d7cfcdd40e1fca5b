//! Literals of random questions: values near those that are there, at them and beside them, in every way of writing them.

use jiff::civil::Date;
use jiff::{SignedDuration, Span as Distance};
use queryparser::ast::{Decimal, Interval, Literal, LiteralValue, Operand, PredicateKind, Span, Unit};

use super::clock::{Zone, clock_shows, day_number};
use super::random::Random;

/// A literal without a place.
pub fn literal(value: LiteralValue) -> Literal {
    Literal { value, span: Span::default() }
}

/// A text.
pub fn text(text: impl Into<String>) -> Literal {
    literal(LiteralValue::Text(text.into()))
}

/// A number.
pub fn number(text: &str) -> Literal {
    literal(LiteralValue::Number(Decimal::parse(text).unwrap()))
}

/// A number at a value or beside it, in units of a scale.
pub fn number_near(random: &mut Random, near: i128, scale: u32) -> Literal {
    number(&digits_near(random, near, scale))
}

/// As [`number_near`], not yet read.
pub fn digits_near(random: &mut Random, near: i128, scale: u32) -> String {
    let near = near + i128::from(random.within(-1, 1) * random.within(0, 2));
    let mut written = Decimal { digits: near, scale: scale as u8 }.to_string();
    if random.percent(15) {
        // Between two values of the column.
        written.push_str(if scale == 0 { "." } else { "" });
        written.push_str(random.word(&["5", "001", "999", "0"]));
    }
    if random.percent(4) {
        let far = ["1e30", "-1e30", "0", "99999999999999999999999999999999999999", "0.00000000000000000000001"];
        written = random.word(&far).to_string();
    }
    written
}

/// The day as random relative dates count from.
pub const USUAL_DAY: Date = jiff::civil::date(2026, 1, 31);

/// A date at a day or beside it; or one that is relative to the day of the question.
pub fn date_near(random: &mut Random, near: Date) -> Literal {
    let near =
        near.checked_add(Distance::new().days(random.within(-1, 1))).ok().filter(|d| d.year() > 0).unwrap_or(near);
    match random.below(12) {
        0..=4 => literal(LiteralValue::Date(near)),
        5 => text(near.to_string()),
        6 | 7 => {
            let count = (day_number(near) - day_number(USUAL_DAY)) as i32;
            // A longer one could leave the calendar from another day.
            let fits = count != 0 && count.abs() < 400_000;
            let days = fits.then_some(Interval { count, unit: Unit::Day });
            literal(LiteralValue::RelativeDate(days.into_iter().collect()))
        }
        _ => {
            let steps = (0..random.below(3)).map(|_| {
                let unit = *random.pick(&[Unit::Day, Unit::Week, Unit::Month, Unit::Year]);
                let most = if unit == Unit::Year { 40 } else { 100 };
                let count = random.within(1, most) as i32;
                Interval { count: if random.percent(80) { -count } else { count }, unit }
            });
            literal(LiteralValue::RelativeDate(steps.collect()))
        }
    }
}

/// A moment at a time or beside it: with an offset, as the clocks of the zone show it, or as a text.
pub fn moment_near(random: &mut Random, zone: &Zone, near: i64) -> Literal {
    let beside = [0, 0, 0, 1, -1, 60, 3600, -3600, 86_400, -86_400];
    let at = near + *random.pick(&beside);
    match random.below(5) {
        0 | 1 => literal(LiteralValue::Instant(at)),
        2 | 3 => literal(LiteralValue::LocalTimestamp(zone.shows(at))),
        _ => {
            let hours = random.within(-11, 13);
            let shown = clock_shows(at).checked_add(SignedDuration::from_hours(hours)).unwrap();
            let sign = if hours < 0 { '-' } else { '+' };
            text(if hours == 0 { format!("{shown}Z") } else { format!("{shown}{sign}{:02}:00", hours.abs()) })
        }
    }
}

/// A pattern that is like a sample, more or less.
pub fn like(random: &mut Random, operand: Operand, sample: &str) -> PredicateKind {
    let escape = *random.pick(&[Some('\\'), Some('\\'), Some('\\'), Some('!'), None, Some('a')]);
    let mut pattern = String::new();
    for c in sample.chars().take(20) {
        match random.below(10) {
            0 => pattern.push('%'),
            1 => pattern.push('_'),
            2 => {}
            _ if Some(c) == escape || c == '%' || c == '_' => {
                pattern.extend(escape.filter(|_| Some(c) == escape || random.percent(70)));
                pattern.push(c);
            }
            _ if random.percent(5) => pattern.extend(c.to_uppercase()),
            _ => pattern.push(c),
        }
    }
    let (before, after) = (random.percent(40), random.percent(40));
    let mut pattern = format!("{}{pattern}{}", if before { "%" } else { "" }, if after { "%" } else { "" });
    if dangles(&pattern, escape) {
        pattern.push('_');
    }
    let (negated, fold_case) = (random.percent(35), random.percent(35));
    PredicateKind::Like { operand, negated, fold_case, pattern: text(pattern), escape }
}

/// Whether a pattern ends with an escape that escapes nothing.
fn dangles(pattern: &str, escape: Option<char>) -> bool {
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape && chars.next().is_none() {
            return true;
        }
    }
    false
}
