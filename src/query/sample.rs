//! Random choices of members, uniform without replacement, or with the same mix of some tags as all of them.
//! Knows hashes and strata; who is listed afterwards, and how, is the caller's.
//!
//! Those with the least seeded hash are chosen, so the same seed chooses the same people of the same members. With strata
//! each of them, the unknown one too, gets its share of the number by the largest remainder; two passes: one counts the
//! strata, one keeps the least hashes of each. No more is held than twice the people that are asked for.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::bind::request_fault;
use super::context::Context;
use super::error::Result;
use super::exec::{Scratch, Stripe};
use super::groups::{Axis, group, keys_of_chunk};
use super::least::Least;
use super::plan::Node;
use super::totals::{collect, count, materialized};

/// Most tags whose mix is kept.
pub const TAGS_MAX: usize = 2;
/// Most strata that they make.
const STRATA_MAX: usize = 10_000;

/// What is chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// How many.
    pub count: u64,
    /// Another choice for another seed.
    pub seed: u64,
    /// Tags whose mix is kept, of one value each; at most [`TAGS_MAX`].
    pub strata: Vec<Axis>,
}

type Key = [i64; TAGS_MAX];

/// The OneIDs of a random choice of members, ascending; all of them where they are not more than asked for.
///
/// # Errors
/// More strata than can be kept apart; the budget's, or damage of the store.
pub(crate) fn sampled(ctx: &Context<'_>, plan: &Node, sample: &Sample) -> Result<Vec<u32>> {
    let plan = &materialized(ctx, plan)?;
    let members = count(ctx, plan)?;
    if members <= sample.count {
        return collect(ctx, plan, 0, u64::MAX);
    }
    let (numbers, shares) = strata(ctx, plan, sample, members)?;
    let chosen = ctx.fold_shares(
        || (Chosen::new(&shares), Scratch::default()),
        |(chosen, scratch), share| {
            let run = Stripe::open(ctx.view, plan, share)?;
            let mut ids = Vec::new();
            for chunk in share.chunks.clone() {
                let Some(set) = run.chunk(chunk, scratch) else { continue };
                let keys = sample.strata.iter().map(|axis| keys_of_chunk(ctx, *axis, share.stripe, chunk, &set));
                let keys = keys.collect::<Result<Vec<_>>>()?;
                ids.clear();
                set.push_one_ids(share.first_one_id(chunk), scratch, &mut ids);
                for (one_id, member) in ids.iter().zip(0..) {
                    let hash = xxh3_64_with_seed(&one_id.to_le_bytes(), sample.seed);
                    if hash <= chosen.loosest {
                        let mut key = Key::default();
                        keys.iter().zip(&mut key).for_each(|(keys, key)| *key = keys.of(member)[0]);
                        chosen.push(numbers[&key], hash, *one_id);
                    }
                }
                scratch.recycle(set);
            }
            Ok(())
        },
        |(mut a, scratch), (b, _)| {
            a.merge(b);
            (a, scratch)
        },
    )?;
    Ok(chosen.0.into_ids())
}

/// The number of each stratum, and how many of it are chosen.
fn strata(ctx: &Context<'_>, plan: &Node, sample: &Sample, members: u64) -> Result<(HashMap<Key, usize>, Vec<usize>)> {
    if sample.strata.is_empty() {
        return Ok((HashMap::from([(Key::default(), 0)]), vec![sample.count as usize]));
    }
    let groups = group(ctx, plan, &sample.strata)?;
    if groups.len() > STRATA_MAX {
        let message = format!("these tags make {} strata; at most {STRATA_MAX} are kept apart", groups.len());
        return Err(request_fault("too_many_strata", "/stratify", message, None));
    }
    let counts: Vec<u64> = groups.iter().map(|(_, count)| *count).collect();
    let numbers = groups.iter().zip(0..).map(|((keys, _), number)| {
        let mut key = Key::default();
        key[..keys.len()].copy_from_slice(keys);
        (key, number)
    });
    Ok((numbers.collect(), shares_of(&counts, sample.count, members)))
}

/// A number parted by counts whose sum is `members`: whole parts first, then one more for the largest remainders; of equal
/// ones for the larger stratum, then for the first.
fn shares_of(counts: &[u64], wanted: u64, members: u64) -> Vec<usize> {
    let product = |count: u64| u128::from(count) * u128::from(wanted);
    let mut shares: Vec<usize> = counts.iter().map(|count| (product(*count) / u128::from(members)) as usize).collect();
    let left = wanted as usize - shares.iter().sum::<usize>();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    let remainder = |at: usize| product(counts[at]) % u128::from(members);
    order.sort_by_key(|at| (std::cmp::Reverse((remainder(*at), counts[*at])), *at));
    order.into_iter().take(left).for_each(|at| shares[at] += 1);
    shares
}

/// The least hashes of each stratum so far.
struct Chosen {
    strata: Vec<Least<u64>>,
    /// Whether any stratum may take a hash is asked of this first.
    loosest: u64,
}

impl Chosen {
    fn new(shares: &[usize]) -> Chosen {
        Chosen { strata: shares.iter().map(|share| Least::new(*share)).collect(), loosest: u64::MAX }
    }

    fn push(&mut self, stratum: usize, hash: u64, one_id: u32) {
        if self.strata[stratum].push(hash, one_id) {
            let bounds = self.strata.iter().filter(|least| least.wanted() > 0).map(Least::bound);
            self.loosest = bounds.map(|bound| bound.unwrap_or(u64::MAX)).max().unwrap_or(u64::MAX);
        }
    }

    fn merge(&mut self, other: Chosen) {
        self.strata.iter_mut().zip(other.strata).for_each(|(own, other)| own.merge(other));
    }

    fn into_ids(self) -> Vec<u32> {
        let chosen = self.strata.into_iter().flat_map(Least::into_sorted);
        let mut ids: Vec<u32> = chosen.map(|(_, one_id)| one_id).collect();
        ids.sort_unstable();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_go_to_the_largest_remainders() {
        let check = |counts: &[u64], wanted, expected: &[usize]| {
            assert_eq!(shares_of(counts, wanted, counts.iter().sum()), expected, "{counts:?} {wanted}");
        };
        check(&[50, 30, 20], 10, &[5, 3, 2]);
        check(&[41, 29, 30], 10, &[4, 3, 3]);
        check(&[1, 1, 1], 2, &[1, 1, 0]);
        check(&[1, 2, 97], 3, &[0, 0, 3]);
        check(&[10, 10], 0, &[0, 0]);
        check(&[u64::from(u32::MAX), 1], 4_000_000_000, &[4_000_000_000 - 1, 1]);
    }
}
