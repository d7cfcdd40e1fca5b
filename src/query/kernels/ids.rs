//! Sorted ids against ids, bits and runs; and bits to ids.
//! Knows ids of one chunk; bits against bits are `words`' matter.
#![allow(unsafe_code)] // the dispatch by level

use storage::container::{Bits, ContainerRef, bit};
use storage::ids::CHUNK_WORDS;
use storage::lists::List;

use super::level::at_levels;
use super::level::{Level, level};
use super::words;
#[cfg(target_arch = "x86_64")]
use super::x86;

/// One list this much longer than another is jumped through rather than read.
const GALLOP_FROM: usize = 32;

/// From so many members on a chunk's bits are turned to ids by vectors, which cost the same for few and for many.
const COMPRESS_FROM: u32 = 1200;

/// Ids of two lists that are fewer together are not worth clearing a chunk's bits.
const BITS_FROM: usize = 96;

fn is_small(a: &[u16], b: &[u16]) -> bool {
    a.len() + b.len() < BITS_FROM
}

/// Number of ids of a chunk's bits that are in a container.
pub fn count_in_bits(container: ContainerRef<'_>, bits: &Bits) -> u32 {
    match container {
        ContainerRef::Empty => 0,
        ContainerRef::Array(ids) => probe_count(bits, ids),
        ContainerRef::Bits(other, _) => words::and_terms_count(&[(other, 0), (bits, 0)]),
        ContainerRef::Runs(runs, _) => runs_count(bits, runs),
    }
}

/// Has a container brought nearer, which is counted in next: memory is far, and its containers are too small for it to see
/// what comes.
pub fn fetch(container: ContainerRef<'_>) {
    #[cfg(target_arch = "x86_64")]
    match container {
        ContainerRef::Empty => {}
        ContainerRef::Array(ids) => x86::fetch(ids),
        ContainerRef::Bits(bits, _) => x86::fetch(bits),
        ContainerRef::Runs(runs, _) => x86::fetch(runs),
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = container;
}

/// Has the beginning of a list brought nearer, which is read soon.
#[inline(always)]
pub fn fetch_list(list: List<'_>) {
    #[cfg(target_arch = "x86_64")]
    match list {
        List::U8(codes) => x86::fetch(codes.get(..1).unwrap_or_default()),
        List::U16(codes) => x86::fetch(codes.get(..1).unwrap_or_default()),
        List::U32(codes) => x86::fetch(codes.get(..1).unwrap_or_default()),
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = list;
}

/// Number of sorted ids that are in a container.
pub fn count_in_ids(container: ContainerRef<'_>, ids: &[u16]) -> u32 {
    match container {
        ContainerRef::Empty => 0,
        ContainerRef::Array(other) => intersection_count(other, ids),
        ContainerRef::Bits(bits, _) => probe_count(bits, ids),
        ContainerRef::Runs(runs, _) => {
            let mut rest = runs;
            ids.iter().map(|low| u32::from(in_runs(&mut rest, *low))).sum()
        }
    }
}

/// Number of ids that are set: four sums at once, for the look-ups do not wait for one another.
fn probe_count(bits: &Bits, ids: &[u16]) -> u32 {
    let (fours, rest) = ids.as_chunks::<4>();
    let mut counts = [0u32; 4];
    for four in fours {
        counts.iter_mut().zip(four).for_each(|(count, low)| *count = count.wrapping_add(bit(bits, *low).into()));
    }
    counts.iter().sum::<u32>() + rest.iter().map(|low| u32::from(bit(bits, *low))).sum::<u32>()
}

at_levels! {
    /// Number of ids set within runs.
    fn runs_count(bits: &Bits, runs: &[[u16; 2]]) -> u32 {
        let mut count = 0;
        for [start, length_less_1] in runs {
            let end = start.saturating_add(*length_less_1);
            let (first, last) = (usize::from(start >> 6), usize::from(end >> 6));
            let (head, tail) = (u64::MAX << (start & 63), u64::MAX >> (63 - (end & 63)));
            if first == last {
                count += (bits[first] & head & tail).count_ones();
            } else {
                let middle = &bits[first + 1..last];
                let middle = middle.iter().fold(0u64, |count, w| count.wrapping_add(w.count_ones().into())) as u32;
                count += (bits[first] & head).count_ones() + middle + (bits[last] & tail).count_ones();
            }
        }
        count
    }
}

/// Whether `low` lies in a run; ids come ascending, and runs that end before are dropped.
fn in_runs(rest: &mut &[[u16; 2]], low: u16) -> bool {
    while let Some((run, later)) = rest.split_first()
        && run[0].saturating_add(run[1]) < low
    {
        *rest = later;
    }
    rest.first().is_some_and(|run| run[0] <= low)
}

/// Ids in both sorted lists.
fn intersection_count(a: &[u16], b: &[u16]) -> u32 {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.len() * GALLOP_FROM < long.len() {
        let mut rest = long;
        return short.iter().map(|low| u32::from(gallop_to(&mut rest, *low))).sum();
    }
    #[cfg(target_arch = "x86_64")]
    match level() {
        // SAFETY: the level is never above what the processor reports to have.
        Level::Avx512 => return unsafe { x86::intersection_count_512(short, long) },
        // SAFETY: as above.
        Level::Avx2 => return unsafe { x86::intersection_count(short, long) },
        Level::Baseline => {}
    }
    merge_count(short, long)
}

/// Ids in both, one step a comparison and no branch on its outcome.
pub(super) fn merge_count(a: &[u16], b: &[u16]) -> u32 {
    let (mut i, mut j, mut count) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        let (x, y) = (a[i], b[j]);
        count = u32::wrapping_add(count, (x == y).into());
        i = i.wrapping_add((x <= y).into());
        j = j.wrapping_add((y <= x).into());
    }
    count
}

/// Writes the ids that both have to `out` and gives their number; `out` is as long as `a` at least.
pub(super) fn merge(a: &[u16], b: &[u16], out: &mut [u16]) -> usize {
    let (mut i, mut j, mut count) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        let (x, y) = (a[i], b[j]);
        out[count] = x;
        count = count.wrapping_add((x == y).into());
        i = i.wrapping_add((x <= y).into());
        j = j.wrapping_add((y <= x).into());
    }
    count
}

/// Drops the ids below `low`, by doubling steps and then a binary search; whether the next one is `low`.
fn gallop_to(rest: &mut &[u16], low: u16) -> bool {
    let mut step = 1;
    while step < rest.len() && rest[step] < low {
        step *= 2;
    }
    let from = step / 2;
    let skip = from + rest[from.min(rest.len())..rest.len().min(step + 1)].partition_point(|id| *id < low);
    *rest = &rest[skip.min(rest.len())..];
    rest.first() == Some(&low)
}

/// Keeps the ids for which `holds`, without a branch on it.
#[inline(always)]
fn keep_if(ids: &mut Vec<u16>, mut holds: impl FnMut(u16) -> bool) {
    let mut kept = 0;
    for at in 0..ids.len() {
        let low = ids[at];
        ids[kept] = low;
        kept = usize::wrapping_add(kept, holds(low).into());
    }
    ids.truncate(kept);
}

/// Keeps the ids that are set, or those that are not.
pub fn retain_in_bits(bits: &Bits, keep: bool, ids: &mut Vec<u16>) {
    keep_if(ids, |low| bit(bits, low) == keep);
}

/// Keeps the sorted ids that are in a container, or those that are not; `spare` is a buffer of any content.
pub fn retain_in_container(container: ContainerRef<'_>, keep: bool, ids: &mut Vec<u16>, spare: &mut Vec<u16>) {
    match container {
        ContainerRef::Empty if keep => ids.clear(),
        ContainerRef::Empty => {}
        ContainerRef::Bits(bits, _) => retain_in_bits(bits, keep, ids),
        ContainerRef::Runs(runs, _) => {
            let mut rest = runs;
            keep_if(ids, |low| in_runs(&mut rest, low) == keep);
        }
        ContainerRef::Array(other) if ids.len() * GALLOP_FROM < other.len() || is_small(ids, other) && !keep => {
            let mut rest = other;
            keep_if(ids, |low| gallop_to(&mut rest, low) == keep);
        }
        ContainerRef::Array(_) if !keep => {
            let mut bits = [0; CHUNK_WORDS];
            container.or_into(&mut bits);
            retain_in_bits(&bits, false, ids);
        }
        ContainerRef::Array(other) => {
            intersect(ids, other, spare);
            std::mem::swap(ids, spare);
        }
    }
}

/// `out = ids in both`.
fn intersect(a: &[u16], b: &[u16], out: &mut Vec<u16>) {
    // Vectors are written whole, so the buffer goes on for one.
    out.resize(a.len() + 8, 0);
    #[cfg(target_arch = "x86_64")]
    if level() >= Level::Avx2 {
        let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
        // SAFETY: the level is never above what the processor reports to have.
        let count = unsafe {
            match level() {
                Level::Avx512 => x86::intersect_512(short, long, out),
                _ => x86::intersect(a, b, out),
            }
        };
        return out.truncate(count);
    }
    let count = merge(a, b, out);
    out.truncate(count);
}

/// `bits &= !ids`.
pub fn and_not_ids(bits: &mut Bits, ids: &[u16]) {
    ids.iter().for_each(|low| bits[usize::from(low >> 6)] &= !(1 << (low & 63)));
}

/// Calls `each` with every id set, ascending.
#[inline(always)]
pub fn for_each_bit(bits: &Bits, mut each: impl FnMut(u16)) {
    for (at, word) in bits.iter().enumerate() {
        let mut left = *word;
        while left != 0 {
            each((at * 64) as u16 | left.trailing_zeros() as u16);
            left &= left - 1;
        }
    }
}

/// Appends every id set, ascending; `count` of them.
pub fn push_bits(bits: &Bits, count: u32, out: &mut Vec<u16>) {
    let start = out.len();
    out.resize(start + count as usize + WRITTEN_BEYOND, 0);
    let is_compressed = level() < Level::Avx512 || count >= COMPRESS_FROM;
    let written = if is_compressed { write_bits } else { write_words }(bits, &mut out[start..]);
    assert_eq!(written, count as usize, "as many ids as were counted");
    out.truncate(start + written);
}

/// How many places may be written beyond those that are set: vectors are written whole.
pub const WRITTEN_BEYOND: usize = 32;

/// Writes every place set, ascending, and gives their number; `out` is longer than that by [`WRITTEN_BEYOND`].
pub fn write_bits(bits: &[u64], out: &mut [u16]) -> usize {
    #[cfg(target_arch = "x86_64")]
    match level() {
        // SAFETY: the level is never above what the processor reports to have.
        Level::Avx512 => return unsafe { x86::write_bits(bits, out) },
        // SAFETY: as above.
        Level::Avx2 => return unsafe { x86::write_bits_by_bytes(bits, out) },
        Level::Baseline => {}
    }
    write_words(bits, out)
}

fn write_words(bits: &[u64], out: &mut [u16]) -> usize {
    let mut count = 0usize;
    for (words, first) in bits.chunks(64).zip((0u16..).step_by(64 * 64)) {
        for_each_word(words, |at, word| {
            count += write_word(word, first.wrapping_add(at as u16 * 64), &mut out[count..]);
        });
    }
    count
}

/// Calls `each` with every word of up to 64 that has a bit set, and its place; those without are left out at once.
#[inline(always)]
pub(super) fn for_each_word(words: &[u64], mut each: impl FnMut(usize, u64)) {
    let mut filled = 0u64;
    for (at, word) in words.iter().enumerate() {
        filled |= u64::from(*word != 0) << at;
    }
    while filled != 0 {
        let at = filled.trailing_zeros() as usize;
        filled &= filled.wrapping_sub(1);
        each(at, words[at]);
    }
}

/// Writes the places of one word's bits, the first of which is `first`, and gives their number. As many are written at
/// once as are mostly set, so that the number of a word's is not foreseen wrongly.
#[inline(always)]
pub(super) fn write_word(word: u64, first: u16, out: &mut [u16]) -> usize {
    let (mut left, set) = (word, word.count_ones() as usize);
    for (part, at) in out.as_chunks_mut::<4>().0.iter_mut().zip((0usize..).step_by(4)) {
        for place in part {
            *place = first.wrapping_add(left.trailing_zeros() as u16);
            left &= left.wrapping_sub(1);
        }
        if at + 4 >= set {
            break;
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::super::at_each_level;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use storage::container::set_range;

    fn ids() -> impl Strategy<Value = BTreeSet<u16>> {
        prop_oneof![
            proptest::collection::btree_set(any::<u16>(), 0..60),
            proptest::collection::btree_set(0u16..300, 0..200),
            proptest::collection::btree_set(any::<u16>(), 3000..3500),
            (any::<u16>(), 1u16..5000).prop_map(|(start, n)| (start..=start.saturating_add(n)).collect()),
        ]
    }

    fn bits_of(ids: &BTreeSet<u16>) -> Box<Bits> {
        let mut bits = Box::new([0; CHUNK_WORDS]);
        ids.iter().for_each(|low| set_range(&mut bits, *low, 0));
        bits
    }

    fn runs_of(ids: &BTreeSet<u16>) -> Vec<[u16; 2]> {
        let mut runs: Vec<[u16; 2]> = Vec::new();
        for low in ids {
            match runs.last_mut() {
                Some(run) if u32::from(run[0]) + u32::from(run[1]) + 1 == u32::from(*low) => run[1] += 1,
                _ => runs.push([*low, 0]),
            }
        }
        runs
    }

    fn back(bits: &Bits) -> Vec<u16> {
        let mut ids = Vec::new();
        for_each_bit(bits, |low| ids.push(low));
        ids
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn every_form_of_a_container_gives_the_same(a in ids(), b in ids()) {
            let (array, runs, bits) = (a.iter().copied().collect::<Vec<_>>(), runs_of(&a), bits_of(&a));
            let n = a.len() as u32;
            let forms = [ContainerRef::Array(&array), ContainerRef::Runs(&runs, n), ContainerRef::Bits(&bits, n)];
            let (both, only_b): (Vec<u16>, Vec<u16>) = b.iter().partition(|low| a.contains(low));
            let list: Vec<u16> = b.iter().copied().collect();
            let b_bits = bits_of(&b);
            at_each_level(|level| {
                let mut spare = vec![1, 2, 3];
                for form in forms {
                    assert_eq!(count_in_bits(form, &b_bits) as usize, both.len(), "{level:?}");
                    assert_eq!(count_in_ids(form, &list) as usize, both.len(), "{level:?}");
                    for (keep, wanted) in [(true, &both), (false, &only_b)] {
                        let mut kept = list.clone();
                        retain_in_container(form, keep, &mut kept, &mut spare);
                        assert_eq!(&kept, wanted, "{level:?}");
                    }
                }
                let mut pushed = vec![9, 9];
                push_bits(&b_bits, list.len() as u32, &mut pushed);
                assert_eq!(pushed.split_off(2), list, "{level:?}");
            });
            let mut rest = b_bits.clone();
            and_not_ids(&mut rest, &array);
            prop_assert_eq!(back(&rest), only_b);
        }
    }

    #[test]
    fn the_ends_of_a_chunk_are_met() {
        let (a, b) = (vec![0, 1, 65_534, 65_535], (0..=u16::MAX).rev().step_by(5).collect::<BTreeSet<_>>());
        let b: Vec<u16> = b.into_iter().collect();
        at_each_level(|_| {
            assert_eq!(count_in_ids(ContainerRef::Array(&b), &a), 2);
            assert_eq!(count_in_ids(ContainerRef::Array(&a), &b), 2);
        });
    }
}
