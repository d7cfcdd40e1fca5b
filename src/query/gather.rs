//! The codes and values of some members of a chunk, read from a column page by page.
//! Knows pages and sets; what is done with a code is the caller's.

use storage::column::{Codes, ColumnView, Page};
use storage::ids::{CHUNK_PAGES, PAGE_PROFILES, PAGE_WORDS};

use super::exec::MembersRef;
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
    /// How many they are.
    fn count(self) -> u32 {
        match self {
            PageMembers::Bits(bits) => kernels::and_count_page(bits, bits),
            PageMembers::Ids(ids) => ids.len() as u32,
        }
    }

    /// Those of them that are marked.
    pub(crate) fn count_marked(self, marks: &PageBits) -> u32 {
        match self {
            PageMembers::Bits(bits) => kernels::and_count_page(bits, marks),
            PageMembers::Ids(ids) => ids.iter().map(|low| (marks[slot_of(*low) / 64] >> (low % 64) & 1) as u32).sum(),
        }
    }

    /// Calls `each` with the place in the page of every member.
    #[inline(always)]
    pub(crate) fn for_each_slot(self, mut each: impl FnMut(usize)) {
        match self {
            PageMembers::Bits(bits) => for_each_place(bits, each),
            PageMembers::Ids(ids) => ids.iter().for_each(|low| each(slot_of(*low))),
        }
    }
}

/// Words whose places are listed at once.
const LISTED_WORDS: usize = 16;

/// Calls `each` with every place set. A loop over a list of them is not mispredicted, as one over the bits would be.
#[inline(always)]
fn for_each_place(bits: &PageBits, mut each: impl FnMut(usize)) {
    for_each_list(bits, |first, places| places.iter().for_each(|place| each(first + usize::from(*place))));
}

/// Calls `each` with lists of the places set: where each list begins, and the places from there on.
#[inline(always)]
fn for_each_list(bits: &PageBits, mut each: impl FnMut(usize, &[u16])) {
    let mut places = [0; LISTED_WORDS * 64 + kernels::WRITTEN_BEYOND];
    for (words, first) in bits.chunks_exact(LISTED_WORDS).zip((0..).step_by(LISTED_WORDS * 64)) {
        let count = kernels::write_bits(words, &mut places);
        each(first, &places[..count]);
    }
}

/// Place in its page of an id of the chunk.
pub(crate) fn slot_of(low: u16) -> usize {
    usize::from(low % PAGE)
}

/// Calls `each` with the number in the chunk of every page that has members, and with them.
#[inline(always)]
pub(crate) fn each_page_of_set(set: MembersRef<'_>, mut each: impl FnMut(usize, PageMembers<'_>)) {
    match set {
        MembersRef::Ids(ids) => {
            for group in ids.chunk_by(|a, b| a / PAGE == b / PAGE) {
                each(usize::from(group[0] / PAGE), PageMembers::Ids(group));
            }
        }
        MembersRef::Bits(bits) => {
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
    set: MembersRef<'_>,
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

/// Appends the known values of the members of a page. Nothing hangs on a branch: after what is unknown the next one is
/// written to the same place.
pub(crate) fn push_known(page: &Page<'_>, members: PageMembers<'_>, values: &mut Vec<i64>) {
    let before = values.len();
    values.resize(before + members.count() as usize, 0);
    let (out, base) = (&mut values[before..], page.base.wrapping_sub(1));
    let kept = match page.codes {
        Codes::Constant(0) => 0,
        Codes::Constant(code) => {
            out.fill(base.wrapping_add(code as i64));
            out.len()
        }
        Codes::U8(codes) => write_known(codes, base, members, out),
        Codes::U16(codes) => write_known(codes, base, members, out),
        Codes::U32(codes) => write_known(codes, base, members, out),
        Codes::U64(codes) => write_known(codes, base, members, out),
    };
    values.truncate(before + kept);
}

#[inline(always)]
fn write_known<C: Copy + Into<u64>>(codes: &[C], base: i64, members: PageMembers<'_>, out: &mut [i64]) -> usize {
    let codes: &[C; PAGE_PROFILES as usize] = codes.as_array().expect("a page has a code for each of its profiles");
    let mut kept = 0usize;
    members.for_each_slot(|slot| {
        let code: u64 = codes[slot].into();
        out[kept] = base.wrapping_add(code as i64);
        kept = kept.wrapping_add((code != 0).into());
    });
    kept
}

/// Counters by code, in four tables taken in turn: an increment need not wait for the one before of the same code.
pub(crate) struct CodeCounts {
    tables: [Vec<u32>; 4],
}

impl CodeCounts {
    /// For codes below `codes`. No code may be met more than 2^32 times.
    pub(crate) fn new(codes: usize) -> CodeCounts {
        CodeCounts { tables: std::array::from_fn(|_| vec![0; codes]) }
    }

    /// Counts one code.
    #[inline(always)]
    pub(crate) fn add(&mut self, code: usize) {
        self.add_times(code, 1);
    }

    /// Counts the codes of the members of a page, each of them `shift` further up; the unknown as they are.
    pub(crate) fn add_page(&mut self, page: &Page<'_>, members: PageMembers<'_>, shift: usize) {
        match page.codes {
            Codes::Constant(code) => members.for_each_slot(|_| self.add(shifted(code, shift))),
            Codes::U8(codes) => self.add_codes(codes, members, shift),
            Codes::U16(codes) => self.add_codes(codes, members, shift),
            Codes::U32(codes) => self.add_codes(codes, members, shift),
            Codes::U64(codes) => members.for_each_slot(|slot| self.add(shifted(codes[slot], shift))),
        }
    }

    #[inline(always)]
    fn add_codes<C: Copy + Into<u64>>(&mut self, codes: &[C], members: PageMembers<'_>, shift: usize) {
        let PageMembers::Bits(bits) = members else {
            return members.for_each_slot(|slot| self.add(shifted(codes[slot].into(), shift)));
        };
        let tables = self.tables.each_mut().map(|table| &mut table[..]);
        for_each_list(bits, |first, places| {
            let (fours, rest) = places.as_chunks::<4>();
            let code = |place: u16| shifted(codes[first + usize::from(place)].into(), shift);
            for four in fours {
                for at in 0..4 {
                    let code = code(four[at]);
                    tables[at][code] = tables[at][code].wrapping_add(1);
                }
            }
            for place in rest {
                let code = code(*place);
                tables[0][code] = tables[0][code].wrapping_add(1);
            }
        });
    }

    /// Counts the codes of everyone of a page, each of them `shift` further up; the unknown as they are.
    pub(crate) fn add_everyone(&mut self, page: &Page<'_>, shift: usize) {
        match page.codes {
            Codes::Constant(code) => self.add_times(shifted(code, shift), PAGE_PROFILES),
            Codes::U8(codes) => self.add_all(codes, shift),
            Codes::U16(codes) => self.add_all(codes, shift),
            Codes::U32(codes) => self.add_all(codes, shift),
            Codes::U64(codes) => self.add_all(codes, shift),
        }
    }

    #[inline(always)]
    fn add_all<C: Copy + Into<u64>>(&mut self, codes: &[C], shift: usize) {
        let tables = self.tables.each_mut().map(|table| &mut table[..]);
        for four in codes.as_chunks::<4>().0 {
            for at in 0..4 {
                let code = shifted(four[at].into(), shift);
                tables[at][code] = tables[at][code].wrapping_add(1);
            }
        }
    }

    /// Counts a code several times.
    pub(crate) fn add_times(&mut self, code: usize, times: u32) {
        self.tables[0][code] = self.tables[0][code].wrapping_add(times);
    }

    /// How many were met, by code.
    pub(crate) fn into_counts(self) -> impl Iterator<Item = u64> {
        let [a, b, c, d] = self.tables;
        let pairs = a.into_iter().zip(b).zip(c.into_iter().zip(d));
        pairs.map(|((a, b), (c, d))| u64::from(a) + u64::from(b) + u64::from(c) + u64::from(d))
    }

    /// Both together.
    pub(crate) fn merge(mut self, other: CodeCounts) -> CodeCounts {
        for (all, other) in self.tables.iter_mut().zip(other.tables) {
            all.iter_mut().zip(other).for_each(|(all, other)| *all += other);
        }
        self
    }
}

/// A code so much further up; that of the unknown as it is.
#[inline(always)]
pub(crate) fn shifted(code: u64, shift: usize) -> usize {
    if code == 0 { 0 } else { (code as usize).wrapping_add(shift) }
}

/// Keeps the ids whose code passes.
#[inline(always)]
pub(crate) fn retain_by_code(
    column: &ColumnView<'_>,
    chunk: usize,
    ids: &mut Vec<u16>,
    mut passes: impl FnMut(&Page<'_>, u64) -> bool,
) {
    retain_by_page(column, chunk, ids, |page, ids, of_page, kept| {
        retain_at(ids, of_page, kept, |slot| passes(page, page.code(slot)))
    });
}

/// Keeps the ids whose code lies in its page's range, or those whose code does not; the width of the codes is looked at
/// once a page. A page without a range has no code in it.
pub(crate) fn retain_by_range(
    column: &ColumnView<'_>,
    chunk: usize,
    keep: bool,
    ids: &mut Vec<u16>,
    range: impl Fn(&Page<'_>) -> Option<(u64, u64)>,
) {
    retain_by_page(column, chunk, ids, |page, ids, of_page, kept| {
        let Some((low, high)) = range(page) else {
            return retain_at(ids, of_page, kept, |_| !keep);
        };
        let passes = |code: u64| (code.wrapping_sub(low) <= high - low) == keep;
        match page.codes {
            Codes::Constant(code) => retain_at(ids, of_page, kept, |_| passes(code)),
            Codes::U8(codes) => retain_at(ids, of_page, kept, |slot| passes(codes[slot].into())),
            Codes::U16(codes) => retain_at(ids, of_page, kept, |slot| passes(codes[slot].into())),
            Codes::U32(codes) => retain_at(ids, of_page, kept, |slot| passes(codes[slot].into())),
            Codes::U64(codes) => retain_at(ids, of_page, kept, |slot| passes(codes[slot])),
        }
    });
}

/// Calls `retain` with every page that has ids, all ids, which of them are the page's and how many have been kept before;
/// it gives how many have been kept then.
#[inline(always)]
fn retain_by_page(
    column: &ColumnView<'_>,
    chunk: usize,
    ids: &mut Vec<u16>,
    mut retain: impl FnMut(&Page<'_>, &mut [u16], std::ops::Range<usize>, usize) -> usize,
) {
    let (mut from, mut kept) = (0, 0);
    while from < ids.len() {
        let page_number = ids[from] / PAGE;
        let to = from + ids[from..].partition_point(|low| low / PAGE == page_number);
        let page = column.page(chunk * CHUNK_PAGES + usize::from(page_number));
        kept = retain(&page, ids, from..to, kept);
        from = to;
    }
    ids.truncate(kept);
}

/// Moves the ids of a page whose place passes to behind those that were kept before, without a branch.
#[inline(always)]
fn retain_at(
    ids: &mut [u16],
    of_page: std::ops::Range<usize>,
    mut kept: usize,
    mut passes: impl FnMut(usize) -> bool,
) -> usize {
    for at in of_page {
        let low = ids[at];
        ids[kept] = low;
        kept = usize::wrapping_add(kept, passes(slot_of(low)).into());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn known_values_are_those_that_are_met_one_by_one(
            (width, base) in (0usize..5, -70_000i64..70_000),
            unknown_of in 1u64..5,
            step in 1usize..900,
            seed in any::<u64>(),
        ) {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state >> 33
            };
            let codes: Vec<u64> =
                (0..PAGE).map(|_| if next() % unknown_of == 0 { 0 } else { next() % 255 + 1 }).collect();
            let u8s: Vec<u8> = codes.iter().map(|code| *code as u8).collect();
            let u16s: Vec<u16> = codes.iter().map(|code| *code as u16).collect();
            let u32s: Vec<u32> = codes.iter().map(|code| *code as u32).collect();
            let codes = match width {
                0 => Codes::Constant(next() % 3),
                1 => Codes::U8(&u8s),
                2 => Codes::U16(&u16s),
                3 => Codes::U32(&u32s),
                _ => Codes::U64(&codes),
            };
            let page = Page { base, max_code: 255, codes };
            let ids: Vec<u16> = (0..PAGE).step_by(step).map(|slot| slot + 3 * PAGE).collect();
            let mut bits = [0; PAGE_WORDS];
            ids.iter().for_each(|low| bits[slot_of(*low) / 64] |= 1 << (low % 64));
            let mut wanted = vec![7];
            for_each_value(&page, PageMembers::Ids(&ids), |value| wanted.push(value));
            for members in [PageMembers::Ids(&ids), PageMembers::Bits(&bits), PageMembers::Ids(&[])] {
                let mut values = vec![7];
                push_known(&page, members, &mut values);
                let is_nobody = matches!(members, PageMembers::Ids([]));
                prop_assert_eq!(&values[..], if is_nobody { &wanted[..1] } else { &wanted[..] });
            }
        }
    }
}
