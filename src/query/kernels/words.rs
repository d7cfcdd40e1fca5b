//! Bits against bits: a chunk's 1,024 words, several operands at once, each read once.
//! Knows words; ids are `ids`' matter. Sums wrap, for a check at every step would keep loops out of vectors; none can.
#![allow(unsafe_code)] // the dispatch by level

use storage::container::{Bits, ContainerRef};
use storage::ids::CHUNK_WORDS;

use super::codes::PageBits;
use super::level::at_levels;
#[cfg(target_arch = "x86_64")]
use super::level::{Level, level};
#[cfg(target_arch = "x86_64")]
use super::x86;

/// Most operands of one pass: more streams than that at once are slower than a second pass.
pub const TERMS_MAX: usize = 8;

/// An operand of an AND: the bits themselves, or (`u64::MAX`) everyone who is not in them.
pub type Term<'a> = (&'a Bits, u64);

#[inline(always)]
fn each_word<const N: usize>(terms: &[Term<'_>], mut each: impl FnMut(usize, u64)) {
    let Some(terms) = terms.first_chunk::<N>() else { return };
    for w in 0..CHUNK_WORDS {
        let word = terms.iter().fold(u64::MAX, |word, (bits, invert)| word & (bits[w] ^ invert));
        each(w, word);
    }
}

/// Calls `each` with every word of the AND of at most [`TERMS_MAX`] terms.
#[inline(always)]
fn and_words(terms: &[Term<'_>], each: impl FnMut(usize, u64)) {
    match terms.len() {
        0 => each_word::<0>(terms, each),
        1 => each_word::<1>(terms, each),
        2 => each_word::<2>(terms, each),
        3 => each_word::<3>(terms, each),
        4 => each_word::<4>(terms, each),
        5 => each_word::<5>(terms, each),
        6 => each_word::<6>(terms, each),
        7 => each_word::<7>(terms, each),
        _ => each_word::<8>(terms, each),
    }
}

at_levels! {
    /// `out &= b`.
    pub fn and_assign(out: &mut Bits, b: &Bits) {
        out.iter_mut().zip(b).for_each(|(o, b)| *o &= b);
    }

    /// `out &= !b`.
    pub fn and_not_assign(out: &mut Bits, b: &Bits) {
        out.iter_mut().zip(b).for_each(|(o, b)| *o &= !b);
    }

    /// Takes all ids away, which are then set in `any`, too; and says how many were in each of two others.
    pub fn drain(bits: &mut Bits, others: [&Bits; 2], any: &mut Bits) -> [u32; 2] {
        let mut counts = [0u64; 2];
        for (at, word) in bits.iter_mut().enumerate() {
            for (count, other) in counts.iter_mut().zip(others) {
                *count = count.wrapping_add((*word & other[at]).count_ones().into());
            }
            any[at] |= *word;
            *word = 0;
        }
        counts.map(|count| count as u32)
    }

    fn count_both_by_words(a: &[u64], b: &[u64]) -> u64 {
        a.iter().zip(b).fold(0u64, |count, (a, b)| count.wrapping_add((a & b).count_ones().into()))
    }

    fn and_few(terms: &[Term<'_>], out: &mut Bits) {
        and_words(terms, |w, word| out[w] = word);
    }

    fn and_few_count(terms: &[Term<'_>]) -> u32 {
        let mut count = 0u64;
        and_words(terms, |_, word| count = count.wrapping_add(word.count_ones().into()));
        count as u32
    }

    fn or_few(all: &[&Bits], out: &mut Bits) {
        match all {
            [a] => (0..CHUNK_WORDS).for_each(|w| out[w] |= a[w]),
            [a, b] => (0..CHUNK_WORDS).for_each(|w| out[w] |= a[w] | b[w]),
            [a, b, c] => (0..CHUNK_WORDS).for_each(|w| out[w] |= a[w] | b[w] | c[w]),
            [a, b, c, d, ..] => (0..CHUNK_WORDS).for_each(|w| out[w] |= a[w] | b[w] | c[w] | d[w]),
            [] => {}
        }
    }
}

/// Number of ids set.
pub fn count(bits: &Bits) -> u32 {
    count_both(bits, bits) as u32
}

/// Number of ids of a page set in both.
pub fn and_count_page(a: &PageBits, b: &PageBits) -> u32 {
    count_both(a, b) as u32
}

/// Number of ids set in both, of as many words: a multiple of 64.
pub fn count_both(a: &[u64], b: &[u64]) -> u64 {
    debug_assert!(a.len() == b.len() && a.len().is_multiple_of(64));
    #[cfg(target_arch = "x86_64")]
    if level() == Level::Avx2 {
        // SAFETY: the level is never above what the processor reports to have.
        return unsafe { x86::count_both(a, b) };
    }
    count_both_by_words(a, b)
}

/// `out = AND of all terms`; of none, every id.
pub fn and_terms(terms: &[Term<'_>], out: &mut Bits) {
    let (first, rest) = terms.split_at(terms.len().min(TERMS_MAX));
    and_few(first, out);
    for (bits, invert) in rest {
        if *invert == 0 { and_assign(out, bits) } else { and_not_assign(out, bits) }
    }
}

/// Number of ids in the AND of all terms, without writing it where they are few enough for one pass.
pub fn and_terms_count(terms: &[Term<'_>]) -> u32 {
    match terms {
        [(a, 0), (b, 0)] => return count_both(*a, *b) as u32,
        _ if terms.len() <= TERMS_MAX => return and_few_count(terms),
        _ => {}
    }
    let mut out = [0; CHUNK_WORDS];
    and_terms(terms, &mut out);
    count(&out)
}

/// `out |= OR of all`, four at a time.
pub fn or_all(all: &[&Bits], out: &mut Bits) {
    all.chunks(4).for_each(|few| or_few(few, out));
}

/// `out |= container`.
pub fn or_container(container: ContainerRef<'_>, out: &mut Bits) {
    match container {
        ContainerRef::Bits(bits, _) => or_few(&[bits], out),
        other => other.or_into(out),
    }
}

/// `out = container`.
pub fn fill(container: ContainerRef<'_>, out: &mut Bits) {
    match container {
        ContainerRef::Bits(bits, _) => out.copy_from_slice(&bits[..]),
        other => {
            out.fill(0);
            other.or_into(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::at_each_level;
    use super::*;
    use proptest::prelude::*;

    fn bits(seed: u64) -> Box<Bits> {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Some words empty, some full.
            match state % 5 {
                0 => 0,
                1 => u64::MAX,
                _ => state,
            }
        };
        let mut bits = Box::new([0; CHUNK_WORDS]);
        bits.iter_mut().for_each(|word| *word = next());
        bits
    }

    fn naive_count(bits: &Bits) -> u32 {
        (0..=u16::MAX).filter(|low| bits[usize::from(low >> 6)] >> (low & 63) & 1 == 1).count() as u32
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn many_at_once_are_one_after_the_other(seeds in proptest::collection::vec((any::<u64>(), any::<bool>()), 0..12)) {
            let all: Vec<(Box<Bits>, bool)> = seeds.iter().map(|(seed, invert)| (bits(*seed), *invert)).collect();
            let terms: Vec<Term<'_>> = all.iter().map(|(b, invert)| (&**b, if *invert { u64::MAX } else { 0 })).collect();
            let plain: Vec<&Bits> = all.iter().map(|(b, _)| &**b).collect();
            let (mut and, mut or) = (Box::new([u64::MAX; CHUNK_WORDS]), Box::new([0; CHUNK_WORDS]));
            for (bits, invert) in &terms {
                for w in 0..CHUNK_WORDS {
                    and[w] &= if *invert == 0 { bits[w] } else { !bits[w] };
                    or[w] |= bits[w];
                }
            }
            at_each_level(|level| {
                let mut out = Box::new([7; CHUNK_WORDS]);
                and_terms(&terms, &mut out);
                assert_eq!(out, and, "{level:?}");
                assert_eq!(and_terms_count(&terms), naive_count(&and), "{level:?}");
                assert_eq!(count(&and), naive_count(&and), "{level:?}");
                for two in plain.windows(2) {
                    let both: Bits = std::array::from_fn(|w| two[0][w] & two[1][w]);
                    assert_eq!(count_both(&two[0][..], &two[1][..]) as u32, naive_count(&both), "{level:?}");
                }
                let mut out = Box::new([0; CHUNK_WORDS]);
                or_all(&plain, &mut out);
                assert_eq!(out, or, "{level:?}");
                let (mut rest, mut any) = (or.clone(), and.clone());
                let both = |a: &Bits, b: &Bits| naive_count(&std::array::from_fn(|w| a[w] & b[w]));
                let counts = [both(&or, &bits(3)), both(&or, &and)];
                assert_eq!(drain(&mut rest, [&bits(3), &and], &mut any), counts, "{level:?}");
                assert!(rest.iter().all(|word| *word == 0) && (0..CHUNK_WORDS).all(|w| any[w] == or[w] | and[w]));
            });
        }
    }
}
