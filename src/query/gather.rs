//! The codes and values of some members of a chunk, read from a column page by page.
//! Knows pages and sets; what is done with a code is the caller's.

use storage::column::{Codes, ColumnView, Page};
use storage::ids::{CHUNK_PAGES, PAGE_PROFILES, PAGE_WORDS};

use super::exec::ChunkSet;

const PAGE: u16 = PAGE_PROFILES as u16;

/// Calls `each` with the id in the chunk, the page and the code of every member, ascending by id.
#[inline(always)]
pub(crate) fn for_each_code(
    column: &ColumnView<'_>,
    chunk: usize,
    set: &ChunkSet,
    mut each: impl FnMut(u16, &Page<'_>, u64),
) {
    match set {
        ChunkSet::Ids(ids) => {
            for group in ids.chunk_by(|a, b| a / PAGE == b / PAGE) {
                let page = column.page(chunk * CHUNK_PAGES + usize::from(group[0] / PAGE));
                let slots = group.iter().map(|low| (*low, usize::from(low % PAGE)));
                in_page(&page, slots, &mut each);
            }
        }
        ChunkSet::Bits(bits) => {
            for (at, words) in bits.as_chunks::<PAGE_WORDS>().0.iter().enumerate() {
                let page = column.page(chunk * CHUNK_PAGES + at);
                let first = at as u16 * PAGE;
                in_page(&page, Slots::of(words).map(|slot| (first + slot, usize::from(slot))), &mut each);
            }
        }
    }
}

/// Calls `each` with every known value of the members.
#[inline(always)]
pub(crate) fn for_each_value(column: &ColumnView<'_>, chunk: usize, set: &ChunkSet, mut each: impl FnMut(u16, i64)) {
    for_each_code(column, chunk, set, |low, page, code| {
        if let Some(value) = page.value_of(code) {
            each(low, value);
        }
    });
}

/// The width of the codes is looked at once a page, not once an id.
#[inline(always)]
fn in_page(page: &Page<'_>, slots: impl Iterator<Item = (u16, usize)>, each: &mut impl FnMut(u16, &Page<'_>, u64)) {
    match page.codes {
        Codes::Constant(code) => slots.for_each(|(low, _)| each(low, page, code)),
        Codes::U8(codes) => slots.for_each(|(low, slot)| each(low, page, codes[slot].into())),
        Codes::U16(codes) => slots.for_each(|(low, slot)| each(low, page, codes[slot].into())),
        Codes::U32(codes) => slots.for_each(|(low, slot)| each(low, page, codes[slot].into())),
        Codes::U64(codes) => slots.for_each(|(low, slot)| each(low, page, codes[slot])),
    }
}

/// Slots that are set in the words of a page.
struct Slots<'a> {
    words: &'a [u64; PAGE_WORDS],
    at: usize,
    left: u64,
}

impl Slots<'_> {
    fn of(words: &[u64; PAGE_WORDS]) -> Slots<'_> {
        Slots { words, at: 0, left: words[0] }
    }
}

impl Iterator for Slots<'_> {
    type Item = u16;

    #[inline(always)]
    fn next(&mut self) -> Option<u16> {
        while self.left == 0 {
            self.at += 1;
            self.left = *self.words.get(self.at)?;
        }
        let bit = self.left.trailing_zeros();
        self.left &= self.left - 1;
        Some(self.at as u16 * 64 + bit as u16)
    }
}
