//! Cells: the values that answers are made of, and how they are spelled in JSON and CSV.
//! Knows spelling only. Decimals are exact: all digits of their scale, never through a float.

use std::borrow::Cow;

use serde::ser::{Error as _, SerializeSeq};
use serde::{Serialize, Serializer};

use super::bind::date_of;
use super::number::decimal_text;

/// One value of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// Unknown, or nobody's minimum.
    Null,
    /// A flag.
    Bool(bool),
    /// A count or a OneID.
    Int(i64),
    /// `value / 10^scale`.
    Decimal(i128, u8),
    /// An average or a share.
    Float(f64),
    /// A category or identity.
    Text(Cow<'a, str>),
    /// Days since 1970-01-01.
    Date(i64),
    /// A set.
    List(Vec<Cow<'a, str>>),
}

impl Cell<'_> {
    /// The cell on its own.
    pub fn into_owned(self) -> Cell<'static> {
        match self {
            Cell::Null => Cell::Null,
            Cell::Bool(value) => Cell::Bool(value),
            Cell::Int(value) => Cell::Int(value),
            Cell::Decimal(value, scale) => Cell::Decimal(value, scale),
            Cell::Float(value) => Cell::Float(value),
            Cell::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
            Cell::Date(day) => Cell::Date(day),
            Cell::List(texts) => Cell::List(texts.into_iter().map(|t| Cow::Owned(t.into_owned())).collect()),
        }
    }

    /// As a CSV field shows it, before quoting; unknown is empty, a set is joined by `|`.
    pub fn to_csv(&self) -> String {
        match self {
            Cell::Null => String::new(),
            Cell::Bool(value) => value.to_string(),
            Cell::Int(value) => value.to_string(),
            Cell::Decimal(value, scale) => decimal_text(*value, *scale),
            Cell::Float(value) => value.to_string(),
            Cell::Text(text) => text.to_string(),
            Cell::Date(day) => date_of(*day).to_string(),
            Cell::List(texts) => texts.join("|"),
        }
    }

    /// Order for ORDER BY: numbers by value, texts by code point, unknown last whichever way.
    pub fn compare(&self, other: &Cell<'_>, descending: bool) -> std::cmp::Ordering {
        use std::cmp::Ordering;
        let order = match (self, other) {
            (Cell::Null, Cell::Null) => return Ordering::Equal,
            (Cell::Null, _) => return Ordering::Greater,
            (_, Cell::Null) => return Ordering::Less,
            (Cell::Bool(a), Cell::Bool(b)) => a.cmp(b),
            (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
            (Cell::Date(a), Cell::Date(b)) => a.cmp(b),
            (Cell::Decimal(a, s), Cell::Decimal(b, t)) if s == t => a.cmp(b),
            (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
            (a, b) => a.as_f64().total_cmp(&b.as_f64()),
        };
        if descending { order.reverse() } else { order }
    }

    fn as_f64(&self) -> f64 {
        match self {
            Cell::Int(value) => *value as f64,
            Cell::Decimal(value, scale) => *value as f64 / 10f64.powi((*scale).into()),
            Cell::Float(value) => *value,
            _ => 0.0,
        }
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Null => serializer.serialize_unit(),
            Cell::Bool(value) => serializer.serialize_bool(*value),
            Cell::Int(value) => serializer.serialize_i64(*value),
            Cell::Decimal(value, 0) if i64::try_from(*value).is_ok() => serializer.serialize_i64(*value as i64),
            Cell::Decimal(value, scale) => {
                let raw = serde_json::value::RawValue::from_string(decimal_text(*value, *scale));
                raw.map_err(S::Error::custom)?.serialize(serializer)
            }
            Cell::Float(value) => serializer.serialize_f64(*value),
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Date(day) => serializer.collect_str(&date_of(*day)),
            Cell::List(texts) => {
                let mut list = serializer.serialize_seq(Some(texts.len()))?;
                texts.iter().try_for_each(|text| list.serialize_element(text))?;
                list.end()
            }
        }
    }
}
