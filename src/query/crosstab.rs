//! Crosstabs: how an audience falls over two tags at once.
//! Knows axes and labels; the counting is `groups`'.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cell::Cell;
use super::context::Context;
use super::error::{Error, Result};
use super::groups::{Axis, Group, group};
use super::plan::Node;
use super::totals::materialized;

/// Counts by row and column; the label of unknown is null.
#[derive(Debug, Clone, Serialize)]
pub struct Crosstab {
    /// Row labels, most members first, unknown last.
    pub rows: Vec<Cell<'static>>,
    /// Column labels, likewise.
    pub columns: Vec<Cell<'static>>,
    /// Rows of counts.
    pub counts: Vec<Vec<u64>>,
    /// Members of each row; of a set each once.
    pub row_totals: Vec<u64>,
    /// Members of each column, likewise.
    pub column_totals: Vec<u64>,
}

/// Counts the members of a plan by two tags.
///
/// # Errors
/// [`Error::TooLarge`], the budget's, or damage of the store.
pub fn crosstab(ctx: &Context<'_>, plan: &Node, rows: Axis, columns: Axis) -> Result<Crosstab> {
    let plan = &materialized(ctx, plan)?;
    let cells = group(ctx, plan, &[rows, columns])?;
    let (row_keys, row_totals) = ranked(margin(ctx, plan, rows, columns, 0, &cells)?);
    let (column_keys, column_totals) = ranked(margin(ctx, plan, columns, rows, 1, &cells)?);
    let (asked, max) = (row_keys.len() as u64 * column_keys.len() as u64, ctx.limits.answer_cells_max);
    if asked > max {
        return Err(Error::TooLarge { what: "cells", asked, max });
    }
    let place =
        |keys: &[i64]| -> BTreeMap<i64, usize> { keys.iter().enumerate().map(|(at, key)| (*key, at)).collect() };
    let (row_at, column_at) = (place(&row_keys), place(&column_keys));
    let mut counts = vec![vec![0; column_keys.len()]; row_keys.len()];
    for (keys, n) in cells {
        counts[row_at[&keys[0]]][column_at[&keys[1]]] = n;
    }
    Ok(Crosstab {
        rows: row_keys.iter().map(|key| rows.label(ctx, *key)).collect::<Result<_>>()?,
        columns: column_keys.iter().map(|key| columns.label(ctx, *key)).collect::<Result<_>>()?,
        counts,
        row_totals,
        column_totals,
    })
}

/// Members by the keys of one axis: added up, unless the other axis counts a member several times.
fn margin(
    ctx: &Context<'_>,
    plan: &Node,
    axis: Axis,
    other: Axis,
    place: usize,
    cells: &[Group],
) -> Result<Vec<Group>> {
    if !other.is_single() {
        return group(ctx, plan, &[axis]);
    }
    let mut sums: BTreeMap<i64, u64> = BTreeMap::new();
    cells.iter().for_each(|(keys, n)| *sums.entry(keys[place]).or_default() += n);
    Ok(sums.into_iter().map(|(key, n)| (vec![key], n)).collect())
}

/// Keys of one axis with their members, most first, unknown last.
fn ranked(mut groups: Vec<Group>) -> (Vec<i64>, Vec<u64>) {
    groups.sort_by_key(|(keys, n)| (keys[0] == i64::MIN, std::cmp::Reverse(*n), keys[0]));
    groups.into_iter().map(|(keys, n)| (keys[0], n)).unzip()
}
