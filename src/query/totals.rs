//! Counts, sums and bounds over some members, lists of them, and the tally of a tag's values; each exact.
//! Knows columns as whole numbers; scale and calendar are the caller's.

use std::sync::{Mutex, PoisonError};

use storage::column::{Page, width_for};
use storage::container::ContainerRef;
use storage::field::FieldId;
use storage::ids::{CHUNK_PAGES, CHUNK_PROFILES, PAGE_PROFILES, STRIPE_CHUNKS};
use storage::lists::{List, ListsView};
use storage::{KNOWN, TagId, TagType};

use super::context::Context;
use super::error::{Error, Result};
use super::exec::{ChunkSet, MembersRef, Scratch, Share, Stripe};
use super::gather::{CodeCounts, PageMembers, each_page, each_page_of_set, push_known, slot_of};
use super::kernels;
use super::number::Range;
use super::plan::{ColumnTest, IdSet, Node, column_test};
use super::ranks::{known_among, values_of_ranks};
use super::threads::Work;

/// Totals of the known values of some members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Members whose value is known.
    pub known: u64,
    /// Sum of the values; zero over nobody.
    pub sum: i128,
    /// Least and greatest value; none over nobody.
    pub bounds: Option<(i64, i64)>,
}

impl Totals {
    /// Adds a known value.
    pub(crate) fn add(&mut self, value: i64) {
        self.known += 1;
        self.sum += i128::from(value);
        self.bounds = Some(self.bounds.map_or((value, value), |(low, high)| (low.min(value), high.max(value))));
    }

    /// Adds the values that are known.
    pub(crate) fn add_all(&mut self, values: &[i64], unknown: i64) {
        let kernels::Known { count: known, sum, least: low, most: high } = kernels::known(values, unknown);
        if known == 0 {
            return;
        }
        let most = u128::from(low.unsigned_abs().max(high.unsigned_abs()));
        let all = values.iter().map(|value| if *value == unknown { 0 } else { *value });
        let sum = match most * values.len() as u128 {
            most if most < 1 << 63 => sum.into(),
            _ => all.map(i128::from).sum(),
        };
        *self = self.merge(Totals { known: known as u64, sum, bounds: Some((low, high)) });
    }

    /// Adds the members of a page. Of few, their known values are in `values` then.
    pub(crate) fn add_page(&mut self, page: &Page<'_>, members: PageMembers<'_>, values: &mut Vec<i64>) {
        values.clear();
        let PageMembers::Bits(bits) = members else {
            push_known(page, members, values);
            return self.add_all(values, i64::MIN);
        };
        let sums = kernels::sums(page, bits);
        let known = u64::from(sums.known);
        // A code is its value less the base, plus one.
        let sum = sums.sum as i128 + i128::from(known) * (i128::from(page.base) - 1);
        let value = |code: u64| page.base.wrapping_add(code as i64 - 1);
        *self = self.merge(Totals { known, sum, bounds: (known > 0).then(|| (value(sums.least), value(sums.most))) });
    }

    /// What both come to.
    pub(crate) fn merge(self, other: Totals) -> Totals {
        let bounds = match (self.bounds, other.bounds) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        Totals { known: self.known + other.known, sum: self.sum + other.sum, bounds }
    }
}

/// How many live profiles a plan holds.
///
/// # Errors
/// The budget's, or damage of the store.
pub fn count(ctx: &Context<'_>, plan: &Node) -> Result<u64> {
    if let Some(count) = plan.exact_count(ctx.everyone()) {
        return Ok(count);
    }
    ctx.fold_shares(
        || (0, Scratch::default()),
        |(total, scratch), share| {
            *total += Stripe::open(ctx.view, plan, share)?.count(scratch);
            Ok(())
        },
        |a, b| (a.0 + b.0, a.1),
    )
    .map(|(total, _)| total)
}

/// The same members as a set of OneIDs, where a plan that is asked several times is more than a look-up.
///
/// # Errors
/// The budget's, or damage of the store.
pub fn materialized(ctx: &Context<'_>, plan: &Node) -> Result<Node> {
    match plan {
        Node::Everyone | Node::Nobody => return Ok(plan.clone()),
        Node::Leaf(leaf) if leaf.is_exact() => return Ok(plan.clone()),
        _ => {}
    }
    Ok(Node::ids(id_set(ctx, plan)?))
}

/// The members of a plan as a set of OneIDs.
///
/// # Errors
/// The budget's, or damage of the store.
pub fn id_set(ctx: &Context<'_>, plan: &Node) -> Result<IdSet> {
    let sets = map_chunks(ctx, plan, ChunkSet::into_container)?;
    Ok(IdSet::from_chunks(sets.into_iter().map(|(first, set)| (first / CHUNK_PROFILES, set))))
}

/// What `made` makes of the members of each chunk that has some, with the chunk's first OneID, ascending.
fn map_chunks<T: Send>(ctx: &Context<'_>, plan: &Node, made: impl Fn(ChunkSet) -> T + Sync) -> Result<Vec<(u32, T)>> {
    let shares = ctx.map_shares(|share| {
        let run = Stripe::open(ctx.view, plan, share)?;
        let mut scratch = Scratch::default();
        let chunks = share.chunks.clone().filter(|_| !run.is_empty());
        let sets = chunks.filter_map(|chunk| Some((share.first_one_id(chunk), made(run.chunk(chunk, &mut scratch)?))));
        Ok(sets.collect::<Vec<_>>())
    })?;
    Ok(shares.into_iter().flatten().collect())
}

/// Totals of a number or date tag over the members of a plan.
///
/// # Errors
/// The budget's, or damage of the store.
pub fn totals(ctx: &Context<'_>, plan: &Node, tag: TagId) -> Result<Totals> {
    ctx.fold_shares(
        || (Totals::default(), Vec::new()),
        |(totals, values), share| {
            each_page_of(ctx, plan, tag, share, |page, members| totals.add_page(page, members, values))
        },
        |a, b| (a.0.merge(b.0), a.1),
    )
    .map(|(totals, _)| totals)
}

/// Calls `each` with every page of a tag that has members of a plan in a share, and with them.
pub(crate) fn each_page_of(
    ctx: &Context<'_>,
    plan: &Node,
    tag: TagId,
    share: &Share,
    mut each: impl FnMut(&Page<'_>, PageMembers<'_>),
) -> Result<()> {
    let run = Stripe::open(ctx.view, plan, share)?;
    if run.is_empty() {
        return Ok(());
    }
    let column = ctx.view.tag(tag).stripe(share.stripe).column()?;
    let mut scratch = Scratch::default();
    for chunk in share.chunks.clone() {
        if let Some(members) = run.members(chunk, &mut scratch) {
            each_page(&column, chunk, members.get(), &mut each);
            scratch.recycle_members(members);
        }
    }
    Ok(())
}

/// Bounds of a column by the heads of its pages: every value lies within, though not every bound is taken.
pub(crate) fn column_bounds(ctx: &Context<'_>, tag: TagId) -> Result<Option<(i64, i64)>> {
    let mut bounds: Option<(i64, i64)> = None;
    for stripe in 0..ctx.view.stripe_count() {
        let column = ctx.view.tag(tag).stripe(stripe).column()?;
        let of_stripe = column.bounds(0..column.page_count());
        bounds = bounds.into_iter().chain(of_stripe).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    }
    Ok(bounds)
}

/// The OneIDs of a plan's members, ascending; at most `limit`, from `first` on.
///
/// # Errors
/// The budget's, or damage of the store.
pub fn collect(ctx: &Context<'_>, plan: &Node, first: u32, limit: u64) -> Result<Vec<u32>> {
    if limit == u64::MAX && first == 0 {
        return collect_all(ctx, plan);
    }
    let mut all = Vec::new();
    for stripe in storage::ids::stripe_of(first)..ctx.view.stripe_count() {
        ctx.budget.check()?;
        let ids = collect_share(ctx, plan, &Share::whole(stripe))?;
        let rest = limit - all.len() as u64;
        all.extend(ids.into_iter().filter(|id| *id >= first).take(rest as usize));
        if all.len() as u64 == limit {
            break;
        }
    }
    Ok(all)
}

/// All of them: their number is found first, and then each chunk's are written where they are to be.
fn collect_all(ctx: &Context<'_>, plan: &Node) -> Result<Vec<u32>> {
    let sets = map_chunks(ctx, plan, |set| (set.count() as usize, set))?;
    let mut all = vec![0; sets.iter().map(|(_, (count, _))| count).sum()];
    let mut rest = &mut all[..];
    let mut places = Vec::with_capacity(sets.len());
    for (first, (count, set)) in &sets {
        let place;
        (place, rest) = rest.split_at_mut(*count);
        places.push((*first, set, Mutex::new(place)));
    }
    let write = |scratch: &mut Scratch, chunks: std::ops::Range<usize>| {
        ctx.budget.check()?;
        for (first, set, place) in &places[chunks] {
            set.write_one_ids(*first, scratch, &mut place.lock().unwrap_or_else(PoisonError::into_inner));
        }
        Ok::<(), Error>(())
    };
    let work = Work { units: places.len(), group: STRIPE_CHUNKS };
    ctx.threads.fold(work, Scratch::default, write, |scratch, _| scratch)?;
    drop(places);
    Ok(all)
}

pub(crate) fn collect_share(ctx: &Context<'_>, plan: &Node, share: &Share) -> Result<Vec<u32>> {
    let run = Stripe::open(ctx.view, plan, share)?;
    let mut ids = Vec::new();
    if run.is_empty() {
        return Ok(ids);
    }
    let mut scratch = Scratch::default();
    for chunk in share.chunks.clone() {
        if let Some(set) = run.chunk(chunk, &mut scratch) {
            let first = share.first_one_id(chunk);
            set.push_one_ids(first, &mut scratch, &mut ids);
            scratch.recycle(set);
        }
    }
    Ok(ids)
}

/// The first `n` members in the order of a number or date: unknown last, ties to the lower OneID.
///
/// # Errors
/// The budget's, or damage of the store.
pub fn top(ctx: &Context<'_>, plan: &Node, tag: TagId, descending: bool, n: u64) -> Result<IdSet> {
    let plan = &materialized(ctx, plan)?;
    let known = known_among(ctx, plan, tag)?;
    if n == 0 {
        return Ok(IdSet::default());
    }
    if n >= known {
        let is_known = Node::known(ctx.view, FieldId::Tag(tag))?;
        let unknown_plan = Node::and(vec![plan.clone(), Node::not(is_known.clone())]);
        let known_plan = Node::and(vec![plan.clone(), is_known]);
        return merged(collect(ctx, &known_plan, 0, u64::MAX)?, collect(ctx, &unknown_plan, 0, n - known)?);
    }
    let rank = if descending { known - n } else { n - 1 };
    let Some(threshold) = values_of_ranks(ctx, plan, tag, known, &[rank])?[0] else { return Ok(IdSet::default()) };
    let better = if descending {
        Range { low: threshold + 1, ..Range::ALL }
    } else {
        Range { high: threshold - 1, ..Range::ALL }
    };
    let within = |range| -> Result<Node> {
        let leaf = column_test(ctx.view, tag, ColumnTest::Range(range))?;
        Ok(Node::and(vec![plan.clone(), leaf]).ordered(ctx.everyone()))
    };
    let first = collect(ctx, &within(better)?, 0, u64::MAX)?;
    let rest = n - first.len() as u64;
    merged(first, collect(ctx, &within(Range { low: threshold, high: threshold })?, 0, rest)?)
}

fn merged(a: Vec<u32>, b: Vec<u32>) -> Result<IdSet> {
    let mut all = a;
    all.extend(b);
    all.sort_unstable();
    Ok(IdSet::from_sorted(all))
}

/// How many members have each value of a flag, category or set, by value number; how many are known, and how many there are.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// By value number.
    pub counts: Vec<u64>,
    /// Members of whom the tag is known.
    pub known: u64,
    /// All members.
    pub members: u64,
}

impl Tally {
    fn add(&mut self, value: u32, count: u64) {
        let at = value as usize;
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += count;
    }

    fn merge(mut self, other: Tally) -> Tally {
        let other = if self.counts.len() < other.counts.len() { std::mem::replace(&mut self, other) } else { other };
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
        self.known += other.known;
        self.members += other.members;
        self
    }
}

/// Counts the members of a plan by value of a flag, category or set. For everyone from the directories alone; else by
/// the forward part or by the bitmaps, whichever is less work for so many members.
///
/// # Errors
/// The budget's, or damage of the store.
pub fn tally(ctx: &Context<'_>, plan: &Node, tag: TagId) -> Result<Tally> {
    let field = ctx.view.tag(tag);
    let all_indexed = field.values().count() <= storage::field::INDEXED_VALUES_MAX;
    if !matches!(plan, Node::Everyone) || !all_indexed {
        let codes = field.values().count() as usize + 1;
        let (mut tally, by_code) = ctx.fold_shares(
            || (Tally::default(), CodeCounts::new(codes)),
            |(tally, by_code), share| tally_share(ctx, plan, tag, share, tally, by_code),
            |(a, by_code), (b, others)| (a.merge(b), by_code.merge(others)),
        )?;
        // Code 1 is the first value.
        let of_values = by_code.into_counts().skip(1).zip(0..);
        of_values.filter(|(n, _)| *n > 0).for_each(|(n, value)| tally.add(value, n));
        if field.tag_type() != Some(TagType::Set) {
            // Nobody has two values.
            tally.known = tally.counts.iter().sum();
        }
        return Ok(tally);
    }
    let mut tally = Tally { members: ctx.everyone(), ..Tally::default() };
    for stripe in 0..ctx.view.stripe_count() {
        ctx.budget.check()?;
        let bitmaps = field.stripe(stripe).bitmaps()?;
        bitmaps.values().filter(|(v, _)| *v != KNOWN).for_each(|(v, n)| tally.add(v.0, n.into()));
        tally.known += u64::from(bitmaps.cardinality(KNOWN));
    }
    Ok(tally)
}

/// So many lists ahead of the one that is read are asked for.
const LISTS_AHEAD: usize = 16;
/// So many lists are found before they are read.
const LISTS_HELD: usize = 256;
/// Of so many members of a chunk most lines of a container are looked at.
const FETCHED_MIN: u32 = 128;
/// Time of going to a page of codes.
const PAGE_NS: u64 = 10;
/// Time of fetching a line of the cache that is not read in a row, from further away than the second cache.
const LINE_NS: u64 = 4;
/// And of one that nearly is.
const NEXT_LINE_NS: u64 = 2;
/// Bytes of a line.
const LINE_BYTES: u64 = 64;
/// Lines of a chunk's bits.
const BITS_LINES: u64 = CHUNK_PROFILES as u64 / 8 / LINE_BYTES;
/// Most values of a tag whose bitmaps are weighed against its forward part: of more, the containers alone cost more.
const BITMAPS_WEIGHED_MAX: usize = 64;

fn tally_share(
    ctx: &Context<'_>,
    plan: &Node,
    tag: TagId,
    share: &Share,
    tally: &mut Tally,
    by_code: &mut CodeCounts,
) -> Result<()> {
    let run = Stripe::open(ctx.view, plan, share)?;
    if run.is_empty() {
        return Ok(());
    }
    let field = ctx.view.tag(tag);
    let part = field.stripe(share.stripe);
    let (bitmaps, column, lists) = (part.bitmaps()?, part.column()?, part.lists()?);
    let all_indexed = field.values().count() <= storage::field::INDEXED_VALUES_MAX;
    let tag_type = field.tag_type();
    let weighed = match tag_type {
        Some(TagType::Category) => BITMAPS_WEIGHED_MAX,
        _ => usize::MAX,
    };
    let mut by_value: Vec<_> = Vec::new();
    if all_indexed && bitmaps.values().take(weighed.saturating_add(2)).count() <= weighed {
        by_value.extend(bitmaps.values().filter(|(v, _)| *v != KNOWN).map(|(v, _)| (v, bitmaps.value(v))));
    }
    let known = bitmaps.value(KNOWN);
    let mut scratch = Scratch::default();
    let mut found_lists = Vec::new();
    let is_set = tag_type == Some(TagType::Set);
    let code_lines = u64::from(CHUNK_PROFILES) * width_for(field.values().count().into()) as u64 / LINE_BYTES;
    let is_by_bitmaps = |members: u32, are_ids: bool, chunk: usize| {
        let members = u64::from(members);
        let costs_ns = by_value.iter().map(|(_, bitmap)| count_in_ns(members, are_ids, bitmap.containers[chunk]));
        let by_forward_ns = match tag_type {
            Some(TagType::Category) => {
                members + members / 4 + members.min(CHUNK_PAGES as u64) * PAGE_NS + members.min(code_lines) * LINE_NS
            }
            Some(TagType::Set) => members * 9,
            _ => u64::MAX,
        };
        !by_value.is_empty() && costs_ns.sum::<u64>() <= by_forward_ns
    };
    for chunk in share.chunks.clone() {
        let Some(members) = run.members(chunk, &mut scratch) else { continue };
        let (set, count) = (members.get(), members.count());
        tally.members += u64::from(count);
        if is_by_bitmaps(count, matches!(set, MembersRef::Ids(_)), chunk) {
            for (at, (value, bitmap)) in by_value.iter().enumerate() {
                if let Some((_, next)) = by_value.get(at + 1)
                    && count >= FETCHED_MIN
                {
                    kernels::fetch(next.containers[chunk]);
                }
                tally.add(value.0, set.count_in(bitmap.containers[chunk]).into());
            }
        } else if is_set {
            add_lists(by_code, &lists, chunk, set, &mut found_lists);
        } else if tag_type == Some(TagType::Category) {
            each_page(&column, chunk, set, |page, members| by_code.add_page(page, members, 0));
        }
        tally.known += if is_set { set.count_in(known.containers[chunk]).into() } else { 0 };
        scratch.recycle_members(members);
    }
    Ok(())
}

/// Time of counting the members, as ids or as bits, that are in a container: measured, see `exec::cost`.
fn count_in_ns(members: u64, are_ids: bool, container: ContainerRef<'_>) -> u64 {
    match (container, are_ids) {
        (ContainerRef::Empty, _) => 2,
        (ContainerRef::Array(ids), false) => 20 + ids.len() as u64 / 2,
        (ContainerRef::Array(ids), true) => 20 + (ids.len() as u64).min(members * 32) / 2 + members / 2,
        (_, false) => 150,
        (_, true) => 10 + members / 2 + members.min(BITS_LINES) * NEXT_LINE_NS,
    }
}

/// Counts the codes of the lists of a chunk's members; code 0 is for nobody. `found` is empty before and after.
fn add_lists<'a>(
    counts: &mut CodeCounts,
    lists: &ListsView<'a>,
    chunk: usize,
    set: MembersRef<'_>,
    found: &mut Vec<List<'a>>,
) {
    let mut places = [0; PAGE_PROFILES as usize + kernels::WRITTEN_BEYOND];
    each_page_of_set(set, |page, members| {
        let Some(page) = lists.page(chunk * CHUNK_PAGES + page) else { return };
        match members {
            PageMembers::Bits(bits) => {
                let count = kernels::write_places(bits, &mut places);
                for places in places[..count].chunks(LISTS_HELD) {
                    page.push(places.iter().map(|place| usize::from(*place)), found);
                    drain_lists(counts, found);
                }
            }
            PageMembers::Ids(ids) => {
                page.push(ids.iter().map(|low| slot_of(*low)), found);
                if found.len() >= LISTS_HELD {
                    drain_lists(counts, found);
                }
            }
        }
    });
    drain_lists(counts, found);
}

/// Counts the codes of some lists. How long each is is as good as random, so that nothing beyond the one that is read is on
/// its way, unless it is asked for.
fn drain_lists(counts: &mut CodeCounts, found: &mut Vec<List<'_>>) {
    found.iter().take(LISTS_AHEAD).for_each(|list| kernels::fetch_list(*list));
    for (at, list) in found.iter().enumerate() {
        if let Some(ahead) = found.get(at + LISTS_AHEAD) {
            kernels::fetch_list(*ahead);
        }
        list.for_each(|code| counts.add(code as usize + 1));
    }
    found.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_at_once_are_one_after_the_other() {
        const LARGE: i64 = 1 << 62;
        let many = |least: i64, step: i64| (0..301).map(|at| if at % 7 == 0 { 3 } else { least + at * step }).collect();
        let few = [vec![], vec![7], vec![3, 3], vec![3, -5, 9, 3], vec![LARGE, -LARGE, 5, LARGE, LARGE]];
        for values in few.into_iter().chain([many(-1_000, 17), many(4, 1), many(LARGE, 5), many(-LARGE, -5)]) {
            kernels::at_each_level(|level| {
                let mut wanted = Totals { known: 1, sum: 4, bounds: Some((4, 4)) };
                let mut found = wanted;
                values.iter().filter(|value| **value != 3).for_each(|value| wanted.add(*value));
                found.add_all(&values, 3);
                assert_eq!(found, wanted, "{level:?}: {values:?}");
            });
        }
    }
}
