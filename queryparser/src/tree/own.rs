//! Rules that react-querybuilder has no shape for: audiences, snapshots, bitmaps, earlier states, steps in order,
//! the top N, and stable splits.

use serde_json::Value;

use super::{Object, Reader, Spot};
use crate::ast::{EventFilter, Interval, Literal, LiteralValue, Operand, Predicate, PredicateKind, Top, Unit};
use crate::dates;
use crate::diagnostic::{Fault, Outcome};

impl Reader<'_> {
    /// The rule whose kind is told by the key `kind`.
    pub(super) fn own_rule(&mut self, kind: &'static str, object: Object<'_>) -> Outcome<PredicateKind> {
        let spot = self.need(object, kind)?;
        match kind {
            "audience" => Ok(PredicateKind::InAudience(self.name(spot, "the name of an audience")?)),
            "snapshot" => self.snapshot(object, spot),
            "bitmap" => {
                let text = self.string(spot, "a bitmap in base64")?.to_owned();
                Ok(PredicateKind::InBitmap(Literal { value: LiteralValue::Text(text), span: spot.span() }))
            }
            "was" => self.was(object, spot),
            "followed_by" => self.followed_by(object, spot),
            "top" => self.top(object, spot),
            "among" => {
                let predicate = self.deeper(spot, |reader| reader.predicate(spot))?;
                let everyone = Predicate { kind: PredicateKind::Constant(true), span: spot.span() };
                Ok(PredicateKind::Among(Box::new(predicate.unwrap_or(everyone))))
            }
            "bucket" => self.bucket(object, spot),
            _ => unreachable!("KINDS has no other key"),
        }
    }

    fn snapshot(&mut self, object: Object<'_>, spot: Spot<'_>) -> Outcome<PredicateKind> {
        let audience = self.name(spot, "the name of an audience")?;
        let on = self.need(object, "on")?;
        let on = self.day(on)?;
        if let LiteralValue::Text(text) = &on.value {
            let shown: String = text.chars().take(40).collect();
            let message = format!("'{shown}' is not a date: a date is written like 2026-11-01");
            return Err(Fault::new("bad_date", on.span, message));
        }
        Ok(PredicateKind::InSnapshot { audience, on })
    }

    fn was(&mut self, object: Object<'_>, spot: Spot<'_>) -> Outcome<PredicateKind> {
        let state = self.day(spot)?;
        let rule = self.need(object, "rule")?;
        let span = rule.span();
        let predicate = self.deeper(rule, |reader| reader.predicate(rule))?;
        let everyone = Predicate { kind: PredicateKind::Constant(true), span };
        Ok(PredicateKind::Was { state, predicate: Box::new(predicate.unwrap_or(everyone)) })
    }

    /// A date, also as a plain string; a relative date; or a text that is not shaped like a date.
    fn day(&mut self, spot: Spot<'_>) -> Outcome<Literal> {
        let literal = self.literal(spot)?;
        let span = literal.span;
        match &literal.value {
            LiteralValue::Text(text) if dates::is_date_shaped(text) => {
                let date = dates::date(text).map_err(|message| Fault::new("bad_date", span, message))?;
                Ok(Literal { value: LiteralValue::Date(date), span })
            }
            LiteralValue::Text(_) | LiteralValue::Date(_) | LiteralValue::RelativeDate(_) => Ok(literal),
            _ => Err(spot.wrong("a date")),
        }
    }

    fn followed_by(&mut self, object: Object<'_>, spot: Spot<'_>) -> Outcome<PredicateKind> {
        let Value::Array(values) = spot.value else { return Err(spot.wrong("an array of steps")) };
        if values.len() < 2 {
            return Err(Fault::new("wrong_type", spot.span(), "`followed_by` takes two or more steps"));
        }
        let mut steps = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let step = Spot { value, node: self.paths.element(spot.node, index) };
            if index > 0 {
                self.count_term(step)?;
            }
            steps.push(self.step(step)?);
        }
        let within = match self.get(object, "within") {
            Some(within) => Some(self.within(within)?),
            None => None,
        };
        Ok(PredicateKind::FollowedBy { steps, within })
    }

    fn step(&mut self, spot: Spot<'_>) -> Outcome<EventFilter> {
        let object = self.object(spot, "a step {\"event\", \"where\"}")?;
        self.known_keys(object, "event", &["where"])?;
        let event = self.need(object, "event")?;
        let event = self.name(event, "the name of an event").and_then(|event| self.event(event))?;
        let condition = self.nested(object, "where")?.map(Box::new);
        Ok(EventFilter { event, condition, span: spot.span() })
    }

    fn within(&mut self, spot: Spot<'_>) -> Outcome<Interval> {
        let object = self.object(spot, "a limit such as {\"days\": 14}")?;
        self.known_keys(object, "days", &["weeks"])?;
        let (count, unit) = match (self.get(object, "days"), self.get(object, "weeks")) {
            (Some(days), None) => (days, Unit::Day),
            (None, Some(weeks)) => (weeks, Unit::Week),
            _ => return Err(Fault::new("missing_key", spot.span(), "`within` has either `days` or `weeks`")),
        };
        match self.whole_number(count, i32::MAX as u64, "a number of days or weeks")? as i32 {
            0 => Err(Fault::new("bad_interval", count.span(), "the limit of followed_by is at least one day")),
            n => Ok(Interval { count: n, unit }),
        }
    }

    fn top(&mut self, rule: Object<'_>, spot: Spot<'_>) -> Outcome<PredicateKind> {
        let object = self.object(spot, "an object with `by` and `n`")?;
        self.known_keys(object, "by", &["order", "n", "where"])?;
        let by = self.need(object, "by")?;
        let by = self.name(by, "the name of a tag")?;
        let descending = match self.get(object, "order") {
            None => false,
            Some(order) => match self.string(order, "\"asc\" or \"desc\"")? {
                word if word.eq_ignore_ascii_case("desc") => true,
                word if word.eq_ignore_ascii_case("asc") => false,
                _ => return Err(Fault::new("wrong_type", order.span(), "`order` is \"asc\" or \"desc\"")),
            },
        };
        let n = self.need(object, "n")?;
        let n = self.whole_number(n, u64::MAX, "a number of profiles")?;
        let filter = self.nested(object, "where")?;
        Ok(PredicateKind::Top(Box::new(Top { by, descending, n, filter, span: rule.span() })))
    }

    fn bucket(&mut self, rule: Object<'_>, spot: Spot<'_>) -> Outcome<PredicateKind> {
        let object = self.object(spot, "an object with `salt` and `of`")?;
        self.known_keys(object, "salt", &["of"])?;
        let salt = self.need(object, "salt")?;
        let text = self.string(salt, "a salt")?.to_owned();
        let salt = Literal { value: LiteralValue::Text(text), span: salt.span() };
        let of_spot = self.need(object, "of")?;
        let of = self.whole_number(of_spot, u64::from(u32::MAX), "the number of buckets")? as u32;
        if of == 0 {
            return Err(Fault::new("bad_number", of_spot.span(), "there must be at least one bucket"));
        }
        self.operated(rule, Operand::Bucket { salt, of, span: spot.span() })
    }
}
