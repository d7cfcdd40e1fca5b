//! Ranks: the known values at some places of the order, exact, without sorting anyone.
//! Knows columns as whole numbers; what a rank is asked for is the caller's.
//!
//! ```text
//!   sample   the values on some pages guess an interval for each rank
//!   pass     counts the members below each interval and a histogram within it; both by page bounds first
//!   then     the rank lies below, within one bin, or above: what is left is an interval of that; again until one value
//! ```
//! Mostly one pass: a guess that is wrong costs another one, never the answer.

use storage::TagId;
use storage::field::FieldId;
use storage::ids::STRIPE_CHUNKS;

use super::context::Context;
use super::error::Result;
use super::exec::{Scratch, Share, Stripe};
use super::gather::{PageMembers, each_page, for_each_value, push_known};
use super::kernels::PageBits;
use super::number::Range;
use super::plan::{ColumnTest, Node};
use super::spread::Spread;
use super::totals::{column_bounds, each_page_of};
use storage::column::Page;
use storage::ids::PAGE_WORDS;

/// Bins of a histogram: so many counters for each rank and thread.
const BINS_BITS: u32 = 13;
/// Chunks that are sampled, one page of each.
const SAMPLE_CHUNKS: usize = 64;
/// Values that the sample is cut down to: sorting more costs more than a closer guess saves.
const SAMPLE_VALUES_MAX: usize = 1 << 13;

/// One rank on its way: `below` members lie under `outer`, and the rank is in it.
pub(crate) struct Search {
    rank: u64,
    below: u64,
    outer: Range,
    guess: Range,
    found: Option<i64>,
}

/// What one pass saw of one search.
#[derive(Clone, Default)]
struct Seen {
    below_guess: u64,
    bins: Vec<u64>,
}

impl Search {
    /// Of a rank whose value lies in a range, below which so many members lie.
    pub(crate) fn within(rank: u64, below: u64, range: Range) -> Search {
        Search { rank, below, outer: range, guess: range, found: (range.low == range.high).then_some(range.low) }
    }

    #[cfg(test)]
    pub(super) fn may_find(&self, value: i64) -> bool {
        self.outer.contains(value)
    }

    fn shift(&self) -> u32 {
        let width = self.guess.high.wrapping_sub(self.guess.low) as u64;
        (64 - width.leading_zeros()).saturating_sub(BINS_BITS)
    }

    fn bin_count(&self) -> usize {
        ((self.guess.high.wrapping_sub(self.guess.low)) as u64 >> self.shift()) as usize + 1
    }

    /// Whether a page can have values that it wants to know of.
    fn looks_at(&self, page: &Page<'_>) -> bool {
        page.bounds().is_some_and(|(_, high)| high >= self.outer.low && page.base <= self.guess.high)
    }

    /// Sees some values.
    fn see(&self, values: &[i64], seen: &mut Seen) {
        let (low, shift) = (self.guess.low, self.shift());
        if self.outer.low < low {
            let below = Range { low: self.outer.low, high: low - 1 };
            seen.below_guess += values.iter().filter(|value| below.contains(**value)).count() as u64;
        }
        for value in values.iter().filter(|value| self.guess.contains(**value)) {
            seen.bins[(value.wrapping_sub(low) as u64 >> shift) as usize] += 1;
        }
    }

    /// Sees the values of many members of a page, which need not be read one by one for it.
    fn see_page(&self, page: &Page<'_>, bits: &PageBits, seen: &mut Seen) {
        let members = PageMembers::Bits(bits);
        let mut marks = [0; PAGE_WORDS];
        if self.outer.low < self.guess.low && page.base < self.guess.low {
            ColumnTest::Range(Range { low: self.outer.low, high: self.guess.low - 1 }).mark(page, &mut marks);
            seen.below_guess += u64::from(members.count_marked(&marks));
        }
        if page.bounds().is_none_or(|(_, high)| high < self.guess.low) {
            return;
        }
        ColumnTest::Range(self.guess).mark(page, &mut marks);
        marks.iter_mut().zip(bits).for_each(|(mark, bit)| *mark &= bit);
        let (low, shift) = (self.guess.low, self.shift());
        for_each_value(page, PageMembers::Bits(&marks), |value| {
            seen.bins[(value.wrapping_sub(low) as u64 >> shift) as usize] += 1;
        });
    }

    /// Narrows the search by what a pass saw.
    fn narrow(&mut self, seen: &Seen) {
        if self.rank < self.below + seen.below_guess {
            self.outer.high = self.guess.low - 1;
            self.guess = self.outer;
            return;
        }
        let mut below = self.below + seen.below_guess;
        let at = seen.bins.iter().position(|count| {
            let is_there = self.rank < below + count;
            below += if is_there { 0 } else { *count };
            is_there
        });
        let shift = self.shift();
        self.below = below;
        match at {
            Some(at) => {
                let low = self.guess.low.wrapping_add((at as i64) << shift);
                let high = self.guess.high.min(low.wrapping_add((1i64 << shift) - 1));
                self.outer = Range { low, high };
                self.found = (low == high).then_some(low);
            }
            None => self.outer.low = self.guess.high.saturating_add(1),
        }
        self.guess = self.outer;
    }
}

/// The known value at each of some ranks (0 is the least) among the members of a plan; `known` of them are known.
/// A rank beyond them has none.
///
/// # Errors
/// The budget's, or damage of the store.
pub fn values_of_ranks(
    ctx: &Context<'_>,
    plan: &Node,
    tag: TagId,
    known: u64,
    ranks: &[u64],
) -> Result<Vec<Option<i64>>> {
    let Some((low, high)) = column_bounds(ctx, tag)? else { return Ok(vec![None; ranks.len()]) };
    if let Some(spread) = Spread::of(ctx, plan, tag)? {
        return Ok(ranks.iter().map(|rank| spread.value_of_rank(*rank)).collect());
    }
    let all = Range { low, high };
    let sorted_sample = sample(ctx, plan, tag)?;
    let search = |rank: u64| {
        let guess = guess(&sorted_sample, rank, known, all);
        (rank < known).then_some(Search { rank, below: 0, outer: all, guess, found: None })
    };
    searched(ctx, plan, tag, ranks.iter().map(|rank| search(*rank)).collect())
}

/// What searches come to among the members of a plan.
///
/// # Errors
/// The budget's, or damage of the store.
pub(crate) fn searched(
    ctx: &Context<'_>,
    plan: &Node,
    tag: TagId,
    asked: Vec<Option<Search>>,
) -> Result<Vec<Option<i64>>> {
    let is_asked: Vec<bool> = asked.iter().map(Option::is_some).collect();
    let mut searches: Vec<Search> = asked.into_iter().flatten().collect();
    while searches.iter().any(|search| search.found.is_none()) {
        let open: Vec<usize> = (0..searches.len()).filter(|at| searches[*at].found.is_none()).collect();
        let fresh = || -> (Vec<Seen>, Vec<i64>) {
            let seen = |at: &usize| Seen { below_guess: 0, bins: vec![0; searches[*at].bin_count()] };
            (open.iter().map(seen).collect(), Vec::new())
        };
        let (seen, _) = ctx.fold_shares(
            fresh,
            |(seen, values), share| {
                each_page_of(ctx, plan, tag, share, |page, members| {
                    let looking = open.iter().map(|at| &searches[*at]).zip(seen.iter_mut());
                    let mut looking = looking.filter(|(search, _)| search.looks_at(page)).peekable();
                    match members {
                        PageMembers::Bits(bits) => looking.for_each(|(search, seen)| search.see_page(page, bits, seen)),
                        few if looking.peek().is_some() => {
                            values.clear();
                            push_known(page, few, values);
                            looking.for_each(|(search, seen)| search.see(values, seen));
                        }
                        _ => {}
                    }
                })
            },
            |mut a, b| {
                for (a, b) in a.0.iter_mut().zip(b.0) {
                    a.below_guess += b.below_guess;
                    a.bins.iter_mut().zip(b.bins).for_each(|(a, b)| *a += b);
                }
                a
            },
        )?;
        open.iter().zip(&seen).for_each(|(at, seen)| searches[*at].narrow(seen));
    }
    let mut found = searches.into_iter();
    Ok(is_asked.into_iter().map(|is_asked| if is_asked { found.next()?.found } else { None }).collect())
}

/// Where a rank probably lies: four standard deviations of the sample's rank around its place there.
fn guess(sample: &[i64], rank: u64, known: u64, all: Range) -> Range {
    let n = sample.len() as f64;
    let share = (rank as f64 + 0.5) / known.max(1) as f64;
    let (at, spread) = (share * n, 4.0 * (share * (1.0 - share) * n).sqrt() + 2.0);
    let place = |at: f64| (at >= 0.0 && at < n).then(|| sample[at as usize]);
    let (low, high) = (place(at - spread).unwrap_or(all.low), place(at + spread).unwrap_or(all.high));
    Range { low: low.clamp(all.low, all.high), high: high.clamp(all.low, all.high) }
}

/// Known values of members on one page of each of some chunks, sorted.
fn sample(ctx: &Context<'_>, plan: &Node, tag: TagId) -> Result<Vec<i64>> {
    let chunks = ctx.view.stripe_count() * STRIPE_CHUNKS;
    let mut values = Vec::new();
    let mut scratch = Scratch::default();
    let mut open: Option<(usize, Stripe<'_>)> = None;
    for n in 0..SAMPLE_CHUNKS.min(chunks) {
        let chunk = n * chunks / SAMPLE_CHUNKS.min(chunks);
        let (stripe, chunk) = (chunk / STRIPE_CHUNKS, chunk % STRIPE_CHUNKS);
        if open.as_ref().is_none_or(|(number, _)| *number != stripe) {
            ctx.budget.check()?;
            open = Some((stripe, Stripe::open(ctx.view, plan, &Share::whole(stripe))?));
        }
        let Some((_, run)) = &open else { continue };
        let Some(set) = run.chunk(chunk, &mut scratch) else { continue };
        let part = ctx.view.tag(tag).stripe(stripe);
        // Pages in turn, so that no place within a chunk is preferred.
        let mut turn = 0;
        each_page(&part.column()?, chunk, set.get(), |page, members| {
            if turn == n % 16 || matches!(members, PageMembers::Ids(_)) {
                push_known(page, members, &mut values);
            }
            turn += 1;
        });
        scratch.recycle(set);
    }
    let step = values.len().div_ceil(SAMPLE_VALUES_MAX).max(1);
    let mut values: Vec<i64> = values.into_iter().step_by(step).collect();
    values.sort_unstable();
    Ok(values)
}

/// The nearest-rank quantile: the least known value that at least ⌈q·k⌉ of the k known ones do not exceed; `q` as a
/// fraction of whole numbers.
///
/// # Errors
/// The budget's, or damage of the store.
pub fn quantile(ctx: &Context<'_>, plan: &Node, tag: TagId, q: (u128, u128)) -> Result<Option<i64>> {
    let plan = &super::totals::materialized(ctx, plan)?;
    let known = known_among(ctx, plan, tag)?;
    if known == 0 {
        return Ok(None);
    }
    let needed = (u128::from(known) * q.0).div_ceil(q.1).clamp(1, known.into()) as u64;
    Ok(values_of_ranks(ctx, plan, tag, known, &[needed - 1])?[0])
}

/// Members of a plan whose tag is known.
///
/// # Errors
/// The budget's, or damage of the store.
pub(crate) fn known_among(ctx: &Context<'_>, plan: &Node, tag: TagId) -> Result<u64> {
    let known = Node::known(ctx.view, FieldId::Tag(tag))?;
    super::totals::count(ctx, &Node::and(vec![known, plan.clone()]))
}
