//! Spreads: how many members have each value of a number or date whose values lie close together, counted in one pass.
//! Knows columns as whole numbers. Totals, ranks and bins of such a column are all read from its spread.

use storage::TagId;

use super::context::Context;
use super::error::Result;
use super::gather::for_each_code;
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
        // Place 0 is for the unknown. Two tables in turn: an increment need not wait for the one before it.
        let places = (high - low) as usize + 2;
        let tables = ctx.fold_shares(
            || [vec![0u64; places], vec![0u64; places]],
            |[even, odd], share| {
                each_page_of(ctx, plan, tag, share, |page, members| {
                    let shift = page.base.wrapping_sub(low) as usize;
                    let mut turn = false;
                    for_each_code(page, members, |code| {
                        let table = if turn { &mut *odd } else { &mut *even };
                        turn = !turn;
                        let place = if code == 0 { 0 } else { (code as usize).wrapping_add(shift) };
                        table[place] = table[place].wrapping_add(1);
                    });
                })
            },
            |mut a, b| {
                for (a, b) in a.iter_mut().zip(b) {
                    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
                }
                a
            },
        )?;
        let [even, odd] = tables;
        Ok(Some(Spread { low, counts: even.into_iter().zip(odd).skip(1).map(|(a, b)| a + b).collect() }))
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
