//! Spans: rows that lie profile by profile, as bits of a page; who of a profile's rows stands before or after which.
//! Knows bits; what rows mean is the caller's.
//!
//! A span is the rows of one profile: it begins at a start and ends before the next one. What holds at the edge of a page
//! is carried to its neighbour: whether the row beyond the edge has been marked, or has a marked one beyond it in its span.
#![allow(unsafe_code)] // the dispatch by level

use storage::container::Bits;
use storage::ids::{CHUNK_WORDS, PAGE_WORDS};

use super::codes::PageBits;
use super::level::at_levels;

/// Stands for no row of a page.
pub const NO_ROW: u16 = u16::MAX;

at_levels! {
    /// Appends, for each of some rows of a page, the nearest marked one before it; [`NO_ROW`] where there is none.
    pub fn push_nearest_before(rows: &[u16], marked: &PageBits, out: &mut Vec<u16>) {
        let (mut before, mut last) = ([NO_ROW; PAGE_WORDS], NO_ROW);
        for ((before, word), first) in before.iter_mut().zip(marked).zip((0..).step_by(64)) {
            *before = last;
            last = word.checked_ilog2().map_or(last, |bit| first + bit as u16);
        }
        out.extend(rows.iter().map(|row| {
            let (word, bit) = (usize::from(row >> 6) % PAGE_WORDS, row & 63);
            let below = marked[word] & ((1 << bit) - 1);
            let nearest = (row & !63).wrapping_add((below | 1).ilog2() as u16);
            if below == 0 { before[word] } else { nearest }
        }));
    }

    /// Appends, for each of some spans of a page by number, ascending, where it begins and where the next one does;
    /// [`NO_ROW`] where that is beyond the page.
    pub fn push_span_bounds(starts: &PageBits, spans: &[u16], out: &mut Vec<[u16; 2]>) {
        let (mut word, mut before) = (0usize, 0u32);
        for span in spans {
            while word < PAGE_WORDS && before + starts[word].count_ones() <= u32::from(*span) {
                before += starts[word].count_ones();
                word += 1;
            }
            let mut left = starts.get(word).copied().unwrap_or(0);
            (before..u32::from(*span)).for_each(|_| left &= left.wrapping_sub(1));
            let row = |word: usize, left: u64| (word * 64) as u16 + left.trailing_zeros() as u16;
            let begins = if left == 0 { NO_ROW } else { row(word, left) };
            let in_word = left & left.wrapping_sub(1);
            let ends = if in_word == 0 {
                let next = (word + 1..PAGE_WORDS).find(|word| starts[*word] != 0);
                next.map_or(NO_ROW, |word| row(word, starts[word]))
            } else {
                row(word, in_word)
            };
            out.push([begins, ends]);
        }
    }

    /// Appends, for each of some ids that are set in `bits`, how many are set before it.
    pub fn push_ranks(bits: &Bits, ids: &[u16], out: &mut Vec<u16>) {
        let before = set_before(bits);
        out.extend(ids.iter().map(|id| rank(bits, &before, *id)));
    }

    /// Appends the owner of each of some rows of a page, by the number of its span: `before` spans begin before the page,
    /// and `owners` has one for each. A row of no such span is nobody's, and given to 0.
    pub fn push_span_owners(rows: &[u16], starts: &PageBits, before: usize, owners: &[u16], out: &mut Vec<u16>) {
        let (mut spans, mut sum) = ([0usize; PAGE_WORDS], before);
        for (spans, starts) in spans.iter_mut().zip(starts) {
            *spans = sum;
            sum = sum.wrapping_add(starts.count_ones() as usize);
        }
        out.extend(rows.iter().map(|row| {
            let (word, bit) = (usize::from(row >> 6) % PAGE_WORDS, row & 63);
            let begun = spans[word].wrapping_add((starts[word] << (63 - bit)).count_ones() as usize);
            owners.get(begun.wrapping_sub(1)).copied().unwrap_or_default()
        }));
    }
}

/// How many bits are set before each word. Of a full chunk 65,536 are before its end, which nobody asks for.
#[inline(always)]
pub(super) fn set_before(bits: &Bits) -> [u16; CHUNK_WORDS] {
    let (mut before, mut sum) = ([0; CHUNK_WORDS], 0u16);
    for (before, word) in before.iter_mut().zip(bits) {
        *before = sum;
        sum = sum.wrapping_add(word.count_ones() as u16);
    }
    before
}

/// How many bits are set before an id.
#[inline(always)]
pub(super) fn rank(bits: &Bits, before: &[u16; CHUNK_WORDS], id: u16) -> u16 {
    let word = usize::from(id >> 6);
    before[word].wrapping_add((bits[word] & ((1 << (id & 63)) - 1)).count_ones() as u16)
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
    use storage::ids::PAGE_PROFILES;

    const PAGE: usize = PAGE_PROFILES as usize;

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
    fn the_nearest_before_is_that_of_a_walk() {
        let rows: Vec<u16> = (0..PAGE as u16).filter(|row| row % 3 != 1).collect();
        for step in [1, 2, 63, 64, 65, 1000, 4095] {
            let mut marked = [0; PAGE_WORDS];
            (step / 2..PAGE).step_by(step).for_each(|row| marked[row / 64] |= 1 << (row % 64));
            let wanted = |row: &u16| (0..*row).rev().find(|before| bit(&marked, usize::from(*before)));
            at_each_level(|level| {
                let mut found = Vec::new();
                push_nearest_before(&rows, &marked, &mut found);
                assert!(
                    rows.iter().zip(&found).all(|(row, found)| wanted(row).unwrap_or(NO_ROW) == *found),
                    "{level:?}"
                );
            });
        }
    }

    #[test]
    fn bounds_of_spans_are_those_of_a_list() {
        for thin in [1usize, 3, 64, 700, 4095] {
            let mut starts = [0; PAGE_WORDS];
            let rows: Vec<u16> = (thin as u16 / 2..PAGE as u16).step_by(thin).collect();
            rows.iter().for_each(|row| starts[usize::from(*row) / 64] |= 1 << (row % 64));
            let spans: Vec<u16> = (0..rows.len() as u16).filter(|span| span % 5 != 3).collect();
            let bound = |span: usize| rows.get(span).copied().unwrap_or(NO_ROW);
            at_each_level(|level| {
                let mut found = Vec::new();
                push_span_bounds(&starts, &spans, &mut found);
                let wanted = spans.iter().map(|span| [bound(usize::from(*span)), bound(usize::from(*span) + 1)]);
                assert!(wanted.eq(found.iter().copied()), "{level:?} {thin}");
                // A damaged part may have fewer starts than spans.
                push_span_bounds(&starts, &[5_000], &mut found);
                assert_eq!(found.last(), Some(&[NO_ROW; 2]));
            });
        }
    }

    #[test]
    fn ranks_are_those_of_a_walk() {
        let ids: Vec<u16> = (0..PAGE as u16).map(|row| row / 3 * (row % 7) / 5).collect();
        let mut bits = [0; CHUNK_WORDS];
        ids.iter().for_each(|id| bits[usize::from(*id) / 64] |= 1 << (id % 64));
        bits[CHUNK_WORDS - 1] = u64::MAX;
        at_each_level(|level| {
            let mut ranks = Vec::new();
            push_ranks(&bits, &ids, &mut ranks);
            let rank = |id: u16| (0..id).filter(|before| bit(&bits, usize::from(*before))).count();
            assert!(ids.iter().zip(&ranks).all(|(id, found)| rank(*id) == usize::from(*found)), "{level:?}");
        });
    }

    #[test]
    fn owners_of_rows_are_those_of_their_spans() {
        let owner_of = |row: u16| 7 + row / 3 * 2;
        let mut starts = [0; PAGE_WORDS];
        (0..PAGE).step_by(3).for_each(|row| starts[row / 64] |= 1 << (row % 64));
        let owners: Vec<u16> = [1, 2].into_iter().chain((0..PAGE as u16).step_by(3).map(owner_of)).collect();
        let rows: Vec<u16> = (0..PAGE as u16).filter(|row| row % 7 != 2).collect();
        let wanted: Vec<u16> = rows.iter().map(|row| owner_of(*row)).collect();
        at_each_level(|level| {
            let mut found = Vec::new();
            push_span_owners(&rows, &starts, 2, &owners, &mut found);
            assert_eq!(found, wanted, "{level:?}");
            // A damaged part may have more spans than owners.
            push_span_owners(&[0], &starts, 5_000, &owners, &mut found);
            assert_eq!(found.last(), Some(&0));
        });
    }
}
