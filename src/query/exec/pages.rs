//! Rows of one page: whose some of them are, and their values; in loops that hang on no branch.
//! Knows pages, places and bits; which rows pass is `rows`' matter.

use storage::column::{Codes, Page};
use storage::ids::{CHUNK_PROFILES, PAGE_PROFILES, PAGE_WORDS};

use super::sets::Counters;
use crate::query::kernels::{self, PageBits};

/// Stands for an unknown value of a gathered row.
pub(crate) const UNKNOWN: i64 = i64::MIN;

/// Rows of a page.
pub(super) const PAGE: usize = PAGE_PROFILES as usize;
/// The last place of a page; as a mask it tells the compiler that a place is none beyond.
const LAST: usize = PAGE - 1;

/// Every row of a page.
pub(super) const ALL: PageBits = [u64::MAX; PAGE_WORDS];

/// Rows of a page that pass, and their values.
pub(crate) struct ValuePage<'p, 'a> {
    pub(super) owners: Page<'a>,
    pub(super) codes: Page<'a>,
    /// Where they are; `None` is everywhere.
    pub(super) places: Option<&'p [u16]>,
}

impl<'a> ValuePage<'_, 'a> {
    /// How many rows.
    pub(super) fn len(&self) -> usize {
        self.places.map_or(PAGE_PROFILES as usize, <[u16]>::len)
    }

    /// No value is less than the first or more than the second.
    pub(super) fn bounds(&self) -> (i64, i64) {
        (self.codes.base, self.codes.base.saturating_add_unsigned(self.codes.max_code))
    }

    /// Appends whose they are, and their values.
    pub(crate) fn push(&self, lows: &mut Vec<u16>, values: &mut Vec<i64>) {
        self.push_owners(lows);
        match self.places {
            Some(places) => push_values(&self.codes, places, values),
            None => self.for_each(|_, value| values.push(value)),
        }
    }

    /// Appends them as `owner << 16 | value`, where values are of 16 bits and `least` stands as 1, and counts them.
    pub(super) fn push_small(&self, least: i64, rows: &mut Vec<u32>, counters: &mut Counters) {
        let (base, before) = (self.codes.base.wrapping_sub(least) as u16, rows.len());
        rows.resize(before + self.len(), 0);
        let rows = &mut rows[before..];
        self.fold(0usize, |at, low, code| {
            if let Some(row) = rows.get_mut(at) {
                *row = u32::from(low) << 16 | u32::from(base.wrapping_add(code as u16));
            }
            let counter = &mut counters[usize::from(low)];
            *counter = counter.saturating_add(1);
            at.wrapping_add(1)
        });
    }

    /// Appends whose they are.
    pub(super) fn push_owners(&self, lows: &mut Vec<u16>) {
        match self.places {
            Some(places) => push_lows(&self.owners, places, lows),
            None => self.fold_slots((), |(), low, _| lows.push(low)),
        }
    }

    /// Calls `each` with whose every row is, as a place in the chunk, and with its value.
    #[inline(always)]
    pub(crate) fn for_each(&self, mut each: impl FnMut(u16, i64)) {
        let base = self.codes.base.wrapping_sub(1);
        self.for_each_code(|low, code| each(low, base.wrapping_add(code as i64)));
    }

    /// Calls `each` with whose every row is, as a place in the chunk, and with its code.
    #[inline(always)]
    pub(super) fn for_each_code(&self, mut each: impl FnMut(u16, u64)) {
        self.fold((), |(), low, code| each(low, code));
    }

    /// Goes through whose every row is, as a place in the chunk, and its code; what goes from row to row stays in a register.
    #[inline(always)]
    fn fold<A>(&self, start: A, mut each: impl FnMut(A, u16, u64) -> A) -> A {
        match self.codes.codes {
            Codes::U8(codes) => {
                let codes = whole(codes);
                self.fold_slots(start, |all, low, slot| each(all, low, codes[slot].into()))
            }
            Codes::U16(codes) => {
                let codes = whole(codes);
                self.fold_slots(start, |all, low, slot| each(all, low, codes[slot].into()))
            }
            Codes::U32(codes) => {
                let codes = whole(codes);
                self.fold_slots(start, |all, low, slot| each(all, low, codes[slot].into()))
            }
            _ => self.fold_slots(start, |all, low, slot| each(all, low, self.codes.code(slot))),
        }
    }

    /// Goes through whose every row is, and its place in the page.
    #[inline(always)]
    fn fold_slots<A>(&self, start: A, each: impl FnMut(A, u16, usize) -> A) -> A {
        fold_owners(&self.owners, self.places, start, each)
    }
}

// A place in a chunk is the low half of a place in the stripe.
const _: () = assert!(CHUNK_PROFILES == 1 << 16);

/// Where the places of the rows that pass are written, page by page.
pub(super) struct Places(pub(super) kernels::PagePlaces);

impl Default for Places {
    fn default() -> Places {
        Places([0; PAGE_PROFILES as usize + 32])
    }
}

impl Places {
    /// Where the rows are that are marked, listed whatever they are.
    pub(super) fn list(&mut self, rows: &PageBits) -> &[u16] {
        let count = kernels::write_places(rows, &mut self.0);
        &self.0[..count]
    }

    /// Where the rows are that are marked; `None` is everywhere.
    pub(super) fn of(&mut self, rows: &PageBits) -> Option<&[u16]> {
        if *rows == ALL {
            return None;
        }
        Some(self.list(rows))
    }
}

/// Calls `each` with the owner of every one of some rows of a page.
#[inline(always)]
pub(super) fn for_each_owner(owners: &Page<'_>, rows: &PageBits, places: &mut Places, mut each: impl FnMut(u16)) {
    fold_owners(owners, places.of(rows), (), |(), low, _| each(low));
}

/// Goes through the owner of every row at some places of a page, and the place.
#[inline(always)]
fn fold_owners<A>(owners: &Page<'_>, places: Option<&[u16]>, start: A, mut each: impl FnMut(A, u16, usize) -> A) -> A {
    let base = (owners.base as u64).wrapping_sub(1) as u16;
    match owners.codes {
        Codes::U16(codes) => {
            let codes = whole(codes);
            fold_places(places, start, |all, slot| each(all, base.wrapping_add(codes[slot]), slot))
        }
        _ => fold_places(places, start, |all, slot| each(all, base.wrapping_add(owners.code(slot) as u16), slot)),
    }
}

/// The codes of a page, which the compiler then knows to be so many.
#[inline(always)]
fn whole<T>(codes: &[T]) -> &[T; PAGE] {
    codes.as_array().expect("a page has a code for each of its rows")
}

/// Some places of a page, or all of them. A loop over a list of them is not mispredicted, as one over bits would be.
#[inline(always)]
fn fold_places<A>(places: Option<&[u16]>, start: A, mut each: impl FnMut(A, usize) -> A) -> A {
    match places {
        None => (0..=LAST).fold(start, each),
        Some(places) => places.iter().fold(start, |all, slot| each(all, usize::from(*slot) & LAST)),
    }
}

/// Appends the owners of the rows at some places of a page.
pub(super) fn push_lows(owners: &Page<'_>, places: &[u16], lows: &mut Vec<u16>) {
    let base = (owners.base as u64).wrapping_sub(1) as u16;
    match owners.codes {
        Codes::U16(codes) => {
            let codes = whole(codes);
            lows.extend(places.iter().map(|slot| base.wrapping_add(codes[usize::from(*slot) & LAST])));
        }
        _ => lows.extend(places.iter().map(|slot| base.wrapping_add(owners.code(usize::from(*slot)) as u16))),
    }
}

/// Appends the values at some places of a page, [`UNKNOWN`] where one is.
pub(super) fn push_values(page: &Page<'_>, places: &[u16], values: &mut Vec<i64>) {
    let base = page.base.wrapping_sub(1);
    let value = |code: u64| if code == 0 { UNKNOWN } else { base.wrapping_add(code as i64) };
    let slots = places.iter().map(|slot| usize::from(*slot) & LAST);
    match page.codes {
        Codes::Constant(code) => values.extend(slots.map(|_| value(code))),
        Codes::U8(codes) => values.extend(slots.map(|slot| value(whole(codes)[slot].into()))),
        Codes::U16(codes) => values.extend(slots.map(|slot| value(whole(codes)[slot].into()))),
        Codes::U32(codes) => values.extend(slots.map(|slot| value(whole(codes)[slot].into()))),
        Codes::U64(codes) => values.extend(slots.map(|slot| value(whole(codes)[slot]))),
    }
}

/// Clears the bits before one place and from another on.
pub(super) fn keep_between(bits: &mut PageBits, from: u32, to: u32) {
    for (word, first) in bits.iter_mut().zip((0..).step_by(64)) {
        if from > first {
            *word &= u64::MAX.checked_shl(from - first).unwrap_or(0);
        }
        if to < first + 64 {
            *word &= if to > first { u64::MAX >> (first + 64 - to) } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_between_are_kept() {
        for (from, to) in [(0, 4096), (0, 0), (1, 4095), (63, 65), (64, 128), (100, 101), (4095, 4096), (7, 7)] {
            let mut bits = ALL;
            keep_between(&mut bits, from, to);
            for slot in 0..4096u32 {
                let is = bits[slot as usize / 64] >> (slot % 64) & 1 == 1;
                assert_eq!(is, (from..to).contains(&slot), "{slot} of {from}..{to}");
            }
        }
    }
}
