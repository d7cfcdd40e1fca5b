//! AST → rule tree: the canonical spelling. Groups are [`crate::clauses`]' shape; rules are react-querybuilder's where
//! it has one: `contains` for a LIKE that says so, match modes for EXISTS and for counts of events.
//!
//! A date is printed as `{"date": "2026-11-01"}`, not as a plain string, so that it reads back as a date and not as a text.

use serde_json::{Map, Value, json};

use crate::ast::{
    Aggregate, CompareOp, Decimal, EventAggregate, EventFilter, EventFunction, Interval, Literal, LiteralValue,
    Operand, Predicate, PredicateKind, ProfileAggregate, Scalar, Top, Unit,
};
use crate::clauses::{Group, Shape, root_group, shape};
use crate::dates;
use crate::predicates::Junction;
use crate::tree::{EVENT_FUNCTIONS, RELATIVE, escaped};

/// The condition as a canonical rule tree; its root is always a group.
pub fn predicate_tree(predicate: &Predicate) -> Value {
    group_value(&root_group(predicate))
}

fn group_value(group: &Group<'_>) -> Value {
    let rules: Vec<Value> = group.children.iter().map(rule_or_group).collect();
    let combinator = match group.junction {
        Junction::And => "and",
        Junction::Or => "or",
    };
    let mut value = Map::new();
    if group.negated {
        value.insert("not".to_owned(), Value::Bool(true));
    }
    value.insert("combinator".to_owned(), combinator.into());
    value.insert("rules".to_owned(), rules.into());
    Value::Object(value)
}

fn rule_or_group(predicate: &Predicate) -> Value {
    match shape(predicate) {
        Shape::Group(group) => group_value(&group),
        Shape::Leaf => rule(predicate),
    }
}

fn rule(predicate: &Predicate) -> Value {
    match &predicate.kind {
        PredicateKind::Flag(name) => json!({"field": name.text, "operator": "=", "value": true}),
        PredicateKind::Compare { operand, op, scalar } => matched_count(operand, *op, scalar)
            .unwrap_or_else(|| operated(operand, operator(*op), scalar_value(scalar))),
        PredicateKind::Between { operand, negated, low, high } => {
            let operator = if *negated { "notBetween" } else { "between" };
            operated(operand, operator, json!([scalar_value(low), scalar_value(high)]))
        }
        PredicateKind::In { operand, negated, list } => {
            operated(operand, if *negated { "notIn" } else { "in" }, list_value(list))
        }
        PredicateKind::Like { operand, negated, fold_case, pattern, escape } => {
            like(operand, *negated, *fold_case, pattern, *escape)
        }
        PredicateKind::IsNull { operand, negated } => {
            let mut rule = operated(operand, if *negated { "notNull" } else { "null" }, Value::Null);
            rule.as_object_mut().expect("rules are objects").remove("value");
            rule
        }
        PredicateKind::HasAll { tag, list } => {
            json!({"field": tag.text, "operator": "hasAll", "value": list_value(list)})
        }
        PredicateKind::HasNone { tag, list } => {
            json!({"field": tag.text, "operator": "hasNone", "value": list_value(list)})
        }
        PredicateKind::Exists(filter) => matched(filter, json!({"mode": "some"}), filter.condition.as_deref()),
        PredicateKind::Not(inner) => match &inner.kind {
            PredicateKind::Exists(filter) => none_or_all(filter),
            _ => unreachable!("shape() makes a group of any other NOT"),
        },
        PredicateKind::FollowedBy { steps, within } => followed_by(steps, *within),
        PredicateKind::Top(top) => top_value(top),
        PredicateKind::Among(inner) => json!({"among": predicate_tree(inner)}),
        PredicateKind::InAudience(name) => json!({"audience": name.text}),
        PredicateKind::InSnapshot { audience, on } => json!({"snapshot": audience.text, "on": day_value(on)}),
        PredicateKind::Was { state, predicate } => json!({"was": day_value(state), "rule": predicate_tree(predicate)}),
        PredicateKind::InBitmap(bitmap) => json!({"bitmap": literal_value(bitmap)}),
        PredicateKind::Constant(_) | PredicateKind::And(_) | PredicateKind::Or(_) => {
            unreachable!("shape() makes groups of these")
        }
    }
}

/// `{operand's keys, operator, value}`.
fn operated(operand: &Operand, operator: &str, value: Value) -> Value {
    let mut rule = match operand {
        Operand::Name(name) => json!({"field": name.text}),
        Operand::MonthDay(name) => json!({"field": name.text, "part": "month_day"}),
        Operand::Bucket { salt, of, .. } => json!({"bucket": {"salt": literal_value(salt), "of": of}}),
        Operand::EventAggregate(aggregate) => event_aggregate(aggregate),
    };
    rule["operator"] = operator.into();
    rule["value"] = value;
    rule
}

fn event_aggregate(aggregate: &EventAggregate) -> Value {
    let named = EVENT_FUNCTIONS.into_iter().find(|(_, function)| *function == aggregate.function);
    let mut call = json!({"fn": named.map(|(name, _)| name)});
    if let Some(of) = &aggregate.of {
        call["of"] = of.text.as_str().into();
    }
    let mut rule = json!({"field": aggregate.filter.event.text, "aggregate": call});
    if let Some(condition) = &aggregate.filter.condition {
        rule["where"] = predicate_tree(condition);
    }
    rule
}

/// A count of events held against a whole number, as a match mode; other counts have none.
fn matched_count(operand: &Operand, op: CompareOp, scalar: &Scalar) -> Option<Value> {
    let Operand::EventAggregate(aggregate) = operand else { return None };
    let Scalar::Literal(Literal { value: LiteralValue::Number(number), .. }) = scalar else { return None };
    let mode = match op {
        CompareOp::GreaterOrEqual => "atLeast",
        CompareOp::LessOrEqual => "atMost",
        CompareOp::Equal => "exactly",
        _ => return None,
    };
    let threshold = number.to_integer().and_then(|n| u32::try_from(n).ok())?;
    let matching = json!({"mode": mode, "threshold": threshold});
    (aggregate.function == EventFunction::Count)
        .then(|| matched(&aggregate.filter, matching, aggregate.filter.condition.as_deref()))
}

fn matched(filter: &EventFilter, matching: Value, condition: Option<&Predicate>) -> Value {
    json!({"field": filter.event.text, "operator": "=", "match": matching, "value": where_value(condition)})
}

/// `NOT EXISTS (… WHERE NOT p)` is "all p"; any other `NOT EXISTS` is "none".
fn none_or_all(filter: &EventFilter) -> Value {
    match filter.condition.as_deref() {
        Some(Predicate { kind: PredicateKind::Not(all), .. }) if all.kind != PredicateKind::Constant(true) => {
            matched(filter, json!({"mode": "all"}), Some(all))
        }
        condition => matched(filter, json!({"mode": "none"}), condition),
    }
}

/// A condition as a group; an empty one if there is none.
fn where_value(condition: Option<&Predicate>) -> Value {
    condition.map_or_else(|| json!({"combinator": "and", "rules": []}), predicate_tree)
}

fn followed_by(steps: &[EventFilter], within: Option<Interval>) -> Value {
    let step = |step: &EventFilter| json!({"event": step.event.text, "where": where_value(step.condition.as_deref())});
    let mut rule = json!({"followed_by": steps.iter().map(step).collect::<Vec<Value>>()});
    if let Some(Interval { count, unit }) = within {
        let unit = if unit == Unit::Week { "weeks" } else { "days" };
        rule["within"] = json!({unit: count});
    }
    rule
}

fn top_value(top: &Top) -> Value {
    let order = if top.descending { "desc" } else { "asc" };
    let mut value = json!({"by": top.by.text, "order": order, "n": top.n});
    if let Some(filter) = &top.filter {
        value["where"] = predicate_tree(filter);
    }
    json!({"top": value})
}

fn operator(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Equal => "=",
        CompareOp::NotEqual => "!=",
        CompareOp::Less => "<",
        CompareOp::LessOrEqual => "<=",
        CompareOp::Greater => ">",
        CompareOp::GreaterOrEqual => ">=",
    }
}

/// `contains`, `beginsWith` or `endsWith` where the pattern says just that; else `like` with the pattern.
fn like(operand: &Operand, negated: bool, fold_case: bool, pattern: &Literal, escape: Option<char>) -> Value {
    let plain = match &pattern.value {
        LiteralValue::Text(text) if !fold_case && escape == Some('\\') => plain_match(text),
        _ => None,
    };
    if let Some((positive, negative, text)) = plain {
        return operated(operand, if negated { negative } else { positive }, text.into());
    }
    let operator = match (fold_case, negated) {
        (false, false) => "like",
        (false, true) => "notLike",
        (true, false) => "ilike",
        (true, true) => "notIlike",
    };
    let mut rule = operated(operand, operator, literal_value(pattern));
    if escape != Some('\\') {
        rule["escape"] = escape.map(String::from).unwrap_or_default().into();
    }
    rule
}

/// The two operators and the text, if escaping that text gives the very pattern.
fn plain_match(pattern: &str) -> Option<(&'static str, &'static str, String)> {
    let (inside, operators) = match (pattern.strip_prefix('%'), pattern.strip_suffix('%')) {
        (Some(_), Some(_)) => (pattern.get(1..pattern.len() - 1)?, ("contains", "doesNotContain")),
        (None, Some(inside)) => (inside, ("beginsWith", "doesNotBeginWith")),
        (Some(inside), None) => (inside, ("endsWith", "doesNotEndWith")),
        (None, None) => return None,
    };
    let mut text = String::new();
    let mut characters = inside.chars();
    while let Some(c) = characters.next() {
        text.push(if c == '\\' { characters.next()? } else { c });
    }
    (!text.is_empty() && escaped(&text) == inside).then_some((operators.0, operators.1, text))
}

fn scalar_value(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Literal(literal) => literal_value(literal),
        Scalar::ProfileAggregate(aggregate) => profile_aggregate(aggregate),
    }
}

fn profile_aggregate(ProfileAggregate { aggregate, filter, .. }: &ProfileAggregate) -> Value {
    let mut value = match aggregate {
        Aggregate::Quantile(of, share) => json!({"quantile": number_value(*share), "of": of.text}),
        Aggregate::CountAll => json!({"aggregate": {"fn": "count"}}),
        Aggregate::CountDistinct(of) => json!({"aggregate": {"fn": "count_distinct", "of": of.text}}),
        Aggregate::Sum(of) => json!({"aggregate": {"fn": "sum", "of": of.text}}),
        Aggregate::Avg(of) => json!({"aggregate": {"fn": "avg", "of": of.text}}),
        Aggregate::Min(of) => json!({"aggregate": {"fn": "min", "of": of.text}}),
        Aggregate::Max(of) => json!({"aggregate": {"fn": "max", "of": of.text}}),
    };
    if let Some(filter) = filter {
        value["where"] = predicate_tree(filter);
    }
    value
}

fn list_value(list: &[Literal]) -> Value {
    list.iter().map(literal_value).collect()
}

/// A date where only a date can stand: a plain string.
fn day_value(literal: &Literal) -> Value {
    match &literal.value {
        LiteralValue::Date(date) => date.to_string().into(),
        _ => literal_value(literal),
    }
}

fn literal_value(literal: &Literal) -> Value {
    match &literal.value {
        LiteralValue::Bool(value) => Value::Bool(*value),
        LiteralValue::Number(number) => number_value(*number),
        LiteralValue::Text(text) => text.as_str().into(),
        LiteralValue::Date(date) => json!({"date": date.to_string()}),
        LiteralValue::LocalTimestamp(moment) => json!({"timestamp": dates::local_text(*moment)}),
        LiteralValue::Instant(second) => json!({"timestamp": dates::instant_text(*second)}),
        LiteralValue::RelativeDate(intervals) => match intervals.as_slice() {
            [] => json!({"days_ago": 0}),
            [interval] => interval_value(*interval),
            several => json!({"current_date": several.iter().copied().map(interval_value).collect::<Vec<Value>>()}),
        },
    }
}

fn interval_value(interval: Interval) -> Value {
    let sign = if interval.count > 0 { 1 } else { -1 };
    let named = RELATIVE.into_iter().find(|&(_, unit, s)| unit == interval.unit && s == sign);
    let (name, ..) = named.expect("every unit has both directions");
    json!({name: i64::from(interval.count) * sign})
}

/// A JSON number where one says exactly this; else `{"number": "…"}` with all digits.
fn number_value(number: Decimal) -> Value {
    if let Some(whole) = number.to_integer().and_then(|n| i64::try_from(n).ok()) {
        return whole.into();
    }
    let text = number.to_string();
    let float = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
    match float {
        Some(float) if Decimal::parse(&float.to_string()) == Some(number) => Value::Number(float),
        _ => json!({"number": text}),
    }
}
