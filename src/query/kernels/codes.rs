//! Pages of a column: which codes lie in a range or a set, and what they come to.
//! Knows codes; what a code stands for is the column's matter.
#![allow(unsafe_code)] // the dispatch by level

use storage::column::{Codes, Page};
use storage::ids::{PAGE_PROFILES, PAGE_WORDS};

use super::ids;
use super::level::at_levels;
#[cfg(target_arch = "x86_64")]
use super::level::{Level, level};
#[cfg(target_arch = "x86_64")]
use super::x86;

/// Bits of a page.
pub type PageBits = [u64; PAGE_WORDS];

const PAGE: usize = PAGE_PROFILES as usize;

/// The known codes of some members of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    /// How many.
    pub known: u32,
    /// Sum of the codes.
    pub sum: u128,
    /// Least code; any over nobody.
    pub least: u64,
    /// Greatest code; any over nobody.
    pub most: u64,
}

/// The known of some values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// How many.
    pub count: usize,
    /// The lower 64 bits of their sum.
    pub sum: i64,
    /// Least value; `i64::MAX` of none.
    pub least: i64,
    /// Greatest value; `i64::MIN` of none.
    pub most: i64,
}

at_levels! {
    /// Number, sum and bounds of the values other than `unknown`.
    pub fn known(values: &[i64], unknown: i64) -> Known {
        let mut known = Known { count: 0, sum: 0, least: i64::MAX, most: i64::MIN };
        for value in values {
            let is_known = *value != unknown;
            known.count = known.count.wrapping_add(is_known.into());
            known.sum = known.sum.wrapping_add(if is_known { *value } else { 0 });
            known.least = known.least.min(if is_known { *value } else { i64::MAX });
            known.most = known.most.max(if is_known { *value } else { i64::MIN });
        }
        known
    }
}

/// Marks the ids of a page whose code lies in `low..=high`; `low` is at least 1, so unknown is left out.
pub fn range(page: &Page<'_>, low: u64, high: u64, out: &mut PageBits) {
    debug_assert!(low > 0 && low <= high);
    match page.codes {
        Codes::Constant(code) => out.fill(if (low..=high).contains(&code) { u64::MAX } else { 0 }),
        Codes::U8(codes) => match (u8::try_from(low), high.min(u8::MAX.into()) as u8) {
            (Ok(low), high) => range_u8(codes, low, high - low, out),
            _ => out.fill(0),
        },
        Codes::U16(codes) => match (u16::try_from(low), high.min(u16::MAX.into()) as u16) {
            (Ok(low), high) => range_u16(codes, low, high - low, out),
            _ => out.fill(0),
        },
        Codes::U32(codes) => match (u32::try_from(low), high.min(u32::MAX.into()) as u32) {
            (Ok(low), high) => range_u32(codes, low, high - low, out),
            _ => out.fill(0),
        },
        Codes::U64(codes) => range_u64(codes, low, high - low, out),
    }
}

fn range_u8(codes: &[u8], low: u8, span: u8, out: &mut PageBits) {
    #[cfg(target_arch = "x86_64")]
    match level() {
        // SAFETY: the level is never above what the processor reports to have.
        Level::Avx512 => return unsafe { x86::range_u8(codes, low, span, out) },
        // SAFETY: as above.
        Level::Avx2 => return unsafe { x86::range_u8_by_32(codes, low, span, out) },
        Level::Baseline => {}
    }
    mark_range_u8(codes, low, span, out);
}

/// Marks the codes of a page with `code - low <= span`.
pub fn range_u16(codes: &[u16], low: u16, span: u16, out: &mut PageBits) {
    #[cfg(target_arch = "x86_64")]
    match level() {
        // SAFETY: the level is never above what the processor reports to have.
        Level::Avx512 => return unsafe { x86::range_u16(codes, low, span, out) },
        // SAFETY: as above.
        Level::Avx2 => return unsafe { x86::range_u16_by_32(codes, low, span, out) },
        Level::Baseline => {}
    }
    mark_range_u16(codes, low, span, out);
}

/// A mean is a sum of so many bits, not negative, and a count above it.
pub const MEAN_SUM_BITS: u32 = 40;

/// The sum and the count of a mean.
#[inline(always)]
pub fn sum_and_count(mean: i64) -> (i64, i64) {
    (mean & ((1 << MEAN_SUM_BITS) - 1), mean >> MEAN_SUM_BITS)
}

/// Marks the means with `low[0] * sum - low[1] * count >= low[2]` and `high[1] * count - high[0] * sum >= high[2]`, of one
/// value or more; nothing may overflow.
pub fn means(means: &[i64], low: [i64; 3], high: [i64; 3], out: &mut PageBits) {
    match high {
        [0, 0, 0] => means_from(means, low, out),
        _ => means_between(means, low, high, out),
    }
}

/// Marks the codes with `code - low <= span`.
pub fn range_u32(codes: &[u32], low: u32, span: u32, out: &mut PageBits) {
    #[cfg(target_arch = "x86_64")]
    match level() {
        // SAFETY: the level is never above what the processor reports to have.
        Level::Avx512 => return unsafe { x86::range_u32(codes, low, span, out) },
        // SAFETY: as above.
        Level::Avx2 => return unsafe { x86::range_u32_by_32(codes, low, span, out) },
        Level::Baseline => {}
    }
    mark_range_u32(codes, low, span, out);
}

at_levels! {
    fn mark_range_u8(codes: &[u8], low: u8, span: u8, out: &mut PageBits) {
        mark(codes, |code| code.wrapping_sub(low) <= span, out);
    }

    fn mark_range_u16(codes: &[u16], low: u16, span: u16, out: &mut PageBits) {
        mark(codes, |code| code.wrapping_sub(low) <= span, out);
    }

    fn mark_range_u32(codes: &[u32], low: u32, span: u32, out: &mut PageBits) {
        mark(codes, |code| code.wrapping_sub(low) <= span, out);
    }

    fn range_u64(codes: &[u64], low: u64, span: u64, out: &mut PageBits) {
        mark(codes, |code| code.wrapping_sub(low) <= span, out);
    }

    /// Marks the values with `value - low <= span`, wrapping.
    pub fn range_i64(values: &[i64], low: i64, span: u64, out: &mut PageBits) {
        mark(values, |value| value.wrapping_sub(low) as u64 <= span, out);
    }

    fn means_from(means: &[i64], low: [i64; 3], out: &mut PageBits) {
        mark(means, |mean| {
            let (sum, count) = sum_and_count(mean);
            (low[0].wrapping_mul(sum).wrapping_sub(low[1].wrapping_mul(count)) >= low[2]) & (count > 0)
        }, out);
    }

    fn means_between(means: &[i64], low: [i64; 3], high: [i64; 3], out: &mut PageBits) {
        mark(means, |mean| {
            let (sum, count) = sum_and_count(mean);
            let above = low[0].wrapping_mul(sum).wrapping_sub(low[1].wrapping_mul(count)) >= low[2];
            let below = high[1].wrapping_mul(count).wrapping_sub(high[0].wrapping_mul(sum)) >= high[2];
            above & below & (count > 0)
        }, out);
    }

    /// The hashes behind `bucket()`, of consecutive OneIDs: two rounds of MurmurHash3's 32-bit finalizer.
    pub fn bucket_hashes(seed: u64, first_one_id: u32, out: &mut [u32; PAGE]) {
        for (hash, one_id) in out.iter_mut().zip(0u32..) {
            *hash = bucket_hash(seed, first_one_id.wrapping_add(one_id));
        }
    }
}

/// The hash behind `bucket()`; part of the language's meaning and never to change, or splits would not stay the same:
/// `mix(mix(one_id + low(seed)) ^ high(seed))`, `seed` being XXH3-64 of the salt's UTF-8.
#[inline(always)]
pub fn bucket_hash(seed: u64, one_id: u32) -> u32 {
    mix(mix(one_id.wrapping_add(seed as u32)) ^ (seed >> 32) as u32)
}

#[inline(always)]
fn mix(mut hash: u32) -> u32 {
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85EB_CA6B);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xC2B2_AE35);
    hash ^ hash >> 16
}

/// One bit an id: compared 64 at a time into bytes, which are then gathered by a multiplication.
#[inline(always)]
fn mark<T: Copy>(codes: &[T], mut test: impl FnMut(T) -> bool, out: &mut PageBits) {
    const _: () = assert!(PAGE == PAGE_WORDS * 64);
    for (word, codes) in out.iter_mut().zip(codes.as_chunks::<64>().0) {
        let mut flags = [0u8; 64];
        flags.iter_mut().zip(codes).for_each(|(flag, code)| *flag = u8::from(test(*code)));
        *word = word_of(&flags);
    }
}

/// The bits of 64 bytes of 0 or 1.
#[inline(always)]
pub(super) fn word_of(flags: &[u8; 64]) -> u64 {
    let mut bits = 0;
    for (at, eight) in flags.as_chunks::<8>().0.iter().enumerate() {
        bits |= (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (at * 8);
    }
    bits
}

/// A page's places, and as many more as a vector that is written whole may take.
pub type PagePlaces = [u16; PAGE + ids::WRITTEN_BEYOND];

/// Writes every place set, ascending, and gives their number.
pub fn write_places(bits: &PageBits, out: &mut PagePlaces) -> usize {
    ids::write_bits(bits, out)
}

/// A set of values that lie close together: a bit for each, from the first on.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeSet {
    first: i64,
    bits: Vec<u64>,
}

impl CodeSet {
    /// Those of `first..=last` for which `holds`.
    pub fn new(first: i64, last: i64, mut holds: impl FnMut(i64) -> bool) -> CodeSet {
        CodeSet::of(first, last, (first..=last).filter(|value| holds(*value)))
    }

    /// Those that are listed, all of them in `first..=last`; a bit is kept for each value between.
    pub fn of(first: i64, last: i64, values: impl IntoIterator<Item = i64>) -> CodeSet {
        let span = (last - first + 1).max(0) as usize;
        let mut bits = vec![0u64; span.div_ceil(64)];
        for value in values {
            let at = (value - first) as usize;
            bits[at / 64] |= 1 << (at % 64);
        }
        CodeSet { first, bits }
    }

    /// Whether a value is in it.
    #[inline]
    pub fn contains(&self, value: i64) -> bool {
        let at = value.wrapping_sub(self.first) as u64;
        self.bits.get((at / 64) as usize).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// How many.
    pub fn count(&self) -> u32 {
        self.bits.iter().map(|word| word.count_ones()).sum()
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        size_of_val(&self.bits[..])
    }

    /// Least and greatest value that may be in it.
    pub fn bounds(&self) -> (i64, i64) {
        (self.first, self.first + self.bits.len() as i64 * 64 - 1)
    }
}

/// Values that are looked for in pages.
trait Wanted {
    /// Whether it is one of them.
    fn has(&self, value: i64) -> bool;
    /// A bit for each code of a page with that base, below `WORDS` * 64; 0, unknown, is never one of them.
    fn by_code<const WORDS: usize>(&self, base: i64) -> [u64; WORDS];
}

impl Wanted for CodeSet {
    #[inline]
    fn has(&self, value: i64) -> bool {
        self.contains(value)
    }

    fn by_code<const WORDS: usize>(&self, base: i64) -> [u64; WORDS] {
        // Code c stands for base + c - 1, which is bit base + c - 1 - first.
        let shift = base.wrapping_sub(1).wrapping_sub(self.first);
        let (words, bits) = (shift.div_euclid(64), shift.rem_euclid(64));
        let mut out = [0; WORDS];
        // Each of its words goes to one of theirs, and what is beyond that to the one before.
        let mut add = |words: i64, left: i64| {
            let [from, to] = [words, words.saturating_neg()].map(|at| usize::try_from(at).unwrap_or(0));
            let (from, to) = (self.bits.get(from..).unwrap_or(&[]), out.get_mut(to..).unwrap_or(&mut []));
            let moved = |word: u64| if left < 0 { word >> -left } else { word << left };
            to.iter_mut().zip(from).for_each(|(to, from)| *to |= moved(*from));
        };
        add(words, -bits);
        if bits > 0 {
            add(words.saturating_add(1), 64 - bits);
        }
        out[0] &= !1;
        out
    }
}

/// Sorted.
impl Wanted for [i64] {
    #[inline]
    fn has(&self, value: i64) -> bool {
        self.binary_search(&value).is_ok()
    }

    fn by_code<const WORDS: usize>(&self, base: i64) -> [u64; WORDS] {
        let mut out = [0; WORDS];
        for code in codes_of(self, base, WORDS as u64 * 64 - 1) {
            out[code as usize / 64] |= 1 << (code % 64);
        }
        out
    }
}

/// The codes of sorted values in a page with that base, up to the greatest.
fn codes_of(values: &[i64], base: i64, max_code: u64) -> impl Iterator<Item = u64> {
    let from = values.partition_point(|value| *value < base);
    let codes = values[from..].iter().map(move |value| (value.wrapping_sub(base) as u64).saturating_add(1));
    codes.take_while(move |code| *code <= max_code)
}

/// Marks the ids of a page whose value is in a set.
pub fn lookup(page: &Page<'_>, set: &CodeSet, out: &mut PageBits) {
    mark_wanted(page, set, out);
}

fn mark_wanted<W: Wanted + ?Sized>(page: &Page<'_>, wanted: &W, out: &mut PageBits) {
    let has = |code: u64| page.value_of(code).is_some_and(|value| wanted.has(value));
    match page.codes {
        Codes::Constant(code) => out.fill(if has(code) { u64::MAX } else { 0 }),
        Codes::U8(codes) => lookup_u8(codes, &wanted.by_code(page.base), out),
        Codes::U16(codes) => {
            #[cfg(target_arch = "x86_64")]
            if page.max_code < 1024 {
                match level() {
                    // SAFETY: the level is never above what the processor reports to have.
                    Level::Avx512 => return unsafe { x86::lookup_u16(codes, &wanted.by_code(page.base), out) },
                    // SAFETY: as above.
                    Level::Avx2 => return unsafe { x86::lookup_u16_by_32(codes, &wanted.by_code(page.base), out) },
                    Level::Baseline => {}
                }
            }
            mark_by_bits(codes, &wanted.by_code(page.base), out);
        }
        Codes::U32(codes) => mark(codes, |code| has(code.into()), out),
        Codes::U64(codes) => mark(codes, has, out),
    }
}

/// A bit for each number of 16 bits.
type Bits16 = [u64; 1 << 10];

#[inline(always)]
fn has_bit(bits: &Bits16, at: u16) -> bool {
    bits[usize::from(at >> 6)] >> (at & 63) & 1 == 1
}

fn mark_by_bits(codes: &[u16], bits: &Bits16, out: &mut PageBits) {
    mark(codes, |code| has_bit(bits, code), out);
}

fn lookup_u8(codes: &[u8], set: &[u64; 4], out: &mut PageBits) {
    #[cfg(target_arch = "x86_64")]
    match level() {
        // SAFETY: the level is never above what the processor reports to have.
        Level::Avx512 => return unsafe { x86::lookup_u8(codes, set, out) },
        // SAFETY: as above.
        Level::Avx2 => return unsafe { x86::lookup_u8_by_32(codes, set, out) },
        Level::Baseline => {}
    }
    let mut table = [0u8; 256];
    table.iter_mut().enumerate().for_each(|(code, flag)| *flag = (set[code / 64] >> (code % 64) & 1) as u8);
    mark(codes, |code| table[usize::from(code)] == 1, out);
}

/// Most codes that each code of a page is compared with.
const COMPARED_MAX: usize = 8;

at_levels! {
    fn mark_any_u16(codes: &[u16], wanted: &[u16; COMPARED_MAX], out: &mut PageBits) {
        mark(codes, |code| wanted.iter().fold(false, |is, one| is | (code == *one)), out);
    }

    fn mark_any_u32(codes: &[u32], wanted: &[u32; COMPARED_MAX], out: &mut PageBits) {
        mark(codes, |code| wanted.iter().fold(false, |is, one| is | (code == *one)), out);
    }
}

/// Marks the ids of a page whose known value is any of a sorted list.
pub fn code_set(page: &Page<'_>, values: &[i64], out: &mut PageBits) {
    let (mut few, mut count) = ([0; COMPARED_MAX], 0);
    for (at, code) in codes_of(values, page.base, page.max_code).take(COMPARED_MAX + 1).enumerate() {
        // The first one fills all places, so that none is left for the unknown.
        if at == 0 {
            few.fill(code);
        } else if let Some(place) = few.get_mut(at) {
            *place = code;
        }
        count = at + 1;
    }
    match page.codes {
        _ if count == 0 => out.fill(0),
        Codes::U16(codes) if count <= COMPARED_MAX => mark_any_u16(codes, &few.map(|code| code as u16), out),
        Codes::U32(codes) if count <= COMPARED_MAX => mark_any_u32(codes, &few.map(|code| code as u32), out),
        Codes::U32(codes) => mark_near(codes, values, page, out),
        Codes::U64(codes) => mark_near(codes, values, page, out),
        _ => mark_wanted(page, values, out),
    }
}

/// Looks for those codes alone that have their lower half in common with one that is wanted.
fn mark_near<C: Copy + Into<u64>>(codes: &[C], values: &[i64], page: &Page<'_>, out: &mut PageBits) {
    let mut near: Bits16 = [0; 1 << 10];
    for code in codes_of(values, page.base, page.max_code) {
        near[usize::from(code as u16 >> 6)] |= 1 << (code & 63);
    }
    let has = |code: u64| page.value_of(code).is_some_and(|value| values.has(value));
    mark(codes, |code| has_bit(&near, code.into() as u16) && has(code.into()), out);
}

/// What the known codes of some members of a page come to.
pub fn sums(page: &Page<'_>, members: &PageBits) -> Sums {
    #[cfg(target_arch = "x86_64")]
    if level() == Level::Avx512 {
        // SAFETY: the level is never above what the processor reports to have.
        unsafe {
            match page.codes {
                Codes::U8(codes) => return x86::sums_u8(codes, members),
                Codes::U16(codes) => return x86::sums_u16(codes, members),
                Codes::U32(codes) => return x86::sums_u32(codes, members),
                _ => {}
            }
        }
    }
    match page.codes {
        Codes::Constant(0) => Sums { known: 0, sum: 0, least: 0, most: 0 },
        Codes::Constant(code) => {
            let known = members.iter().map(|word| word.count_ones()).sum();
            Sums { known, sum: u128::from(code) * u128::from(known), least: code, most: code }
        }
        Codes::U8(codes) => sum_up(codes, members),
        Codes::U16(codes) => sum_up(codes, members),
        Codes::U32(codes) => sum_up(codes, members),
        Codes::U64(codes) => sum_up(codes, members),
    }
}

fn sum_up<T: Copy + Into<u64>>(codes: &[T], members: &PageBits) -> Sums {
    let mut sums = Sums { known: 0, sum: 0, least: u64::MAX, most: 0 };
    for (word, codes) in members.iter().zip(codes.as_chunks::<64>().0) {
        let mut left = *word;
        while left != 0 {
            let code: u64 = codes[left.trailing_zeros() as usize].into();
            left &= left - 1;
            if code > 0 {
                sums.known += 1;
                sums.sum += u128::from(code);
                sums.least = sums.least.min(code);
                sums.most = sums.most.max(code);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::at_each_level;
    use super::*;
    use proptest::prelude::*;

    /// Pages of each width over the same sequence of codes.
    fn each_page(seed: u64, spread: u64, base: i64, mut check: impl FnMut(&Page<'_>)) {
        let code = |slot: u64| ((slot + 1).wrapping_mul(seed | 1) >> 7) % spread.max(1);
        let u8s: Vec<u8> = (0..4096).map(|s| code(s) as u8).collect();
        let u16s: Vec<u16> = (0..4096).map(|s| code(s) as u16).collect();
        let u32s: Vec<u32> = (0..4096).map(|s| code(s) as u32).collect();
        let u64s: Vec<u64> = (0..4096).map(code).collect();
        let page = |codes: Codes<'_>| {
            let all = Page { base, max_code: u64::MAX, codes };
            let max_code = (0..4096).map(|slot| all.code(slot)).max().unwrap_or(0);
            check(&Page { max_code, ..all });
        };
        let all = [Codes::U8(&u8s), Codes::U16(&u16s), Codes::U32(&u32s), Codes::U64(&u64s)];
        all.into_iter().chain([Codes::Constant(5), Codes::Constant(0)]).for_each(page);
    }

    fn marks(page: &Page<'_>, mut holds: impl FnMut(u64) -> bool) -> PageBits {
        let mut bits = [0; PAGE_WORDS];
        (0..4096).filter(|slot| holds(page.code(*slot))).for_each(|slot| bits[slot / 64] |= 1 << (slot % 64));
        bits
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
        #[test]
        fn ranges_mark_what_lies_in_them(
            seed in any::<u64>(), spread in prop_oneof![1u64..400, 1u64..100_000, 1u64..u64::MAX / 2],
            low in 1u64..300, span in prop_oneof![0u64..70_000, Just(u64::MAX / 4)],
        ) {
            each_page(seed, spread, 0, |page| at_each_level(|level| {
                let mut out = [1; PAGE_WORDS];
                range(page, low, low + span, &mut out);
                assert_eq!(out, marks(page, |code| (low..=low + span).contains(&code)), "{level:?}");
            }));
        }

        #[test]
        fn look_ups_mark_what_is_in_the_set(
            seed in any::<u64>(), spread in prop_oneof![2u64..250, 2u64..1024, 2u64..60_000, 2u64..5_000_000],
            base in prop_oneof![Just(0i64), -500i64..500, Just(-1_000_000i64)],
            first in -300i64..300, width in prop_oneof![1i64..60, 1i64..3000, 1i64..90_000], modulus in 1i64..7,
        ) {
            let set = CodeSet::new(first, first + width, |value| value % modulus == 0);
            let listed: Vec<i64> = (first..=first + width).filter(|value| value % modulus == 0).collect();
            prop_assert_eq!(set.count() as usize, listed.len());
            each_page(seed, spread, base, |page| at_each_level(|level| {
                let wanted = marks(page, |code| page.value_of(code).is_some_and(|value| {
                    (first..=first + width).contains(&value) && value % modulus == 0
                }));
                let mut out = [1; PAGE_WORDS];
                lookup(page, &set, &mut out);
                assert_eq!(out, wanted, "{level:?} {:?}", page.max_code);
                code_set(page, &listed, &mut out);
                assert_eq!(out, wanted, "{level:?}");
            }));
        }

        #[test]
        fn sums_are_those_of_the_known_members(
            seed in any::<u64>(), spread in prop_oneof![1u64..250, 1u64..1 << 33, Just(1 << 62)], members in any::<u64>(),
        ) {
            let mut bits = [0; PAGE_WORDS];
            bits.iter_mut().enumerate().for_each(|(at, word)| *word = members.rotate_left(at as u32) & members.wrapping_mul(at as u64));
            each_page(seed, spread, 0, |page| {
                let codes: Vec<u64> = (0..4096).filter(|s| bits[s / 64] >> (s % 64) & 1 == 1).map(|s| page.code(s)).filter(|c| *c > 0).collect();
                at_each_level(|level| {
                    let sums = sums(page, &bits);
                    assert_eq!(sums.known as usize, codes.len(), "{level:?}");
                    assert_eq!(sums.sum, codes.iter().map(|c| u128::from(*c)).sum::<u128>(), "{level:?}");
                    if !codes.is_empty() {
                        assert_eq!((Some(&sums.least), Some(&sums.most)), (codes.iter().min(), codes.iter().max()), "{level:?}");
                    }
                });
            });
        }
    }

    #[test]
    fn places_are_those_of_the_bits_set() {
        for (word, step) in [(0, 0), (u64::MAX, 0), (1, 1), (0x8000_0001_0000_0100, 7), (u64::MAX - 1, 3)] {
            let mut bits: PageBits = [0; PAGE_WORDS];
            bits.iter_mut().zip(0u32..).for_each(|(out, at)| *out = u64::rotate_left(word, at * step));
            let wanted: Vec<u16> =
                (0..PAGE as u16).filter(|p| bits[usize::from(p / 64)] >> (p % 64) & 1 == 1).collect();
            at_each_level(|level| {
                let mut places = [7; PAGE + 32];
                let count = write_places(&bits, &mut places);
                assert_eq!(places[..count], wanted, "{level:?}");
            });
        }
    }

    #[test]
    fn means_lie_between_their_bounds() {
        let parts: Vec<(i64, i64)> = (0..PAGE as i64).map(|n| (n * 37 % 1001, n % 7)).collect();
        let packed: Vec<i64> = parts.iter().map(|(sum, count)| sum | count << MEAN_SUM_BITS).collect();
        // Over 5/2, and at most 100; without a bound every mean passes.
        for (low, high) in [([2, 5, 1], [1, 100, 0]), ([0, 0, 0], [1, 100, 0]), ([2, 5, 1], [0, 0, 0])] {
            at_each_level(|level| {
                let mut out = [1; PAGE_WORDS];
                means(&packed, low, high, &mut out);
                for (slot, (sum, count)) in parts.iter().enumerate() {
                    let above = low[0] == 0 || 2 * sum > 5 * count;
                    let below = high[0] == 0 || *sum <= 100 * count;
                    let wanted = *count > 0 && above && below;
                    assert_eq!(out[slot / 64] >> (slot % 64) & 1 == 1, wanted, "{level:?} {sum}/{count}");
                }
            });
        }
    }

    #[test]
    fn hashes_are_those_of_one_after_the_other() {
        at_each_level(|_| {
            let mut out = [0; PAGE];
            bucket_hashes(0x1234_5678_9ABC_DEF0, u32::MAX - 17, &mut out);
            let one_by_one = |at: u32| bucket_hash(0x1234_5678_9ABC_DEF0, (u32::MAX - 17).wrapping_add(at));
            assert!((0u32..).zip(out).all(|(at, hash)| hash == one_by_one(at)));
        });
    }
}
