//! SELECT statements over profiles: totals, groups and rows.
//! Knows statements and cells; each part is counted by the room that counts it everywhere else.

use std::cmp::Ordering;

use queryparser::ast::{
    Aggregate, CompareOp, Having, LiteralValue, Name, OrderBy, Select, SelectExpression, SelectItem,
};
use serde::Serialize;
use storage::field::FieldId;
use storage::{TagId, TagType};

use super::bind::{Binder, Column, kind_of, quantile_fraction};
use super::cell::Cell;
use super::context::Context;
use super::distribution::average;
use super::error::{Error, Result};
use super::groups::{Axis, group};
use super::number::{Fraction, Range};
use super::people::{Listing, list};
use super::plan::Node;
use super::ranks::quantile;
use super::select_events::select_events;
use super::totals::{count, tally, totals};

/// Rows that a list without LIMIT gives at most; the members call streams any number.
pub const ROWS_MAX: u64 = 1_000_000;

/// Columns and rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<Cell<'static>>>,
}

/// Runs a SELECT.
///
/// # Errors
/// The statement's faults, the budget's, or damage of the store.
pub fn select(binder: &mut Binder<'_>, statement: &Select) -> Result<Table> {
    let ctx = binder.ctx;
    if statement.from.text != "profiles" {
        return select_events(binder, statement);
    }
    let plan = match &statement.filter {
        Some(filter) => binder.plan(filter)?,
        None => Node::Everyone,
    };
    let columns = statement.items.iter().map(column_name).collect();
    let has_aggregate = statement.items.iter().any(|i| matches!(i.expression, SelectExpression::Aggregate(_)));
    let rows = if !statement.group_by.is_empty() {
        grouped(binder, statement, &plan)?
    } else if has_aggregate {
        vec![total_row(binder, statement, &plan)?]
    } else {
        return Ok(Table { columns, rows: listed(binder, statement, ctx, &plan)? });
    };
    Ok(Table { columns, rows })
}

pub(crate) fn column_name(item: &SelectItem) -> String {
    match (&item.alias, &item.expression) {
        (Some(alias), _) => alias.text.clone(),
        (None, SelectExpression::Column(name)) => name.text.clone(),
        (None, SelectExpression::Aggregate(aggregate)) => aggregate.to_string(),
    }
}

fn total_row(binder: &Binder<'_>, statement: &Select, plan: &Node) -> Result<Vec<Cell<'static>>> {
    if let Some(having) = &statement.having
        && !having_holds(binder, having, &|aggregate| aggregate_cell(binder, aggregate, plan))?
    {
        return Ok(Vec::new());
    }
    let mut row = Vec::with_capacity(statement.items.len());
    for item in &statement.items {
        match &item.expression {
            SelectExpression::Aggregate(aggregate) => row.push(aggregate_cell(binder, aggregate, plan)?),
            SelectExpression::Column(name) => {
                let message = format!("`{}` stands beside an aggregate without being grouped by", name.text);
                let hint = Some(format!("add GROUP BY {}", name.text));
                return Err(binder.fault("not_grouped", name.span, message, hint));
            }
        }
    }
    Ok(row)
}

/// An aggregate over the members of a plan.
fn aggregate_cell(binder: &Binder<'_>, aggregate: &Aggregate, plan: &Node) -> Result<Cell<'static>> {
    let ctx = binder.ctx;
    let cell = |value: Option<i64>, tag_type: TagType| match (value, tag_type) {
        (None, _) => Cell::Null,
        (Some(value), TagType::Number { scale }) => Cell::Decimal(value.into(), scale),
        (Some(value), _) => Cell::Date(value),
    };
    Ok(match aggregate {
        Aggregate::CountAll => Cell::Int(count(ctx, plan)? as i64),
        Aggregate::CountDistinct(name) => Cell::Int(count_distinct(ctx, plan, binder.column(name)?)? as i64),
        Aggregate::Sum(name) | Aggregate::Avg(name) => {
            let (tag, tag_type) = binder.measure(name, "sum and avg")?;
            let TagType::Number { scale } = tag_type else {
                let message = format!("`{}` is a date: it has no sum or average", name.text);
                return Err(binder.fault("wrong_type", name.span, message, None));
            };
            let sums = totals(ctx, plan, tag)?;
            match aggregate {
                Aggregate::Sum(_) => Cell::Decimal(sums.sum, scale),
                _ => average(sums.sum, sums.known, scale),
            }
        }
        Aggregate::Min(name) | Aggregate::Max(name) => {
            let (tag, tag_type) = binder.measure(name, "min and max")?;
            let bounds = totals(ctx, plan, tag)?.bounds;
            let is_min = matches!(aggregate, Aggregate::Min(_));
            cell(bounds.map(|(low, high)| if is_min { low } else { high }), tag_type)
        }
        Aggregate::Quantile(name, q) => {
            let (tag, tag_type) = binder.measure(name, "quantile")?;
            cell(quantile(ctx, plan, tag, quantile_fraction(*q))?, tag_type)
        }
    })
}

/// How many different known values the members of a plan have.
///
/// # Errors
/// The budget's, [`Error::TooLarge`], or damage of the store.
pub(crate) fn count_distinct(ctx: &Context<'_>, plan: &Node, column: Column) -> Result<u64> {
    match column {
        Column::OneId => count(ctx, plan),
        // An identity belongs to one profile; a profile's first one counts.
        Column::Identity(id_type) => {
            let known = Node::known(ctx.view, FieldId::IdType(id_type))?;
            count(ctx, &Node::and(vec![known, plan.clone()]).ordered(ctx.everyone()))
        }
        Column::Tag(tag, TagType::Number { .. } | TagType::Date) => {
            let groups = group(ctx, plan, &[axis(ctx, tag)])?;
            Ok(groups.iter().filter(|(key, _)| key[0] != i64::MIN).count() as u64)
        }
        Column::Tag(tag, _) => Ok(tally(ctx, plan, tag)?.counts.iter().filter(|n| **n > 0).count() as u64),
    }
}

fn axis(ctx: &Context<'_>, tag: TagId) -> Axis {
    Axis { tag, tag_type: ctx.view.schema().tag_type(tag) }
}

fn group_axis(binder: &Binder<'_>, name: &Name) -> Result<Axis> {
    match binder.column(name)? {
        Column::Tag(tag, tag_type) => Ok(Axis { tag, tag_type }),
        other => {
            let message = format!("GROUP BY takes tags; `{}` is {}", name.text, kind_of(other));
            Err(binder.fault("wrong_type", name.span, message, None))
        }
    }
}

/// Rows of groups on their way, each with what it is ordered by.
#[derive(Default)]
pub(crate) struct Rows(Vec<(Vec<Cell<'static>>, Vec<Cell<'static>>)>);

impl Rows {
    /// Adds the row of a group, whose cells `cell` gives.
    ///
    /// # Errors
    /// What `cell` gives.
    pub(crate) fn push(
        &mut self,
        statement: &Select,
        cell: &dyn Fn(&SelectExpression) -> Result<Cell<'static>>,
    ) -> Result<()> {
        let cells = statement.items.iter().map(|item| cell(&item.expression)).collect::<Result<_>>()?;
        let sort_key = |order: &OrderBy| {
            // An alias stands for its item.
            let named = statement.items.iter().find(|item| match (&order.expression, &item.alias) {
                (SelectExpression::Column(name), Some(alias)) => alias.text == name.text,
                _ => false,
            });
            cell(named.map_or(&order.expression, |item| &item.expression))
        };
        let sort_keys = statement.order_by.iter().map(sort_key).collect::<Result<_>>()?;
        self.0.push((cells, sort_keys));
        Ok(())
    }
}

/// The rows in the order and up to the number that a statement asks for.
pub(crate) fn ordered(Rows(mut rows): Rows, statement: &Select) -> Vec<Vec<Cell<'static>>> {
    rows.sort_by(|(_, a), (_, b)| {
        let keys = a.iter().zip(b).zip(&statement.order_by);
        keys.map(|((a, b), order)| a.compare(b, order.descending))
            .find(|o| *o != Ordering::Equal)
            .unwrap_or(Ordering::Equal)
    });
    rows.truncate(statement.limit.unwrap_or(u64::MAX).min(usize::MAX as u64) as usize);
    rows.into_iter().map(|(cells, _)| cells).collect()
}

fn grouped(binder: &Binder<'_>, statement: &Select, plan: &Node) -> Result<Vec<Vec<Cell<'static>>>> {
    let ctx = binder.ctx;
    let axes = statement.group_by.iter().map(|name| group_axis(binder, name)).collect::<Result<Vec<_>>>()?;
    let mut rows = Rows::default();
    for (keys, n) in group(ctx, plan, &axes)? {
        let one = OneGroup { binder, statement, axes: &axes, keys: &keys, n, everyone: plan };
        if let Some(having) = &statement.having
            && !having_holds(binder, having, &|a| one.cell(&SelectExpression::Aggregate(a.clone())))?
        {
            continue;
        }
        rows.push(statement, &|expression| one.cell(expression))?;
    }
    Ok(ordered(rows, statement))
}

struct OneGroup<'a> {
    binder: &'a Binder<'a>,
    statement: &'a Select,
    axes: &'a [Axis],
    keys: &'a [i64],
    n: u64,
    everyone: &'a Node,
}

impl OneGroup<'_> {
    fn cell(&self, expression: &SelectExpression) -> Result<Cell<'static>> {
        match expression {
            SelectExpression::Column(name) => {
                let place = self.statement.group_by.iter().position(|g| g.text == name.text);
                let Some(place) = place else {
                    let message = format!("`{}` is neither grouped by nor an aggregate", name.text);
                    return Err(self.binder.fault("not_grouped", name.span, message, None));
                };
                self.axes[place].label(self.binder.ctx, self.keys[place])
            }
            SelectExpression::Aggregate(Aggregate::CountAll) => Ok(Cell::Int(self.n as i64)),
            SelectExpression::Aggregate(aggregate) => aggregate_cell(self.binder, aggregate, &self.plan()?),
        }
    }

    fn plan(&self) -> Result<Node> {
        let ctx = self.binder.ctx;
        let mut all = vec![self.everyone.clone()];
        for (axis, key) in self.axes.iter().zip(self.keys) {
            all.push(axis.plan_of(ctx, *key)?);
        }
        Ok(Node::and(all).ordered(ctx.everyone()))
    }
}

/// Whether a condition over groups holds, of the aggregates that `cell` gives.
///
/// # Errors
/// A misfit of types, or what `cell` gives.
pub(crate) fn having_holds(
    binder: &Binder<'_>,
    having: &Having,
    cell: &dyn Fn(&Aggregate) -> Result<Cell<'static>>,
) -> Result<bool> {
    match having {
        Having::And(all) => all.iter().try_fold(true, |so_far, h| Ok(so_far && having_holds(binder, h, cell)?)),
        Having::Or(any) => any.iter().try_fold(false, |so_far, h| Ok(so_far || having_holds(binder, h, cell)?)),
        Having::Not(inner) => Ok(!having_holds(binder, inner, cell)?),
        Having::Compare { aggregate, op, value, span } => compare(binder, &cell(aggregate)?, *op, value, *span),
    }
}

/// A group's aggregate against a number; null compares false.
fn compare(
    binder: &Binder<'_>,
    found: &Cell<'_>,
    op: CompareOp,
    value: &queryparser::ast::Literal,
    span: queryparser::ast::Span,
) -> Result<bool> {
    let fault = |what: &str| binder.fault("wrong_type", span, format!("HAVING holds this against a {what}"), None);
    let literal = match (&value.value, found) {
        (_, Cell::Null) => return Ok(false),
        (LiteralValue::Number(decimal), _) => Fraction::of_decimal(*decimal),
        (LiteralValue::Date(date), Cell::Date(_)) => Fraction::of_scaled(super::bind::day_number(*date), 0),
        (_, Cell::Date(_)) => return Err(fault("date")),
        _ => return Err(fault("number")),
    };
    let within = |range: Range, value: i128| {
        let value = value.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        range.contains(value) != (op == CompareOp::NotEqual)
    };
    Ok(match found {
        Cell::Int(value) | Cell::Date(value) => within(literal.range(op, 0), (*value).into()),
        Cell::Decimal(value, scale) => within(literal.range(op, *scale), *value),
        Cell::Float(value) => literal.compare_f64(*value, op),
        _ => return Err(fault("number")),
    })
}

/// Plain rows of members.
fn listed(binder: &Binder<'_>, statement: &Select, ctx: &Context<'_>, plan: &Node) -> Result<Vec<Vec<Cell<'static>>>> {
    let mut columns = Vec::with_capacity(statement.items.len());
    for item in &statement.items {
        let SelectExpression::Column(name) = &item.expression else { continue };
        columns.push(binder.column(name)?);
    }
    let order_by = match &statement.order_by[..] {
        [] => None,
        [order] => ordering(binder, statement, order)?,
        [_, second, ..] => {
            let message = "a list of people is ordered by one number or date; ties go to the lower one_id".into();
            return Err(binder.fault("unsupported", second.span, message, None));
        }
    };
    if statement.limit.is_none() {
        let asked = count(ctx, plan)?;
        if asked > ROWS_MAX {
            return Err(Error::TooLarge { what: "rows", asked, max: ROWS_MAX });
        }
    }
    let limit = Some(statement.limit.unwrap_or(ROWS_MAX).min(ROWS_MAX));
    let listing = Listing { order_by, limit, ..Listing::default() };
    let mut rows = Vec::new();
    list(ctx, plan, &columns, &listing, |_, cells| {
        rows.push(cells.iter().map(|cell| cell.clone().into_owned()).collect());
        Ok(())
    })?;
    Ok(rows)
}

/// What a list is ordered by; `one_id` ascending is the order that it has anyway.
pub fn ordering(binder: &Binder<'_>, statement: &Select, order: &OrderBy) -> Result<Option<(TagId, bool)>> {
    let SelectExpression::Column(name) = &order.expression else {
        let message = "a list of people is ordered by a number or date".into();
        return Err(binder.fault("wrong_type", order.span, message, None));
    };
    let aliased = statement.items.iter().find(|item| item.alias.as_ref().is_some_and(|a| a.text == name.text));
    let name = match aliased.map(|item| &item.expression) {
        Some(SelectExpression::Column(meant)) => meant,
        _ => name,
    };
    if name.text == "one_id" && !order.descending {
        return Ok(None);
    }
    let (tag, _) = binder.measure(name, "ORDER BY")?;
    Ok(Some((tag, order.descending)))
}
