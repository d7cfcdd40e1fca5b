//! How fast this machine reads memory: a loop that counts bits, compiled for each instruction set and chosen at run time.
//! Knows slices; knows no question.

use std::hint::black_box;
use std::time::Instant;

use fearless_simd::{Level, dispatch};
use rayon::prelude::*;
use storage::container::{Bits, ContainerRef};

/// Words of the gibibyte that is read.
const WORDS: usize = 1 << 27;
/// Times that it is read.
const ROUNDS: usize = 7;
/// Words that a thread takes at a time.
const PIECE_WORDS: usize = 1 << 20;

/// Gigabytes a second.
#[derive(Debug, Clone, Copy)]
pub struct Bandwidth {
    /// Bits counted by one thread.
    pub one_thread: f64,
    /// Bits counted by all threads.
    pub all_threads: f64,
    /// Read by one thread's copying, as much again being written.
    pub copy: f64,
}

impl Bandwidth {
    /// The larger of each: a busy machine only ever shows less.
    pub fn best(self, other: Bandwidth) -> Bandwidth {
        Bandwidth {
            one_thread: self.one_thread.max(other.one_thread),
            all_threads: self.all_threads.max(other.all_threads),
            copy: self.copy.max(other.copy),
        }
    }
}

/// Measures it.
pub fn bandwidth() -> Bandwidth {
    let words: Vec<u64> = (0..WORDS as u64).collect();
    let mut copy = vec![0u64; WORDS];
    let speed = |mut run: Box<dyn FnMut() + '_>| {
        let times = (0..ROUNDS).map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        });
        (WORDS * 8) as f64 / 1e9 / median(times.collect())
    };
    Bandwidth {
        one_thread: speed(Box::new(|| {
            black_box(popcount(black_box(&words)));
        })),
        all_threads: speed(Box::new(|| {
            black_box(black_box(&words).par_chunks(PIECE_WORDS).map(popcount).sum::<u64>());
        })),
        copy: speed(Box::new(|| black_box(&mut copy).copy_from_slice(black_box(&words)))),
    }
}

/// The name of the instruction set that the loop is run with.
pub fn level() -> String {
    let name = format!("{:?}", Level::new());
    name.split('(').next().unwrap_or("").to_string()
}

/// Bits that are set.
pub fn popcount(words: &[u64]) -> u64 {
    dispatch!(Level::new(), _simd => count_words(words))
}

/// Bits that are set in a container's bytes, whatever they mean.
pub fn read(container: ContainerRef<'_>) -> u64 {
    match container {
        ContainerRef::Empty => 0,
        ContainerRef::Array(ids) => dispatch!(Level::new(), _simd => count_ids(ids)),
        ContainerRef::Bits(bits, _) => dispatch!(Level::new(), _simd => count_words(words(bits))),
        ContainerRef::Runs(runs, _) => dispatch!(Level::new(), _simd => count_ids(runs.as_flattened())),
    }
}

/// Bytes of a container.
pub fn bytes(container: ContainerRef<'_>) -> usize {
    match container {
        ContainerRef::Empty => 0,
        ContainerRef::Array(ids) => size_of_val(ids),
        ContainerRef::Bits(bits, _) => size_of_val(bits),
        ContainerRef::Runs(runs, _) => size_of_val(runs),
    }
}

fn words(bits: &Bits) -> &[u64] {
    bits
}

// Sums wrap, since checked ones would not be vectorised.
#[inline(always)]
fn count_words(words: &[u64]) -> u64 {
    words.iter().fold(0, |sum, word| sum.wrapping_add(word.count_ones().into()))
}

#[inline(always)]
fn count_ids(ids: &[u16]) -> u64 {
    ids.iter().fold(0, |sum, id| sum.wrapping_add(id.count_ones().into()))
}

/// The middle one.
pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    match times.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => times[n / 2],
        n => (times[n / 2 - 1] + times[n / 2]) / 2.0,
    }
}
