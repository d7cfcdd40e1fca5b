//! Spreads: how many members have each value of a number or date whose values lie close together, counted in one pass.
//! Knows columns as whole numbers. Totals, ranks and bins of such a column are all read from its spread.

use storage::TagId;

use super::context::Context;
use super::error::Result;
use super::gather::CodeCounts;
use super::plan::Node;
use super::totals::{Totals, column_bounds, each_page_of};

/// Most values of a column that are counted one by one: their counters stay in the first cache.
const VALUES_MAX: i64 = 1 << 12;

/// Members by value, from `low` on.
pub(crate) struct Spread {
    low: i64,
    counts: Vec<u64>,
}

impl Spread {
    /// Counts the members of a plan by value; nothing where the column's values lie further apart.
    ///
    /// # Errors
    /// The budget's, or damage of the store.
    pub(crate) fn of(ctx: &Context<'_>, plan: &Node, tag: TagId) -> Result<Option<Spread>> {
        let Some((low, high)) = column_bounds(ctx, tag)? else { return Ok(None) };
        if high.checked_sub(low).is_none_or(|span| span >= VALUES_MAX) {
            return Ok(None);
        }
        // Code 0 is for the unknown.
        let codes = (high - low) as usize + 2;
        let counts = ctx.fold_shares(
            || CodeCounts::new(codes),
            |counts, share| {
                each_page_of(ctx, plan, tag, share, |page, members| {
                    counts.add_page(page, members, page.base.wrapping_sub(low) as usize);
                })
            },
            CodeCounts::merge,
        )?;
        Ok(Some(Spread { low, counts: counts.into_counts().skip(1).collect() }))
    }

    fn values(&self) -> impl DoubleEndedIterator<Item = (i64, u64)> {
        let values = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        values.map(|(at, count)| (self.low + at as i64, *count))
    }

    pub(crate) fn totals(&self) -> Totals {
        let (first, last) = (self.values().next(), self.values().next_back());
        Totals {
            known: self.counts.iter().sum(),
            sum: self.values().map(|(value, count)| i128::from(value) * i128::from(count)).sum(),
            bounds: first.zip(last).map(|((low, _), (high, _))| (low, high)),
        }
    }

    /// The value of a rank (0 is the least); none beyond the last.
    pub(crate) fn value_of_rank(&self, rank: u64) -> Option<i64> {
        let mut below = 0;
        self.values().find_map(|(value, count)| {
            below += count;
            (rank < below).then_some(value)
        })
    }

    /// Members with a value from one to another, both included.
    pub(crate) fn count_between(&self, low: i64, high: i64) -> u64 {
        self.values().filter(|(value, _)| (low..=high).contains(value)).map(|(_, count)| count).sum()
    }
}
