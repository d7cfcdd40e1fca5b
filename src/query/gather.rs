//! The codes and values of some members of a chunk, read from a column page by page.
//! Knows pages and sets; what is done with a code is the caller's.

use storage::column::{Codes, ColumnView, Page};
use storage::ids::{CHUNK_PAGES, PAGE_PROFILES, PAGE_WORDS};

use super::exec::ChunkSet;
use super::kernels::{self, PageBits};

const PAGE: u16 = PAGE_PROFILES as u16;

/// The members of one page.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PageMembers<'a> {
    /// A bit for each place of the page.
    Bits(&'a PageBits),
    /// Sorted ids of the chunk, all of them of this page; few.
    Ids(&'a [u16]),
}

impl PageMembers<'_> {
    /// Those of them that are marked.
    pub(crate) fn count_marked(self, marks: &PageBits) -> u32 {
        match self {
            PageMembers::Bits(bits) => kernels::and_count_page(bits, marks),
            PageMembers::Ids(ids) => ids.iter().map(|low| (marks[slot_of(*low) / 64] >> (low % 64) & 1) as u32).sum(),
        }
    }

    /// Calls `each` with the place in the page of every member.
    #[inline(always)]
    pub(crate) fn for_each_slot(self, each: impl FnMut(usize)) {
        match self {
            PageMembers::Bits(bits) => slots_of(bits).for_each(each),
            PageMembers::Ids(ids) => ids.iter().map(|low| slot_of(*low)).for_each(each),
        }
    }
}

/// Place in its page of an id of the chunk.
pub(crate) fn slot_of(low: u16) -> usize {
    usize::from(low % PAGE)
}

/// Calls `each` with the number in the chunk of every page that has members, and with them.
#[inline(always)]
pub(crate) fn each_page_of_set(set: &ChunkSet, mut each: impl FnMut(usize, PageMembers<'_>)) {
    match set {
        ChunkSet::Ids(ids) => {
            for group in ids.chunk_by(|a, b| a / PAGE == b / PAGE) {
                each(usize::from(group[0] / PAGE), PageMembers::Ids(group));
            }
        }
        ChunkSet::Bits(bits) => {
            for (at, words) in bits.as_chunks::<PAGE_WORDS>().0.iter().enumerate() {
                if words.iter().any(|word| *word != 0) {
                    each(at, PageMembers::Bits(words));
                }
            }
        }
    }
}

/// Calls `each` with every page of a chunk that has members, and with them.
#[inline(always)]
pub(crate) fn each_page<'a>(
    column: &ColumnView<'a>,
    chunk: usize,
    set: &ChunkSet,
    mut each: impl FnMut(&Page<'a>, PageMembers<'_>),
) {
    each_page_of_set(set, |page, members| each(&column.page(chunk * CHUNK_PAGES + page), members));
}

/// Calls `each` with the code of every member of a page; the width of the codes is looked at once.
#[inline(always)]
pub(crate) fn for_each_code(page: &Page<'_>, members: PageMembers<'_>, mut each: impl FnMut(u64)) {
    match page.codes {
        Codes::Constant(code) => members.for_each_slot(|_| each(code)),
        Codes::U8(codes) => members.for_each_slot(|slot| each(codes[slot].into())),
        Codes::U16(codes) => members.for_each_slot(|slot| each(codes[slot].into())),
        Codes::U32(codes) => members.for_each_slot(|slot| each(codes[slot].into())),
        Codes::U64(codes) => members.for_each_slot(|slot| each(codes[slot])),
    }
}

/// Calls `each` with every known value of the members of a page.
#[inline(always)]
pub(crate) fn for_each_value(page: &Page<'_>, members: PageMembers<'_>, mut each: impl FnMut(i64)) {
    for_each_code(page, members, |code| {
        if let Some(value) = page.value_of(code) {
            each(value);
        }
    });
}

/// Keeps the ids whose code passes; the width of the codes is looked at once a page.
#[inline(always)]
pub(crate) fn retain_by_code(
    column: &ColumnView<'_>,
    chunk: usize,
    ids: &mut Vec<u16>,
    mut passes: impl FnMut(&Page<'_>, u64) -> bool,
) {
    let (mut from, mut kept) = (0, 0);
    while from < ids.len() {
        let page_number = ids[from] / PAGE;
        let to = from + ids[from..].partition_point(|low| low / PAGE == page_number);
        let page = column.page(chunk * CHUNK_PAGES + usize::from(page_number));
        for at in from..to {
            let low = ids[at];
            ids[kept] = low;
            kept = usize::wrapping_add(kept, passes(&page, page.code(usize::from(low % PAGE))).into());
        }
        from = to;
    }
    ids.truncate(kept);
}

/// Places set in the bits of a page.
pub(crate) fn slots_of(bits: &PageBits) -> impl Iterator<Item = usize> {
    Slots { words: bits, at: 0, left: bits[0] }
}

struct Slots<'a> {
    words: &'a [u64; PAGE_WORDS],
    at: usize,
    left: u64,
}

impl Iterator for Slots<'_> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.left == 0 {
            self.at += 1;
            self.left = *self.words.get(self.at)?;
        }
        let bit = self.left.trailing_zeros();
        self.left &= self.left - 1;
        Some(self.at * 64 + bit as usize)
    }
}
