//! AST → text: the canonical spelling. Upper-case keywords, quotes and parentheses only where they are needed, so that
//! what is printed reads back as the same AST, and printing that again gives the same text.
//!
//! Recurses by the depth of the AST, which the parsers bound.

use std::fmt::{self, Display, Formatter};

use crate::ast::{
    Aggregate, CompareOp, EventAggregate, EventFilter, EventFunction, Interval, Literal, LiteralValue, Operand,
    Predicate, PredicateKind, ProfileAggregate, Scalar, Top,
};
use crate::dates;
use crate::words::is_bare;

/// The condition as canonical text: what stands after WHERE.
/// An IN list that is empty, which only trees can say, is printed as what it means: FALSE, or IS NOT NULL for NOT IN.
pub fn predicate_text(predicate: &Predicate) -> String {
    predicate.to_string()
}

impl Display for Predicate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            PredicateKind::Constant(value) => write!(f, "{}", truth(*value)),
            PredicateKind::And(children) => write_chain(f, children, " AND ", "TRUE"),
            PredicateKind::Or(children) => write_chain(f, children, " OR ", "TRUE"),
            PredicateKind::Not(inner) => write!(f, "NOT {}", Inside(inner, Binds::Not)),
            PredicateKind::Flag(name) => write!(f, "{}", Identifier(&name.text)),
            PredicateKind::Compare { operand, op, scalar } => write!(f, "{operand} {op} {scalar}"),
            PredicateKind::Between { operand, negated, low, high } => {
                write!(f, "{operand} {}BETWEEN {low} AND {high}", not(*negated))
            }
            PredicateKind::In { operand, negated, list } => match (list.is_empty(), negated) {
                (false, _) => write!(f, "{operand} {}IN ({})", not(*negated), Commas(list)),
                (true, false) => write!(f, "FALSE"),
                (true, true) => write!(f, "{operand} IS NOT NULL"),
            },
            PredicateKind::Like { operand, negated, fold_case, pattern, escape } => {
                let like = if *fold_case { "ILIKE" } else { "LIKE" };
                write!(f, "{operand} {}{like} {pattern}", not(*negated))?;
                match escape {
                    Some('\\') => Ok(()),
                    Some(c) => write!(f, " ESCAPE {}", Quoted(c.encode_utf8(&mut [0; 4]))),
                    None => write!(f, " ESCAPE ''"),
                }
            }
            PredicateKind::IsNull { operand, negated } => write!(f, "{operand} IS {}NULL", not(*negated)),
            PredicateKind::HasAll { tag, list } => write!(f, "has_all({}, {})", Identifier(&tag.text), Commas(list)),
            PredicateKind::HasNone { tag, list } => write!(f, "has_none({}, {})", Identifier(&tag.text), Commas(list)),
            PredicateKind::Exists(filter) => write!(f, "EXISTS {filter}"),
            PredicateKind::FollowedBy { steps, within } => {
                write!(f, "followed_by({}", Commas(steps))?;
                within.map_or(Ok(()), |within| write!(f, ", {within}"))?;
                write!(f, ")")
            }
            PredicateKind::Top(top) => write!(f, "{top}"),
            PredicateKind::Among(inner) if inner.kind == PredicateKind::Constant(true) => {
                write!(f, "one_id IN (SELECT one_id FROM profiles)")
            }
            PredicateKind::Among(inner) => write!(f, "one_id IN (SELECT one_id FROM profiles WHERE {inner})"),
            PredicateKind::InAudience(name) => write!(f, "in_audience({})", Quoted(&name.text)),
            PredicateKind::InSnapshot { audience, on } => write!(f, "in_snapshot({}, {on})", Quoted(&audience.text)),
            PredicateKind::Was { state, predicate } => write!(f, "was({state}, {predicate})"),
            PredicateKind::InBitmap(bitmap) => write!(f, "in_bitmap({bitmap})"),
        }
    }
}

/// How strongly an operator binds; what binds less gets parentheses inside it.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Binds {
    Or,
    And,
    Not,
}

/// A predicate as the operand of an operator.
struct Inside<'a>(&'a Predicate, Binds);

impl Display for Inside<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let own = match &self.0.kind {
            PredicateKind::Or(children) if children.len() > 1 => Binds::Or,
            PredicateKind::And(children) if children.len() > 1 => Binds::And,
            _ => Binds::Not,
        };
        if own < self.1 { write!(f, "({})", self.0) } else { write!(f, "{}", self.0) }
    }
}

fn write_chain(f: &mut Formatter<'_>, children: &[Predicate], word: &str, none: &str) -> fmt::Result {
    let binds = if word == " OR " { Binds::Or } else { Binds::And };
    for (index, child) in children.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { word })?;
        match children.len() {
            1 => write!(f, "{child}")?,
            _ => write!(f, "{}", Inside(child, binds))?,
        }
    }
    if children.is_empty() { f.write_str(none) } else { Ok(()) }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Name(name) => write!(f, "{}", Identifier(&name.text)),
            Operand::MonthDay(name) => write!(f, "month_day({})", Identifier(&name.text)),
            Operand::Bucket { salt, of, .. } => write!(f, "bucket({salt}, {of})"),
            Operand::EventAggregate(aggregate) => write!(f, "{aggregate}"),
        }
    }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Literal(literal) => write!(f, "{literal}"),
            Scalar::ProfileAggregate(aggregate) => write!(f, "{aggregate}"),
        }
    }
}

impl Display for EventFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_subquery(f, &"1", &self.event.text, self.condition.as_deref())
    }
}

impl Display for EventAggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let of = self.of.as_ref().map_or("", |of| of.text.as_str());
        let (function, distinct) = match self.function {
            EventFunction::Count => ("count", ""),
            EventFunction::CountDistinct => ("count", "DISTINCT "),
            EventFunction::Sum => ("sum", ""),
            EventFunction::Avg => ("avg", ""),
            EventFunction::Min => ("min", ""),
            EventFunction::Max => ("max", ""),
            EventFunction::First => ("first", ""),
            EventFunction::Last => ("last", ""),
        };
        let call = match &self.of {
            None => format!("{function}(*)"),
            Some(_) => format!("{function}({distinct}{})", Identifier(of)),
        };
        write_subquery(f, &call, &self.filter.event.text, self.filter.condition.as_deref())
    }
}

impl Display for ProfileAggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_subquery(f, &self.aggregate, "profiles", self.filter.as_deref())
    }
}

fn write_subquery(f: &mut Formatter<'_>, what: &dyn Display, from: &str, filter: Option<&Predicate>) -> fmt::Result {
    write!(f, "(SELECT {what} FROM {}", Identifier(from))?;
    filter.map_or(Ok(()), |filter| write!(f, " WHERE {filter}"))?;
    write!(f, ")")
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Aggregate::CountAll => write!(f, "count(*)"),
            Aggregate::CountDistinct(name) => write!(f, "count(DISTINCT {})", Identifier(&name.text)),
            Aggregate::Sum(name) => write!(f, "sum({})", Identifier(&name.text)),
            Aggregate::Avg(name) => write!(f, "avg({})", Identifier(&name.text)),
            Aggregate::Min(name) => write!(f, "min({})", Identifier(&name.text)),
            Aggregate::Max(name) => write!(f, "max({})", Identifier(&name.text)),
            Aggregate::Quantile(name, share) => write!(f, "quantile({}, {share})", Identifier(&name.text)),
        }
    }
}

impl Display for Top {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "one_id IN (SELECT one_id FROM profiles")?;
        self.filter.as_ref().map_or(Ok(()), |filter| write!(f, " WHERE {filter}"))?;
        let direction = if self.descending { " DESC" } else { "" };
        write!(f, " ORDER BY {}{direction} LIMIT {})", Identifier(&self.by.text), self.n)
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.value {
            LiteralValue::Bool(value) => write!(f, "{}", truth(*value)),
            LiteralValue::Number(number) => write!(f, "{number}"),
            LiteralValue::Text(text) => write!(f, "{}", Quoted(text)),
            LiteralValue::Date(date) => write!(f, "DATE '{date}'"),
            LiteralValue::LocalTimestamp(moment) => write!(f, "TIMESTAMP '{}'", dates::local_text(*moment)),
            LiteralValue::Instant(second) => write!(f, "TIMESTAMP '{}'", dates::instant_text(*second)),
            LiteralValue::RelativeDate(intervals) => {
                write!(f, "CURRENT_DATE")?;
                intervals.iter().try_for_each(|interval| {
                    let sign = if interval.count < 0 { '-' } else { '+' };
                    let unit = dates::unit_word(interval.unit);
                    write!(f, " {sign} INTERVAL '{}' {unit}", interval.count.unsigned_abs())
                })
            }
        }
    }
}

impl Display for Interval {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "INTERVAL '{}' {}", self.count, dates::unit_word(self.unit))
    }
}

impl Display for CompareOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CompareOp::Equal => "=",
            CompareOp::NotEqual => "<>",
            CompareOp::Less => "<",
            CompareOp::LessOrEqual => "<=",
            CompareOp::Greater => ">",
            CompareOp::GreaterOrEqual => ">=",
        })
    }
}

fn truth(value: bool) -> &'static str {
    if value { "TRUE" } else { "FALSE" }
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

/// Things with commas between.
struct Commas<'a, T>(&'a [T]);

impl<T: Display> Display for Commas<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, thing) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            thing.fmt(f)?;
        }
        Ok(())
    }
}

/// A text in single quotes.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_quoted(f, self.0, '\'')
    }
}

/// A name, in double quotes if it needs them.
pub(crate) struct Identifier<'a>(pub(crate) &'a str);

impl Display for Identifier<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_bare(self.0) { f.write_str(self.0) } else { write_quoted(f, self.0, '"') }
    }
}

/// `text` between quotes, those inside it written twice.
fn write_quoted(f: &mut Formatter<'_>, text: &str, quote: char) -> fmt::Result {
    write!(f, "{quote}")?;
    for (index, part) in text.split(quote).enumerate() {
        if index > 0 {
            write!(f, "{quote}{quote}")?;
        }
        f.write_str(part)?;
    }
    write!(f, "{quote}")
}
