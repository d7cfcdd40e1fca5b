//! Leaves that read columns and lists: which members of a chunk pass, of few candidates or of many.
//! Knows pages and kernels; how leaves are combined is the evaluator's matter.

use storage::column::ColumnView;
use storage::container::{Bits, ContainerRef};
use storage::ids::{CHUNK_PAGES, PAGE_PROFILES, PAGE_WORDS, STRIPE_CHUNKS};
use storage::lists::ListsView;

use super::cost::{container_ns, pages_ns};
use super::first_of;
use super::sets::{ChunkSet, Scratch};
use crate::query::gather::{retain_by_code, retain_by_range};
use crate::query::kernels::{self, CodeSet, PageBits};
use crate::query::plan::ColumnTest;

/// What the bounds of a chunk's pages say of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Nobody passes.
    Outside,
    /// All pass whose value is known.
    Inside,
    /// The codes must be looked at.
    Mixed,
}

/// A test on a column.
pub(super) struct ColumnLeaf<'a> {
    pub(super) column: ColumnView<'a>,
    pub(super) test: &'a ColumnTest,
    pub(super) known: [ContainerRef<'a>; STRIPE_CHUNKS],
    pub(super) fits: [Fit; STRIPE_CHUNKS],
}

/// Any of some values of a category: the column, and the bitmaps of the values where each has one.
pub(super) struct ValuesLeaf<'a> {
    pub(super) column: ColumnView<'a>,
    pub(super) set: &'a CodeSet,
    /// Empty where not all of them have bitmaps.
    pub(super) bitmaps: Vec<[ContainerRef<'a>; STRIPE_CHUNKS]>,
    pub(super) known: [ContainerRef<'a>; STRIPE_CHUNKS],
    pub(super) by_column: [bool; STRIPE_CHUNKS],
}

/// Any of some values of a set, by its forward lists.
pub(super) struct ListsLeaf<'a> {
    pub(super) lists: ListsView<'a>,
    pub(super) values: &'a [u32],
}

/// A range of the salted hash of the OneID.
pub(super) struct BucketLeaf {
    pub(super) seed: u64,
    /// Least hash, and greatest less least.
    pub(super) low: u32,
    pub(super) span: u32,
    /// First OneID of the stripe.
    pub(super) first_one_id: u32,
}

/// What the bounds of a chunk's pages say.
pub(super) fn fit(column: &ColumnView<'_>, test: &ColumnTest, chunk: usize) -> Fit {
    let (mut inside, mut outside) = (matches!(test, ColumnTest::Range(_)), true);
    for page in chunk * CHUNK_PAGES..(chunk + 1) * CHUNK_PAGES {
        let page = column.page(page);
        match test.code_range(&page) {
            None => inside &= page.max_code == 0,
            Some((low, high)) => {
                outside = false;
                inside &= low == 1 && high == page.max_code;
            }
        }
        if !inside && !outside {
            return Fit::Mixed;
        }
    }
    if outside { Fit::Outside } else { Fit::Inside }
}

fn words_of(bits: &mut Bits, chunk: usize) -> impl Iterator<Item = (usize, &mut PageBits)> {
    bits.as_chunks_mut::<PAGE_WORDS>().0.iter_mut().zip(chunk * CHUNK_PAGES..).map(|(words, page)| (page, words))
}

/// Calls `mark` for the pages that have a candidate and leaves those in who are marked.
fn intersect_pages(bits: &mut Bits, chunk: usize, mut mark: impl FnMut(usize, &mut PageBits)) {
    let mut marks = [0; PAGE_WORDS];
    for (page, words) in words_of(bits, chunk) {
        if words.iter().any(|word| *word != 0) {
            mark(page, &mut marks);
            words.iter_mut().zip(&marks).for_each(|(word, mark)| *word &= mark);
        }
    }
}

impl ColumnLeaf<'_> {
    pub(super) fn known_count(&self, chunk: usize) -> Option<u32> {
        match self.fits[chunk] {
            Fit::Outside => Some(0),
            Fit::Inside => Some(self.known[chunk].cardinality()),
            Fit::Mixed => None,
        }
    }

    pub(super) fn upper(&self, chunk: usize) -> u32 {
        self.known_count(chunk).unwrap_or_else(|| self.known[chunk].cardinality())
    }

    /// Bytes of a chunk's codes that are looked at.
    pub(super) fn bytes(&self, chunk: usize) -> u64 {
        let pages = (chunk * CHUNK_PAGES..(chunk + 1) * CHUNK_PAGES).map(|page| self.column.page(page));
        let bytes = pages.map(|page| u64::from(PAGE_PROFILES) * page.codes.width() as u64).sum();
        if self.fits[chunk] == Fit::Mixed { bytes } else { 0 }
    }

    fn mark(&self, page: usize, out: &mut PageBits) {
        self.test.mark(&self.column.page(page), out);
    }

    pub(super) fn eval(&self, chunk: usize, scratch: &mut Scratch) -> ChunkSet {
        match self.fits[chunk] {
            Fit::Outside => scratch.set_of(ContainerRef::Empty),
            Fit::Inside => scratch.set_of(self.known[chunk]),
            Fit::Mixed => {
                let mut bits = scratch.bits();
                words_of(&mut bits, chunk).for_each(|(page, words)| self.mark(page, words));
                ChunkSet::Bits(bits)
            }
        }
    }

    pub(super) fn intersect(&self, chunk: usize, bits: &mut Bits) {
        match (self.fits[chunk], self.known[chunk]) {
            (Fit::Outside, _) => bits.fill(0),
            (Fit::Inside, ContainerRef::Bits(known, _)) => kernels::and_assign(bits, known),
            _ => intersect_pages(bits, chunk, |page, marks| self.mark(page, marks)),
        }
    }

    pub(super) fn filter(&self, chunk: usize, keep: bool, ids: &mut Vec<u16>) {
        if matches!(self.test, ColumnTest::Range(_)) {
            return retain_by_range(&self.column, chunk, keep, ids, |page| self.test.code_range(page));
        }
        retain_by_code(&self.column, chunk, ids, |page, code| {
            page.value_of(code).is_some_and(|value| self.test.passes(value)) == keep
        });
    }
}

fn bitmaps_ns(bitmaps: &[[ContainerRef<'_>; STRIPE_CHUNKS]], chunk: usize) -> u64 {
    bitmaps.iter().map(|bitmap| container_ns(bitmap[chunk])).sum()
}

impl<'a> ValuesLeaf<'a> {
    pub(super) fn new(
        column: ColumnView<'a>,
        set: &'a CodeSet,
        bitmaps: Vec<[ContainerRef<'a>; STRIPE_CHUNKS]>,
        known: [ContainerRef<'a>; STRIPE_CHUNKS],
    ) -> ValuesLeaf<'a> {
        let by_column = std::array::from_fn(|chunk| {
            bitmaps.is_empty() || pages_ns(&column, chunk, false) < bitmaps_ns(&bitmaps, chunk)
        });
        ValuesLeaf { column, set, bitmaps, known, by_column }
    }

    /// Nobody has two values, so what the headers say adds up.
    pub(super) fn known_count(&self, chunk: usize) -> Option<u32> {
        (!self.bitmaps.is_empty()).then(|| self.bitmaps.iter().map(|bitmap| bitmap[chunk].cardinality()).sum())
    }

    pub(super) fn upper(&self, chunk: usize) -> u32 {
        self.known_count(chunk).unwrap_or_else(|| self.known[chunk].cardinality())
    }

    pub(super) fn bits_ns(&self, chunk: usize) -> u64 {
        if self.by_column[chunk] { pages_ns(&self.column, chunk, false) } else { bitmaps_ns(&self.bitmaps, chunk) }
    }

    pub(super) fn is_by_column(&self, chunk: usize) -> bool {
        self.by_column[chunk]
    }

    fn mark(&self, page: usize, out: &mut PageBits) {
        kernels::lookup(&self.column.page(page), self.set, out);
    }

    pub(super) fn eval(&self, chunk: usize, scratch: &mut Scratch) -> ChunkSet {
        let upper = self.upper(chunk);
        if !self.by_column[chunk] && upper <= super::OR_IDS_MAX {
            let mut ids = scratch.ids();
            self.bitmaps.iter().for_each(|bitmap| bitmap[chunk].push_ids(&mut ids));
            scratch.sort(&mut ids);
            return ChunkSet::Ids(ids);
        }
        let mut bits = scratch.bits();
        bits.fill(0);
        self.or_into(chunk, &mut bits);
        ChunkSet::Bits(bits)
    }

    pub(super) fn or_into(&self, chunk: usize, bits: &mut Bits) {
        if !self.by_column[chunk] {
            return self.bitmaps.iter().for_each(|bitmap| kernels::or_container(bitmap[chunk], bits));
        }
        let mut marks = [0; PAGE_WORDS];
        for (page, words) in words_of(bits, chunk) {
            self.mark(page, &mut marks);
            words.iter_mut().zip(&marks).for_each(|(word, mark)| *word |= mark);
        }
    }

    pub(super) fn intersect(&self, chunk: usize, bits: &mut Bits) {
        intersect_pages(bits, chunk, |page, marks| self.mark(page, marks));
    }

    pub(super) fn filter(&self, chunk: usize, keep: bool, ids: &mut Vec<u16>) {
        retain_by_code(&self.column, chunk, ids, |page, code| {
            page.value_of(code).is_some_and(|value| self.set.contains(value)) == keep
        });
    }
}

impl ListsLeaf<'_> {
    fn passes(&self, in_stripe: u32) -> bool {
        let list = self.lists.list(in_stripe);
        self.values.iter().any(|value| list.contains(*value))
    }

    pub(super) fn intersect(&self, chunk: usize, bits: &mut Bits) {
        let first = first_of(chunk);
        for (word, first) in bits.iter_mut().zip((first..).step_by(64)) {
            let mut left = *word;
            while left != 0 {
                if !self.passes(first + left.trailing_zeros()) {
                    *word &= !(left & left.wrapping_neg());
                }
                left &= left - 1;
            }
        }
    }

    pub(super) fn filter(&self, chunk: usize, keep: bool, ids: &mut Vec<u16>) {
        ids.retain(|low| self.passes(first_of(chunk) + u32::from(*low)) == keep);
    }
}

impl BucketLeaf {
    /// `low..=high` of `of` buckets: the bucket is the high half of hash × `of`, so it is a range of the hash.
    pub(super) fn new(seed: u64, of: u32, low: u32, high: u32, first_one_id: u32) -> BucketLeaf {
        let least = |bucket: u64| (bucket << 32).div_ceil(of.into());
        let (low, end) = (least(low.into()), least(u64::from(high) + 1));
        BucketLeaf { seed, low: low as u32, span: (end - 1 - low) as u32, first_one_id }
    }

    pub(super) fn intersect(&self, chunk: usize, bits: &mut Bits) {
        let mut hashes = [0; PAGE_PROFILES as usize];
        intersect_pages(bits, chunk, |page, marks| {
            let first = self.first_one_id + page as u32 * PAGE_PROFILES;
            kernels::bucket_hashes(self.seed, first, &mut hashes);
            kernels::range_u32(&hashes, self.low, self.span, marks);
        });
    }

    pub(super) fn filter(&self, chunk: usize, keep: bool, ids: &mut Vec<u16>) {
        let first = self.first_one_id + first_of(chunk);
        ids.retain(|low| {
            let hash = kernels::bucket_hash(self.seed, first + u32::from(*low));
            (hash.wrapping_sub(self.low) <= self.span) == keep
        });
    }
}
