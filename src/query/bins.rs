//! Bins: how many members have a value between each two edges.
//! Knows columns as whole numbers; which edges, and what they are called, is the distribution's matter.
//!
//! Few bins on a page: marked and counted, 64 members at a time. Many: each value finds its own, by a multiplication
//! where the bins are of one width, else by a search.

use storage::TagId;
use storage::column::Page;
use storage::ids::PAGE_WORDS;

use super::context::Context;
use super::error::Result;
use super::gather::{PageMembers, for_each_value};
use super::number::Range;
use super::plan::{ColumnTest, Node};
use super::spread::Spread;
use super::totals::each_page_of;

/// Most bins of a page that are marked one after the other.
const MARKED_BINS_MAX: usize = 24;

/// Bins between ascending edges: each from one edge to below the next, the last with both ends.
pub(crate) struct Edges {
    ranges: Vec<Range>,
    /// Of bins that are all of one width.
    even: Option<Even>,
}

/// The bin of a value by one multiplication: `(value - first) × ⌈2^64 ÷ width⌉ ÷ 2^64`, which is the quotient exactly
/// while value less first, and the width, are below 2^32 (Lemire, Kaser, Kurz, arXiv 1902.01961).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Even {
    first: i64,
    per_width: u64,
}

impl Edges {
    pub(crate) fn new(edges: &[i64]) -> Edges {
        let bins = edges.len().saturating_sub(1);
        let high = |at: usize| if at + 1 == bins { edges[bins] } else { edges[at + 1] - 1 };
        let ranges = (0..bins).map(|at| Range { low: edges[at], high: high(at) }).collect();
        Edges { ranges, even: Even::of(edges) }
    }

    /// What each bin holds.
    pub(crate) fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// How many bins there are.
    pub(crate) fn count_of_bins(&self) -> usize {
        self.ranges.len()
    }

    /// The bin of a value, if it is in any.
    #[inline(always)]
    pub(crate) fn bin_of(&self, value: i64) -> Option<usize> {
        let last = self.ranges.len().checked_sub(1)?;
        let within = Range { low: self.ranges[0].low, high: self.ranges[last].high };
        within.contains(value).then(|| match self.even {
            Some(even) => even.bin(value).min(last),
            None => self.ranges.partition_point(|range| range.high < value),
        })
    }

    /// Members of a plan in each bin.
    ///
    /// # Errors
    /// The budget's, or damage of the store.
    pub(crate) fn count(&self, ctx: &Context<'_>, plan: &Node, tag: TagId) -> Result<Vec<u64>> {
        if self.ranges.is_empty() {
            return Ok(Vec::new());
        }
        ctx.fold_shares(
            || vec![0u64; self.ranges.len()],
            |counts, share| each_page_of(ctx, plan, tag, share, |page, members| self.count_page(page, members, counts)),
            |mut a, b| {
                a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
                a
            },
        )
    }

    /// How many of some values are in each bin.
    pub(crate) fn count_values(&self, values: &[i64]) -> Vec<u64> {
        let mut counts = vec![0; self.ranges.len()];
        values.iter().filter_map(|value| self.bin_of(*value)).for_each(|bin| counts[bin] += 1);
        counts
    }

    /// The same from a spread.
    pub(crate) fn of_spread(&self, spread: &Spread) -> Vec<u64> {
        self.ranges.iter().map(|range| spread.count_between(range.low, range.high)).collect()
    }

    fn count_page(&self, page: &Page<'_>, members: PageMembers<'_>, counts: &mut [u64]) {
        let Some((low, high)) = page.bounds() else { return };
        let from = self.ranges.partition_point(|range| range.high < low);
        let to = self.ranges.partition_point(|range| range.low <= high);
        if from >= to {
            return;
        }
        if matches!(members, PageMembers::Bits(_)) && to - from <= MARKED_BINS_MAX {
            let mut marks = [0; PAGE_WORDS];
            for (range, count) in self.ranges[from..to].iter().zip(&mut counts[from..to]) {
                ColumnTest::Range(*range).mark(page, &mut marks);
                *count += u64::from(members.count_marked(&marks));
            }
            return;
        }
        for_each_value(page, members, |value| {
            if let Some(bin) = self.bin_of(value) {
                counts[bin] += 1;
            }
        });
    }
}

impl Even {
    fn of(edges: &[i64]) -> Option<Even> {
        let (first, last) = (*edges.first()?, *edges.last()?);
        let width = edges.get(1)?.checked_sub(first)?;
        let is_even = edges.windows(2).all(|pair| pair[1].checked_sub(pair[0]) == Some(width));
        if is_even { Even::new(first, width, last) } else { None }
    }

    /// For values from a first to a last one.
    pub(crate) fn new(first: i64, width: i64, last: i64) -> Option<Even> {
        let fits = last.checked_sub(first).is_some_and(|span| span < 1 << 32) && (2..1 << 32).contains(&width);
        fits.then(|| Even { first, per_width: u64::MAX / width as u64 + 1 })
    }

    /// Of a value from the first edge to the last; the last edge itself gives a bin more than there are.
    #[inline(always)]
    pub(crate) fn bin(self, value: i64) -> usize {
        ((u128::from((value - self.first) as u64) * u128::from(self.per_width)) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_falls_into_the_bin_that_holds_it(
            first in -5_000_000i64..5_000_000, width in prop_oneof![2i64..50, 2i64..4_000_000], bins in 1i64..900, at in 0.0f64..1.0,
        ) {
            let edges: Vec<i64> = (0..=bins).map(|n| first + n * width).collect();
            let even = Even::of(&edges).unwrap();
            let value = first + ((bins * width) as f64 * at) as i64;
            prop_assert_eq!(even.bin(value), ((value - first) / width) as usize);
            prop_assert_eq!(even.bin(first + width * (bins - 1) + width - 1), bins as usize - 1);
        }
    }
}
