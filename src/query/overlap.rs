//! Overlap: how several audiences lie over each other, every region of them exactly, in one pass.
//! Knows bits of a chunk; knows no names.
//!
//! The members of any audience are parted by the first one into those in it and those not, each part by the second, and
//! so on; a part that is empty is not parted further, one of few members is looked up member by member.

use serde::Serialize;
use storage::container::Bits;
use storage::ids::{CHUNK_WORDS, STRIPE_CHUNKS};

use super::context::Context;
use super::count::ratio;
use super::error::Result;
use super::exec::{Scratch, Stripe};
use super::kernels;
use super::plan::Node;

/// Most audiences of one overlap.
pub const AUDIENCES_MAX: usize = 12;
/// A part of at most so many members is looked up one by one.
const FEW: u32 = 256;

/// What lies where.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overlap {
    /// Members of each audience.
    pub counts: Vec<u64>,
    /// Every region that has members: who is in these audiences and in no other.
    pub regions: Vec<Region>,
    /// Each pair once.
    pub pairs: Vec<Pair>,
}

/// Members of some audiences and of no other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Region {
    /// Places of the audiences.
    #[serde(rename = "in")]
    pub inside: Vec<usize>,
    /// How many.
    pub count: u64,
}

/// How alike two audiences are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// Place of the one.
    pub a: usize,
    /// Place of the other.
    pub b: usize,
    /// Members of both.
    pub both: u64,
    /// Members of both ÷ members of any; null of two empty ones.
    pub jaccard: Option<f64>,
}

/// Counts every region of some audiences, at most [`AUDIENCES_MAX`].
///
/// # Errors
/// The budget's, or damage of the store.
pub fn overlap(ctx: &Context<'_>, audiences: &[Node]) -> Result<Overlap> {
    let regions = 1usize << audiences.len();
    let counted = ctx.fold_stripes(
        || Counter { counts: vec![0u64; regions], scratch: Scratch::default(), sets: Vec::new(), parts: Vec::new() },
        |counter, stripe| {
            let runs = audiences.iter().map(|node| Stripe::open(ctx.view, node, stripe)).collect::<Result<Vec<_>>>()?;
            (0..STRIPE_CHUNKS).for_each(|chunk| counter.add(&runs, chunk));
            Ok(())
        },
        |mut a, b| {
            a.counts.iter_mut().zip(b.counts).for_each(|(a, b)| *a += b);
            a
        },
    )?;
    Ok(told(&counted.counts, audiences.len()))
}

fn told(counts: &[u64], audiences: usize) -> Overlap {
    let sum =
        |of: &dyn Fn(usize) -> bool| counts.iter().zip(0..).filter(|(_, region)| of(*region)).map(|(n, _)| n).sum();
    let is_in = |region: usize, audience: usize| region >> audience & 1 == 1;
    let regions = counts.iter().zip(0..).filter(|(n, region)| **n > 0 && *region > 0).map(|(n, region)| Region {
        inside: (0..audiences).filter(|audience| is_in(region, *audience)).collect(),
        count: *n,
    });
    let mut pairs = Vec::new();
    for a in 0..audiences {
        for b in a + 1..audiences {
            let both: u64 = sum(&|region| is_in(region, a) && is_in(region, b));
            let any = sum(&|region| is_in(region, a) || is_in(region, b));
            pairs.push(Pair { a, b, both, jaccard: ratio(both, any) });
        }
    }
    Overlap {
        counts: (0..audiences).map(|audience| sum(&|region| is_in(region, audience))).collect(),
        regions: regions.collect(),
        pairs,
    }
}

struct Counter {
    /// By region: the bits of its number say which audiences it is in.
    counts: Vec<u64>,
    scratch: Scratch,
    /// Members of the present chunk, by audience.
    sets: Vec<Box<Bits>>,
    /// A part for each depth.
    parts: Vec<Box<Bits>>,
}

impl Counter {
    fn add(&mut self, runs: &[Stripe<'_>], chunk: usize) {
        let empty = || Box::new([0; CHUNK_WORDS]);
        self.sets.resize_with(runs.len(), empty);
        self.parts.resize_with(runs.len() + 1, empty);
        let mut any = std::mem::replace(&mut self.parts[0], empty());
        any.fill(0);
        let mut has_any = false;
        for (run, bits) in runs.iter().zip(&mut self.sets) {
            match run.chunk(chunk, &mut self.scratch) {
                Some(set) => {
                    kernels::fill(set.as_container(), bits);
                    kernels::or_container(set.as_container(), &mut any);
                    self.scratch.recycle(set);
                    has_any = true;
                }
                None => bits.fill(0),
            }
        }
        if has_any {
            self.part(&any, kernels::count(&any), 0, 0);
        }
        self.parts[0] = any;
    }

    /// Parts some members by the audiences from `depth` on; `region` says what is known of them.
    fn part(&mut self, members: &Bits, count: u32, depth: usize, region: usize) {
        if count == 0 {
            return;
        }
        if depth == self.sets.len() {
            self.counts[region] += u64::from(count);
            return;
        }
        if count <= FEW {
            kernels::for_each_bit(members, |low| {
                let (word, bit) = (usize::from(low) / 64, low % 64);
                let rest = self.sets[depth..].iter().zip(depth..);
                let inside = rest.fold(region, |region, (set, at)| region | ((set[word] >> bit & 1) as usize) << at);
                self.counts[inside] += 1;
            });
            return;
        }
        let mut part = std::mem::replace(&mut self.parts[depth + 1], Box::new([0; CHUNK_WORDS]));
        part.copy_from_slice(members);
        kernels::and_assign(&mut part, &self.sets[depth]);
        let inside = kernels::count(&part);
        self.part(&part, inside, depth + 1, region | 1 << depth);
        if inside < count {
            part.copy_from_slice(members);
            kernels::and_not_assign(&mut part, &self.sets[depth]);
            self.part(&part, count - inside, depth + 1, region);
        }
        self.parts[depth + 1] = part;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_add_up_to_audiences_and_pairs() {
        // Nobody in none; 3 in the first alone, 2 in the second alone, 5 in both.
        let told = told(&[7, 3, 2, 5], 2);
        assert_eq!(told.counts, [8, 7]);
        let regions: Vec<_> = told.regions.iter().map(|region| (&region.inside[..], region.count)).collect();
        assert_eq!(regions, [(&[0][..], 3), (&[1][..], 2), (&[0, 1][..], 5)]);
        assert_eq!(told.pairs, [Pair { a: 0, b: 1, both: 5, jaccard: Some(0.5) }]);
    }

    #[test]
    fn members_fall_into_the_region_that_their_bits_say() {
        let mut state = 11u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 3
        };
        // Dense and sparse ones, so that both ways are gone.
        let sets: Vec<Box<Bits>> = (0..5)
            .map(|set| {
                Box::new(std::array::from_fn(
                    |_| if set < 3 { next() } else { next() & next() & next() & next() & next() },
                ))
            })
            .collect();
        let mut any = [0; CHUNK_WORDS];
        sets.iter().for_each(|set| any.iter_mut().zip(set.iter()).for_each(|(any, word)| *any |= word));
        let mut wanted = vec![0u64; 32];
        for low in 0..65_536usize {
            let region = (0..5).fold(0, |region, at| region | ((sets[at][low / 64] >> (low % 64) & 1) as usize) << at);
            wanted[region] += u64::from(region > 0);
        }
        let parts = (0..=5).map(|_| Box::new([0; CHUNK_WORDS])).collect();
        let mut counter = Counter { counts: vec![0; 32], scratch: Scratch::default(), sets, parts };
        counter.part(&any, kernels::count(&any), 0, 0);
        assert_eq!(counter.counts, wanted);
    }
}
