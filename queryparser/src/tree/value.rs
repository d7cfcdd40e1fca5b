//! Values of rules: literals, dates, lists, and the aggregates over profiles that a tag is held against.
//!
//! ```text
//!   "Shanghai"  31  true                        {"days_ago": 30}  {"months_ahead": 1}
//!   {"date": "2026-11-01"}                      {"current_date": [{"months_ago": 1}, {"days_ahead": 3}]}
//!   {"timestamp": "2026-11-01 09:00:00"}        {"quantile": 0.8, "of": "spend", "where": {…}}
//!   {"number": "0.1000000000000000055"}         {"aggregate": {"fn": "avg", "of": "spend"}, "where": {…}}
//! ```
//!
//! A string stays a text, also `"2026-11-01"`: what it is held against decides whether it is read as a date.

use serde_json::Value;

use super::field::unknown_aggregate;
use super::{Object, Reader, Spot};
use crate::ast::{Aggregate, Decimal, Interval, Literal, LiteralValue, ProfileAggregate, Scalar, Unit};
use crate::dates;
use crate::diagnostic::{Fault, Outcome};
use crate::nearest::nearest;

/// Relative dates: the unit, and the sign that the number gets.
pub(crate) const RELATIVE: [(&str, Unit, i64); 8] = [
    ("days_ago", Unit::Day, -1),
    ("weeks_ago", Unit::Week, -1),
    ("months_ago", Unit::Month, -1),
    ("years_ago", Unit::Year, -1),
    ("days_ahead", Unit::Day, 1),
    ("weeks_ahead", Unit::Week, 1),
    ("months_ahead", Unit::Month, 1),
    ("years_ahead", Unit::Year, 1),
];

/// Aggregates over profiles, as `aggregate.fn` names them; `quantile` has a shape of its own.
const PROFILE_FUNCTIONS: [&str; 6] = ["count", "count_distinct", "sum", "avg", "min", "max"];

impl Reader<'_> {
    /// What an operand is held against.
    pub(super) fn scalar(&mut self, spot: Spot<'_>) -> Outcome<Scalar> {
        if let Value::Object(map) = spot.value {
            let object = Object { map, node: spot.node };
            if map.contains_key("quantile") {
                return self.quantile(object).map(|aggregate| Scalar::ProfileAggregate(Box::new(aggregate)));
            }
            if map.contains_key("aggregate") {
                return self.profile_aggregate(object).map(|aggregate| Scalar::ProfileAggregate(Box::new(aggregate)));
            }
            if map.contains_key("rules") {
                return Err(Fault::new("missing_key", spot.span(), "a group as the value needs a `match`")
                    .hint("for events, write \"match\": {\"mode\": \"some\"}"));
            }
        }
        self.literal(spot).map(Scalar::Literal)
    }

    fn quantile(&mut self, object: Object<'_>) -> Outcome<ProfileAggregate> {
        self.known_keys(object, "quantile", &["of", "where"])?;
        let share_spot = self.need(object, "quantile")?;
        let share = self.number(share_spot)?;
        if share.digits < 0 || share.digits > 10_i128.pow(u32::from(share.scale)) {
            return Err(Fault::new("bad_number", share_spot.span(), "the share of a quantile is from 0 to 1"));
        }
        let of = self.need(object, "of")?;
        let of = self.name(of, "the name of a tag")?;
        let filter = self.nested(object, "where")?.map(Box::new);
        Ok(ProfileAggregate { aggregate: Aggregate::Quantile(of, share), filter, span: object.span() })
    }

    fn profile_aggregate(&mut self, object: Object<'_>) -> Outcome<ProfileAggregate> {
        self.known_keys(object, "aggregate", &["where"])?;
        let spot = self.need(object, "aggregate")?;
        let (function_spot, function, of) = self.function(spot)?;
        let aggregate = match (function, of) {
            ("count", None) => Aggregate::CountAll,
            ("count", Some(of)) => {
                return Err(Fault::new("wrong_type", of.span, "`count` counts profiles: it takes no `of`"));
            }
            ("count_distinct", Some(of)) => Aggregate::CountDistinct(of),
            ("sum", Some(of)) => Aggregate::Sum(of),
            ("avg", Some(of)) => Aggregate::Avg(of),
            ("min", Some(of)) => Aggregate::Min(of),
            ("max", Some(of)) => Aggregate::Max(of),
            (function, None) if PROFILE_FUNCTIONS.contains(&function) => {
                return Err(Fault::new("missing_key", spot.span(), "`of` is missing: what is aggregated"));
            }
            (function, _) => {
                return Err(unknown_aggregate(function_spot, function, nearest(function, PROFILE_FUNCTIONS)));
            }
        };
        let filter = self.nested(object, "where")?.map(Box::new);
        Ok(ProfileAggregate { aggregate, filter, span: object.span() })
    }

    /// One value.
    pub(super) fn literal(&mut self, spot: Spot<'_>) -> Outcome<Literal> {
        let value = match spot.value {
            Value::Bool(value) => LiteralValue::Bool(*value),
            Value::Number(_) => LiteralValue::Number(self.number(spot)?),
            Value::String(text) => LiteralValue::Text(text.clone()),
            Value::Object(_) => self.object_literal(spot)?,
            Value::Null => return Err(spot.wrong("a value").hint("to ask for the unknown, use the operator `null`")),
            Value::Array(_) => return Err(spot.wrong("one value").hint("for several values, use the operator `in`")),
        };
        Ok(Literal { value, span: spot.span() })
    }

    /// A number, exactly as its shortest text says.
    fn number(&self, spot: Spot<'_>) -> Outcome<Decimal> {
        let Value::Number(number) = spot.value else { return Err(spot.wrong("a number")) };
        if let Some(whole) = number.as_i64() {
            return Ok(Decimal::integer(whole));
        }
        Decimal::parse(&number.to_string()).ok_or_else(|| {
            let message = format!("a number has at most {} digits", Decimal::DIGITS_MAX);
            Fault::new("bad_number", spot.span(), message)
        })
    }

    /// `{"days_ago": 30}` and the other values that are objects.
    fn object_literal(&mut self, spot: Spot<'_>) -> Outcome<LiteralValue> {
        let object = self.object(spot, "a date")?;
        if let Some(date) = self.get(object, "date") {
            self.known_keys(object, "date", &[])?;
            let text = self.string(date, "a date such as \"2026-11-01\"")?;
            let date = dates::date(text).map_err(|message| Fault::new("bad_date", date.span(), message))?;
            return Ok(LiteralValue::Date(date));
        }
        if let Some(timestamp) = self.get(object, "timestamp") {
            self.known_keys(object, "timestamp", &[])?;
            let text = self.string(timestamp, "a timestamp such as \"2026-11-01T09:00:00+08:00\"")?;
            return dates::timestamp(text).map_err(|message| Fault::new("bad_date", timestamp.span(), message));
        }
        if let Some(number) = self.get(object, "number") {
            self.known_keys(object, "number", &[])?;
            let text = self.string(number, "a number such as \"0.10\"")?;
            let bad = || Fault::new("bad_number", number.span(), "this is not a number of at most 38 digits");
            return Decimal::parse(text).map(LiteralValue::Number).ok_or_else(bad);
        }
        if let Some(steps) = self.get(object, "current_date") {
            self.known_keys(object, "current_date", &[])?;
            return self.intervals(steps);
        }
        let interval = self.interval(object)?;
        Ok(LiteralValue::RelativeDate(interval.into_iter().filter(|interval| interval.count != 0).collect()))
    }

    fn intervals(&mut self, steps: Spot<'_>) -> Outcome<LiteralValue> {
        let Value::Array(values) = steps.value else { return Err(steps.wrong("an array of distances")) };
        if values.len() > self.limits.intervals_max {
            let message = format!("more than {} intervals in one date", self.limits.intervals_max);
            return Err(Fault::new("too_many_intervals", steps.span(), message));
        }
        let mut intervals = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let spot = Spot { value, node: self.paths.element(steps.node, index) };
            let object = self.object(spot, "a distance such as {\"days_ago\": 30}")?;
            intervals.extend(self.interval(object)?.filter(|interval| interval.count != 0));
        }
        Ok(LiteralValue::RelativeDate(intervals))
    }

    /// The one relative distance that an object names.
    fn interval(&mut self, object: Object<'_>) -> Outcome<Option<Interval>> {
        let mut found = None;
        for key in object.map.keys() {
            let Some((key, unit, sign)) = RELATIVE.into_iter().find(|(name, ..)| name == key) else {
                let names = RELATIVE.into_iter().map(|(name, ..)| name).chain(["date", "timestamp", "quantile"]);
                return Err(self.unknown_key(object, key).suggest(nearest(key, names)));
            };
            if found.is_some() {
                return Err(Fault::new("wrong_type", object.span(), "a relative date names one distance")
                    .hint("for several, write {\"current_date\": [{\"months_ago\": 1}, {\"days_ahead\": 3}]}"));
            }
            let spot = self.need(object, key)?;
            let count = self.number(spot)?.to_integer().and_then(|n| i32::try_from(n * i128::from(sign)).ok());
            let Some(count) = count else {
                let message = format!("`{key}` takes a whole number, of at most ten digits");
                return Err(Fault::new("bad_interval", spot.span(), message));
            };
            found = Some(Interval { count, unit });
        }
        if found.is_none() {
            return Err(Fault::new("missing_key", object.span(), "expected a value, found an empty object"));
        }
        Ok(found)
    }

    /// The values of `in` and its like: an array, or the component's comma-separated string.
    pub(super) fn list(&mut self, object: Object<'_>) -> Outcome<Vec<Literal>> {
        let spot = self.need(object, "value")?;
        let texts;
        let count = match spot.value {
            Value::Array(values) => values.len(),
            Value::String(text) => {
                texts = comma_separated(text);
                return self.bounded(texts.len(), spot).map(|()| texts_at(texts, spot));
            }
            _ => return Err(spot.wrong("an array of values")),
        };
        self.bounded(count, spot)?;
        let Value::Array(values) = spot.value else { unreachable!("matched above") };
        let mut list = Vec::with_capacity(count);
        for (index, value) in values.iter().enumerate() {
            let element = Spot { value, node: self.paths.element(spot.node, index) };
            list.push(self.literal(element)?);
        }
        Ok(list)
    }

    fn bounded(&self, count: usize, spot: Spot<'_>) -> Outcome<()> {
        if count <= self.limits.list_literals_max {
            return Ok(());
        }
        let message = format!("more than {} values in one list", self.limits.list_literals_max);
        Err(Fault::new("too_many_literals", spot.span(), message).hint("upload so many as a bitmap, or as an audience"))
    }

    /// The two ends of `between`: an array of two, or `"a,b"`.
    pub(super) fn ends(&mut self, object: Object<'_>) -> Outcome<(Scalar, Scalar)> {
        let spot = self.need(object, "value")?;
        let two = || Fault::new("wrong_type", spot.span(), "between takes two values: the lower and the upper end");
        match spot.value {
            Value::Array(values) => {
                let [low, high] = values.as_slice() else { return Err(two()) };
                let low = Spot { value: low, node: self.paths.element(spot.node, 0) };
                let high = Spot { value: high, node: self.paths.element(spot.node, 1) };
                Ok((self.scalar(low)?, self.scalar(high)?))
            }
            Value::String(text) => {
                let mut ends = texts_at(comma_separated(text), spot).into_iter().map(Scalar::Literal);
                match (ends.next(), ends.next(), ends.next()) {
                    (Some(low), Some(high), None) => Ok((low, high)),
                    _ => Err(two()),
                }
            }
            _ => Err(spot.wrong("an array of two values")),
        }
    }
}

/// The component's list in a string: split at commas, blanks around and empty parts left out; `\,` is a comma itself.
fn comma_separated(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let last = parts.last_mut().expect("there is always a part");
        match c {
            '\\' if characters.peek() == Some(&',') => last.extend(characters.next()),
            ',' => parts.push(String::new()),
            _ => last.push(c),
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn texts_at(texts: Vec<String>, spot: Spot<'_>) -> Vec<Literal> {
    texts.into_iter().map(|text| Literal { value: LiteralValue::Text(text), span: spot.span() }).collect()
}
