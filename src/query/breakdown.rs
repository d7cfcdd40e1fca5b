//! Breakdown: each clause of a question alone, the question without it, and the question itself, all in one pass over
//! the people. Knows a tree of clauses and sets; what a clause means is the binder's.
//!
//! Of any place in the tree the whole question is `x ? T : F`, bit by bit, where x is what stands there: T and F are
//! found on the way down from the root, and taking a child out of its group leaves `o ? T : F`, o being the others.
//! So a tree becomes one program of a few steps a clause, whatever its size, which runs over each chunk's bits.

use std::collections::HashMap;

use queryparser::ast::{Predicate, PredicateKind};
use storage::container::{Bits, ContainerRef};
use storage::ids::{CHUNK_WORDS, KNOWN};

use super::bind::Binder;
use super::context::Context;
use super::count::ClauseCount;
use super::error::{Error, Result};
use super::exec::{ChunkBits, Scratch, Stripe};
use super::kernels::{self, Operand, Program, Room};
use super::plan::Node;

/// Most clauses that are told apart: each takes a chunk's bits while it is counted.
const CLAUSES_MAX: usize = 2_000;

/// A part of the question; clauses by their number.
enum Part {
    Constant(bool),
    Clause(usize),
    Not(Box<Part>),
    Group { is_and: bool, children: Vec<Part> },
}

/// What a question's clauses come to.
#[derive(Debug, PartialEq)]
pub struct Breakdown {
    /// Members of the question.
    pub count: u64,
    /// By clause, in their order.
    pub clauses: Vec<ClauseCount>,
}

/// Counts a predicate, each of its clauses alone, and the whole without it.
///
/// # Errors
/// As binding and counting.
pub fn breakdown(binder: &mut Binder<'_>, predicate: &Predicate) -> Result<Breakdown> {
    let clauses = queryparser::clauses(predicate);
    if clauses.len() > CLAUSES_MAX {
        return Err(Error::TooLarge { what: "clauses", asked: clauses.len() as u64, max: CLAUSES_MAX as u64 });
    }
    let nodes = clauses.iter().map(|clause| binder.plan(at(predicate, &clause.steps))).collect::<Result<Vec<_>>>()?;
    let numbers: HashMap<&[usize], usize> = clauses.iter().map(|clause| &clause.steps[..]).zip(0..).collect();
    let questions = Questions::new(&part(predicate, &mut Vec::new(), &numbers), nodes.len());
    let (alone, joined) = counted(binder.ctx, &questions, &nodes)?;
    let (count, without) = joined.split_last().map_or((0, &[][..]), |(last, rest)| (*last, rest));
    let counts = clauses.into_iter().zip(alone.into_iter().zip(without));
    let clauses = counts.map(|(clause, (count, without))| ClauseCount { path: clause.path, count, without: *without });
    Ok(Breakdown { count, clauses: clauses.collect() })
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

/// A set of a program whose first input is everyone: what is plainly all or nothing takes no step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Nobody,
    Everyone,
    Of(Operand),
}

/// Who is asked about in all: the question without each clause, and last the question itself.
struct Questions {
    program: Program,
    /// What is counted, in the program's order where it needs one.
    sets: Vec<Set>,
}

const EVERYONE: Operand = Operand::Input(0);

impl Questions {
    fn new(tree: &Part, clauses: usize) -> Questions {
        let mut program = Program::default();
        let mut sets = vec![Set::Nobody; clauses];
        let whole = tree.set(&mut program);
        tree.down(&mut program, Set::Everyone, Set::Nobody, Set::Everyone, &mut sets);
        sets.push(whole);
        for set in &sets {
            if let Set::Of(operand) = set {
                program.count(*operand);
            }
        }
        Questions { program, sets }
    }

    /// The counts of all sets, where `counts` are those of the program.
    fn told(&self, everyone: u64, counts: &[u64]) -> Vec<u64> {
        let mut counts = counts.iter();
        let told = self.sets.iter().map(|set| match set {
            Set::Nobody => 0,
            Set::Everyone => everyone,
            Set::Of(_) => counts.next().copied().unwrap_or(0),
        });
        told.collect()
    }
}

/// How many each clause holds alone, and what the questions come to.
fn counted(ctx: &Context<'_>, questions: &Questions, nodes: &[Node]) -> Result<(Vec<u64>, Vec<u64>)> {
    let start = || Counter {
        alone: vec![0; nodes.len()],
        joined: vec![0; questions.sets.len()],
        room: Room::default(),
        scratch: Scratch::default(),
    };
    let sum = ctx.fold_shares(
        start,
        |counter, share| {
            let runs = nodes.iter().map(|node| Stripe::open(ctx.view, node, share)).collect::<Result<Vec<_>>>()?;
            let live = ctx.view.live().stripe(share.stripe).bitmaps()?.value(KNOWN).containers;
            let mut everyone = [0; CHUNK_WORDS];
            for chunk in share.chunks.clone() {
                let live = live[chunk];
                if live.cardinality() == 0 {
                    continue;
                }
                let everyone = match live {
                    ContainerRef::Bits(bits, _) => bits,
                    other => {
                        kernels::fill(other, &mut everyone);
                        &everyone
                    }
                };
                let clauses = runs.iter().map(|run| run.chunk_bits(chunk, &mut counter.scratch));
                let clauses: Vec<ChunkBits<'_>> = clauses.collect();
                for (alone, bits) in counter.alone.iter_mut().zip(&clauses) {
                    *alone += u64::from(bits.count());
                }
                let inputs: Vec<&Bits> = std::iter::once(everyone).chain(clauses.iter().map(ChunkBits::bits)).collect();
                questions.program.run(&inputs, &mut counter.room, &mut counter.joined);
                clauses.into_iter().for_each(|bits| counter.scratch.recycle_bits(bits));
            }
            Ok(())
        },
        |mut a, b| {
            a.alone.iter_mut().zip(b.alone).for_each(|(a, b)| *a += b);
            a.joined.iter_mut().zip(b.joined).for_each(|(a, b)| *a += b);
            a
        },
    )?;
    Ok((sum.alone, questions.told(ctx.everyone(), &sum.joined)))
}

struct Counter {
    alone: Vec<u64>,
    joined: Vec<u64>,
    room: Room,
    scratch: Scratch,
}

impl Part {
    /// Whom it holds.
    fn set(&self, program: &mut Program) -> Set {
        match self {
            Part::Constant(false) => Set::Nobody,
            Part::Constant(true) => Set::Everyone,
            Part::Clause(number) => Set::Of(Operand::Input(number + 1)),
            Part::Not(inner) => {
                let inner = inner.set(program);
                chosen(program, inner, Set::Nobody, Set::Everyone)
            }
            Part::Group { is_and, children } => {
                let mut sets = children.iter().map(|child| child.set(program)).collect::<Vec<_>>().into_iter();
                let first = sets.next().unwrap_or(Set::Nobody);
                sets.fold(first, |sum, set| joined(program, *is_and, sum, set))
            }
        }
    }

    /// Finds the whole without each clause in it. The whole is `x ? then : or_else` of what stands here, and `without`
    /// once it is taken out.
    fn down(&self, program: &mut Program, then: Set, or_else: Set, without: Set, sets: &mut [Set]) {
        match self {
            Part::Constant(_) => {}
            Part::Clause(number) => sets[*number] = without,
            // Whatever is taken out of a NOT takes the NOT with it.
            Part::Not(inner) => inner.down(program, or_else, then, without, sets),
            Part::Group { is_and, children } => {
                let neutral = if *is_and { Set::Everyone } else { Set::Nobody };
                let values: Vec<Set> = children.iter().map(|child| child.set(program)).collect();
                // What follows each child, joined.
                let mut after = vec![neutral; children.len() + 1];
                for at in (1..=children.len()).rev() {
                    after[at - 1] = joined(program, *is_and, after[at], values[at - 1]);
                }
                let mut before = neutral;
                for (at, child) in children.iter().enumerate() {
                    let others = joined(program, *is_and, before, after[at + 1]);
                    let rest = chosen(program, others, then, or_else);
                    match is_and {
                        true => child.down(program, rest, or_else, rest, sets),
                        false => child.down(program, then, rest, rest, sets),
                    }
                    before = joined(program, *is_and, before, values[at]);
                }
            }
        }
    }
}

fn joined(program: &mut Program, is_and: bool, a: Set, b: Set) -> Set {
    match (is_and, a, b) {
        (true, Set::Everyone, other) | (true, other, Set::Everyone) => other,
        (true, Set::Nobody, _) | (true, _, Set::Nobody) => Set::Nobody,
        (false, Set::Everyone, _) | (false, _, Set::Everyone) => Set::Everyone,
        (false, Set::Nobody, other) | (false, other, Set::Nobody) => other,
        (true, Set::Of(a), Set::Of(b)) => Set::Of(program.and(a, b)),
        (false, Set::Of(a), Set::Of(b)) => Set::Of(program.or(a, b)),
    }
}

/// `set ? then : or_else`.
fn chosen(program: &mut Program, set: Set, then: Set, or_else: Set) -> Set {
    let bits = match set {
        Set::Everyone => return then,
        Set::Nobody => return or_else,
        Set::Of(bits) => bits,
    };
    match (then, or_else) {
        (then, or_else) if then == or_else => then,
        (then, Set::Nobody) => joined(program, true, set, then),
        (Set::Everyone, or_else) => joined(program, false, set, or_else),
        (Set::Nobody, Set::Everyone) => Set::Of(program.and_not(EVERYONE, bits)),
        (Set::Nobody, Set::Of(rest)) => Set::Of(program.and_not(rest, bits)),
        (Set::Of(then), Set::Everyone) => Set::Of(program.choose(bits, then, EVERYONE)),
        (Set::Of(then), Set::Of(or_else)) => Set::Of(program.choose(bits, then, or_else)),
    }
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
            5 if depth < 4 => Part::Constant(next().is_multiple_of(2)),
            _ => {
                *clauses += 1;
                Part::Clause(*clauses - 1)
            }
        }
    }

    /// Whom a tree holds of the inputs, everyone first.
    fn naive(part: &Part, inputs: &[Box<Bits>]) -> Box<Bits> {
        let each = |word: &dyn Fn(usize) -> u64| Box::new(std::array::from_fn(word));
        match part {
            Part::Constant(false) => each(&|_| 0),
            Part::Constant(true) => inputs[0].clone(),
            Part::Clause(number) => inputs[number + 1].clone(),
            Part::Not(inner) => {
                let inner = naive(inner, inputs);
                each(&|at| inputs[0][at] & !inner[at])
            }
            Part::Group { is_and, children } => {
                let sets: Vec<_> = children.iter().map(|child| naive(child, inputs)).collect();
                each(&|at| {
                    let words = sets.iter().map(|set| set[at]);
                    let word = if *is_and { words.reduce(|a, b| a & b) } else { words.reduce(|a, b| a | b) };
                    word.unwrap_or(0)
                })
            }
        }
    }

    fn count(bits: &Bits) -> u64 {
        bits.iter().map(|word| u64::from(word.count_ones())).sum()
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
            let mut inputs = vec![live.clone()];
            inputs.extend((0..clauses).map(|_| Box::new(std::array::from_fn(|at| next() & live[at]))));
            let questions = Questions::new(&tree, clauses);
            let mut counts = vec![0; clauses + 1];
            let lent: Vec<&Bits> = inputs.iter().map(|bits| &**bits).collect();
            questions.program.run(&lent, &mut Room::default(), &mut counts);
            let told = questions.told(count(&live), &counts);
            for (clause, without) in told[..clauses].iter().enumerate() {
                let rest = removed(&tree, clause).map_or(live.clone(), |rest| naive(&rest, &inputs));
                assert_eq!(*without, count(&rest));
            }
            assert_eq!(told[clauses], count(&naive(&tree, &inputs)));
        }
    }
}
