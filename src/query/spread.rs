//! Spreads: how many members have each value of a number or date whose values lie close together, counted in one pass.
//! Knows columns as whole numbers. Totals, ranks and bins of such a column are all read from its spread.

use storage::TagId;
use storage::column::{Codes, Page};
use storage::ids::CHUNK_PAGES;

use super::context::Context;
use super::error::Result;
use super::exec::{ChunkSet, Scratch, Share, Stripe};
use super::gather::{CodeCounts, PageMembers, each_page_of_set, shifted};
use super::kernels::{self, SmallCounts};
use super::plan::Node;
use super::totals::{Totals, column_bounds, each_page_of};

/// Most values of a column that are counted one by one: their counters stay in the first cache.
const VALUES_MAX: i64 = 1 << 12;

/// Members by value, from `low` on.
#[derive(Debug)]
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
        let Some((low, codes)) = codes_of(ctx, tag)? else { return Ok(None) };
        let counts = ctx.fold_shares(
            || CodeCounts::new(codes),
            |counts, share| {
                each_page_of(ctx, plan, tag, share, |page, members| counts.add_page(page, members, shift(page, low)))
            },
            CodeCounts::merge,
        )?;
        Ok(Some(Spread::new(low, counts)))
    }

    /// The same, and everyone by value, in one pass.
    ///
    /// # Errors
    /// The budget's, or damage of the store.
    pub(crate) fn of_both(ctx: &Context<'_>, plan: &Node, tag: TagId) -> Result<Option<(Spread, Spread)>> {
        let Some((low, codes)) = codes_of(ctx, tag)? else { return Ok(None) };
        let both = ctx.fold_shares(
            || Both::new(low, codes),
            |both, share| both.add_share(ctx, plan, tag, share),
            Both::merge,
        )?;
        Ok(Some((Spread::new(low, both.members), Spread::new(low, both.everyone))))
    }

    fn new(low: i64, counts: CodeCounts) -> Spread {
        Spread { low, counts: counts.into_counts().skip(1).collect() }
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

/// The least value of a column by the heads of its pages, and how many codes it takes to tell all values from there on,
/// and the unknown, apart; nothing where they are too many.
fn codes_of(ctx: &Context<'_>, tag: TagId) -> Result<Option<(i64, usize)>> {
    let Some((low, high)) = column_bounds(ctx, tag)? else { return Ok(None) };
    let span = high.checked_sub(low).filter(|span| *span < VALUES_MAX);
    // Code 0 is for the unknown.
    Ok(span.map(|span| (low, span as usize + 2)))
}

/// How much further up the codes of a page are than they were if its least value was `low`.
fn shift(page: &Page<'_>, low: i64) -> usize {
    page.base.wrapping_sub(low) as usize
}

/// Members and everyone by code, from `low` on.
struct Both {
    members: CodeCounts,
    everyone: CodeCounts,
    low: i64,
    /// Of the last pages, all of one base and with codes to a greatest one; not yet among the others.
    small: Box<SmallCounts>,
    base: i64,
    most: u64,
}

impl Both {
    fn new(low: i64, codes: usize) -> Both {
        let [members, everyone] = [(); 2].map(|()| CodeCounts::new(codes));
        Both { members, everyone, low, small: Box::default(), base: low, most: 0 }
    }

    fn merge(self, other: Both) -> Both {
        let (members, everyone) = (self.members.merge(other.members), self.everyone.merge(other.everyone));
        Both { members, everyone, ..self }
    }

    /// Adds what was counted of the last pages to the rest.
    fn settle(&mut self) {
        let shift = self.base.wrapping_sub(self.low) as usize;
        for code in 0..=self.most as usize {
            let (of_members, of_all) = self.small.of(code);
            self.members.add_times(shifted(code as u64, shift), of_members);
            self.everyone.add_times(shifted(code as u64, shift), of_all);
        }
        (*self.small, self.most) = (SmallCounts::default(), 0);
    }

    /// Of people who are gone nothing is known, so that everyone are all codes that are there.
    fn add_share(&mut self, ctx: &Context<'_>, plan: &Node, tag: TagId, share: &Share) -> Result<()> {
        let run = Stripe::open(ctx.view, plan, share)?;
        let column = ctx.view.tag(tag).stripe(share.stripe).column()?;
        let mut scratch = Scratch::default();
        for chunk in share.chunks.clone() {
            let pages: [Page<'_>; CHUNK_PAGES] = std::array::from_fn(|at| column.page(chunk * CHUNK_PAGES + at));
            let set = run.chunk(chunk, &mut scratch).unwrap_or(ChunkSet::Ids(Vec::new()));
            let mut is_counted = [false; CHUNK_PAGES];
            each_page_of_set(set.get(), |at, members| is_counted[at] = self.add_page(&pages[at], members));
            let others = pages.iter().zip(is_counted).filter(|(_, is_counted)| !is_counted);
            others.for_each(|(page, _)| self.everyone.add_everyone(page, shift(page, self.low)));
            scratch.recycle(set);
        }
        self.settle();
        Ok(())
    }

    /// Counts the members of a page, and says whether everyone of it was, too.
    fn add_page(&mut self, page: &Page<'_>, members: PageMembers<'_>) -> bool {
        let shift = shift(page, self.low);
        let (Codes::U8(codes), PageMembers::Bits(bits)) = (page.codes, members) else {
            self.members.add_page(page, members, shift);
            return false;
        };
        if page.max_code >= kernels::SMALL_CODES {
            self.members.add_page(page, members, shift);
            return false;
        }
        if page.base != self.base {
            self.settle();
            self.base = page.base;
        }
        self.most = self.most.max(page.max_code);
        kernels::count_small(codes, bits, &mut self.small);
        true
    }
}
