//! Binding of behaviours: conditions over the rows of an event, and what the rows of a profile come to.
//! Knows events, properties and their types; rows are two-valued as profiles are.
//!
//! A clause over an aggregate asks for profiles with rows that come to something. Where no rows at all come to it too
//! (a count of 0, a sum of at most 5), it is everyone but those whose rows do not.

use queryparser::ast::{
    CompareOp, EventAggregate, EventFilter, EventFunction, Interval, Literal, LiteralValue, Name, Operand, Predicate,
    PredicateKind, Scalar, Span, Unit,
};
use queryparser::nearest;
use storage::schema::Event;
use storage::values::Values;
use storage::{EventId, PropertyId, TagType};

use super::days::{Days, as_days};
use super::{Binder, Column, kind_of};
use crate::query::error::Result;
use crate::query::exec::owners_kept;
use crate::query::kernels::CodeSet;
use crate::query::like::Pattern;
use crate::query::number::{ExactRange, Fraction, Range, WideRange};
use crate::query::plan::{Amount, Behaviour, ColumnTest, EventRows, InOrder, LeafKind, Node, RowColumn, RowTest};

const DAY_SECONDS: i64 = 86_400;

/// What a value of a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowType {
    /// As a tag of that type has; never a set.
    Tag(TagType),
    /// A moment in seconds.
    Moment,
}

/// A name within an event, looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowName<'a> {
    pub(crate) column: RowColumn,
    pub(crate) row_type: RowType,
    /// The texts of a category.
    pub(crate) values: Option<&'a Values>,
}

/// What a value is held against.
enum Held<'s> {
    Compare(CompareOp, &'s Scalar),
    Between(&'s Scalar, &'s Scalar),
    In(&'s [Literal]),
    Like { fold_case: bool, pattern: &'s Literal, escape: Option<char> },
}

impl<'a> Binder<'a> {
    /// The event of a name.
    ///
    /// # Errors
    /// An unknown name, with the nearest one.
    pub(crate) fn event(&self, name: &Name) -> Result<(EventId, &'a Event)> {
        let schema = self.view().schema();
        if let Some(found) = schema.event(&name.text) {
            return Ok(found);
        }
        let hint = match nearest(&name.text, schema.events.iter().map(|event| event.name.as_str())) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None => nearest(&name.text, ["profiles"])
                .map(|_| "`profiles` is everyone; ask for their tags without a subquery".to_string()),
        };
        Err(self.fault("unknown_event", name.span, format!("there is no event `{}`", name.text), hint))
    }

    /// A name within an event's rows.
    ///
    /// # Errors
    /// An unknown name, with the nearest one.
    pub(crate) fn row_name(&self, event: EventId, name: &Name) -> Result<RowName<'a>> {
        let declared = &self.view().schema().events[event.0 as usize];
        Ok(match name.text.as_str() {
            "day" => RowName { column: RowColumn::Day, row_type: RowType::Tag(TagType::Date), values: None },
            "at" => RowName { column: RowColumn::At, row_type: RowType::Moment, values: None },
            text => match declared.property(text) {
                Some((id, property)) => {
                    let is_category = property.tag_type == TagType::Category;
                    let values = is_category.then(|| self.view().event(event).values(id));
                    let row_type = RowType::Tag(property.tag_type);
                    RowName { column: RowColumn::Property(id), row_type, values }
                }
                None => return Err(self.no_property(declared, name)),
            },
        })
    }

    fn no_property(&self, event: &Event, name: &Name) -> crate::query::Error {
        let names = event.properties.iter().map(|property| property.name.as_str()).chain(["day", "at"]);
        let hint = match nearest(&name.text, names) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if self.view().schema().tag(&name.text).is_some() => {
                Some(format!("`{}` is a tag of profiles: ask for it outside of the subquery", name.text))
            }
            None => None,
        };
        let message = format!("event `{}` has no property `{}`", event.name, name.text);
        self.fault("unknown_property", name.span, message, hint)
    }

    /// The rows that a subquery speaks of.
    ///
    /// # Errors
    /// The condition's faults.
    pub(crate) fn event_rows(&mut self, filter: &EventFilter) -> Result<EventRows> {
        let (event, _) = self.event(&filter.event)?;
        let test = match &filter.condition {
            Some(condition) => self.row_test(event, condition)?,
            None => RowTest::All,
        };
        Ok(EventRows { event, test })
    }

    /// A condition over one row.
    ///
    /// # Errors
    /// Its faults, with their places.
    pub(crate) fn row_test(&mut self, event: EventId, condition: &Predicate) -> Result<RowTest> {
        let all = |binder: &mut Self, tests: &[Predicate]| {
            tests.iter().map(|test| binder.row_test(event, test)).collect::<Result<Vec<_>>>()
        };
        match &condition.kind {
            PredicateKind::Constant(true) => Ok(RowTest::All),
            PredicateKind::Constant(false) => Ok(RowTest::Nothing),
            PredicateKind::And(tests) => Ok(RowTest::and(all(self, tests)?)),
            PredicateKind::Or(tests) => Ok(RowTest::or(all(self, tests)?)),
            PredicateKind::Not(test) => Ok(RowTest::not(self.row_test(event, test)?)),
            PredicateKind::Flag(name) => {
                let found = self.row_name(event, name)?;
                if found.row_type != RowType::Tag(TagType::Flag) {
                    let message = format!("`{}` is {}: it does not stand alone", name.text, word_of(found.row_type));
                    return Err(self.fault("wrong_type", name.span, message, None));
                }
                Ok(RowTest::Column(found.column, ColumnTest::Range(Range { low: 1, high: 1 })))
            }
            PredicateKind::Compare { operand, op, scalar } => {
                let negated = *op == CompareOp::NotEqual;
                self.row_clause(event, operand, negated, &Held::Compare(*op, scalar), condition.span)
            }
            PredicateKind::Between { operand, negated, low, high } => {
                self.row_clause(event, operand, *negated, &Held::Between(low, high), condition.span)
            }
            PredicateKind::In { operand, negated, list } => {
                self.row_clause(event, operand, *negated, &Held::In(list), condition.span)
            }
            PredicateKind::Like { operand, negated, fold_case, pattern, escape } => {
                let held = Held::Like { fold_case: *fold_case, pattern, escape: *escape };
                self.row_clause(event, operand, *negated, &held, condition.span)
            }
            PredicateKind::IsNull { operand, negated } => {
                let name = self.row_operand(operand, condition.span)?;
                let known = known_rows(self.row_name(event, name)?.column);
                Ok(if *negated { known } else { RowTest::not(known) })
            }
            _ => Err(self.not_of_rows(condition.span)),
        }
    }

    fn not_of_rows(&self, span: Span) -> crate::query::Error {
        let message = "a condition of an event looks at its properties, `day` and `at` only".into();
        let hint = "join it with AND outside of the subquery".into();
        self.fault("unsupported", span, message, Some(hint))
    }

    fn row_operand<'s>(&self, operand: &'s Operand, span: Span) -> Result<&'s Name> {
        match operand {
            Operand::Name(name) | Operand::MonthDay(name) => Ok(name),
            Operand::Bucket { .. } | Operand::EventAggregate(_) => Err(self.not_of_rows(span)),
        }
    }

    fn row_clause(
        &mut self,
        event: EventId,
        operand: &Operand,
        negated: bool,
        held: &Held<'_>,
        span: Span,
    ) -> Result<RowTest> {
        let name = self.row_operand(operand, span)?;
        let found = self.row_name(event, name)?;
        let test = match operand {
            Operand::MonthDay(_) => Some(self.month_days_of_rows(name, found, held)?),
            _ => self.value_test(name, found, held, negated)?,
        };
        let positive = test.map_or(RowTest::Nothing, |test| RowTest::Column(found.column, test));
        if !negated {
            return Ok(positive);
        }
        Ok(RowTest::and(vec![known_rows(found.column), RowTest::not(positive)]))
    }

    /// The days of all years whose month and day are held against something.
    fn month_days_of_rows(&mut self, name: &Name, found: RowName<'_>, held: &Held<'_>) -> Result<ColumnTest> {
        /// 1 January of year 1, and 31 December of year 9999.
        const DAYS: (i64, i64) = (-719_162, 2_932_896);
        if found.row_type != RowType::Tag(TagType::Date) {
            let message = format!("month_day needs a date; `{}` is {}", name.text, word_of(found.row_type));
            return Err(self.fault("wrong_type", name.span, message, None));
        }
        let ranges = match held {
            Held::Compare(op, scalar) => vec![super::month_day_range(*op, self.month_day(self.literal(scalar)?)?)],
            Held::Between(low, high) => {
                super::month_day_ranges(self.month_day(self.literal(low)?)?, self.month_day(self.literal(high)?)?)
            }
            Held::In(list) => {
                list.iter().map(|literal| self.month_day(literal).map(|day| (day, day))).collect::<Result<_>>()?
            }
            Held::Like { pattern, .. } => {
                return Err(self.fault("wrong_type", pattern.span, "LIKE looks at texts".into(), None));
            }
        };
        Ok(ColumnTest::of_month_days(DAYS.0, DAYS.1, &ranges))
    }

    /// Values of a row's column that are as asked; `None` where none can be. `<>` and `NOT …` are the callers' matter,
    /// but for `negated` BETWEEN with an end that is null.
    fn value_test(
        &mut self,
        name: &Name,
        found: RowName<'a>,
        held: &Held<'_>,
        negated: bool,
    ) -> Result<Option<ColumnTest>> {
        let range = |range: Range| (!range.is_empty()).then_some(ColumnTest::Range(range));
        match found.row_type {
            RowType::Tag(tag_type @ (TagType::Number { .. } | TagType::Date)) => match held {
                Held::Compare(op, scalar) => Ok(self.range(name, tag_type, *op, scalar)?.and_then(range)),
                Held::Between(low, high) => {
                    let low = self.range(name, tag_type, CompareOp::GreaterOrEqual, low)?;
                    let high = self.range(name, tag_type, CompareOp::LessOrEqual, high)?;
                    Ok(match (low, high, negated) {
                        (Some(low), Some(high), _) => range(Range { low: low.low, high: high.high }),
                        (Some(low), None, true) => range(low),
                        (None, Some(high), true) => range(high),
                        // Null compares with nothing: of neither side is anything in, nor out.
                        (_, _, true) => range(Range::ALL),
                        _ => None,
                    })
                }
                Held::In(list) => {
                    let ranges = list.iter().map(|l| self.literal_range(name, tag_type, CompareOp::Equal, l));
                    Ok(any_value(ranges.collect::<Result<Vec<_>>>()?))
                }
                Held::Like { .. } => Err(self.not_text(name, found.row_type)),
            },
            RowType::Moment => match held {
                Held::Compare(op, scalar) => {
                    let moment = Fraction::of_scaled(self.moment(name, self.literal(scalar)?)?, 0);
                    Ok(range(moment.range(*op, 0)))
                }
                Held::Between(low, high) => {
                    let low = self.moment(name, self.literal(low)?)?;
                    let high = self.moment(name, self.literal(high)?)?;
                    Ok(range(Range { low, high }))
                }
                Held::In(list) => {
                    let moments = list
                        .iter()
                        .map(|literal| self.moment(name, literal).map(|moment| Range { low: moment, high: moment }));
                    Ok(any_value(moments.collect::<Result<Vec<_>>>()?))
                }
                Held::Like { .. } => Err(self.not_text(name, found.row_type)),
            },
            RowType::Tag(TagType::Flag) => match held {
                Held::Compare(CompareOp::Equal | CompareOp::NotEqual, scalar) => {
                    let value = self.flag_of(name, self.literal(scalar)?)?;
                    Ok(range(Range { low: value, high: value }))
                }
                Held::In(list) => {
                    let flags = list
                        .iter()
                        .map(|literal| self.flag_of(name, literal).map(|value| Range { low: value, high: value }));
                    Ok(any_value(flags.collect::<Result<Vec<_>>>()?))
                }
                _ => Err(self.no_order(name, found.row_type)),
            },
            RowType::Tag(TagType::Category | TagType::Set) => {
                let Some(values) = found.values else { return Ok(None) };
                match held {
                    Held::Compare(CompareOp::Equal | CompareOp::NotEqual, scalar) => {
                        let literal = self.literal(scalar)?;
                        self.texts_test(name, values, std::slice::from_ref(literal))
                    }
                    Held::In(list) => self.texts_test(name, values, list),
                    Held::Like { fold_case, pattern, escape } => {
                        let compiled = self.pattern(pattern, *fold_case, *escape)?;
                        let matched = values.iter()?.filter(|(_, text)| compiled.matches(text));
                        Ok(any_number(matched.map(|(value, _)| value.0.into()).collect()))
                    }
                    _ => Err(self.no_order(name, found.row_type)),
                }
            }
        }
    }

    fn pattern(&self, pattern: &Literal, fold_case: bool, escape: Option<char>) -> Result<Pattern> {
        let LiteralValue::Text(text) = &pattern.value else {
            return Err(self.fault("wrong_type", pattern.span, "LIKE takes a text with % and _".into(), None));
        };
        Pattern::new(text, escape, fold_case).map_err(|message| self.fault("bad_pattern", pattern.span, message, None))
    }

    fn not_text(&self, name: &Name, row_type: RowType) -> crate::query::Error {
        let message = format!("LIKE looks at texts; `{}` is {}", name.text, word_of(row_type));
        self.fault("wrong_type", name.span, message, None)
    }

    fn no_order(&self, name: &Name, row_type: RowType) -> crate::query::Error {
        let message = format!("`{}` is {}: it has no order", name.text, word_of(row_type));
        self.fault("wrong_type", name.span, message, Some(format!("write {} = …", name.text)))
    }

    fn flag_of(&self, name: &Name, literal: &Literal) -> Result<i64> {
        match literal.value {
            LiteralValue::Bool(value) => Ok(value.into()),
            _ => {
                let message = format!("`{}` is a flag: it is true or false", name.text);
                Err(self.fault("wrong_type", literal.span, message, None))
            }
        }
    }

    /// A literal as a moment; a date is its first one.
    fn moment(&self, name: &Name, literal: &Literal) -> Result<i64> {
        let clock = || storage::zone::DayClock::new(&self.view().schema().time_zone);
        let local = |moment: jiff::civil::DateTime| clock().second_of(moment);
        match &literal.value {
            LiteralValue::Instant(second) => Ok(*second),
            LiteralValue::LocalTimestamp(moment) => Ok(local(*moment)),
            LiteralValue::Date(date) => Ok(clock().start_of(*date)),
            LiteralValue::RelativeDate(intervals) => Ok(clock().start_of(self.relative(intervals, literal.span)?)),
            LiteralValue::Text(text) => match queryparser::parse_timestamp(text) {
                Ok(LiteralValue::Instant(second)) => Ok(second),
                Ok(LiteralValue::LocalTimestamp(moment)) => Ok(local(moment)),
                Ok(_) => Err(self.fault("bad_date", literal.span, "expected a timestamp".into(), None)),
                Err(reason) => Err(self.fault("bad_date", literal.span, reason, None)),
            },
            _ => {
                let message = format!("`{}` is a moment", name.text);
                let hint = format!("write {} >= TIMESTAMP '2026-11-01 09:00:00'", name.text);
                Err(self.fault("wrong_type", literal.span, message, Some(hint)))
            }
        }
    }

    fn texts_test(&mut self, name: &Name, values: &Values, list: &[Literal]) -> Result<Option<ColumnTest>> {
        let mut numbers = Vec::with_capacity(list.len());
        for literal in list {
            let LiteralValue::Text(text) = &literal.value else {
                let message = format!("`{}` is a category", name.text);
                let hint = Some(format!("write {} = 'a value'", name.text));
                return Err(self.fault("wrong_type", literal.span, message, hint));
            };
            match values.find(text)? {
                Some(value) => numbers.push(i64::from(value.0)),
                None => {
                    let message = format!("no event has the value '{text}' of `{}`", name.text);
                    self.warn("unknown_value", literal.span, message);
                }
            }
        }
        Ok(any_number(numbers))
    }

    /// Whoever has events that pass.
    ///
    /// # Errors
    /// The condition's faults.
    pub(super) fn exists(&mut self, filter: &EventFilter) -> Result<Node> {
        let rows = self.event_rows(filter)?;
        self.behaviour(rows, at_least_one())
    }

    /// Whoever has events of all steps, in this order.
    ///
    /// # Errors
    /// The conditions' faults.
    pub(crate) fn in_order(&mut self, steps: &[EventFilter], within: Option<Interval>) -> Result<Node> {
        let steps = steps.iter().map(|step| self.event_rows(step)).collect::<Result<Vec<_>>>()?;
        if steps.iter().any(|step| step.test == RowTest::Nothing) {
            return Ok(Node::Nobody);
        }
        let within_s = within.map(|within| {
            let days = match within.unit {
                Unit::Day => 1,
                Unit::Week => 7,
                // The parser lets only days and weeks through.
                Unit::Month => 30,
                Unit::Year => 365,
            };
            i64::from(within.count).saturating_mul(days * DAY_SECONDS)
        });
        let estimate = steps.iter().map(|step| self.estimate(step)).collect::<Result<Vec<_>>>()?;
        let estimate = estimate.into_iter().min().unwrap_or(0);
        Ok(Node::leaf(LeafKind::InOrder(InOrder { steps, within_s }), estimate))
    }

    /// At most about so many have rows that pass.
    fn estimate(&self, rows: &EventRows) -> Result<u64> {
        let kept = match rows.test {
            RowTest::Nothing => return Ok(0),
            RowTest::Column(RowColumn::Property(_), _) => owners_kept(self.view(), rows)?,
            _ => None,
        };
        if let Some(kept) = kept {
            return Ok(kept.members.min(self.ctx.everyone()));
        }
        let count = self.view().event(rows.event).row_count()?;
        Ok(count.min(self.ctx.everyone()))
    }

    fn behaviour(&mut self, rows: EventRows, amount: Amount) -> Result<Node> {
        if let Some(Days { having, lacking }) = as_days(&rows, &amount) {
            let having = self.behaviour(having, at_least_one())?;
            let lacking = lacking.map(|rows| self.behaviour(rows, at_least_one())).transpose()?;
            return Ok(Node::and([having].into_iter().chain(lacking.map(Node::not)).collect()));
        }
        let negated = amount.is_zero_enough();
        let estimate = self.estimate(&rows)?;
        let leaf = Node::leaf(LeafKind::Behaviour(Behaviour { rows, amount, negated }), estimate);
        Ok(if negated { Node::not(leaf) } else { leaf })
    }

    /// Whoever's aggregate is not null.
    ///
    /// # Errors
    /// The aggregate's faults.
    pub(super) fn known_aggregate(&mut self, aggregate: &EventAggregate) -> Result<Node> {
        let rows = self.event_rows(&aggregate.filter)?;
        let any = || ColumnTest::Range(Range::ALL);
        match aggregate.function {
            EventFunction::Count | EventFunction::Sum | EventFunction::CountDistinct => {
                self.aggregated(aggregate, rows.event)?;
                Ok(Node::Everyone)
            }
            EventFunction::Avg | EventFunction::Min | EventFunction::Max => {
                let (_, found) = self.aggregated(aggregate, rows.event)?;
                let test = RowTest::and(vec![rows.test, known_rows(found.column)]);
                self.behaviour(EventRows { test, ..rows }, at_least_one())
            }
            EventFunction::First => {
                let (_, found) = self.aggregated(aggregate, rows.event)?;
                self.behaviour(rows, Amount::First(found.column, any()))
            }
            EventFunction::Last => {
                let (_, found) = self.aggregated(aggregate, rows.event)?;
                self.behaviour(rows, Amount::Last(found.column, any()))
            }
        }
    }

    /// What an aggregate is computed of, checked to be of a type that it can be computed of.
    pub(crate) fn aggregated<'s>(
        &self,
        aggregate: &'s EventAggregate,
        event: EventId,
    ) -> Result<(&'s Name, RowName<'a>)> {
        let Some(name) = &aggregate.of else {
            // `count(*)` looks at no column; any will do.
            let count = RowName { column: RowColumn::Day, row_type: RowType::Moment, values: None };
            return Ok((&aggregate.filter.event, count));
        };
        let found = self.row_name(event, name)?;
        let is_number = matches!(found.row_type, RowType::Tag(TagType::Number { .. }));
        let is_ordered = is_number || matches!(found.row_type, RowType::Tag(TagType::Date) | RowType::Moment);
        let needed = match aggregate.function {
            EventFunction::Sum | EventFunction::Avg if !is_number => "sum and avg need a number",
            EventFunction::Min | EventFunction::Max if !is_ordered => "min and max need a number, a date or a moment",
            _ => return Ok((name, found)),
        };
        let message = format!("{needed}; `{}` is {}", name.text, word_of(found.row_type));
        Err(self.fault("wrong_type", name.span, message, None))
    }

    pub(super) fn compare_aggregate(
        &mut self,
        aggregate: &EventAggregate,
        op: CompareOp,
        scalar: &Scalar,
    ) -> Result<Node> {
        self.aggregate_clause(aggregate, &Held::Compare(op, scalar), false)
    }

    pub(super) fn between_aggregate(
        &mut self,
        aggregate: &EventAggregate,
        negated: bool,
        low: &Scalar,
        high: &Scalar,
    ) -> Result<Node> {
        self.aggregate_clause(aggregate, &Held::Between(low, high), negated)
    }

    pub(super) fn aggregate_in(&mut self, aggregate: &EventAggregate, list: &[Literal]) -> Result<Node> {
        self.aggregate_clause(aggregate, &Held::In(list), false)
    }

    pub(super) fn aggregate_like(
        &mut self,
        aggregate: &EventAggregate,
        fold_case: bool,
        pattern: &Literal,
        escape: Option<char>,
    ) -> Result<Node> {
        self.aggregate_clause(aggregate, &Held::Like { fold_case, pattern, escape }, false)
    }

    /// The positive form of a clause over an aggregate.
    fn aggregate_clause(&mut self, aggregate: &EventAggregate, held: &Held<'_>, negated: bool) -> Result<Node> {
        let rows = self.event_rows(&aggregate.filter)?;
        let (name, found) = self.aggregated(aggregate, rows.event)?;
        let column = found.column;
        let number = RowName { row_type: RowType::Tag(TagType::Number { scale: 0 }), values: None, ..found };
        let test = |test: Option<ColumnTest>, amount: &dyn Fn(ColumnTest) -> Amount| test.map(amount);
        let amount = match aggregate.function {
            EventFunction::Count => test(self.value_test(name, number, held, negated)?, &Amount::Count),
            EventFunction::CountDistinct => {
                test(self.value_test(name, number, held, negated)?, &|test| Amount::Distinct(column, test))
            }
            EventFunction::Min => test(self.value_test(name, found, held, negated)?, &|t| Amount::Least(column, t)),
            EventFunction::Max => test(self.value_test(name, found, held, negated)?, &|t| Amount::Most(column, t)),
            EventFunction::First => test(self.value_test(name, found, held, negated)?, &|t| Amount::First(column, t)),
            EventFunction::Last => test(self.value_test(name, found, held, negated)?, &|t| Amount::Last(column, t)),
            EventFunction::Sum => {
                let wide = |value: Fraction, op| value.wide_range(op, scale_of(found));
                let ranges = self.sides(name, held, negated, &wide, &WideRange::and)?;
                ranges.map(|ranges| Amount::Sum(column, ranges))
            }
            EventFunction::Avg => {
                let exact = |value: Fraction, op| value.exact_range(op, scale_of(found));
                let ranges = self.sides(name, held, negated, &exact, &ExactRange::and)?;
                ranges.map(|ranges| Amount::Mean(column, ranges))
            }
        };
        amount.map_or(Ok(Node::Nobody), |amount| self.behaviour(rows, amount))
    }

    /// Ranges of a sum or mean that are as asked; `None` where none is.
    fn sides<T>(
        &mut self,
        name: &Name,
        held: &Held<'_>,
        negated: bool,
        side: &dyn Fn(Fraction, CompareOp) -> T,
        both: &dyn Fn(T, T) -> T,
    ) -> Result<Option<Vec<T>>> {
        use CompareOp::{Equal, GreaterOrEqual, LessOrEqual};
        Ok(match held {
            Held::Compare(op, scalar) => self.exact_number(scalar)?.map(|value| vec![side(value, *op)]),
            Held::Between(low, high) => match (self.exact_number(low)?, self.exact_number(high)?) {
                (Some(low), Some(high)) => Some(vec![both(side(low, GreaterOrEqual), side(high, LessOrEqual))]),
                (Some(low), None) if negated => Some(vec![side(low, GreaterOrEqual)]),
                (None, Some(high)) if negated => Some(vec![side(high, LessOrEqual)]),
                // Null compares with nothing: of neither side is anything in, nor out.
                (None, None) if negated => {
                    let zero = Fraction::of_scaled(0, 0);
                    Some(vec![side(zero, LessOrEqual), side(zero, GreaterOrEqual)])
                }
                _ => None,
            },
            Held::In(list) => {
                let mut sides = Vec::with_capacity(list.len());
                for literal in *list {
                    sides.push(side(self.number(literal, "a sum or an average")?, Equal));
                }
                (!sides.is_empty()).then_some(sides)
            }
            Held::Like { .. } => {
                return Err(self.not_text(name, RowType::Tag(TagType::Number { scale: 0 })));
            }
        })
    }

    /// A number on the right; `None` where it is null.
    fn exact_number(&mut self, scalar: &Scalar) -> Result<Option<Fraction>> {
        match scalar {
            Scalar::Literal(literal) => self.number(literal, "a sum or an average").map(Some),
            Scalar::ProfileAggregate(aggregate) => {
                let plan = self.of_everyone(aggregate.filter.as_deref())?;
                let (value, is_date) = self.aggregate_value(&aggregate.aggregate, &plan)?;
                if is_date {
                    let message = "the subquery gives a date, this is a number".into();
                    return Err(self.fault("wrong_type", aggregate.span, message, None));
                }
                Ok(value)
            }
        }
    }
}

fn at_least_one() -> Amount {
    Amount::Count(ColumnTest::Range(Range { low: 1, high: i64::MAX }))
}

/// Rows of which a column is known.
fn known_rows(column: RowColumn) -> RowTest {
    match column {
        RowColumn::Day | RowColumn::At => RowTest::All,
        RowColumn::Property(PropertyId(_)) => RowTest::Column(column, ColumnTest::Range(Range::ALL)),
    }
}

fn scale_of(found: RowName<'_>) -> u8 {
    match found.row_type {
        RowType::Tag(TagType::Number { scale }) => scale,
        _ => 0,
    }
}

/// Any of some values, each a range of one or of none.
fn any_value(ranges: Vec<Range>) -> Option<ColumnTest> {
    let mut values: Vec<i64> = ranges.into_iter().filter(|range| !range.is_empty()).map(|range| range.low).collect();
    values.sort_unstable();
    values.dedup();
    match values[..] {
        [] => None,
        [value] => Some(ColumnTest::Range(Range { low: value, high: value })),
        _ => Some(ColumnTest::Any(values)),
    }
}

/// Any of some value numbers.
pub(crate) fn any_number(mut numbers: Vec<i64>) -> Option<ColumnTest> {
    numbers.sort_unstable();
    numbers.dedup();
    match numbers[..] {
        [] => None,
        [number] => Some(ColumnTest::Range(Range { low: number, high: number })),
        [first, .., last] => Some(ColumnTest::Values(CodeSet::of(first, last, numbers.iter().copied()))),
    }
}

/// A type in words.
pub(crate) fn word_of(row_type: RowType) -> &'static str {
    match row_type {
        RowType::Tag(tag_type) => kind_of(Column::Tag(storage::TagId(0), tag_type)),
        RowType::Moment => "a moment",
    }
}
