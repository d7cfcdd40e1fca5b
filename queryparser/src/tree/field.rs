//! Rules with a `field` and an `operator`: tags, parts of dates, events with a match mode, aggregates of events.

use super::{Object, Reader, Spot};
use crate::ast::{
    CompareOp, Decimal, EventAggregate, EventFilter, EventFunction, Literal, LiteralValue, Name, Operand, Predicate,
    PredicateKind, Scalar, Span,
};
use crate::diagnostic::{Fault, Outcome};
use crate::nearest::nearest;
use crate::predicates;
use crate::words::PROFILES;

/// The operators, react-querybuilder's and our own.
const OPERATORS: [&str; 24] = [
    "=",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "in",
    "notIn",
    "between",
    "notBetween",
    "null",
    "notNull",
    "contains",
    "beginsWith",
    "endsWith",
    "doesNotContain",
    "doesNotBeginWith",
    "doesNotEndWith",
    "hasAll",
    "hasNone",
    "like",
    "notLike",
    "ilike",
    "notIlike",
];

/// The match modes of events.
const MODES: [&str; 6] = ["some", "none", "all", "atLeast", "atMost", "exactly"];

/// Aggregates of events, as `aggregate.fn` names them.
pub(crate) const EVENT_FUNCTIONS: [(&str, EventFunction); 8] = [
    ("count", EventFunction::Count),
    ("sum", EventFunction::Sum),
    ("avg", EventFunction::Avg),
    ("min", EventFunction::Min),
    ("max", EventFunction::Max),
    ("count_distinct", EventFunction::CountDistinct),
    ("first", EventFunction::First),
    ("last", EventFunction::Last),
];

impl Reader<'_> {
    pub(super) fn field_rule(&mut self, object: Object<'_>) -> Outcome<PredicateKind> {
        let field = self.need(object, "field")?;
        let name = self.name(field, "the name of a tag or an event")?;
        if let Some(matching) = self.get(object, "match") {
            return self.matched(object, name, matching);
        }
        let operand = if let Some(aggregate) = self.get(object, "aggregate") {
            self.event_aggregate(object, name, aggregate)?
        } else if let Some(condition) = self.get(object, "where") {
            return Err(Fault::new("unknown_key", condition.span(), "`where` goes with `aggregate`")
                .hint("with `match`, the condition is the `value`"));
        } else if let Some(part) = self.get(object, "part") {
            match self.string(part, "\"month_day\"")? {
                "month_day" => Operand::MonthDay(name),
                _ => return Err(Fault::new("unknown_part", part.span(), "the part of a date is \"month_day\"")),
            }
        } else {
            Operand::Name(name)
        };
        self.operated(object, operand)
    }

    /// `operand operator value`, for every kind of operand.
    pub(super) fn operated(&mut self, object: Object<'_>, operand: Operand) -> Outcome<PredicateKind> {
        let spot = self.need(object, "operator")?;
        let operator = self.string(spot, "an operator")?;
        let op = match operator {
            "=" => CompareOp::Equal,
            "!=" => CompareOp::NotEqual,
            "<" => CompareOp::Less,
            "<=" => CompareOp::LessOrEqual,
            ">" => CompareOp::Greater,
            ">=" => CompareOp::GreaterOrEqual,
            "in" | "notIn" => {
                let list = self.list(object)?;
                return Ok(PredicateKind::In { operand, negated: operator == "notIn", list });
            }
            "between" | "notBetween" => {
                let (low, high) = self.ends(object)?;
                return Ok(PredicateKind::Between { operand, negated: operator == "notBetween", low, high });
            }
            "null" | "notNull" => return Ok(PredicateKind::IsNull { operand, negated: operator == "notNull" }),
            "hasAll" | "hasNone" => return self.has(object, operand, operator, spot),
            _ => return self.like(object, operand, operator, spot),
        };
        let value = self.need(object, "value")?;
        let scalar = self.scalar(value)?;
        Ok(predicates::compared(operand, op, scalar))
    }

    fn has(&mut self, object: Object<'_>, operand: Operand, operator: &str, spot: Spot<'_>) -> Outcome<PredicateKind> {
        let Operand::Name(tag) = operand else {
            return Err(Fault::new("wrong_type", spot.span(), format!("`{operator}` is for set tags")));
        };
        let list = self.list(object)?;
        if list.is_empty() {
            let value = self.need(object, "value")?;
            return Err(Fault::new("wrong_type", value.span(), format!("`{operator}` needs at least one value")));
        }
        Ok(if operator == "hasAll" {
            PredicateKind::HasAll { tag, list }
        } else {
            PredicateKind::HasNone { tag, list }
        })
    }

    /// The operators on texts: patterns, and `contains` and its like, whose value stands for itself.
    fn like(&mut self, object: Object<'_>, operand: Operand, operator: &str, spot: Spot<'_>) -> Outcome<PredicateKind> {
        let (negated, before, after) = match operator {
            "contains" => (false, "%", "%"),
            "beginsWith" => (false, "", "%"),
            "endsWith" => (false, "%", ""),
            "doesNotContain" => (true, "%", "%"),
            "doesNotBeginWith" => (true, "", "%"),
            "doesNotEndWith" => (true, "%", ""),
            "like" | "ilike" => (false, "", ""),
            "notLike" | "notIlike" => (true, "", ""),
            _ => {
                let shown: String = operator.chars().take(60).collect();
                let fault = Fault::new("unknown_operator", spot.span(), format!("there is no operator `{shown}`"));
                let symbol = !operator.contains(char::is_alphabetic);
                return Err(match operator {
                    "==" | "is" => fault.suggest(Some("=")),
                    "<>" | "!==" => fault.suggest(Some("!=")),
                    _ if symbol => fault,
                    _ => fault.suggest(nearest(operator, OPERATORS)),
                });
            }
        };
        let value = self.need(object, "value")?;
        let text = self.string(value, "a text")?;
        let span = value.span();
        let fold_case = matches!(operator, "ilike" | "notIlike");
        if before.is_empty() && after.is_empty() {
            let escape = self.escape(object)?;
            let pattern = Literal { value: LiteralValue::Text(text.to_owned()), span };
            return Ok(PredicateKind::Like { operand, negated, fold_case, pattern, escape });
        }
        let pattern = Literal { value: LiteralValue::Text(format!("{before}{}{after}", escaped(text))), span };
        Ok(PredicateKind::Like { operand, negated, fold_case, pattern, escape: Some('\\') })
    }

    fn escape(&mut self, object: Object<'_>) -> Outcome<Option<char>> {
        let Some(spot) = self.get(object, "escape") else { return Ok(Some('\\')) };
        let mut characters = self.string(spot, "one character, or none")?.chars();
        let escape = characters.next();
        match characters.next() {
            None => Ok(escape),
            Some(_) => Err(Fault::new("wrong_type", spot.span(), "`escape` is one character, or none")),
        }
    }

    /// An event rule with a match mode: its `value` is the condition on one event.
    fn matched(&mut self, object: Object<'_>, event: Name, spot: Spot<'_>) -> Outcome<PredicateKind> {
        for key in ["aggregate", "where", "part", "escape"] {
            if self.get(object, key).is_some() {
                return Err(self.unknown_key(object, key).hint("with `match`, the condition is the `value`"));
            }
        }
        if let Some(operator) = self.get(object, "operator")
            && operator.value.as_str() != Some("=")
        {
            let message = "with `match`, the operator is \"=\": the mode says how many";
            return Err(Fault::new("unknown_operator", operator.span(), message));
        }
        let span = object.span();
        let event = self.event(event)?;
        let condition = self.nested(object, "value")?;
        let matching = self.object(spot, "an object with a `mode`")?;
        self.known_keys(matching, "mode", &["threshold"])?;
        let mode_spot = self.need(matching, "mode")?;
        let mode = self.string(mode_spot, "a match mode")?;
        let filter = |condition: Option<Predicate>| EventFilter {
            event: event.clone(),
            condition: condition.map(Box::new),
            span,
        };
        let op = match mode {
            "some" => return Ok(PredicateKind::Exists(filter(condition))),
            "none" => return Ok(none_of(filter(condition))),
            "all" => return Ok(none_of(filter(Some(differing(condition, span))))),
            "atLeast" => CompareOp::GreaterOrEqual,
            "atMost" => CompareOp::LessOrEqual,
            "exactly" => CompareOp::Equal,
            _ => {
                let shown: String = mode.chars().take(60).collect();
                let fault = Fault::new("unknown_mode", mode_spot.span(), format!("there is no match mode `{shown}`"));
                return Err(fault.suggest(nearest(mode, MODES)));
            }
        };
        let threshold = self.need(matching, "threshold")?;
        let count = self.whole_number(threshold, i64::MAX as u64, "a number of events")?;
        let value = LiteralValue::Number(Decimal::integer(count as i64));
        let scalar = Scalar::Literal(Literal { value, span: threshold.span() });
        let aggregate = EventAggregate { function: EventFunction::Count, of: None, filter: filter(condition) };
        Ok(PredicateKind::Compare { operand: Operand::EventAggregate(Box::new(aggregate)), op, scalar })
    }

    /// The name of an event: anything but `profiles`, which text could not tell from all profiles.
    pub(super) fn event(&self, event: Name) -> Outcome<Name> {
        if event.text == PROFILES {
            return Err(Fault::new("unsupported", event.span, "expected an event, found `profiles`"));
        }
        Ok(event)
    }

    fn event_aggregate(&mut self, object: Object<'_>, event: Name, spot: Spot<'_>) -> Outcome<Operand> {
        if let Some(part) = self.get(object, "part") {
            return Err(Fault::new("unknown_key", part.span(), "`part` is for date tags, not for aggregates"));
        }
        let (function_spot, function, of) = self.function(spot)?;
        let Some((_, function)) = EVENT_FUNCTIONS.into_iter().find(|(name, _)| *name == function) else {
            let names = EVENT_FUNCTIONS.into_iter().map(|(name, _)| name);
            return Err(unknown_aggregate(function_spot, function, nearest(function, names)));
        };
        let of = match (function, of) {
            (EventFunction::Count, Some(of)) => {
                return Err(Fault::new("wrong_type", of.span, "`count` counts events: it takes no `of`")
                    .hint("the number of different values is `count_distinct`"));
            }
            (EventFunction::Count, None) => None,
            (_, None) => return Err(Fault::new("missing_key", spot.span(), "`of` is missing: what is aggregated")),
            (_, of) => of,
        };
        let condition = self.nested(object, "where")?.map(Box::new);
        let filter = EventFilter { event: self.event(event)?, condition, span: object.span() };
        Ok(Operand::EventAggregate(Box::new(EventAggregate { function, of, filter })))
    }

    /// `{"fn": …, "of": …}`, with the place of `fn`.
    pub(super) fn function<'v>(&mut self, spot: Spot<'v>) -> Outcome<(Spot<'v>, &'v str, Option<Name>)> {
        let aggregate = self.object(spot, "an object with `fn` and `of`")?;
        self.known_keys(aggregate, "fn", &["of"])?;
        let function_spot = self.need(aggregate, "fn")?;
        let function = self.string(function_spot, "the name of an aggregate")?;
        let of = match self.get(aggregate, "of") {
            Some(of) => Some(self.name(of, "the name of what is aggregated")?),
            None => None,
        };
        Ok((function_spot, function, of))
    }

    /// The condition of a subquery under `key`; none if absent, empty or TRUE.
    pub(super) fn nested(&mut self, object: Object<'_>, key: &'static str) -> Outcome<Option<Predicate>> {
        let Some(spot) = self.get(object, key) else { return Ok(None) };
        let predicate = self.deeper(spot, |reader| reader.predicate(spot))?;
        Ok(predicates::condition(predicate))
    }
}

pub(super) fn unknown_aggregate(spot: Spot<'_>, function: &str, near: Option<&str>) -> Box<Fault> {
    let shown: String = function.chars().take(60).collect();
    Fault::new("unknown_function", spot.span(), format!("there is no aggregate `{shown}`")).suggest(near)
}

fn none_of(filter: EventFilter) -> PredicateKind {
    let span = filter.span;
    PredicateKind::Not(Box::new(Predicate { kind: PredicateKind::Exists(filter), span }))
}

/// What an event that breaks "all" satisfies. Without a condition none does: everyone's events all satisfy nothing.
fn differing(condition: Option<Predicate>, span: Span) -> Predicate {
    match condition {
        Some(condition) => predicates::negated(condition),
        None => Predicate { kind: PredicateKind::Constant(false), span },
    }
}

/// The text as a pattern that stands for itself, with backslash as the escape character.
pub(crate) fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
