//! Kernels: pure functions over the words, ids and codes of one chunk or page.
//! Know slices; know nothing of tags, plans or files. Each has a naive twin in the tests.

use storage::column::{Codes, Page};
use storage::container::{Bits, ContainerRef, bit};
use storage::ids::{CHUNK_WORDS, PAGE_PROFILES, PAGE_WORDS};

/// Bits of a page.
pub(crate) type PageBits = [u64; PAGE_WORDS];

/// Number of ids in both.
pub(crate) fn and_count(a: &Bits, b: &Bits) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a & b).count_ones()).sum()
}

/// `out &= b`.
pub(crate) fn and_assign(out: &mut Bits, b: &Bits) {
    out.iter_mut().zip(b).for_each(|(o, b)| *o &= b);
}

/// `out &= !b`.
pub(crate) fn and_not_assign(out: &mut Bits, b: &Bits) {
    out.iter_mut().zip(b).for_each(|(o, b)| *o &= !b);
}

/// `out = AND of all`, one pass over the words; `all` is not empty.
pub(crate) fn and_all(all: &[&Bits], out: &mut Bits) {
    match all {
        [a] => out.copy_from_slice(&a[..]),
        [a, b] => (0..CHUNK_WORDS).for_each(|w| out[w] = a[w] & b[w]),
        [a, b, c] => (0..CHUNK_WORDS).for_each(|w| out[w] = a[w] & b[w] & c[w]),
        [a, b, c, d] => (0..CHUNK_WORDS).for_each(|w| out[w] = a[w] & b[w] & c[w] & d[w]),
        [a, b, c, d, rest @ ..] => {
            and_all(&[a, b, c, d], out);
            rest.iter().for_each(|e| and_assign(out, e));
        }
        [] => out.fill(u64::MAX),
    }
}

/// Number of ids of a chunk's bits that are in a container.
pub(crate) fn count_in_bits(container: ContainerRef<'_>, bits: &Bits) -> u32 {
    match container {
        ContainerRef::Empty => 0,
        ContainerRef::Array(ids) => ids.iter().map(|low| u32::from(bit(bits, *low))).sum(),
        ContainerRef::Bits(other, _) => and_count(other, bits),
        ContainerRef::Runs(runs, _) => runs.iter().map(|run| count_range(bits, run[0], run[1])).sum(),
    }
}

/// Number of sorted ids that are in a container.
pub(crate) fn count_in_ids(container: ContainerRef<'_>, ids: &[u16]) -> u32 {
    match container {
        ContainerRef::Empty => 0,
        ContainerRef::Array(other) => intersection_count(other, ids),
        ContainerRef::Bits(bits, _) => ids.iter().map(|low| u32::from(bit(bits, *low))).sum(),
        ContainerRef::Runs(runs, _) => {
            let mut at = 0;
            let mut count = 0;
            for low in ids {
                while at < runs.len() && runs[at][0].saturating_add(runs[at][1]) < *low {
                    at += 1;
                }
                count += u32::from(at < runs.len() && runs[at][0] <= *low);
            }
            count
        }
    }
}

/// Bits set from `start` to `start + length_less_1`.
fn count_range(bits: &Bits, start: u16, length_less_1: u16) -> u32 {
    let end = start.saturating_add(length_less_1);
    let (first, last) = (usize::from(start >> 6), usize::from(end >> 6));
    let head = u64::MAX << (start & 63);
    let tail = u64::MAX >> (63 - (end & 63));
    if first == last {
        return (bits[first] & head & tail).count_ones();
    }
    let middle: u32 = bits[first + 1..last].iter().map(|w| w.count_ones()).sum();
    (bits[first] & head).count_ones() + middle + (bits[last] & tail).count_ones()
}

/// Ids in both sorted lists; gallops where one is much longer.
fn intersection_count(a: &[u16], b: &[u16]) -> u32 {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.len() * 32 < long.len() {
        let mut rest = long;
        let mut count = 0;
        for low in short {
            let skip = gallop(rest, *low);
            rest = &rest[skip..];
            count += u32::from(rest.first() == Some(low));
        }
        return count;
    }
    let (mut i, mut j, mut count) = (0, 0, 0);
    while i < short.len() && j < long.len() {
        let (x, y) = (short[i], long[j]);
        count += u32::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    count
}

/// How many ids of a sorted list are below `low`: doubling steps, then a binary search.
fn gallop(ids: &[u16], low: u16) -> usize {
    let mut step = 1;
    while step < ids.len() && ids[step] < low {
        step *= 2;
    }
    let from = step / 2;
    from + ids[from..ids.len().min(step + 1)].partition_point(|id| *id < low)
}

/// Keeps the sorted ids that are in a container, or those that are not.
pub(crate) fn retain(container: ContainerRef<'_>, keep: bool, ids: &mut Vec<u16>) {
    match container {
        ContainerRef::Empty if keep => ids.clear(),
        ContainerRef::Empty => {}
        ContainerRef::Bits(bits, _) => ids.retain(|low| bit(bits, *low) == keep),
        ContainerRef::Array(other) => {
            let mut rest = other;
            ids.retain(|low| {
                rest = &rest[gallop(rest, *low)..];
                (rest.first() == Some(low)) == keep
            });
        }
        ContainerRef::Runs(runs, _) => {
            let mut rest = runs;
            ids.retain(|low| {
                while rest.first().is_some_and(|run| run[0].saturating_add(run[1]) < *low) {
                    rest = &rest[1..];
                }
                rest.first().is_some_and(|run| run[0] <= *low) == keep
            });
        }
    }
}

/// `out &= container`.
pub(crate) fn and_container(out: &mut Bits, container: ContainerRef<'_>, scratch: &mut Bits) {
    match container {
        ContainerRef::Bits(bits, _) => and_assign(out, bits),
        other => {
            fill(other, scratch);
            and_assign(out, scratch);
        }
    }
}

/// `out &= !container`.
pub(crate) fn and_not_container(out: &mut Bits, container: ContainerRef<'_>, scratch: &mut Bits) {
    match container {
        ContainerRef::Empty => {}
        ContainerRef::Bits(bits, _) => and_not_assign(out, bits),
        ContainerRef::Array(ids) => ids.iter().for_each(|low| out[usize::from(low >> 6)] &= !(1 << (low & 63))),
        runs @ ContainerRef::Runs(..) => {
            fill(runs, scratch);
            and_not_assign(out, scratch);
        }
    }
}

/// `out = container`.
pub(crate) fn fill(container: ContainerRef<'_>, out: &mut Bits) {
    match container {
        ContainerRef::Bits(bits, _) => out.copy_from_slice(&bits[..]),
        other => {
            out.fill(0);
            other.or_into(out);
        }
    }
}

/// Marks the ids of a page whose code lies in `low..=high`; `low` is at least 1, so unknown is left out.
pub(crate) fn page_range(page: &Page<'_>, low: u64, high: u64, out: &mut PageBits) {
    match page.codes {
        Codes::Constant(code) => out.fill(if (low..=high).contains(&code) { u64::MAX } else { 0 }),
        Codes::U8(codes) => match (u8::try_from(low), high.min(u8::MAX.into()) as u8) {
            (Ok(low), high) if low <= high => mark(codes, |code| code.wrapping_sub(low) <= high - low, out),
            _ => out.fill(0),
        },
        Codes::U16(codes) => match (u16::try_from(low), high.min(u16::MAX.into()) as u16) {
            (Ok(low), high) if low <= high => mark(codes, |code| code.wrapping_sub(low) <= high - low, out),
            _ => out.fill(0),
        },
        Codes::U32(codes) => match (u32::try_from(low), high.min(u32::MAX.into()) as u32) {
            (Ok(low), high) if low <= high => mark(codes, |code| code.wrapping_sub(low) <= high - low, out),
            _ => out.fill(0),
        },
        Codes::U64(codes) => mark(codes, |code| code.wrapping_sub(low) <= high - low, out),
    }
}

/// Marks the ids of a page whose code satisfies `test`, one at a time.
pub(crate) fn page_test(page: &Page<'_>, mut test: impl FnMut(u64) -> bool, out: &mut PageBits) {
    match page.codes {
        Codes::Constant(code) => out.fill(if test(code) { u64::MAX } else { 0 }),
        Codes::U8(codes) => mark(codes, |code| test(code.into()), out),
        Codes::U16(codes) => mark(codes, |code| test(code.into()), out),
        Codes::U32(codes) => mark(codes, |code| test(code.into()), out),
        Codes::U64(codes) => mark(codes, test, out),
    }
}

/// One bit an id: compared 64 at a time into bytes, which are then gathered by a multiplication.
#[inline(always)]
fn mark<T: Copy>(codes: &[T], mut test: impl FnMut(T) -> bool, out: &mut PageBits) {
    const _: () = assert!(PAGE_PROFILES as usize == PAGE_WORDS * 64);
    for (word, codes) in out.iter_mut().zip(codes.chunks_exact(64)) {
        let mut flags = [0u8; 64];
        flags.iter_mut().zip(codes).for_each(|(flag, code)| *flag = u8::from(test(*code)));
        *word = gather(&flags);
    }
}

/// Clears the ids that do not pass a test, 64 at a time; words without a candidate are passed over.
#[inline(always)]
pub(crate) fn and_marked(bits: &mut Bits, test: impl Fn(u32) -> bool) {
    for (word, first) in bits.iter_mut().zip((0u32..).step_by(64)).filter(|(word, _)| **word != 0) {
        let mut flags = [0u8; 64];
        flags.iter_mut().zip(first..).for_each(|(flag, low)| *flag = u8::from(test(low)));
        *word &= gather(&flags);
    }
}

/// The lowest bit of each of 64 bytes.
#[inline(always)]
fn gather(flags: &[u8; 64]) -> u64 {
    let mut word = 0;
    for (at, eight) in flags.as_chunks::<8>().0.iter().enumerate() {
        let bits = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        word |= bits << (at * 8);
    }
    word
}

/// Calls `each` with every id set, ascending.
#[inline(always)]
pub(crate) fn for_each_bit(bits: &Bits, mut each: impl FnMut(u16)) {
    for (at, word) in bits.iter().enumerate() {
        let mut left = *word;
        while left != 0 {
            each((at * 64) as u16 | left.trailing_zeros() as u16);
            left &= left - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use storage::container::set_range;

    fn ids() -> impl Strategy<Value = BTreeSet<u16>> {
        prop_oneof![
            proptest::collection::btree_set(any::<u16>(), 0..60),
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

    fn back(bits: &Bits) -> BTreeSet<u16> {
        let mut ids = BTreeSet::new();
        for_each_bit(bits, |low| {
            ids.insert(low);
        });
        ids
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn every_form_of_a_container_gives_the_same(a in ids(), b in ids()) {
            let (array, runs, bits) = (a.iter().copied().collect::<Vec<_>>(), runs_of(&a), bits_of(&a));
            let n = a.len() as u32;
            let forms = [ContainerRef::Array(&array), ContainerRef::Runs(&runs, n), ContainerRef::Bits(&bits, n)];
            let (both, only_b): (BTreeSet<u16>, BTreeSet<u16>) = b.iter().partition(|low| a.contains(low));
            let list: Vec<u16> = b.iter().copied().collect();
            let mut scratch = Box::new([0; CHUNK_WORDS]);
            for form in forms {
                prop_assert_eq!(count_in_bits(form, &bits_of(&b)) as usize, both.len());
                prop_assert_eq!(count_in_ids(form, &list) as usize, both.len());
                for (keep, wanted) in [(true, &both), (false, &only_b)] {
                    let mut kept = list.clone();
                    retain(form, keep, &mut kept);
                    prop_assert_eq!(kept.into_iter().collect::<BTreeSet<_>>(), wanted.clone());
                }
                let mut out = bits_of(&b);
                and_container(&mut out, form, &mut scratch);
                prop_assert_eq!(back(&out), both.clone());
                let mut out = bits_of(&b);
                and_not_container(&mut out, form, &mut scratch);
                prop_assert_eq!(back(&out), only_b.clone());
            }
        }

        #[test]
        fn ranges_mark_what_lies_in_them(
            seed in any::<u64>(), spread in 1u64..u64::MAX / 2, low in 1u64..300, span in 0u64..70_000,
        ) {
            let code = |slot: u64| (slot + 1).wrapping_mul(seed | 1) % spread.max(1);
            let u8s: Vec<u8> = (0..4096).map(|s| code(s) as u8).collect();
            let u16s: Vec<u16> = (0..4096).map(|s| code(s) as u16).collect();
            let u32s: Vec<u32> = (0..4096).map(|s| code(s) as u32).collect();
            let u64s: Vec<u64> = (0..4096).map(code).collect();
            for codes in [Codes::U8(&u8s), Codes::U16(&u16s), Codes::U32(&u32s), Codes::U64(&u64s), Codes::Constant(5)] {
                let page = Page { base: 0, max_code: u64::MAX, codes };
                let (mut out, mut slow) = ([0; PAGE_WORDS], [0; PAGE_WORDS]);
                page_range(&page, low, low + span, &mut out);
                page_test(&page, |c| (low..=low + span).contains(&c), &mut slow);
                prop_assert_eq!(out, slow);
                for slot in 0..4096 {
                    prop_assert_eq!(out[slot / 64] >> (slot % 64) & 1 == 1, (low..=low + span).contains(&page.code(slot)));
                }
            }
        }
    }
}
