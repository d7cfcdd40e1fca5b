//! Breakdown: each clause of a question alone, and the question without it, all in one pass over the people.
//! Knows a tree of clauses and bits; what a clause means is the binder's.
//!
//! Of any place in the tree the whole question is `x ? T : F`, bit by bit, where x is what stands there: T and F are
//! found on the way down from the root, and taking a child out of its group leaves `o ? T : F`, o being the others.
//! So a clause costs a few passes over bits that are in the first cache, whatever the size of the tree.

use std::collections::HashMap;

use queryparser::ast::{Predicate, PredicateKind};
use storage::container::Bits;
use storage::ids::{CHUNK_WORDS, KNOWN, STRIPE_CHUNKS};

use super::bind::Binder;
use super::context::Context;
use super::count::ClauseCount;
use super::error::{Error, Result};
use super::exec::{Scratch, Stripe};
use super::kernels;
use super::plan::Node;

/// Words that are worked on at a time: what every part of a tree holds of them fits the first cache.
const BLOCK_WORDS: usize = 64;

/// Most clauses that are told apart: each takes a chunk's bits while it is counted.
const CLAUSES_MAX: usize = 2_000;

type Block = [u64; BLOCK_WORDS];

/// A part of the question; clauses by their number.
enum Part {
    Constant(bool),
    Clause(usize),
    Not(Box<Part>),
    Group { is_and: bool, children: Vec<Part> },
}

/// Counts each clause of a predicate alone, and the whole without it.
///
/// # Errors
/// As binding and counting.
pub fn breakdown(binder: &mut Binder<'_>, predicate: &Predicate) -> Result<Vec<ClauseCount>> {
    let clauses = queryparser::clauses(predicate);
    if clauses.len() > CLAUSES_MAX {
        return Err(Error::TooLarge { what: "clauses", asked: clauses.len() as u64, max: CLAUSES_MAX as u64 });
    }
    let nodes = clauses.iter().map(|clause| binder.plan(at(predicate, &clause.steps))).collect::<Result<Vec<_>>>()?;
    let numbers: HashMap<&[usize], usize> = clauses.iter().map(|clause| &clause.steps[..]).zip(0..).collect();
    let tree = part(predicate, &mut Vec::new(), &numbers);
    let counts = counted(binder.ctx, &tree, &nodes)?;
    let counts = clauses.into_iter().zip(counts);
    Ok(counts.map(|(clause, (count, without))| ClauseCount { path: clause.path, count, without }).collect())
}

fn at<'p>(predicate: &'p Predicate, steps: &[usize]) -> &'p Predicate {
    let Some((first, rest)) = steps.split_first() else { return predicate };
    match &predicate.kind {
        PredicateKind::And(children) | PredicateKind::Or(children) => at(&children[*first], rest),
        PredicateKind::Not(inner) => at(inner, rest),
        _ => predicate,
    }
}

fn part(predicate: &Predicate, steps: &mut Vec<usize>, numbers: &HashMap<&[usize], usize>) -> Part {
    if let Some(number) = numbers.get(&steps[..]) {
        return Part::Clause(*number);
    }
    let mut child = |step: usize, predicate: &Predicate| {
        steps.push(step);
        let part = part(predicate, steps, numbers);
        steps.pop();
        part
    };
    match &predicate.kind {
        PredicateKind::Not(inner) => Part::Not(Box::new(child(0, inner))),
        PredicateKind::And(children) | PredicateKind::Or(children) => Part::Group {
            is_and: matches!(predicate.kind, PredicateKind::And(_)),
            children: children.iter().zip(0..).map(|(predicate, step)| child(step, predicate)).collect(),
        },
        PredicateKind::Constant(value) => Part::Constant(*value),
        _ => unreachable!("all else is a clause"),
    }
}

/// By clause: how many it holds alone, and the whole without it.
type Counts = Vec<(u64, u64)>;

fn counted(ctx: &Context<'_>, tree: &Part, nodes: &[Node]) -> Result<Counts> {
    let empty = || Box::new([0; CHUNK_WORDS]);
    let sum = ctx.fold_stripes(
        || {
            let leaves = nodes.iter().map(|_| empty()).collect();
            (vec![(0u64, 0u64); nodes.len()], Scratch::default(), Chunk { live: empty(), leaves })
        },
        |(counts, scratch, members), stripe| {
            let runs = nodes.iter().map(|node| Stripe::open(ctx.view, node, stripe)).collect::<Result<Vec<_>>>()?;
            let live = ctx.view.live().stripe(stripe).bitmaps()?.value(KNOWN).containers;
            for chunk in 0..STRIPE_CHUNKS {
                if live[chunk].cardinality() == 0 {
                    continue;
                }
                kernels::fill(live[chunk], &mut members.live);
                for ((run, bits), (alone, _)) in runs.iter().zip(&mut members.leaves).zip(counts.iter_mut()) {
                    if let Some((lent, count)) = run.lent_bits(chunk) {
                        bits.copy_from_slice(lent);
                        *alone += u64::from(count);
                    } else if let Some(set) = run.chunk(chunk, scratch) {
                        kernels::fill(set.as_container(), bits);
                        *alone += u64::from(set.count());
                        scratch.recycle(set);
                    } else {
                        bits.fill(0);
                    }
                }
                for block in 0..CHUNK_WORDS / BLOCK_WORDS {
                    let live = members.block(&members.live, block);
                    tree.down(members, block, &live, &[0; BLOCK_WORDS], &live, counts);
                }
            }
            Ok(())
        },
        |(mut a, scratch, members), (b, ..)| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a = (a.0 + b.0, a.1 + b.1));
            (a, scratch, members)
        },
    )?;
    Ok(sum.0)
}

/// Who of a chunk lives, and who is in each clause.
struct Chunk {
    live: Box<Bits>,
    leaves: Vec<Box<Bits>>,
}

impl Chunk {
    fn block(&self, bits: &Bits, block: usize) -> Block {
        bits.as_chunks::<BLOCK_WORDS>().0[block]
    }
}

impl Part {
    /// Whose bits it holds.
    fn value(&self, members: &Chunk, block: usize) -> Block {
        match self {
            Part::Constant(false) => [0; BLOCK_WORDS],
            Part::Constant(true) => members.block(&members.live, block),
            Part::Clause(number) => members.block(&members.leaves[*number], block),
            Part::Not(inner) => {
                let (live, value) = (members.block(&members.live, block), inner.value(members, block));
                std::array::from_fn(|at| live[at] & !value[at])
            }
            Part::Group { is_and, children } => {
                let mut values = children.iter().map(|child| child.value(members, block));
                let first = values.next().unwrap_or([0; BLOCK_WORDS]);
                values.fold(first, |sum, value| joined(*is_and, &sum, &value))
            }
        }
    }

    /// Counts the clauses in it. The whole is `x ? then : or_else` of what stands here, and `without` once it is taken out.
    fn down(
        &self,
        members: &Chunk,
        block: usize,
        then: &Block,
        or_else: &Block,
        without: &Block,
        counts: &mut [(u64, u64)],
    ) {
        match self {
            Part::Constant(_) => {}
            Part::Clause(number) => {
                counts[*number].1 += without.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
            }
            // Whatever is taken out of a NOT takes the NOT with it.
            Part::Not(inner) => inner.down(members, block, or_else, then, without, counts),
            Part::Group { is_and, children } => {
                let neutral = if *is_and { members.block(&members.live, block) } else { [0; BLOCK_WORDS] };
                let values: Vec<Block> = children.iter().map(|child| child.value(members, block)).collect();
                // What follows each child, joined.
                let mut after = vec![neutral; children.len() + 1];
                for at in (1..=children.len()).rev() {
                    after[at - 1] = joined(*is_and, &after[at], &values[at - 1]);
                }
                let mut before = neutral;
                for (at, child) in children.iter().enumerate() {
                    let others = joined(*is_and, &before, &after[at + 1]);
                    let rest = chosen(&others, then, or_else);
                    match is_and {
                        true => child.down(members, block, &rest, or_else, &rest, counts),
                        false => child.down(members, block, then, &rest, &rest, counts),
                    }
                    before = joined(*is_and, &before, &values[at]);
                }
            }
        }
    }
}

fn joined(is_and: bool, a: &Block, b: &Block) -> Block {
    match is_and {
        true => std::array::from_fn(|at| a[at] & b[at]),
        false => std::array::from_fn(|at| a[at] | b[at]),
    }
}

/// `bits ? then : or_else`.
fn chosen(bits: &Block, then: &Block, or_else: &Block) -> Block {
    std::array::from_fn(|at| (bits[at] & then[at]) | (!bits[at] & or_else[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree without a clause; nothing where that leaves its group empty.
    fn removed(part: &Part, clause: usize) -> Option<Part> {
        match part {
            Part::Constant(value) => Some(Part::Constant(*value)),
            Part::Clause(number) => (*number != clause).then_some(Part::Clause(*number)),
            Part::Not(inner) => Some(Part::Not(Box::new(removed(inner, clause)?))),
            Part::Group { is_and, children } => {
                let children: Vec<Part> = children.iter().filter_map(|child| removed(child, clause)).collect();
                (!children.is_empty()).then_some(Part::Group { is_and: *is_and, children })
            }
        }
    }

    fn random(next: &mut impl FnMut() -> u64, depth: usize, clauses: &mut usize) -> Part {
        match next() % 6 {
            0 if depth > 0 => Part::Not(Box::new(random(next, depth - 1, clauses))),
            1..=3 if depth > 0 => {
                let is_and = next().is_multiple_of(2);
                let children = (0..2 + next() % 3).map(|_| random(next, depth - 1, clauses)).collect();
                Part::Group { is_and, children }
            }
            _ => {
                *clauses += 1;
                Part::Clause(*clauses - 1)
            }
        }
    }

    #[test]
    fn every_clause_is_taken_out_as_if_it_had_never_been_there() {
        let mut state = 5u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 16 ^ state << 31
        };
        for _ in 0..300 {
            let mut clauses = 0;
            let tree = random(&mut next, 4, &mut clauses);
            let live: Box<Bits> = Box::new(std::array::from_fn(|_| next() | next()));
            let leaves = (0..clauses).map(|_| Box::new(std::array::from_fn(|at| next() & live[at]))).collect();
            let members = Chunk { live, leaves };
            let mut counts = vec![(0, 0); clauses];
            let live = members.block(&members.live, 3);
            tree.down(&members, 3, &live, &[0; BLOCK_WORDS], &live, &mut counts);
            for (clause, (_, without)) in counts.into_iter().enumerate() {
                let rest = removed(&tree, clause).map_or(live, |rest| rest.value(&members, 3));
                assert_eq!(without, rest.iter().map(|word| u64::from(word.count_ones())).sum::<u64>());
            }
        }
    }
}
