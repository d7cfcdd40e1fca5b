//! Kernels by hand for x86-64, where the compiler's own vectors fall short: bits counted, ids against ids, bits to ids, codes
//! to bits.
//! Knows slices. Whoever calls one has made sure of its level; each is held against its plain twin in `words`, `ids` and `codes`.
#![allow(unsafe_code)] // vector loads and stores

use std::arch::x86_64::*;

use super::codes::{PageBits, Sums};
use super::ids;

/// So far ahead of what is compared codes are asked for. A comparison takes less time than memory does to bring what
/// follows, and what it brings by itself ends with each page of 4 KiB.
const AHEAD_BYTES: usize = 1024;

/// The codes of a page by 64, those that lie ahead on their way.
#[inline(always)]
fn by_64<T>(codes: &[T]) -> impl Iterator<Item = &[T; 64]> {
    codes.as_chunks::<64>().0.iter().inspect(|lanes| fetch_ahead(lanes))
}

/// Asks for the codes that lie as far ahead of some as they are to be.
#[inline(always)]
fn fetch_ahead<T>(lanes: &[T; 64]) {
    for line in 0..size_of_val(lanes) / 64 {
        let ahead = lanes.as_ptr().cast::<i8>().wrapping_add(AHEAD_BYTES + line * 64);
        // SAFETY: nothing is read, wherever it lies.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(ahead) }
    }
}

/// Asks for all lines of some values, which are read soon.
#[inline(always)]
pub(super) fn fetch<T>(values: &[T]) {
    let first = values.as_ptr().cast::<i8>();
    let in_line = first.addr() % 64;
    for at in (0..in_line + size_of_val(values)).step_by(64) {
        // SAFETY: nothing is read.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_sub(in_line).wrapping_add(at)) }
    }
}

#[target_feature(enable = "sse4.2")]
fn load_8(ids: &[u16; 8]) -> __m128i {
    // SAFETY: 16 bytes are there to be read; the load needs no alignment.
    unsafe { _mm_loadu_si128(ids.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
fn load<T>(lane: &[T]) -> __m512i {
    assert!(size_of_val(lane) >= 64);
    // SAFETY: 64 bytes are there to be read; the load needs no alignment.
    unsafe { _mm512_loadu_si512(lane.as_ptr().cast()) }
}

#[target_feature(enable = "sse4.2")]
fn store_8(ids: __m128i, out: &mut [u16; 8]) {
    // SAFETY: 16 bytes are there to be written; the store needs no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), ids) }
}

#[target_feature(enable = "avx512f")]
fn store_32(ids: __m512i, out: &mut [u16; 32]) {
    // SAFETY: 64 bytes are there to be written; the store needs no alignment.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), ids) }
}

/// Steps through two sorted lists eight by eight; `each` gets eight of `a` and a bit for each that `b` has.
/// Gives the places from which the rest is to be merged one by one.
#[inline]
#[target_feature(enable = "sse4.2,popcnt")]
fn eights(a: &[u16], b: &[u16], mut each: impl FnMut(__m128i, u32)) -> (usize, usize) {
    let (blocks_a, blocks_b) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    let (mut i, mut j) = (0, 0);
    while i < blocks_a.len() && j < blocks_b.len() {
        let (block_a, block_b) = (&blocks_a[i], &blocks_b[j]);
        let eight = load_8(block_a);
        let mask =
            _mm_cmpestrm::<{ _SIDD_UWORD_OPS | _SIDD_CMP_EQUAL_ANY | _SIDD_BIT_MASK }>(load_8(block_b), 8, eight, 8);
        each(eight, _mm_cvtsi128_si32(mask) as u32);
        let (last_a, last_b) = (block_a[7], block_b[7]);
        i += usize::from(last_a <= last_b);
        j += usize::from(last_b <= last_a);
    }
    (i * 8, j * 8)
}

/// Steps through the ids of the shorter of two sorted lists, each against a vector of the longer; `each` gets the id and
/// whether the longer has it. Gives the places from which the rest is to be merged one by one.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn one_by_vector(short: &[u16], long: &[u16], mut each: impl FnMut(u16, bool)) -> (usize, usize) {
    let blocks = long.as_chunks::<32>().0;
    let (mut i, mut j) = (0, 0);
    while j < blocks.len() {
        let (block, last) = (load(&blocks[j]), blocks[j][31]);
        while let Some(id) = short.get(i).copied()
            && id <= last
        {
            each(id, _mm512_cmpeq_epi16_mask(block, _mm512_set1_epi16(id as i16)) != 0);
            i += 1;
        }
        if i == short.len() {
            break;
        }
        j += 1;
    }
    (i, j * 32)
}

/// Ids that two sorted lists share.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn intersection_count_512(short: &[u16], long: &[u16]) -> u32 {
    let mut count = 0u32;
    let (i, j) = one_by_vector(short, long, |_, is_there| count = count.wrapping_add(is_there.into()));
    count + ids::merge_count(&short[i..], &long[j..])
}

/// Writes the ids that two sorted lists share and gives their number; `out` is as long as the shorter.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn intersect_512(short: &[u16], long: &[u16], out: &mut [u16]) -> usize {
    assert!(out.len() > short.len());
    let mut count = 0usize;
    let (i, j) = one_by_vector(short, long, |id, is_there| {
        out[count] = id;
        count = count.wrapping_add(is_there.into());
    });
    count + ids::merge(&short[i..], &long[j..], &mut out[count..])
}

/// Ids that two sorted lists share.
#[target_feature(enable = "sse4.2,popcnt")]
pub(super) fn intersection_count(a: &[u16], b: &[u16]) -> u32 {
    let mut count = 0;
    let (i, j) = eights(a, b, |_, mask| count += mask.count_ones());
    count + ids::merge_count(&a[i..], &b[j..])
}

/// For each mask of eight lanes the bytes that bring the lanes set to the front.
const COMPACT: [[u8; 16]; 256] = {
    let mut table = [[0x80; 16]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut lane, mut to) = (0, 0);
        while lane < 8 {
            if mask >> lane & 1 == 1 {
                table[mask][to * 2] = lane as u8 * 2;
                table[mask][to * 2 + 1] = lane as u8 * 2 + 1;
                to += 1;
            }
            lane += 1;
        }
        mask += 1;
    }
    table
};

/// Writes the ids that two sorted lists share and gives their number; `out` is longer than `a` by eight.
#[target_feature(enable = "sse4.2,popcnt")]
pub(super) fn intersect(a: &[u16], b: &[u16], out: &mut [u16]) -> usize {
    assert!(out.len() >= a.len() + 8);
    let mut count = 0;
    let (i, j) = eights(a, b, |eight, mask| {
        // SAFETY: 16 bytes of a table's row; the load needs no alignment.
        let order = unsafe { _mm_loadu_si128(COMPACT[(mask & 0xFF) as usize].as_ptr().cast()) };
        if let Some(place) = out.get_mut(count..).and_then(|rest| rest.first_chunk_mut()) {
            store_8(_mm_shuffle_epi8(eight, order), place);
        }
        count += mask.count_ones() as usize;
    });
    count + ids::merge(&a[i..], &b[j..], &mut out[count..])
}

/// Writes every id set and gives their number; `out` is longer than that by 32.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
pub(super) fn write_bits(bits: &[u64], out: &mut [u16]) -> usize {
    let mut lanes = [0u16; 32];
    lanes.iter_mut().zip(0..).for_each(|(lane, low)| *lane = low);
    let (mut low, step) = (load(&lanes), _mm512_set1_epi16(32));
    let mut count = 0;
    for word in bits {
        for mask in [*word as u32, (*word >> 32) as u32] {
            if mask != 0
                && let Some(place) = out.get_mut(count..).and_then(|rest| rest.first_chunk_mut())
            {
                store_32(_mm512_maskz_compress_epi16(mask, low), place);
                count += mask.count_ones() as usize;
            }
            low = _mm512_add_epi16(low, step);
        }
    }
    count
}

/// By byte: the places of its bits, a byte each, and whatever after them.
const PLACES_OF_BYTES: [u64; 256] = {
    let mut all = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut set) = (0, 0);
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                all[byte] |= bit << (set * 8);
                set += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    all
};

/// Words with more ids than this are written byte by byte.
const BY_BYTES_FROM: u32 = 12;

/// Writes every id set and gives their number; `out` is longer than that by 8.
#[target_feature(enable = "avx2,bmi1,popcnt")]
pub(super) fn write_bits_by_bytes(bits: &[u64], out: &mut [u16]) -> usize {
    let (mut count, eight) = (0, _mm_set1_epi16(8));
    for (words, first) in bits.chunks(64).zip((0u16..).step_by(64 * 64)) {
        ids::for_each_word(words, |at, word| {
            let first = first.wrapping_add(at as u16 * 64);
            if word.count_ones() < BY_BYTES_FROM {
                count += ids::write_word(word, first, &mut out[count..]);
                return;
            }
            let mut first = _mm_set1_epi16(first as i16);
            for byte in word.to_le_bytes() {
                if let Some(place) = out.get_mut(count..).and_then(|rest| rest.first_chunk_mut()) {
                    let places = _mm_cvtsi64_si128(PLACES_OF_BYTES[usize::from(byte)] as i64);
                    store_8(_mm_add_epi16(_mm_cvtepu8_epi16(places), first), place);
                    count += byte.count_ones() as usize;
                }
                first = _mm_add_epi16(first, eight);
            }
        });
    }
    count
}

#[target_feature(enable = "avx2")]
fn load_32<T>(lane: &[T]) -> __m256i {
    assert!(size_of_val(lane) >= 32);
    // SAFETY: 32 bytes are there to be read; the load needs no alignment.
    unsafe { _mm256_loadu_si256(lane.as_ptr().cast()) }
}

/// Adds two bits to the digit of each place; what is too much for it.
#[inline]
#[target_feature(enable = "avx2")]
fn full_add(digit: &mut __m256i, a: __m256i, b: __m256i) -> __m256i {
    let both = _mm256_xor_si256(a, b);
    let carry = _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(both, *digit));
    *digit = _mm256_xor_si256(both, *digit);
    carry
}

/// Bits set in each of four words.
#[inline]
#[target_feature(enable = "avx2")]
fn ones_of_four(words: __m256i) -> __m256i {
    let ones = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    );
    let fifteen = _mm256_set1_epi8(15);
    let low = _mm256_shuffle_epi8(ones, _mm256_and_si256(words, fifteen));
    let high = _mm256_shuffle_epi8(ones, _mm256_and_si256(_mm256_srli_epi16::<4>(words), fifteen));
    _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256())
}

/// Number of bits set in both, of as many words, a multiple of 64. Sixteen vectors are added up bit by bit before any is
/// counted (R. Harley and D. Seal): two thirds of the instructions that counting each takes.
#[target_feature(enable = "avx2")]
pub(super) fn count_both(a: &[u64], b: &[u64]) -> u64 {
    let zero = _mm256_setzero_si256();
    let [mut ones, mut twos, mut fours, mut eights, mut sixteens] = [zero; 5];
    for (a, b) in a.as_chunks::<64>().0.iter().zip(b.as_chunks::<64>().0) {
        let both = |at: usize| _mm256_and_si256(load_32(&a[at * 4..at * 4 + 4]), load_32(&b[at * 4..at * 4 + 4]));
        let mut two = |at: usize| full_add(&mut ones, both(at), both(at + 1));
        let mut four = |at: usize| full_add(&mut twos, two(at), two(at + 2));
        let mut eight = |at: usize| full_add(&mut fours, four(at), four(at + 4));
        let sixteen = full_add(&mut eights, eight(0), eight(8));
        sixteens = _mm256_add_epi64(sixteens, ones_of_four(sixteen));
    }
    let twice = |above: __m256i, digit: __m256i| _mm256_add_epi64(_mm256_slli_epi64::<1>(above), ones_of_four(digit));
    let counts = [eights, fours, twos, ones].into_iter().fold(sixteens, twice);
    let half = _mm_add_epi64(_mm256_castsi256_si128(counts), _mm256_extracti128_si256::<1>(counts));
    (_mm_cvtsi128_si64(half) as u64).wrapping_add(_mm_extract_epi64::<1>(half) as u64)
}

/// A bit for each byte that is set.
#[target_feature(enable = "avx2")]
fn mask_of_bytes(bytes: __m256i) -> u64 {
    u64::from(_mm256_movemask_epi8(bytes) as u32)
}

/// A bit for each 16-bit lane that is set, those of `a` first.
#[target_feature(enable = "avx2")]
fn mask_of_words(a: __m256i, b: __m256i) -> u64 {
    mask_of_bytes(_mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(a, b)))
}

/// Marks the codes of a page with `code - low <= span`.
#[target_feature(enable = "avx2")]
pub(super) fn range_u8_by_32(codes: &[u8], low: u8, span: u8, out: &mut PageBits) {
    let (low, span) = (_mm256_set1_epi8(low as i8), _mm256_set1_epi8(span as i8));
    for (word, codes) in out.iter_mut().zip(by_64(codes)) {
        let (a, b) = (_mm256_sub_epi8(load_32(&codes[..32]), low), _mm256_sub_epi8(load_32(&codes[32..]), low));
        let a = mask_of_bytes(_mm256_cmpeq_epi8(_mm256_min_epu8(a, span), a));
        *word = a | mask_of_bytes(_mm256_cmpeq_epi8(_mm256_min_epu8(b, span), b)) << 32;
    }
}

/// Marks the codes of a page with `code - low <= span`.
#[target_feature(enable = "avx2")]
pub(super) fn range_u16_by_32(codes: &[u16], low: u16, span: u16, out: &mut PageBits) {
    let (low, span) = (_mm256_set1_epi16(low as i16), _mm256_set1_epi16(span as i16));
    for (word, codes) in out.iter_mut().zip(by_64(codes)) {
        *word = 0;
        for (half, codes) in codes.as_chunks::<32>().0.iter().enumerate() {
            let (a, b) = (_mm256_sub_epi16(load_32(&codes[..16]), low), _mm256_sub_epi16(load_32(&codes[16..]), low));
            let (a_is, b_is) = (_mm256_min_epu16(a, span), _mm256_min_epu16(b, span));
            *word |= mask_of_words(_mm256_cmpeq_epi16(a_is, a), _mm256_cmpeq_epi16(b_is, b)) << (half * 32);
        }
    }
}

/// Marks the codes of a page with `code - low <= span`.
#[target_feature(enable = "avx2")]
pub(super) fn range_u32_by_32(codes: &[u32], low: u32, span: u32, out: &mut PageBits) {
    let (low, span) = (_mm256_set1_epi32(low as i32), _mm256_set1_epi32(span as i32));
    // Packing leaves the halves of the four vectors in turn.
    let in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (word, codes) in out.iter_mut().zip(by_64(codes)) {
        *word = 0;
        for (half, codes) in codes.as_chunks::<32>().0.iter().enumerate() {
            let mut is = [_mm256_setzero_si256(); 4];
            for (is, codes) in is.iter_mut().zip(codes.as_chunks::<8>().0) {
                let codes = _mm256_sub_epi32(load_32(codes), low);
                *is = _mm256_cmpeq_epi32(_mm256_min_epu32(codes, span), codes);
            }
            let words = [_mm256_packs_epi32(is[0], is[1]), _mm256_packs_epi32(is[2], is[3])];
            let bytes = _mm256_packs_epi16(words[0], words[1]);
            *word |= mask_of_bytes(_mm256_permutevar8x32_epi32(bytes, in_order)) << (half * 32);
        }
    }
}

/// Marks the codes of a page that are in a set of 256: the low half of a code finds a byte, which has a bit for each
/// upper half below 8 or from there on.
#[target_feature(enable = "avx2")]
pub(super) fn lookup_u8_by_32(codes: &[u8], set: &[u64; 4], out: &mut PageBits) {
    let mut tables = [[0u8; 32]; 2];
    for code in (0..256usize).filter(|code| set[code / 64] >> (code % 64) & 1 == 1) {
        let (low, high) = (code % 16, code / 16);
        let table = &mut tables[high / 8];
        table[low] |= 1 << (high % 8);
        table[low + 16] |= 1 << (high % 8);
    }
    let bit_of: [u8; 32] = std::array::from_fn(|high| 1 << (high % 8));
    let (below_8, from_8, bit_of) = (load_32(&tables[0]), load_32(&tables[1]), load_32(&bit_of));
    let fifteen = _mm256_set1_epi8(15);
    for (word, codes) in out.iter_mut().zip(by_64(codes)) {
        *word = 0;
        for (half, codes) in codes.as_chunks::<32>().0.iter().enumerate() {
            let codes = load_32(codes);
            let (low, high) =
                (_mm256_and_si256(codes, fifteen), _mm256_and_si256(_mm256_srli_epi16::<4>(codes), fifteen));
            let (below_8, from_8) = (_mm256_shuffle_epi8(below_8, low), _mm256_shuffle_epi8(from_8, low));
            let bit = _mm256_shuffle_epi8(bit_of, high);
            let found = _mm256_and_si256(_mm256_blendv_epi8(below_8, from_8, codes), bit);
            *word |= mask_of_bytes(_mm256_cmpeq_epi8(found, bit)) << (half * 32);
        }
    }
}

/// Marks the codes of a page, all below 1,024, that are in a set: a code's upper bits find a byte of it, sixteen bytes at a
/// time; its lower three the bit. Sixteen bytes of which nobody is wanted are left out.
#[target_feature(enable = "avx2")]
pub(super) fn lookup_u16_by_32(codes: &[u16], set: &[u64; 16], out: &mut PageBits) {
    let mut tables = [(_mm256_setzero_si256(), _mm256_setzero_si256()); 8];
    let mut used = 0;
    for (pair, at) in set.as_chunks::<2>().0.iter().zip(0i8..).filter(|(pair, _)| **pair != [0, 0]) {
        let sixteen = _mm_set_epi64x(pair[1] as i64, pair[0] as i64);
        tables[used] = (_mm256_broadcastsi128_si256(sixteen), _mm256_set1_epi8(at << 4));
        used += 1;
    }
    let bit_of: [u8; 32] = std::array::from_fn(|low| 1 << (low % 8));
    let (bit_of, seven, beyond) = (load_32(&bit_of), _mm256_set1_epi16(7), _mm256_set1_epi8(0x70));
    for (word, codes) in out.iter_mut().zip(by_64(codes)) {
        *word = 0;
        for (half, codes) in codes.as_chunks::<32>().0.iter().enumerate() {
            let (a, b) = (load_32(&codes[..16]), load_32(&codes[16..]));
            let places = _mm256_packus_epi16(_mm256_srli_epi16::<3>(a), _mm256_srli_epi16::<3>(b));
            let low = _mm256_packus_epi16(_mm256_and_si256(a, seven), _mm256_and_si256(b, seven));
            let bit = _mm256_shuffle_epi8(bit_of, low);
            let mut found = _mm256_setzero_si256();
            for (table, sixteen) in &tables[..used] {
                // Places of these sixteen keep their lower four bits, all others get the one that finds nothing.
                let at = _mm256_adds_epu8(_mm256_xor_si256(places, *sixteen), beyond);
                found = _mm256_or_si256(found, _mm256_shuffle_epi8(*table, at));
            }
            let is_in = _mm256_cmpeq_epi8(_mm256_and_si256(found, bit), bit);
            *word |= mask_of_bytes(_mm256_permute4x64_epi64::<0b11_01_10_00>(is_in)) << (half * 32);
        }
    }
}

/// Marks the codes of a page with `code - low <= span`.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn range_u8(codes: &[u8], low: u8, span: u8, out: &mut PageBits) {
    let (low, span) = (_mm512_set1_epi8(low as i8), _mm512_set1_epi8(span as i8));
    for (word, lane) in out.iter_mut().zip(by_64(codes)) {
        *word = _mm512_cmple_epu8_mask(_mm512_sub_epi8(load(lane), low), span);
    }
}

/// Marks the codes of a page with `code - low <= span`.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn range_u16(codes: &[u16], low: u16, span: u16, out: &mut PageBits) {
    let (low, span) = (_mm512_set1_epi16(low as i16), _mm512_set1_epi16(span as i16));
    for (word, lanes) in out.iter_mut().zip(by_64(codes)) {
        let mark = |lane: &[u16]| u64::from(_mm512_cmple_epu16_mask(_mm512_sub_epi16(load(lane), low), span));
        *word = mark(&lanes[..32]) | mark(&lanes[32..]) << 32;
    }
}

/// Marks the codes of a page with `code - low <= span`.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn range_u32(codes: &[u32], low: u32, span: u32, out: &mut PageBits) {
    let (low, span) = (_mm512_set1_epi32(low as i32), _mm512_set1_epi32(span as i32));
    for (word, lanes) in out.iter_mut().zip(by_64(codes)) {
        let mark = |lane: &[u32]| u64::from(_mm512_cmple_epu32_mask(_mm512_sub_epi32(load(lane), low), span));
        *word = mark(&lanes[..16]) | mark(&lanes[16..32]) << 16 | mark(&lanes[32..48]) << 32 | mark(&lanes[48..]) << 48;
    }
}

/// Marks the codes of a page that are in a set of 256.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn lookup_u8(codes: &[u8], set: &[u64; 4], out: &mut PageBits) {
    let [a, b, c, d] = set.map(|word| _mm512_movm_epi8(word));
    for (word, lane) in out.iter_mut().zip(by_64(codes)) {
        let codes = load(lane);
        let low_half = _mm512_movepi8_mask(_mm512_permutex2var_epi8(a, codes, b));
        let high_half = _mm512_movepi8_mask(_mm512_permutex2var_epi8(c, codes, d));
        let is_high = _mm512_movepi8_mask(codes);
        *word = low_half & !is_high | high_half & is_high;
    }
}

/// Marks the codes of a page, all below 1,024, that are in a set.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn lookup_u16(codes: &[u16], set: &[u64; 16], out: &mut PageBits) {
    let (low, high) = (load(&set[..8]), load(&set[8..]));
    let (one, fifteen) = (_mm512_set1_epi16(1), _mm512_set1_epi16(15));
    for (word, lanes) in out.iter_mut().zip(by_64(codes)) {
        let mark = |lane: &[u16]| {
            let codes = load(lane);
            // Sixteen codes share a word of the set: find it, then the code's bit in it.
            let sixteen = _mm512_permutex2var_epi16(low, _mm512_srli_epi16::<4>(codes), high);
            let bit = _mm512_srlv_epi16(sixteen, _mm512_and_si512(codes, fifteen));
            u64::from(_mm512_test_epi16_mask(bit, one))
        };
        *word = mark(&lanes[..32]) | mark(&lanes[32..]) << 32;
    }
}

/// Sums, bounds and number of the known codes of a page among its members.
macro_rules! sums {
    ($name:ident, $code:ty, $widen:expr) => {
        #[target_feature(enable = "avx512f,avx512bw,popcnt")]
        pub(super) fn $name(codes: &[$code], members: &PageBits) -> Sums {
            let (mut sum, mut known) = (_mm512_setzero_si512(), 0);
            let (mut least, mut most) = (_mm512_set1_epi32(-1), _mm512_setzero_si512());
            let all = members.iter().zip(codes.as_chunks::<64>().0);
            for (word, lanes) in all.filter(|(word, _)| **word != 0) {
                fetch_ahead(lanes);
                for (group, lane) in lanes.as_chunks::<16>().0.iter().enumerate() {
                    let codes = $widen(lane);
                    let mask = (word >> (group * 16)) as u16 & _mm512_test_epi32_mask(codes, codes);
                    known += mask.count_ones();
                    least = _mm512_mask_min_epu32(least, mask, least, codes);
                    most = _mm512_mask_max_epu32(most, mask, most, codes);
                    let codes = _mm512_maskz_mov_epi32(mask, codes);
                    let halves = (_mm512_castsi512_si256(codes), _mm512_extracti64x4_epi64::<1>(codes));
                    sum = _mm512_add_epi64(sum, _mm512_cvtepu32_epi64(halves.0));
                    sum = _mm512_add_epi64(sum, _mm512_cvtepu32_epi64(halves.1));
                }
            }
            Sums {
                known,
                sum: _mm512_reduce_add_epi64(sum) as u128,
                least: _mm512_reduce_min_epu32(least).into(),
                most: _mm512_reduce_max_epu32(most).into(),
            }
        }
    };
}

#[target_feature(enable = "avx512f")]
fn widen_u8(lane: &[u8; 16]) -> __m512i {
    // SAFETY: 16 bytes are there to be read; the load needs no alignment.
    _mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(lane.as_ptr().cast()) })
}

#[target_feature(enable = "avx512f")]
fn widen_u16(lane: &[u16; 16]) -> __m512i {
    // SAFETY: 32 bytes are there to be read; the load needs no alignment.
    _mm512_cvtepu16_epi32(unsafe { _mm256_loadu_si256(lane.as_ptr().cast()) })
}

#[target_feature(enable = "avx512f")]
fn widen_u32(lane: &[u32; 16]) -> __m512i {
    load(lane)
}

sums!(sums_u8, u8, widen_u8);
sums!(sums_u16, u16, widen_u16);
sums!(sums_u32, u32, widen_u32);
