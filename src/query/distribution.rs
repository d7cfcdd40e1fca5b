//! Distributions: how an audience falls over the values of a tag, against a base.
//! Knows tallies, totals and bins; labels are texts, flags or bin bounds.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use storage::{TagId, TagType, ValueId};

use super::bind::request_fault;
use super::bins::Edges;
use super::cell::Cell;
use super::context::Context;
use super::count::ratio;
use super::error::Result;
use super::number::power_of_ten;
use super::numbers::Numbers;
use super::plan::{Node, any_of};
use super::spread::Spread;
use super::totals::{Tally, count, materialized, tally};

/// Most bins that may be asked for.
const BINS_MAX: usize = 10_000;
/// Bins that are chosen where none are asked for: about so many.
const BINS_WANTED: i128 = 12;

/// Values come in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Most members first.
    #[default]
    Count,
    /// Most over-represented against the base first.
    Index,
    /// By the value itself.
    Value,
}

/// Bins of numbers and dates, as asked for; widths and edges in the tag's own unit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Bins {
    /// Bins of one width, in the tag's unit (days for dates).
    Width(serde_json::Number),
    /// Bins between these edges, ascending: numbers, or dates as texts.
    Edges(Vec<serde_json::Value>),
    /// So many bins of about as many members each.
    Quantiles(u32),
}

/// The distribution of one tag.
#[derive(Debug, Clone, Serialize)]
pub struct Distribution {
    /// Values or bins, in order; those that nobody of the audience has are left out.
    pub values: Vec<ValueShare>,
    /// Members whose tag is unknown.
    pub unknown: u64,
    /// Members in values beyond `top`; of a set, with at least one such value.
    pub other: u64,
    /// Members whose tag is known.
    pub reach: u64,
    /// Of numbers and dates.
    #[serde(flatten)]
    pub summary: Option<Summary>,
}

/// One value or bin.
#[derive(Debug, Clone, Serialize)]
pub struct ValueShare {
    /// The value; of a bin `low ≤ x < high`, the last one with both ends.
    pub value: Cell<'static>,
    /// Bounds of a bin.
    #[serde(flatten)]
    pub bin: Option<BinBounds>,
    /// Members with it.
    pub count: u64,
    /// Of the audience, the unknown included.
    pub share: Option<f64>,
    /// Of the base.
    pub base_count: u64,
    /// Of the base.
    pub base_share: Option<f64>,
    /// 100 × share ÷ base share.
    pub index: Option<f64>,
}

/// From where to where a bin goes.
#[derive(Debug, Clone, Serialize)]
pub struct BinBounds {
    /// Least value.
    pub low: Cell<'static>,
    /// First value beyond, or of the last bin the greatest.
    pub high: Cell<'static>,
}

/// Of the members whose number or date is known.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Least.
    pub min: Cell<'static>,
    /// Greatest.
    pub max: Cell<'static>,
    /// Mean; of dates none.
    pub avg: Cell<'static>,
    /// First quartile, median, third quartile, by nearest rank; none over nobody.
    pub quartiles: Option<Vec<Cell<'static>>>,
}

/// What is asked of a distribution.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The tag.
    pub tag: TagId,
    /// At most so many values.
    pub top: usize,
    /// In which order.
    pub order: Order,
    /// For numbers and dates.
    pub bins: Option<&'a Bins>,
}

/// An audience and its base with their sizes, counted once for all tags.
pub struct Sides {
    pub(crate) audience: Node,
    pub(crate) base: Node,
    audience_count: u64,
    base_count: u64,
}

impl Sides {
    /// Finds both, once.
    ///
    /// # Errors
    /// The budget's, or damage of the store.
    pub fn new(ctx: &Context<'_>, audience: &Node, base: &Node) -> Result<Sides> {
        let (audience, base) = (materialized(ctx, audience)?, materialized(ctx, base)?);
        let (audience_count, base_count) = (count(ctx, &audience)?, count(ctx, &base)?);
        Ok(Sides { audience, base, audience_count, base_count })
    }

    /// Members of the audience.
    pub fn audience_count(&self) -> u64 {
        self.audience_count
    }

    /// Members of the base.
    pub fn base_count(&self) -> u64 {
        self.base_count
    }

    pub(crate) fn share(&self, value: Cell<'static>, bin: Option<BinBounds>, counts: (u64, u64)) -> ValueShare {
        let (share, base_share) = (ratio(counts.0, self.audience_count), ratio(counts.1, self.base_count));
        let index = share.zip(base_share).filter(|(_, base)| *base > 0.0).map(|(share, base)| 100.0 * share / base);
        ValueShare { value, bin, count: counts.0, share, base_count: counts.1, base_share, index }
    }
}

/// The distribution of an audience over the only tag that is asked for, and both sides: of values they are counted in the
/// pass that tallies them, and never kept.
///
/// # Errors
/// As [`distribution`].
pub fn only_distribution(
    ctx: &Context<'_>,
    (audience, base): (&Node, &Node),
    request: &Request<'_>,
) -> Result<(Sides, Distribution)> {
    if !has_values(ctx, request.tag) {
        let sides = Sides::new(ctx, audience, base)?;
        let found = distribution(ctx, &sides, request)?;
        return Ok((sides, found));
    }
    let [of_audience, of_base] = [tally(ctx, audience, request.tag)?, tally(ctx, base, request.tag)?];
    let (audience_count, base_count) = (of_audience.members, of_base.members);
    let sides = Sides { audience: audience.clone(), base: base.clone(), audience_count, base_count };
    let found = of_tallies(ctx, &sides, request, [&of_audience, &of_base])?;
    Ok((sides, found))
}

/// The distribution of an audience over a tag.
///
/// # Errors
/// A request's faults, the budget's, or damage of the store.
pub fn distribution(ctx: &Context<'_>, sides: &Sides, request: &Request<'_>) -> Result<Distribution> {
    if !has_values(ctx, request.tag) {
        return of_numbers(ctx, sides, request);
    }
    let [of_audience, of_base] = [tally(ctx, &sides.audience, request.tag)?, tally(ctx, &sides.base, request.tag)?];
    of_tallies(ctx, sides, request, [&of_audience, &of_base])
}

/// Whether a tag is a flag, a category or a set.
fn has_values(ctx: &Context<'_>, tag: TagId) -> bool {
    matches!(ctx.view.schema().tag_type(tag), TagType::Flag | TagType::Category | TagType::Set)
}

fn of_tallies(
    ctx: &Context<'_>,
    sides: &Sides,
    request: &Request<'_>,
    [counted, base]: [&Tally; 2],
) -> Result<Distribution> {
    let field = ctx.view.tag(request.tag);
    let tag_type = ctx.view.schema().tag_type(request.tag);
    let base_of = |value: u32| base.counts.get(value as usize).copied().unwrap_or(0);
    let mut values = Vec::new();
    for (value, n) in (0u32..).zip(&counted.counts).filter(|(_, n)| **n > 0) {
        let label = match tag_type {
            TagType::Flag => Cell::Bool(value == 1),
            _ => Cell::Text(field.values().text(ValueId(value))?.to_string().into()),
        };
        values.push((value, sides.share(label, None, (*n, base_of(value)))));
    }
    sort(&mut values, request.order);
    let rest: Vec<ValueId> = values.iter().skip(request.top).map(|(value, _)| ValueId(*value)).collect();
    let other = other(ctx, sides, request.tag, tag_type, &rest, counted)?;
    values.truncate(request.top);
    Ok(Distribution {
        values: values.into_iter().map(|(_, share)| share).collect(),
        unknown: sides.audience_count - counted.known,
        other,
        reach: counted.known,
        summary: None,
    })
}

pub(crate) fn sort(values: &mut [(u32, ValueShare)], order: Order) {
    values.sort_by(|(_, a), (_, b)| {
        let by_value = a.value.compare(&b.value, false);
        match order {
            Order::Value => by_value,
            Order::Count => b.count.cmp(&a.count).then(by_value),
            Order::Index => b.index.unwrap_or(0.0).total_cmp(&a.index.unwrap_or(0.0)).then(by_value),
        }
    });
}

/// Members in values beyond the top: of a set each once, whatever number of such values he has.
fn other(
    ctx: &Context<'_>,
    sides: &Sides,
    tag: TagId,
    tag_type: TagType,
    rest: &[ValueId],
    counted: &Tally,
) -> Result<u64> {
    if tag_type != TagType::Set || rest.is_empty() {
        return Ok(rest.iter().map(|value| counted.counts[value.0 as usize]).sum());
    }
    let any = any_of(ctx.view, tag, true, rest)?;
    count(ctx, &Node::and(vec![sides.audience.clone(), any]).ordered(ctx.everyone()))
}

fn of_numbers(ctx: &Context<'_>, sides: &Sides, request: &Request<'_>) -> Result<Distribution> {
    let tag_type = ctx.view.schema().tag_type(request.tag);
    let unit = Unit { tag_type };
    let (spread, base_spread) = spreads(ctx, sides, request.tag)?;
    let mut numbers = match spread {
        Some(spread) => Numbers::of_spread(ctx, &sides.audience, request.tag, spread),
        None => {
            let width = match request.bins {
                Some(Bins::Width(width)) => unit.width(width),
                _ => None,
            };
            Numbers::of(ctx, &sides.audience, sides.audience_count, request.tag, width)?
        }
    };
    let sums = numbers.totals();
    let edges = match (request.bins, sums.bounds) {
        (_, None) => Vec::new(),
        (None, Some(bounds)) => unit.chosen_edges(bounds),
        (Some(Bins::Width(width)), Some(bounds)) => unit.width_edges(width, bounds)?,
        (Some(Bins::Edges(edges)), Some(_)) => unit.given_edges(edges)?,
        (Some(Bins::Quantiles(n)), Some(bounds)) => {
            quantile_edges(*n, sums.known, bounds, |ranks| numbers.of_ranks(ranks))?
        }
    };
    let bins = Edges::new(&edges);
    let counted = numbers.in_bins(&bins)?;
    let base = match sides.base {
        _ if let Some(spread) = &base_spread => bins.of_spread(spread).into(),
        Node::Everyone => {
            let count = || bins.count(ctx, &Node::Everyone, request.tag);
            ctx.remembered.bins(ctx.view.data_version(), request.tag, &edges, count)?
        }
        ref base => bins.count(ctx, base, request.tag)?.into(),
    };
    let bin = |at: usize| {
        let bounds = BinBounds { low: unit.cell(edges[at]), high: unit.cell(edges[at + 1]) };
        let label = bin_label(&unit, &edges, at);
        sides.share(label, Some(bounds), (counted[at], base[at]))
    };
    let values: Vec<ValueShare> = (0..counted.len()).map(bin).collect();
    Ok(Distribution {
        unknown: sides.audience_count - sums.known,
        other: sums.known - counted.iter().sum::<u64>(),
        values,
        reach: sums.known,
        summary: Some(summary(&unit, &mut numbers)?),
    })
}

/// Audience and base by value, where values lie close together. Everyone is counted once a data version, with the first
/// audience that is held against them.
fn spreads(ctx: &Context<'_>, sides: &Sides, tag: TagId) -> Result<(Option<Spread>, Option<Arc<Spread>>)> {
    if sides.base != Node::Everyone {
        return Ok((Spread::of(ctx, &sides.audience, tag)?, None));
    }
    let data_version = ctx.view.data_version();
    if let Some(base) = ctx.remembered.spread(data_version, tag) {
        return Ok((Spread::of(ctx, &sides.audience, tag)?, Some(base)));
    }
    let Some((audience, base)) = Spread::of_both(ctx, &sides.audience, tag)? else { return Ok((None, None)) };
    let base = Arc::new(base);
    ctx.remembered.keep_spread(data_version, tag, &base);
    Ok((Some(audience), Some(base)))
}

fn summary(unit: &Unit, numbers: &mut Numbers<'_>) -> Result<Summary> {
    let sums = numbers.totals();
    let Some((low, high)) = sums.bounds else {
        return Ok(Summary { min: Cell::Null, max: Cell::Null, avg: Cell::Null, quartiles: None });
    };
    let ranks = [1, 2, 3].map(|quarter| (sums.known * quarter).div_ceil(4).max(1) - 1);
    let quartiles =
        numbers.of_ranks(&ranks)?.into_iter().map(|value| value.map_or(Cell::Null, |v| unit.cell(v))).collect();
    Ok(Summary {
        min: unit.cell(low),
        max: unit.cell(high),
        avg: unit.average(sums.sum, sums.known),
        quartiles: Some(quartiles),
    })
}

/// `[low, high)`; the last one is closed.
pub(super) fn bin_label(unit: &Unit, edges: &[i64], at: usize) -> Cell<'static> {
    let close = if at + 2 == edges.len() { "]" } else { ")" };
    Cell::Text(format!("[{}, {}{close}", unit.cell(edges[at]).to_csv(), unit.cell(edges[at + 1]).to_csv()).into())
}

/// How values of a number or date are spelled.
pub(super) struct Unit {
    pub(super) tag_type: TagType,
}

impl Unit {
    pub(super) fn cell(&self, value: i64) -> Cell<'static> {
        match self.tag_type {
            TagType::Number { scale } => Cell::Decimal(value.into(), scale),
            _ => Cell::Date(value),
        }
    }

    fn average(&self, sum: i128, known: u64) -> Cell<'static> {
        match self.tag_type {
            TagType::Number { scale } => average(sum, known, scale),
            _ => Cell::Null,
        }
    }

    /// Edges of round widths (1, 2 or 5 times a power of ten; of dates whole weeks or more) around the bounds.
    pub(super) fn chosen_edges(&self, (low, high): (i64, i64)) -> Vec<i64> {
        let wanted = (i128::from(high) - i128::from(low)) / BINS_WANTED + 1;
        let steps: Vec<i128> = match self.tag_type {
            TagType::Date => vec![1, 7, 14, 28, 91, 182, 365, 730, 1826, 3652, 18_262, 36_525, 365_250, 3_652_500],
            _ => (0..20).flat_map(|power| [1, 2, 5].map(|digit| digit * 10i128.pow(power))).collect(),
        };
        let width = steps.iter().copied().find(|step| *step >= wanted).unwrap_or(wanted);
        even_edges(width, low, high)
    }

    fn width(&self, width: &serde_json::Number) -> Option<i64> {
        self.parse(&serde_json::Value::Number(width.clone())).filter(|width| *width > 0)
    }

    pub(super) fn width_edges(&self, width: &serde_json::Number, (low, high): (i64, i64)) -> Result<Vec<i64>> {
        let Some(width) = self.width(width) else {
            let message = format!("a bin's width is a positive number that fits the tag, not {width}");
            return Err(request_fault("bad_bins", "/bins/width", message, None));
        };
        let bins = (i128::from(high) - i128::from(low)) / i128::from(width) + 2;
        if bins > BINS_MAX as i128 {
            let message = format!("this width makes {bins} bins; at most {BINS_MAX} are allowed");
            return Err(request_fault("too_many_bins", "/bins/width", message, None));
        }
        Ok(even_edges(width.into(), low, high))
    }

    pub(super) fn given_edges(&self, edges: &[serde_json::Value]) -> Result<Vec<i64>> {
        let fault = |message: &str| request_fault("bad_bins", "/bins/edges", message.into(), None);
        let parsed: Option<Vec<i64>> = edges.iter().map(|edge| self.parse(edge)).collect();
        let Some(parsed) = parsed else { return Err(fault("edges are numbers or dates that fit the tag")) };
        if parsed.len() < 2 || parsed.len() > BINS_MAX || !parsed.is_sorted_by(|a, b| a < b) {
            return Err(fault("edges are 2 to 10,000 ascending values"));
        }
        Ok(parsed)
    }

    fn parse(&self, value: &serde_json::Value) -> Option<i64> {
        match (self.tag_type, value) {
            (TagType::Number { scale }, serde_json::Value::Number(number)) => {
                let decimal = queryparser::ast::Decimal::parse(&number.to_string())?;
                let range =
                    super::number::Fraction::of_decimal(decimal).range(queryparser::ast::CompareOp::Equal, scale);
                (!range.is_empty()).then_some(range.low)
            }
            (TagType::Date, serde_json::Value::String(text)) => {
                queryparser::parse_date(text).ok().map(super::bind::day_number)
            }
            (TagType::Date, serde_json::Value::Number(days)) => days.as_i64(),
            _ => None,
        }
    }
}

/// A mean of scaled values; none over nobody.
pub(crate) fn average(sum: i128, known: u64, scale: u8) -> Cell<'static> {
    if known == 0 {
        return Cell::Null;
    }
    // Whole part and rest apart, so that large sums lose nothing that a double can hold.
    let by = power_of_ten(scale) * i128::from(known);
    Cell::Float(sum.div_euclid(by) as f64 + sum.rem_euclid(by) as f64 / by as f64)
}

/// Edges at multiples of a width, so that all of `low..=high` lies between the first and the last.
fn even_edges(width: i128, low: i64, high: i64) -> Vec<i64> {
    let first = i128::from(low).div_euclid(width) * width;
    let bins = (i128::from(high) - first) / width + 1;
    let edges = (0..=bins).map(|at| first + at * width);
    edges.map(|edge| edge.clamp(i64::MIN.into(), i64::MAX.into()) as i64).collect()
}

/// Edges between quantiles, and the bounds; fewer where many have one value.
pub(super) fn quantile_edges(
    n: u32,
    known: u64,
    bounds: (i64, i64),
    of_ranks: impl FnOnce(&[u64]) -> Result<Vec<Option<i64>>>,
) -> Result<Vec<i64>> {
    if n == 0 || n as usize > 1000 {
        return Err(request_fault("bad_bins", "/bins/quantiles", format!("1 to 1000 quantiles, not {n}"), None));
    }
    let ranks: Vec<u64> = (1..n).map(|at| (known * u64::from(at)).div_ceil(n.into()).max(1) - 1).collect();
    let mut edges = vec![bounds.0];
    edges.extend(of_ranks(&ranks)?.into_iter().flatten());
    edges.push(bounds.1);
    edges.dedup();
    if edges.len() == 1 {
        edges.push(bounds.1);
    }
    Ok(edges)
}
