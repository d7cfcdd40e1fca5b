//! Behaviours in order in one stripe: who has rows of each step, one after the other.
//! Knows moments of a chunk, as they ascend; knows no segments.

use storage::container::ContainerRef;
use storage::ids::STRIPE_CHUNKS;

use super::behaviour::{among_live, compact};
use super::rows::{MOMENT_BITS, RowsRun, owner_of};
use super::sets::{ChunkSet, Scratch};
use super::spans::Possible;
use crate::query::plan::InOrder;

/// Steps in order, resolved.
pub(super) struct InOrderLeaf<'a> {
    pub(super) steps: Vec<RowsRun<'a>>,
    pub(super) in_order: &'a InOrder,
    pub(super) live: [ContainerRef<'a>; STRIPE_CHUNKS],
}

impl InOrderLeaf<'_> {
    pub(super) fn upper(&self, chunk: usize) -> u32 {
        self.steps.iter().map(|step| step.row_count(chunk)).min().unwrap_or(0)
    }

    pub(super) fn bits_ns(&self, chunk: usize) -> u64 {
        self.steps.iter().map(|step| 3000 + u64::from(step.row_count(chunk))).sum()
    }

    pub(super) fn eval(&self, chunk: usize, scratch: &mut Scratch) -> ChunkSet {
        let mut ids = scratch.ids();
        self.push(chunk, None, &mut ids, scratch);
        let set = compact(ids, scratch);
        among_live(set, self.live[chunk], scratch)
    }

    pub(super) fn filter(&self, chunk: usize, keep: bool, ids: &mut Vec<u16>, scratch: &mut Scratch) {
        let candidates = ChunkSet::Ids(std::mem::take(ids));
        let mut passing = scratch.ids();
        self.push(chunk, Some(&candidates), &mut passing, scratch);
        let ChunkSet::Ids(mut left) = candidates else { return };
        scratch.retain(ContainerRef::Array(&passing), keep, &mut left);
        scratch.recycle(ChunkSet::Ids(passing));
        *ids = left;
    }

    fn push(&self, chunk: usize, among: Option<&ChunkSet>, ids: &mut Vec<u16>, scratch: &mut Scratch) {
        let is_of_one_event = self.in_order.steps.windows(2).all(|two| two[0].event == two[1].event);
        // Rows of few are sought.
        let are_many = !matches!(among, Some(ChunkSet::Ids(ids)) if ids.len() < SOUGHT_MAX);
        let possible = (is_of_one_event && are_many).then(|| Possible::of(&self.steps, chunk)).flatten();
        let Some(mut possible) = possible else { return self.follow(chunk, None, among, ids, scratch) };
        if let Some(among) = among {
            let mut members = scratch.ids();
            among.for_each(|low| members.push(low));
            possible.keep_members(&members);
            scratch.recycle(ChunkSet::Ids(members));
            possible.prune();
            return self.follow(chunk, Some(&possible), None, ids, scratch);
        }
        let (within, before) = (self.within() as i64, ids.len());
        let pairs = possible.pairs(scratch);
        let left = match self.steps.len() {
            2 => {
                pairs.push_within(within, ids);
                // Whoever has both in one second may have others that are not.
                pairs.rows_within(0)
            }
            // Whoever has the first two in time may have all.
            _ => pairs.rows_within(within),
        };
        pairs.recycle(scratch);
        let Some(left) = left else { return };
        possible.keep_profiles_of(&left);
        possible.prune();
        self.follow(chunk, Some(&possible), None, ids, scratch);
        ids[before..].sort_unstable();
        ids.dedup();
    }

    /// Longest time from the first step to the last, in seconds.
    fn within(&self) -> u64 {
        self.in_order.within_s.map_or(WITHIN_MAX, |within| within.clamp(0, WITHIN_MAX as i64) as u64)
    }

    /// Appends who has all steps in order and in time, by the moments of their rows: of those that can follow each other
    /// at all, where that is known; of some profiles, where only they matter.
    fn follow(
        &self,
        chunk: usize,
        possible: Option<&Possible<'_, '_>>,
        among: Option<&ChunkSet>,
        ids: &mut Vec<u16>,
        scratch: &mut Scratch,
    ) {
        let within = self.within();
        let [mut chains, mut longer] = [scratch.chains(), scratch.chains()];
        let mut moments = scratch.moments();
        for (step, at) in self.steps.iter().zip(0..) {
            moments.clear();
            if at == 0 {
                match possible {
                    Some(possible) => possible.push_moments(at, &mut moments),
                    None => step.gather_moments(chunk, among, &mut moments),
                }
                chains.extend(moments.iter().map(|moment| Chain { start: *moment, end: *moment }));
                continue;
            }
            if chains.is_empty() {
                break;
            }
            match possible {
                Some(possible) => possible.push_moments(at, &mut moments),
                None => {
                    // Only of those who got as far.
                    let owners = chains.chunk_by(|a, b| owner_of(a.end) == owner_of(b.end));
                    let mut far = scratch.ids();
                    far.extend(owners.map(|same| owner_of(same[0].end)));
                    let far = compact(far, scratch);
                    step.gather_moments(chunk, Some(&far), &mut moments);
                    scratch.recycle(far);
                }
            }
            follow(&chains, &moments, &mut longer);
            std::mem::swap(&mut chains, &mut longer);
        }
        let before = ids.len();
        for chain in chains.iter().filter(|chain| chain.end - chain.start <= within) {
            let low = owner_of(chain.end);
            if ids[before..].last() != Some(&low) {
                ids.push(low);
            }
        }
        scratch.recycle_moments(moments);
        scratch.recycle_chains([chains, longer]);
    }
}

/// Of fewer profiles the rows are sought one by one.
const SOUGHT_MAX: usize = 64;

/// Longer than any time between two moments, shorter than that between those of two profiles.
const WITHIN_MAX: u64 = 1 << 40;

/// Steps of one profile in order, so far: its first and its last moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chain {
    start: u64,
    end: u64,
}

/// Chains that go on to some later moment; both ascend, by profile and time. The chain that ends last before a moment is
/// the one that began last, since whatever went before the others went before it, too: so one a moment is enough.
///
/// Which of the two comes next is as good as random, so nothing hangs on a branch: what does not go on is overwritten.
fn follow(chains: &[Chain], moments: &[u64], longer: &mut Vec<Chain>) {
    // Nobody's: no place of a chunk is beyond its last.
    let mut last = Chain { start: u64::MAX, end: u64::MAX };
    longer.clear();
    longer.resize(moments.len(), last);
    let (mut next, mut at, mut kept) = (0usize, 0usize, 0usize);
    while at < moments.len() {
        let (chain, moment) = (chains.get(next).copied().unwrap_or(last), moments[at]);
        let is_before = next < chains.len() && chain.end < moment;
        last = if is_before { chain } else { last };
        longer[kept] = Chain { start: last.start, end: moment };
        let goes_on = !is_before & (last.end >> MOMENT_BITS == moment >> MOMENT_BITS);
        kept = kept.wrapping_add(goes_on.into());
        next = next.wrapping_add(is_before.into());
        at = at.wrapping_add((!is_before).into());
    }
    longer.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::super::rows::moment_of;
    use super::*;

    /// Tries every combination.
    fn naive(steps: &[&[i64]], within_s: Option<i64>) -> bool {
        fn follow(steps: &[&[i64]], first: i64, before: i64, within_s: Option<i64>) -> bool {
            let Some((times, rest)) = steps.split_first() else { return true };
            let fits = |time: i64| time > before && within_s.is_none_or(|within_s| time - first <= within_s);
            times.iter().any(|time| fits(*time) && follow(rest, first, *time, within_s))
        }
        steps[0].iter().any(|first| follow(&steps[1..], *first, *first, within_s))
    }

    #[test]
    fn steps_in_order_are_found_as_by_trying_everything() {
        let mut state = 7u64;
        let mut below = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let mut found = 0;
        for _ in 0..20_000 {
            let lists: Vec<Vec<i64>> = (0..2 + below(3))
                .map(|_| {
                    let mut times: Vec<i64> = (0..below(6)).map(|_| below(12) as i64).collect();
                    times.sort_unstable();
                    times
                })
                .collect();
            let steps: Vec<&[i64]> = lists.iter().map(|list| &list[..]).collect();
            let within_s = (below(3) > 0).then(|| below(9) as i64);
            let wanted = naive(&steps, within_s);
            // Of two people who did the same, each is found alone.
            let moments = |times: &[i64]| -> Vec<u64> {
                let of = |low: u16| times.iter().map(move |time| moment_of(low, *time));
                of(6).chain(of(7)).collect()
            };
            let first = moments(steps[0]).into_iter().map(|moment| Chain { start: moment, end: moment }).collect();
            let chains = steps[1..].iter().fold(first, |chains: Vec<Chain>, times| {
                let mut longer = Vec::new();
                follow(&chains, &moments(times), &mut longer);
                longer
            });
            let within = within_s.map_or(WITHIN_MAX, |within_s| within_s as u64);
            let is_in_order =
                |low: u16| chains.iter().any(|chain| owner_of(chain.end) == low && chain.end - chain.start <= within);
            let found_now = is_in_order(7);
            assert_eq!(is_in_order(6), found_now);
            assert_eq!(found_now, wanted, "{steps:?} {within_s:?}");
            found += u32::from(wanted);
        }
        assert!(found > 2_000, "{found}");
    }
}
