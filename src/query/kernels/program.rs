//! Programs: many sets of one chunk joined in many ways, and the counts of what comes out, a block of words at a time.
//! Knows words and steps; what a set means is its maker's.
//!
//! A step's result is as long as a block, so that all of a program's results lie in the first cache until they are
//! counted, and no chunk's worth of bits is ever written.
#![allow(unsafe_code)] // the dispatch by level

use std::collections::HashMap;

use storage::container::Bits;
use storage::ids::CHUNK_WORDS;

use super::level::at_levels;
use super::words::count_both;

/// Words that are worked on at a time.
const BLOCK_WORDS: usize = 128;

type Block = [u64; BLOCK_WORDS];

/// A set that a step takes: one of the inputs, or what an earlier step has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// By its place among the inputs.
    Input(usize),
    /// By the step's number.
    Found(usize),
}

/// Bit by bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    And(Operand, Operand),
    Or(Operand, Operand),
    /// The first without the second.
    AndNot(Operand, Operand),
    /// `first ? second : third`.
    Choose(Operand, Operand, Operand),
}

/// Steps in their order, and what is counted of their results.
#[derive(Debug, Default)]
pub struct Program {
    steps: Vec<Step>,
    known: HashMap<Step, usize>,
    /// Those of both, which may be the same.
    counted: Vec<(Operand, Operand)>,
}

/// Room for the results of a program's steps.
#[derive(Debug, Default)]
pub struct Room {
    found: Vec<Block>,
}

impl Program {
    fn step(&mut self, step: Step) -> Operand {
        let steps = &mut self.steps;
        Operand::Found(*self.known.entry(step).or_insert_with(|| {
            steps.push(step);
            steps.len() - 1
        }))
    }

    /// Those of both.
    pub fn and(&mut self, a: Operand, b: Operand) -> Operand {
        if a == b { a } else { self.step(Step::And(a, b)) }
    }

    /// Those of either.
    pub fn or(&mut self, a: Operand, b: Operand) -> Operand {
        if a == b { a } else { self.step(Step::Or(a, b)) }
    }

    /// Those of the first who are not in the second.
    pub fn and_not(&mut self, a: Operand, b: Operand) -> Operand {
        self.step(Step::AndNot(a, b))
    }

    /// Of whoever is in `bits` what `then` says of him, of the others what `or_else` says.
    pub fn choose(&mut self, bits: Operand, then: Operand, or_else: Operand) -> Operand {
        if then == or_else { then } else { self.step(Step::Choose(bits, then, or_else)) }
    }

    /// Has a set counted; counts come in the order of these calls.
    pub fn count(&mut self, set: Operand) {
        self.count_both(set, set);
    }

    /// Has those of both counted, without keeping them.
    pub fn count_both(&mut self, a: Operand, b: Operand) {
        self.counted.push((a, b));
    }

    /// Adds a chunk's counts to `counts`.
    pub fn run(&self, inputs: &[&Bits], room: &mut Room, counts: &mut [u64]) {
        room.found.resize(self.steps.len(), [0; BLOCK_WORDS]);
        for block in 0..CHUNK_WORDS / BLOCK_WORDS {
            run_block(&self.steps, inputs, block, &mut room.found);
            for ((a, b), count) in self.counted.iter().zip(&mut *counts) {
                let of = |operand| block_of(operand, inputs, block, &room.found);
                *count += count_both(of(*a), of(*b));
            }
        }
    }
}

#[inline(always)]
fn block_of<'b>(operand: Operand, inputs: &[&'b Bits], block: usize, found: &'b [Block]) -> &'b Block {
    match operand {
        Operand::Input(at) => &inputs[at].as_chunks::<BLOCK_WORDS>().0[block],
        Operand::Found(at) => &found[at],
    }
}

at_levels! {
    fn run_block(steps: &[Step], inputs: &[&Bits], block: usize, found: &mut [Block]) {
        for (at, step) in steps.iter().enumerate() {
            let (before, rest) = found.split_at_mut(at);
            let of = |operand| block_of(operand, inputs, block, before);
            let out = &mut rest[0];
            match *step {
                Step::And(a, b) => {
                    let (a, b) = (of(a), of(b));
                    (0..BLOCK_WORDS).for_each(|w| out[w] = a[w] & b[w]);
                }
                Step::Or(a, b) => {
                    let (a, b) = (of(a), of(b));
                    (0..BLOCK_WORDS).for_each(|w| out[w] = a[w] | b[w]);
                }
                Step::AndNot(a, b) => {
                    let (a, b) = (of(a), of(b));
                    (0..BLOCK_WORDS).for_each(|w| out[w] = a[w] & !b[w]);
                }
                Step::Choose(bits, then, or_else) => {
                    let (bits, then, or_else) = (of(bits), of(then), of(or_else));
                    (0..BLOCK_WORDS).for_each(|w| out[w] = (bits[w] & then[w]) | (!bits[w] & or_else[w]));
                }
            }
        }
    }
}
