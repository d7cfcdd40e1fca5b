//! What people and events have, what it is held against, and how the two compare: exactly, whatever the scales.
//! Knows values; knows no people, no names and no question.

use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::civil::Date;
use queryparser::ast::CompareOp;

use super::people::{Kind, Value};

/// What a clause is held against.
#[derive(Debug, Clone, PartialEq)]
pub enum Held {
    /// Nobody's minimum.
    Null,
    Bool(bool),
    Text(String),
    Date(Date),
    /// Seconds since 1970-01-01T00:00:00Z.
    Instant(i64),
    /// `digits / 10^scale`.
    Decimal(i128, u32),
    /// A mean: `num / den`.
    Mean(i128, i128),
}

/// What a person or an event has. Two of one kind and scale are in the order of their values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Has<'p> {
    OneId(u32),
    Ids(Vec<&'p str>),
    Flag(bool),
    Text(&'p str),
    Set(Vec<&'p str>),
    /// `digits / 10^scale`.
    Number(i128, u32),
    /// A mean: `num / den`.
    Mean(i128, i128),
    Date(Date),
    /// Seconds since 1970-01-01T00:00:00Z.
    Instant(i64),
}

impl<'p> Has<'p> {
    /// A value of a tag or a property.
    pub fn of(value: &'p Value, kind: Kind) -> Has<'p> {
        match (value, kind) {
            (Value::Flag(flag), _) => Has::Flag(*flag),
            (Value::Text(text), _) => Has::Text(text),
            (Value::Set(set), _) => Has::Set(set.iter().map(|v| &**v).collect()),
            (Value::Number(n), Kind::Number(scale)) => Has::Number((*n).into(), scale.into()),
            (Value::Date(date), _) => Has::Date(*date),
            (Value::Number(_), _) => panic!("a number in a tag of another kind"),
        }
    }

    /// None: it cannot be held against null.
    pub fn compares(&self, op: CompareOp, held: &Held) -> Option<bool> {
        let order = match (self, held) {
            (_, Held::Null) => return None,
            (Has::Flag(own), Held::Bool(value)) => return Some(own == value),
            (Has::Text(own), Held::Text(text)) => return Some(own == text),
            (Has::Ids(all) | Has::Set(all), Held::Text(text)) => return Some(all.contains(&text.as_str())),
            (Has::Date(own), Held::Date(date)) => own.cmp(date),
            (Has::Date(own), Held::Text(text)) => own.cmp(&text.parse().unwrap()),
            (Has::OneId(own), Held::Decimal(digits, scale)) => by_value((*own).into(), 0, *digits, *scale),
            (Has::Number(own, own_scale), Held::Decimal(digits, scale)) => by_value(*own, *own_scale, *digits, *scale),
            (Has::Number(own, scale), Held::Mean(num, den)) => (own * den).cmp(&(num * 10i128.pow(*scale))),
            (Has::Number(own, own_scale), Held::Text(text)) => {
                let (digits, scale) = text_number(text);
                by_value(*own, *own_scale, digits, scale)
            }
            (Has::Mean(num, den), Held::Decimal(digits, scale)) => by_division(*num, *den, *digits, *scale),
            (Has::Instant(own), Held::Instant(at)) => own.cmp(at),
            (Has::Instant(own), Held::Text(text)) => own.cmp(&text.parse::<Timestamp>().unwrap().as_second()),
            (_, held) => panic!("held against {held:?}"),
        };
        Some(match op {
            CompareOp::Equal => order == Ordering::Equal,
            CompareOp::NotEqual => order != Ordering::Equal,
            CompareOp::Less => order == Ordering::Less,
            CompareOp::LessOrEqual => order != Ordering::Greater,
            CompareOp::Greater => order == Ordering::Greater,
            CompareOp::GreaterOrEqual => order != Ordering::Less,
        })
    }
}

/// A number in a text: `12.50`; or a month and day, `12-29`, as 1229.
fn text_number(text: &str) -> (i128, u32) {
    if let Some((month, day)) = text.split_once('-').filter(|(month, _)| !month.is_empty()) {
        return (month.parse::<i128>().unwrap() * 100 + day.parse::<i128>().unwrap(), 0);
    }
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    (format!("{whole}{rest}").parse().unwrap(), rest.len() as u32)
}

/// Compares `a / 10^i` with `b / 10^j`: whole parts first, then the digits behind the point as they stand.
fn by_value(a: i128, i: u32, b: i128, j: u32) -> Ordering {
    if i + j <= 18 && a.unsigned_abs() < 1 << 64 && b.unsigned_abs() < 1 << 64 {
        return (a * 10i128.pow(j)).cmp(&(b * 10i128.pow(i)));
    }
    let split = |n: i128, scale: u32| {
        let power = 10i128.pow(scale);
        let rest = n.rem_euclid(power);
        let digits = if scale == 0 { String::new() } else { format!("{rest:0>width$}", width = scale as usize) };
        (n.div_euclid(power), format!("{digits:0<40}"))
    };
    split(a, i).cmp(&split(b, j))
}

/// Compares `num / den` with `digits / 10^scale`: whole parts first, then place by place as in a long division.
fn by_division(num: i128, den: i128, digits: i128, scale: u32) -> Ordering {
    let power = 10i128.pow(scale);
    let mut order = num.div_euclid(den).cmp(&digits.div_euclid(power));
    let (mut rest, mut behind) = (num.rem_euclid(den), digits.rem_euclid(power));
    for place in (0..scale).rev() {
        let unit = 10i128.pow(place);
        rest *= 10;
        order = order.then((rest / den).cmp(&(behind / unit)));
        (rest, behind) = (rest % den, behind % unit);
    }
    // The decimal has ended; the mean may go on.
    order.then(rest.cmp(&0))
}

/// Whether a text matches a pattern with `%` and `_`.
pub fn is_like(text: &str, pattern: &str, escape: Option<char>, fold_case: bool) -> bool {
    let fold = |text: &str| -> Vec<char> {
        if fold_case { text.chars().flat_map(char::to_lowercase).collect() } else { text.chars().collect() }
    };
    let mut tokens = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            let meant = chars.next().expect("an escape has something behind it");
            tokens.extend(fold(&meant.to_string()).into_iter().map(Some));
        } else if c == '%' || c == '_' {
            // Marked apart from their plain selves: None is `_`, and `%` a character that no text has.
            tokens.push(if c == '_' { None } else { Some('\u{10FFFF}') });
        } else {
            tokens.extend(fold(&c.to_string()).into_iter().map(Some));
        }
    }
    matches(&fold(text), &tokens)
}

/// The places of the text that each token can end at; recursion over `%` would take for ever on long texts.
fn matches(text: &[char], pattern: &[Option<char>]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for token in pattern {
        if !reached.contains(&true) {
            return false;
        }
        let mut next = vec![false; text.len() + 1];
        for at in (0..=text.len()).filter(|at| reached[*at]) {
            match token {
                Some('\u{10FFFF}') => {
                    next[at..].fill(true);
                    break;
                }
                Some(c) if text.get(at) == Some(c) => next[at + 1] = true,
                None if at < text.len() => next[at + 1] = true,
                _ => {}
            }
        }
        reached = next;
    }
    reached[text.len()]
}
