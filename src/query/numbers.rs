//! Numbers: the known values of some members of a number or date, in the form that totals, bins and ranks are read from
//! fastest. Knows columns as whole numbers; scale, calendar and labels are the caller's.
//!
//! ```text
//!   Close   values lie close together: members by value (`spread`)
//!   Few     members are few: a list of their values
//!   Many    members by cell of an even grid: bins of whole cells are sums, and a rank leaves one cell to look through
//! ```
//! Each takes one pass over the members, of `Many` the ranks one more.

use storage::TagId;

use super::bins::{Edges, Even};
use super::context::Context;
use super::error::Result;
use super::gather::{PageMembers, for_each_value, push_known};
use super::number::Range;
use super::plan::Node;
use super::ranks::{Search, searched};
use super::spread::Spread;
use super::totals::{Totals, column_bounds, each_page_of};

/// Cells of a grid: as many counters for each thread.
const CELLS_MAX: i128 = 1 << 14;
/// Of more ranks a list is sorted.
const SELECTED_MAX: usize = 8;

/// Known values of some members.
pub(crate) struct Numbers<'a> {
    ctx: &'a Context<'a>,
    plan: &'a Node,
    tag: TagId,
    totals: Totals,
    form: Form,
}

enum Form {
    Close(Spread),
    Few(Vec<i64>),
    Many(Grid, Vec<u32>),
}

impl<'a> Numbers<'a> {
    /// Of a plan's members, at most so many; `width` is that of the bins that will be asked for, where they have one.
    ///
    /// # Errors
    /// The budget's, or damage of the store.
    pub(crate) fn of(
        ctx: &'a Context<'a>,
        plan: &'a Node,
        members: u64,
        tag: TagId,
        width: Option<i64>,
    ) -> Result<Numbers<'a>> {
        let bounds = column_bounds(ctx, tag)?;
        let Some(bounds) = bounds.filter(|_| members > ctx.limits.listed_max) else {
            let values = listed(ctx, plan, members, tag)?;
            let mut totals = Totals::default();
            totals.add_all(&values, i64::MIN);
            return Ok(Numbers { ctx, plan, tag, totals, form: Form::Few(values) });
        };
        let grid = Grid::new(bounds, width);
        let (totals, counts, _) = ctx.fold_shares(
            || (Totals::default(), vec![0u32; grid.cells], Vec::new()),
            |(totals, counts, values), share| {
                each_page_of(ctx, plan, tag, share, |page, members| {
                    totals.add_page(page, members, values);
                    match members {
                        PageMembers::Bits(_) => for_each_value(page, members, |value| grid.add(value, counts)),
                        PageMembers::Ids(_) => values.iter().for_each(|value| grid.add(*value, counts)),
                    }
                })
            },
            |mut a, b| {
                a.1.iter_mut().zip(b.1).for_each(|(a, b)| *a += b);
                (a.0.merge(b.0), a.1, a.2)
            },
        )?;
        Ok(Numbers { ctx, plan, tag, totals, form: Form::Many(grid, counts) })
    }

    /// Of a plan's members, who are counted by value already.
    pub(crate) fn of_spread(ctx: &'a Context<'a>, plan: &'a Node, tag: TagId, spread: Spread) -> Numbers<'a> {
        Numbers { ctx, plan, tag, totals: spread.totals(), form: Form::Close(spread) }
    }

    /// Their number, sum and bounds.
    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// Members in each bin.
    ///
    /// # Errors
    /// The budget's, or damage of the store.
    pub(crate) fn in_bins(&self, edges: &Edges) -> Result<Vec<u64>> {
        match &self.form {
            Form::Close(spread) => Ok(edges.of_spread(spread)),
            Form::Few(values) => Ok(edges.count_values(values)),
            Form::Many(grid, counts) => match self.totals.bounds.and_then(|bounds| grid.in_bins(edges, bounds, counts))
            {
                Some(in_bins) => Ok(in_bins),
                None => edges.count(self.ctx, self.plan, self.tag),
            },
        }
    }

    /// The value at each of some ranks, 0 the least; a rank beyond the last has none.
    ///
    /// # Errors
    /// The budget's, or damage of the store.
    pub(crate) fn of_ranks(&mut self, ranks: &[u64]) -> Result<Vec<Option<i64>>> {
        match &mut self.form {
            Form::Close(spread) => Ok(ranks.iter().map(|rank| spread.value_of_rank(*rank)).collect()),
            Form::Few(values) => Ok(selected(values, ranks)),
            Form::Many(grid, counts) => {
                let searches = ranks.iter().map(|rank| grid.search(*rank, counts)).collect();
                searched(self.ctx, self.plan, self.tag, searches)
            }
        }
    }
}

/// Known values of a plan's members, at most so many, in no order.
fn listed(ctx: &Context<'_>, plan: &Node, members: u64, tag: TagId) -> Result<Vec<i64>> {
    ctx.fold_shares(
        || Vec::with_capacity(members.min(ctx.limits.listed_max) as usize),
        |values, share| {
            each_page_of(ctx, plan, tag, share, |page, members| {
                push_known(page, members, values);
            })
        },
        |mut a, mut b| {
            a.append(&mut b);
            a
        },
    )
}

/// The values at some ranks; puts the values in another order.
fn selected(values: &mut [i64], ranks: &[u64]) -> Vec<Option<i64>> {
    if ranks.len() > SELECTED_MAX {
        values.sort_unstable();
        return ranks.iter().map(|rank| values.get(*rank as usize).copied()).collect();
    }
    let mut order: Vec<usize> = (0..ranks.len()).collect();
    order.sort_by_key(|at| ranks[*at]);
    let mut found = vec![None; ranks.len()];
    // What lies before the last rank found is no greater than what comes.
    let mut before = 0;
    for at in order {
        let rank = ranks[at] as usize;
        if rank < values.len() {
            found[at] = Some(*values[before..].select_nth_unstable(rank - before).1);
            before = rank;
        }
    }
    found
}

/// Cells of one width from a first value on.
struct Grid {
    first: i64,
    width: i64,
    cells: usize,
    /// Where values and width are small enough for it.
    even: Option<Even>,
    /// Of the column.
    bounds: (i64, i64),
}

impl Grid {
    fn new(bounds: (i64, i64), bin_width: Option<i64>) -> Grid {
        let width = cell_width(bounds, bin_width);
        let (low, high) = (i128::from(bounds.0), i128::from(bounds.1));
        let first = low.div_euclid(width) * width;
        let cells = ((high - first) / width + 1) as usize;
        // A multiple of the width next to a value: values lie well within.
        let (first, width) = (first as i64, width as i64);
        Grid { first, width, cells, even: Even::new(first, width, bounds.1), bounds }
    }

    #[inline(always)]
    fn add(&self, value: i64, counts: &mut [u32]) {
        let count = &mut counts[self.cell(value)];
        *count = count.wrapping_add(1);
    }

    /// The cell of a value of the column.
    #[inline(always)]
    fn cell(&self, value: i64) -> usize {
        match self.even {
            Some(even) => even.bin(value),
            None => (value.wrapping_sub(self.first) as u64 / self.width as u64) as usize,
        }
    }

    /// Members in each bin, where bins are whole cells; all values lie within the bounds, so that a bin may end anywhere
    /// beyond them.
    fn in_bins(&self, edges: &Edges, (least, most): (i64, i64), counts: &[u32]) -> Option<Vec<u64>> {
        let of_bin = |bin: &Range| {
            let from = if bin.low <= least { 0 } else { self.cell_from(bin.low)? };
            let to = if bin.high >= most { self.cells } else { self.cell_from(bin.high + 1)? };
            Some(counts.get(from..to).unwrap_or_default().iter().map(|count| u64::from(*count)).sum())
        };
        edges.ranges().iter().map(of_bin).collect()
    }

    /// The cell that begins at a value.
    fn cell_from(&self, value: i64) -> Option<usize> {
        let from_first = i128::from(value) - i128::from(self.first);
        let (cell, width) = (from_first.div_euclid(self.width.into()), i128::from(self.width));
        (cell * width == from_first).then(|| cell.clamp(0, self.cells as i128) as usize)
    }

    /// A search that begins with the cell of a rank; nothing beyond the last.
    fn search(&self, rank: u64, counts: &[u32]) -> Option<Search> {
        let mut below = 0;
        let cell = counts.iter().position(|count| {
            let is_here = rank < below + u64::from(*count);
            below += if is_here { 0 } else { u64::from(*count) };
            is_here
        })?;
        let low = i128::from(self.first) + cell as i128 * i128::from(self.width);
        // Within the bounds, which fit.
        let within = |value: i128| value.clamp(self.bounds.0.into(), self.bounds.1.into()) as i64;
        let cell = Range { low: within(low), high: within(low + i128::from(self.width) - 1) };
        Some(Search::within(rank, below, cell))
    }
}

/// The width of cells: a part of the bins' if they have one, else 1, 2 or 5 times a power of ten, so that the usual bins are
/// whole cells; as small as leaves few enough of them.
fn cell_width((low, high): (i64, i64), bin_width: Option<i64>) -> i128 {
    let span = i128::from(high) - i128::from(low) + 1;
    // The first cell begins before the least value.
    let are_few = |width: i128| span / width + 2 <= CELLS_MAX;
    if let Some(bin) = bin_width.map(i128::from).filter(|bin| are_few(*bin)) {
        let most_parts = (CELLS_MAX * bin / span).clamp(1, bin.min(CELLS_MAX));
        let parts = (1..=most_parts).rev().find(|parts| bin % parts == 0 && are_few(bin / parts));
        return bin / parts.unwrap_or(1);
    }
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10i128.pow(power)));
    steps.take(60).find(|step| are_few(*step)).unwrap_or(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use storage::column::NUMBER_MAX;

    /// Values counted on a grid, as pages are.
    fn counted(grid: &Grid, values: &[i64]) -> Vec<u32> {
        let mut counts = vec![0; grid.cells];
        values.iter().for_each(|value| grid.add(*value, &mut counts));
        counts
    }

    proptest! {
        #[test]
        fn a_grid_tells_bins_and_cells_as_the_values_do(
            base in prop_oneof![-5_000i64..5_000, -(1i64 << 62)..1 << 61],
            spread in prop_oneof![1u64..40, 1u64..5_000_000, 1u64..1 << 61, (1u64 << 62) - 9..1 << 62],
            seeds in proptest::collection::vec(any::<u64>(), 1..80),
            (width, offset) in (1i64..400_000, -3i64..4),
        ) {
            let mut values: Vec<i64> = seeds.iter().map(|seed| base + (seed % spread) as i64).collect();
            if spread > 1 << 61 {
                values.extend([-NUMBER_MAX, NUMBER_MAX]);
            }
            // As a tag has them.
            values.iter_mut().for_each(|value| *value = (*value).clamp(-NUMBER_MAX, NUMBER_MAX));
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let bounds = (sorted[0], sorted[sorted.len() - 1]);
            // The column has others beyond.
            let of_column = (bounds.0 - (seeds[0] % 9) as i64, bounds.1 + (seeds[0] % 7) as i64);
            for bin_width in [Some(width), Some(width << 36), None] {
                let grid = Grid::new(of_column, bin_width);
                prop_assert!(grid.cells as i128 <= CELLS_MAX);
                let counts = counted(&grid, &values);
                let width = i128::from(bin_width.unwrap_or(width));
                let first = i128::from(bounds.0).div_euclid(width) * width;
                let bins = (i128::from(bounds.1) - first) / width + 1;
                if bins < 2_000 {
                    for shift in [0, offset] {
                        let edges: Vec<i64> =
                            (0..=bins).map(|at| (first + i128::from(shift) + at * width) as i64).collect();
                        let edges = Edges::new(&edges);
                        let found = grid.in_bins(&edges, bounds, &counts);
                        prop_assert!(found.is_some() || shift != 0 || bin_width.is_none(), "bins of whole cells");
                        if let Some(found) = found {
                            prop_assert_eq!(found, edges.count_values(&values));
                        }
                    }
                }
                for (rank, value) in sorted.iter().enumerate() {
                    let search = grid.search(rank as u64, &counts).unwrap();
                    prop_assert!(search.may_find(*value), "{value}");
                }
                prop_assert!(grid.search(sorted.len() as u64, &counts).is_none());
            }
            let ranks: Vec<u64> = seeds.iter().map(|seed| seed % (sorted.len() as u64 + 2)).collect();
            for ranks in [&ranks[..], &ranks[..ranks.len().min(3)]] {
                let wanted: Vec<_> = ranks.iter().map(|rank| sorted.get(*rank as usize).copied()).collect();
                prop_assert_eq!(selected(&mut values.clone(), ranks), wanted);
            }
        }
    }
}
