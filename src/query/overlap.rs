//! Overlap: how several audiences lie over each other, every region of them exactly, in one pass.
//! Knows bits of a chunk; knows no names.
//!
//! Of up to five audiences all intersections are counted in one pass, and what lies in an intersection and in no audience
//! more follows by subtracting. Where there are more, the members of any are first parted by the others: those in it and
//! those not, each part by the next one, and so on. Few members are looked up one by one.

use serde::Serialize;
use storage::container::Bits;

use super::context::Context;
use super::count::ratio;
use super::error::Result;
use super::exec::{ChunkBits, ChunkSet, Scratch, Stripe};
use super::kernels::{self, Operand, Program, Room};
use super::plan::Node;

/// Most audiences of one overlap.
pub const AUDIENCES_MAX: usize = 12;
/// Audiences whose intersections are counted at once.
const TOGETHER_MAX: usize = 5;
/// At most so many members are looked up one by one.
const FEW: u32 = 1024;

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
    let counted = ctx.fold_shares(
        || Counter::new(audiences.len()),
        |counter, share| {
            let runs = audiences.iter().map(|node| Stripe::open(ctx.view, node, share)).collect::<Result<Vec<_>>>()?;
            share.chunks.clone().for_each(|chunk| counter.add(&runs, chunk));
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

/// Counts regions, chunk by chunk.
struct Counter {
    /// By region: the bits of its number say which audiences it is in.
    counts: Vec<u64>,
    /// Of the last audiences, at most [`TOGETHER_MAX`], among members where there are audiences before.
    intersections: Intersections,
    /// How many audiences come before those.
    parted: usize,
    room: Room,
    scratch: Scratch,
}

impl Counter {
    fn new(audiences: usize) -> Counter {
        let parted = audiences.saturating_sub(TOGETHER_MAX);
        Counter {
            counts: vec![0; 1 << audiences],
            intersections: Intersections::new(audiences - parted, parted > 0),
            parted,
            room: Room::default(),
            scratch: Scratch::default(),
        }
    }

    fn add(&mut self, runs: &[Stripe<'_>], chunk: usize) {
        let sets = runs.iter().map(|run| run.chunk_bits(chunk, &mut self.scratch)).collect::<Vec<_>>();
        let bits: Vec<&Bits> = sets.iter().map(ChunkBits::bits).collect();
        let counts: Vec<u32> = sets.iter().map(ChunkBits::count).collect();
        self.add_sets(&bits, &counts);
        sets.into_iter().for_each(|set| self.scratch.recycle_bits(set));
    }

    /// Counts the regions of some sets that have so many members each.
    fn add_sets(&mut self, sets: &[&Bits], counts: &[u32]) {
        let members = counts.iter().fold(0u32, |sum, count| sum.saturating_add(*count));
        if members == 0 {
            return;
        }
        if self.parted == 0 && members > FEW {
            return self.count_together(sets, counts, 0);
        }
        let mut any = self.scratch.bits();
        any.fill(0);
        kernels::or_all(sets, &mut any);
        let count = kernels::count(&any);
        self.part(sets, &any, count, 0, 0);
        self.scratch.recycle(ChunkSet::Bits(any));
    }

    /// Parts some members by the audiences from `depth` on; `region` says what is known of them.
    fn part(&mut self, sets: &[&Bits], members: &Bits, count: u32, depth: usize, region: usize) {
        if count <= FEW {
            kernels::for_each_bit(members, |low| {
                let (word, bit) = (usize::from(low) / 64, low % 64);
                let rest = sets[depth..].iter().zip(depth..);
                let inside = rest.fold(region, |region, (set, at)| region | ((set[word] >> bit & 1) as usize) << at);
                self.counts[inside] += 1;
            });
            return;
        }
        if depth == self.parted {
            let inputs: Vec<&Bits> = std::iter::once(members).chain(sets[depth..].iter().copied()).collect();
            return self.count_together(&inputs, &[count], region);
        }
        let mut part = self.scratch.bits();
        kernels::and_terms(&[(members, 0), (sets[depth], 0)], &mut part);
        let inside = kernels::count(&part);
        self.part(sets, &part, inside, depth + 1, region | 1 << depth);
        kernels::and_terms(&[(members, 0), (sets[depth], u64::MAX)], &mut part);
        self.part(sets, &part, count - inside, depth + 1, region);
        self.scratch.recycle(ChunkSet::Bits(part));
    }

    /// Counts the regions of some inputs, of whose counts those are given that nothing else is counted for.
    fn count_together(&mut self, inputs: &[&Bits], input_counts: &[u32], region: usize) {
        let Intersections { program, inputs: given } = &self.intersections;
        let mut found = [0; 1 << TOGETHER_MAX];
        program.run(inputs, &mut self.room, &mut found);
        let (mut counts, mut found) = ([0; 1 << TOGETHER_MAX], found.into_iter());
        for (count, input) in counts.iter_mut().zip(given) {
            *count = match input {
                Some(input) => input_counts[*input].into(),
                None => found.next().unwrap_or(0),
            };
        }
        // Without members to be among, the intersection of nothing is nobody's.
        let (first, regions) = (usize::from(self.parted == 0), self.counts.len() >> self.parted);
        for audience in (0..TOGETHER_MAX).map(|at| 1 << at).take_while(|audience| *audience < regions) {
            // Of those in an intersection who are in one more audience, they are not in this region.
            for at in (first..regions).filter(|at| at & audience == 0) {
                counts[at] -= counts[at | audience];
            }
        }
        for (at, count) in (first..regions).zip(&counts[first..]) {
            self.counts[region | at << self.parted] += count;
        }
    }
}

/// Every intersection of some sets, by the number whose bits say of which.
struct Intersections {
    program: Program,
    /// By number: the input that it is, where it is one; the others are counted by the program, in their order.
    inputs: Vec<Option<usize>>,
}

impl Intersections {
    /// Where sets are counted `among` others, these are the first input, and the intersection of none is all of them.
    fn new(sets: usize, among: bool) -> Intersections {
        let mut program = Program::default();
        // Of the intersection of none it counts for nothing which input it is, if there is nobody to be among.
        let mut found = vec![among.then_some(Operand::Input(0))];
        let mut inputs = vec![Some(0)];
        for number in 1usize..1 << sets {
            let last = number.ilog2() as usize;
            let input = last + usize::from(among);
            let Some(rest) = found[number & !(1 << last)] else {
                found.push(Some(Operand::Input(input)));
                inputs.push(Some(input));
                continue;
            };
            inputs.push(None);
            // Nothing is intersected with what the last set is in.
            if last + 1 == sets {
                program.count_both(rest, Operand::Input(input));
                found.push(None);
            } else {
                let both = program.and(rest, Operand::Input(input));
                program.count(both);
                found.push(Some(both));
            }
        }
        Intersections { program, inputs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use storage::ids::CHUNK_WORDS;

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
        for audiences in 2..=8 {
            // Dense ones, sparse ones and an empty one; at last only few members.
            for sparse in [0, audiences / 2, audiences] {
                let sets: Vec<Box<Bits>> = (0..audiences)
                    .map(|set| match set {
                        1 => Box::new([0; CHUNK_WORDS]),
                        _ if set >= sparse => Box::new(std::array::from_fn(|_| next())),
                        _ => Box::new(std::array::from_fn(|_| (0..9).fold(u64::MAX, |word, _| word & next()))),
                    })
                    .collect();
                let sets: Vec<&Bits> = sets.iter().map(|set| &**set).collect();
                let mut wanted = vec![0u64; 1 << audiences];
                for low in 0..65_536usize {
                    let is_in = |at: usize| ((sets[at][low / 64] >> (low % 64) & 1) as usize) << at;
                    wanted[(0..audiences).fold(0, |region, at| region | is_in(at))] += 1;
                }
                let mut counter = Counter::new(audiences);
                let counts: Vec<u32> = sets.iter().map(|set| kernels::count(set)).collect();
                counter.add_sets(&sets, &counts);
                assert_eq!(counter.counts[1..], wanted[1..], "{audiences} audiences, {sparse} of them sparse");
            }
        }
    }
}
