//! Literals and scalar subqueries as values of their types: months and days, numbers, dates, aggregates over profiles.
//! Knows what a value on the right is worth; which profiles it is held against is the parent's matter.

use jiff::civil::Date;
use queryparser::ast::{
    Aggregate, CompareOp, Decimal, Interval, Literal, LiteralValue, Name, ProfileAggregate, Scalar, Span, Unit,
};
use storage::{TagId, TagType};

use super::{Binder, Column, day_number, example, kind_of, quantile_fraction};
use crate::query::error::{Error, Result};
use crate::query::number::{Fraction, Range, power_of_ten};
use crate::query::plan::Node;
use crate::query::{ranks, select, totals};

/// The day that a relative date means on a day; none where it leaves the calendar.
pub fn day_from(day: Date, intervals: &[Interval]) -> Option<Date> {
    intervals.iter().try_fold(day, |day, interval| {
        let count = i64::from(interval.count);
        let step = match interval.unit {
            Unit::Day => jiff::Span::new().try_days(count),
            Unit::Week => jiff::Span::new().try_weeks(count),
            Unit::Month => jiff::Span::new().try_months(count),
            Unit::Year => jiff::Span::new().try_years(count),
        };
        day.checked_add(step.ok()?).ok()
    })
}

impl Binder<'_> {
    pub(super) fn month_day(&self, literal: &Literal) -> Result<u16> {
        let parsed = match &literal.value {
            LiteralValue::Text(text) => text.split_once('-').and_then(|(month, day)| {
                let digits = month.len() == 2 && day.len() == 2;
                let (month, day): (i8, i8) = (month.parse().ok()?, day.parse().ok()?);
                // 2000 was a leap year: 02-29 is a month and a day.
                (digits && Date::new(2000, month, day).is_ok()).then_some(month as u16 * 100 + day as u16)
            }),
            _ => None,
        };
        parsed.ok_or_else(|| {
            let hint = Some("write it as '06-30'".into());
            self.fault("bad_date", literal.span, "expected a month and day".into(), hint)
        })
    }

    pub(super) fn literal<'s>(&self, scalar: &'s Scalar) -> Result<&'s Literal> {
        match scalar {
            Scalar::Literal(literal) => Ok(literal),
            Scalar::ProfileAggregate(aggregate) => {
                let message = "a subquery over profiles can be held against a number or date tag only".into();
                Err(self.fault("wrong_type", aggregate.span, message, None))
            }
        }
    }

    pub(super) fn number(&self, literal: &Literal, what: &str) -> Result<Fraction> {
        self.as_number(literal)
            .ok_or_else(|| self.fault("wrong_type", literal.span, format!("{what} is held against a number"), None))
    }

    pub(super) fn as_number(&self, literal: &Literal) -> Option<Fraction> {
        match &literal.value {
            LiteralValue::Number(decimal) => Some(Fraction::of_decimal(*decimal)),
            // Builders send numbers as texts; PostgreSQL reads '30' as a number where one is expected, too.
            LiteralValue::Text(text) => Decimal::parse(text).map(Fraction::of_decimal),
            _ => None,
        }
    }

    /// Values of a number or date for which `value op scalar`; none where the scalar is null.
    pub(super) fn range(
        &mut self,
        name: &Name,
        tag_type: TagType,
        op: CompareOp,
        scalar: &Scalar,
    ) -> Result<Option<Range>> {
        match scalar {
            Scalar::Literal(literal) => self.literal_range(name, tag_type, op, literal).map(Some),
            Scalar::ProfileAggregate(aggregate) => self.aggregate_range(name, tag_type, op, aggregate),
        }
    }

    pub(super) fn literal_range(
        &self,
        name: &Name,
        tag_type: TagType,
        op: CompareOp,
        literal: &Literal,
    ) -> Result<Range> {
        let misfit = || self.misfit(name, Column::Tag(TagId(0), tag_type), literal);
        match tag_type {
            TagType::Number { scale } => Ok(self.as_number(literal).ok_or_else(misfit)?.range(op, scale)),
            _ => {
                let day = match &literal.value {
                    LiteralValue::Date(date) => *date,
                    LiteralValue::RelativeDate(intervals) => self.relative(intervals, literal.span)?,
                    LiteralValue::Text(text) => queryparser::parse_date(text).map_err(|reason| {
                        let hint = Some(format!("write {} >= DATE '2026-11-01'", name.text));
                        self.fault("bad_date", literal.span, reason, hint)
                    })?,
                    _ => return Err(misfit()),
                };
                Ok(Fraction::of_scaled(day_number(day), 0).range(op, 0))
            }
        }
    }

    pub(crate) fn relative(&self, intervals: &[Interval], span: Span) -> Result<Date> {
        day_from(self.ctx.as_of, intervals)
            .ok_or_else(|| self.fault("bad_date", span, "this leaves the calendar (years -9999 to 9999)".into(), None))
    }

    /// Held against one number or date that is asked of profiles first; null compares with nobody.
    pub(super) fn aggregate_range(
        &mut self,
        name: &Name,
        tag_type: TagType,
        op: CompareOp,
        aggregate: &ProfileAggregate,
    ) -> Result<Option<Range>> {
        let plan = self.of_everyone(aggregate.filter.as_deref())?;
        let scale = match tag_type {
            TagType::Number { scale } => scale,
            _ => 0,
        };
        let (value, is_date) = self.aggregate_value(&aggregate.aggregate, &plan)?;
        if is_date != (tag_type == TagType::Date) {
            let (one, other) = if is_date { ("a date", "a number") } else { ("a number", "a date") };
            let message = format!("the subquery gives {one}, `{}` is {other}", name.text);
            return Err(self.fault("wrong_type", aggregate.span, message, None));
        }
        Ok(value.map(|value| value.range(op, scale)))
    }

    pub(crate) fn aggregate_value(&self, aggregate: &Aggregate, plan: &Node) -> Result<(Option<Fraction>, bool)> {
        let scaled = |value: Option<i64>, tag_type: TagType| match tag_type {
            TagType::Number { scale } => (value.map(|v| Fraction::of_scaled(v, scale)), false),
            _ => (value.map(|v| Fraction::of_scaled(v, 0)), true),
        };
        Ok(match aggregate {
            Aggregate::CountAll => (Some(Fraction::new(totals::count(self.ctx, plan)?.into(), 1)), false),
            Aggregate::CountDistinct(name) => {
                let distinct = select::count_distinct(self.ctx, plan, self.column(name)?)?;
                (Some(Fraction::new(distinct.into(), 1)), false)
            }
            Aggregate::Sum(name) | Aggregate::Avg(name) => {
                let (tag, tag_type) = self.measure(name, "sum and avg")?;
                let TagType::Number { scale } = tag_type else {
                    let message = format!("`{}` is a date: it has no sum or average", name.text);
                    return Err(self.fault("wrong_type", name.span, message, None));
                };
                let totals = totals::totals(self.ctx, plan, tag)?;
                let power = power_of_ten(scale);
                match aggregate {
                    Aggregate::Sum(_) => (Some(Fraction::new(totals.sum, power)), false),
                    _ if totals.known == 0 => (None, false),
                    _ => (Some(Fraction::new(totals.sum, power * i128::from(totals.known))), false),
                }
            }
            Aggregate::Min(name) | Aggregate::Max(name) => {
                let (tag, tag_type) = self.measure(name, "min and max")?;
                let bounds = totals::totals(self.ctx, plan, tag)?.bounds;
                let is_min = matches!(aggregate, Aggregate::Min(_));
                scaled(bounds.map(|(low, high)| if is_min { low } else { high }), tag_type)
            }
            Aggregate::Quantile(name, q) => {
                let (tag, tag_type) = self.measure(name, "quantile")?;
                scaled(ranks::quantile(self.ctx, plan, tag, quantile_fraction(*q))?, tag_type)
            }
        })
    }

    pub(super) fn misfit(&self, name: &Name, column: Column, literal: &Literal) -> Error {
        let message = format!("`{}` is {}", name.text, kind_of(column));
        let hint = format!("write {}", example(&name.text, column));
        self.fault("wrong_type", literal.span, message, Some(hint))
    }
}
