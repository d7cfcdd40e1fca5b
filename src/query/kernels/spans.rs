//! Spans: rows that lie profile by profile, as bits of a page; who of a profile's rows stands before or after which.
//! Knows owners' codes and bits; what rows mean is the caller's.
//!
//! A span is the rows of one profile: it begins at a start and ends before the next one. What holds at the edge of a page
//! is carried to its neighbour: whether the row beyond the edge has been marked, or has a marked one beyond it in its span.
#![allow(unsafe_code)] // the dispatch by level

use storage::column::{Codes, Page};
use storage::container::Bits;
use storage::ids::PAGE_PROFILES;

use super::codes::{PageBits, word_of};
use super::level::at_levels;
#[cfg(target_arch = "x86_64")]
use super::level::{Level, level};
#[cfg(target_arch = "x86_64")]
use super::x86;

const PAGE: usize = PAGE_PROFILES as usize;

/// Marks the rows of a page whose owner is not that of the row before, the page's first left out.
pub fn starts(owners: &Page<'_>, out: &mut PageBits) {
    match owners.codes {
        Codes::Constant(_) => out.fill(0),
        Codes::U16(codes) => starts_u16(codes, out),
        _ => {
            out.fill(0);
            let differ = (1..PAGE).filter(|slot| owners.code(*slot) != owners.code(slot - 1));
            differ.for_each(|slot| out[slot / 64] |= 1 << (slot % 64));
        }
    }
}

fn starts_u16(codes: &[u16], out: &mut PageBits) {
    #[cfg(target_arch = "x86_64")]
    if level() >= Level::Avx2 {
        // SAFETY: the level is never above what the processor reports to have.
        return unsafe { x86::starts_u16(codes, out) };
    }
    let mut last = codes.first().copied().unwrap_or_default();
    for (word, codes) in out.iter_mut().zip(codes.as_chunks::<64>().0) {
        let mut flags = [0u8; 64];
        for (flag, code) in flags.iter_mut().zip(codes) {
            *flag = u8::from(*code != last);
            last = *code;
        }
        *word = word_of(&flags);
    }
}

at_levels! {
    /// Appends, for each of some ids that are set in `bits`, how many are set before it.
    pub fn push_ranks(bits: &Bits, ids: &[u16], out: &mut Vec<u16>) {
        let mut before = [0u16; storage::ids::CHUNK_WORDS];
        let mut sum = 0u16;
        for (before, word) in before.iter_mut().zip(bits) {
            *before = sum;
            // The last of a full chunk would be 65,536, which is nobody's rank.
            sum = sum.wrapping_add(word.count_ones() as u16);
        }
        out.extend(ids.iter().map(|id| {
            let word = usize::from(id >> 6);
            before[word].wrapping_add((bits[word] & ((1 << (id & 63)) - 1)).count_ones() as u16)
        }));
    }
}

/// Marks the rows that have a marked one before them in their span.
pub fn after(marked: &PageBits, starts: &PageBits, carry: &mut bool, out: &mut PageBits) {
    for ((out, marked), starts) in out.iter_mut().zip(marked).zip(starts) {
        *out = after_in_word(*marked, *starts, carry);
    }
}

/// Marks the rows that have a marked one after them in their span; `next_is_start` is said of the row after the page.
pub fn before(marked: &PageBits, starts: &PageBits, next_is_start: bool, carry: &mut bool, out: &mut PageBits) {
    let mut next = u64::from(next_is_start);
    for ((out, marked), starts) in out.iter_mut().zip(marked).zip(starts).rev() {
        // Read from behind, a span begins with its last row.
        let ends = starts >> 1 | next << 63;
        *out = after_in_word(marked.reverse_bits(), ends.reverse_bits(), carry).reverse_bits();
        next = starts & 1;
    }
}

/// From every marked row on a sum carries through the rows that are no starts.
#[inline(always)]
fn after_in_word(marked: u64, starts: u64, carry: &mut bool) -> u64 {
    let first = (marked << 1 | u64::from(*carry)) & !starts;
    let found = !starts & (!first.wrapping_add(!starts) | first);
    *carry = (found | marked) >> 63 == 1;
    found
}

#[cfg(test)]
mod tests {
    use super::super::at_each_level;
    use super::*;
    use storage::ids::{CHUNK_WORDS, PAGE_WORDS};

    fn bit(bits: &[u64], at: usize) -> bool {
        bits[at / 64] >> (at % 64) & 1 == 1
    }

    #[test]
    fn rows_before_and_after_are_those_of_a_walk() {
        let mut state = 3u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for round in 0..60 {
            let mut random = |thin: u32| -> [PageBits; 2] {
                std::array::from_fn(|_| std::array::from_fn(|_| (0..thin).fold(u64::MAX, |word, _| word & next())))
            };
            let (marked, starts) = (random(1 + round % 7), random(round % 11));
            let (flat_marked, flat_starts) = (marked.as_flattened(), starts.as_flattened());
            let (mut walked, mut is_after) = (vec![false; 2 * PAGE], false);
            for (row, walked) in walked.iter_mut().enumerate() {
                is_after &= !bit(flat_starts, row);
                *walked = is_after;
                is_after |= bit(flat_marked, row);
            }
            let (mut carry, mut found) = (false, [[0; PAGE_WORDS]; 2]);
            (0..2).for_each(|page| after(&marked[page], &starts[page], &mut carry, &mut found[page]));
            assert!((0..2 * PAGE).all(|row| bit(found.as_flattened(), row) == walked[row]), "{round}");

            let mut is_before = false;
            for (row, walked) in walked.iter_mut().enumerate().rev() {
                is_before &= row + 1 < 2 * PAGE && !bit(flat_starts, row + 1);
                *walked = is_before;
                is_before |= bit(flat_marked, row);
            }
            let mut carry = false;
            before(&marked[1], &starts[1], true, &mut carry, &mut found[1]);
            before(&marked[0], &starts[0], bit(flat_starts, PAGE), &mut carry, &mut found[0]);
            assert!((0..2 * PAGE).all(|row| bit(found.as_flattened(), row) == walked[row]), "{round}");
        }
    }

    #[test]
    fn starts_and_ranks_are_those_of_a_walk() {
        let narrow: Vec<u16> = (0..PAGE as u16).map(|row| row / 3 * (row % 7) / 5).collect();
        let wide: Vec<u32> = narrow.iter().map(|code| u32::from(*code) << 12).collect();
        let mut bits = [0; CHUNK_WORDS];
        narrow.iter().for_each(|id| bits[usize::from(*id) / 64] |= 1 << (id % 64));
        bits[CHUNK_WORDS - 1] = u64::MAX;
        at_each_level(|level| {
            for codes in [Codes::U16(&narrow), Codes::U32(&wide)] {
                let mut out = [7; PAGE_WORDS];
                starts(&Page { base: 1, max_code: u64::MAX, codes }, &mut out);
                let is_start = |row: usize| row > 0 && narrow[row] != narrow[row - 1];
                assert!((0..PAGE).all(|row| bit(&out, row) == is_start(row)), "{level:?}");
            }
            let mut ranks = Vec::new();
            push_ranks(&bits, &narrow, &mut ranks);
            let rank = |id: u16| (0..id).filter(|before| bit(&bits, usize::from(*before))).count();
            assert!(narrow.iter().zip(&ranks).all(|(id, found)| rank(*id) == usize::from(*found)), "{level:?}");
        });
    }
}
