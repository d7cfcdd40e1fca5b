//! The forward column of one field in one stripe: a code for each OneID, in pages; mapped, with changed pages owned.
//! Knows codes as numbers; whether a code is a value of a category, a number or a day is the field's matter.
//!
//! ```text
//!   page  = 4,096 codes of one width, frame of reference `base`:  code 0 = unknown, else value = base + code - 1
//!   part  = page_count:u32 0:u32 entry{page_count} pad64 codes
//!   entry = base:i64 max_code:u64 at:u32 (64-byte units) width:u32 (0: all codes equal max_code; 1, 2, 4, 8)
//! ```
//! One comparison `code - low <= high - low` answers a range and leaves unknown out; `base` and `max_code` bound a
//! page so that it can be skipped. Numbers stay within ±2^62, so codes never overflow.

use std::sync::Arc;

use crate::codec::{pad_to, put_u32, put_u64};
use crate::error::Result;
use crate::ids::{PAGE_PROFILES, STRIPE_PAGES};
use crate::pack::{PART_ALIGN, Part};

/// Largest magnitude of a number kept in a column.
pub const NUMBER_MAX: i64 = (1 << 62) - 1;
const PAGE: usize = PAGE_PROFILES as usize;
const ENTRY_BYTES: usize = 24;
const HEADER_BYTES: usize = 8;

/// Codes of a page, borrowed.
#[derive(Debug, Clone, Copy)]
pub enum Codes<'a> {
    /// Every profile of the page has this one.
    Constant(u64),
    /// One byte each.
    U8(&'a [u8]),
    /// Two bytes each.
    U16(&'a [u16]),
    /// Four bytes each.
    U32(&'a [u32]),
    /// Eight bytes each.
    U64(&'a [u64]),
}

impl Codes<'_> {
    /// Bytes of each code; a constant takes none.
    pub fn width(self) -> usize {
        match self {
            Codes::Constant(_) => 0,
            Codes::U8(_) => 1,
            Codes::U16(_) => 2,
            Codes::U32(_) => 4,
            Codes::U64(_) => 8,
        }
    }
}

/// One page, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// Value of code 1.
    pub base: i64,
    /// No code of the page is larger.
    pub max_code: u64,
    /// 4,096 of them.
    pub codes: Codes<'a>,
}

impl Page<'_> {
    /// A page of unknowns.
    pub const UNKNOWN: Page<'static> = Page { base: 0, max_code: 0, codes: Codes::Constant(0) };

    /// Least and greatest value that can be known: every value lies within, though not each of the two is taken. `None`
    /// where nothing is known.
    #[inline]
    pub fn bounds(&self) -> Option<(i64, i64)> {
        (self.max_code > 0).then(|| (self.base, self.base.saturating_add_unsigned(self.max_code - 1)))
    }

    /// Code at a place.
    #[inline]
    pub fn code(&self, slot: usize) -> u64 {
        match self.codes {
            Codes::Constant(code) => code,
            Codes::U8(codes) => codes[slot].into(),
            Codes::U16(codes) => codes[slot].into(),
            Codes::U32(codes) => codes[slot].into(),
            Codes::U64(codes) => codes[slot],
        }
    }

    /// Value at a place; `None` is unknown.
    #[inline]
    pub fn value(&self, slot: usize) -> Option<i64> {
        self.value_of(self.code(slot))
    }

    /// Appends the values of the first `count` slots, [`UNKNOWN_VALUE`] where none is known.
    fn push_values(&self, count: usize, out: &mut Vec<i64>) {
        let before = self.base.wrapping_sub(1);
        let value = |code: u64| if code == 0 { UNKNOWN_VALUE } else { before.wrapping_add(code as i64) };
        match self.codes {
            Codes::Constant(code) => out.extend(std::iter::repeat_n(value(code), count)),
            Codes::U8(codes) => out.extend(codes[..count].iter().map(|code| value((*code).into()))),
            Codes::U16(codes) => out.extend(codes[..count].iter().map(|code| value((*code).into()))),
            Codes::U32(codes) => out.extend(codes[..count].iter().map(|code| value((*code).into()))),
            Codes::U64(codes) => out.extend(codes[..count].iter().map(|code| value(*code))),
        }
    }

    /// Value that a code stands for.
    #[inline]
    pub fn value_of(&self, code: u64) -> Option<i64> {
        (code > 0).then(|| self.base.wrapping_add(code as i64 - 1))
    }
}

#[derive(Debug, Clone)]
enum OwnedCodes {
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
}

#[derive(Debug, Clone)]
struct OwnedPage {
    base: i64,
    max_code: u64,
    codes: OwnedCodes,
}

/// The column of one field in one stripe.
#[derive(Debug, Clone, Default)]
pub struct StripeColumn {
    base: Option<Arc<Part>>,
    /// Empty, or one a page.
    owned: Vec<Option<Arc<OwnedPage>>>,
}

/// A verified column, ready to read.
#[derive(Debug, Clone, Copy)]
pub struct ColumnView<'a> {
    entries: &'a [[u64; 3]],
    codes: &'a [u8],
    owned: &'a [Option<Arc<OwnedPage>>],
}

/// Stands for an unknown value where values are plain numbers.
pub(crate) const UNKNOWN_VALUE: i64 = i64::MIN;

/// A new value (or unknown) of a profile: its place in the page, and what it becomes.
pub(crate) type PageChange = (u16, Option<i64>);

impl StripeColumn {
    /// The column as a store snapshot has it.
    pub fn mapped(part: Arc<Part>) -> StripeColumn {
        StripeColumn { base: Some(part), owned: Vec::new() }
    }

    /// The mapped part below, if any.
    pub fn base(&self) -> Option<&Arc<Part>> {
        self.base.as_ref()
    }

    /// Whether nothing has changed since the part was written.
    pub fn is_mapped_only(&self) -> bool {
        self.owned.is_empty()
    }

    /// Bytes of owned pages.
    pub fn owned_bytes(&self) -> usize {
        self.owned.len() * 8 + self.owned.iter().flatten().map(|p| p.codes.width() * PAGE + 80).sum::<usize>()
    }

    /// Verifies the part (once) and gives what can be read.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn open(&self) -> Result<ColumnView<'_>> {
        let (entries, codes) = match &self.base {
            None => (&[][..], &[][..]),
            Some(part) => read_part(part.bytes_checked(check_part)?).unwrap_or((&[], &[])),
        };
        Ok(ColumnView { entries, codes, owned: &self.owned })
    }

    /// Applies changes to one page, in order; `fixed_base` keeps categories at base 0.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] from the part below.
    pub(crate) fn apply(&mut self, page: usize, changes: &[PageChange], fixed_base: bool) -> Result<()> {
        let mut owned = match self.owned.get_mut(page).and_then(Option::take) {
            Some(owned) => owned,
            None => Arc::new(OwnedPage::copy_of(&self.open()?.page(page))),
        };
        if self.owned.is_empty() {
            self.owned.resize(STRIPE_PAGES, None);
        }
        Arc::make_mut(&mut owned).apply(changes, fixed_base);
        self.owned[page] = Some(owned);
        Ok(())
    }

    /// The part that a store snapshot keeps, each page in its narrowest width; `None` when all is unknown.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] from the part below.
    pub(crate) fn encode(&self, fixed_base: bool) -> Result<Option<Vec<u8>>> {
        let view = self.open()?;
        let pages: Vec<OwnedPage> =
            (0..view.page_count()).map(|p| OwnedPage::narrowed(&view.page(p), fixed_base)).collect();
        let Some(last) = pages.iter().rposition(|p| p.max_code > 0) else { return Ok(None) };
        let pages = &pages[..=last];
        let codes_at = (HEADER_BYTES + pages.len() * ENTRY_BYTES).next_multiple_of(PART_ALIGN);
        let mut out = Vec::with_capacity(codes_at + pages.iter().map(|p| p.codes.width() * PAGE).sum::<usize>());
        put_u32(&mut out, pages.len() as u32);
        put_u32(&mut out, 0);
        let mut at = 0;
        for page in pages {
            let width = if page.is_constant() { 0 } else { page.codes.width() };
            put_u64(&mut out, page.base as u64);
            put_u64(&mut out, page.max_code);
            put_u32(&mut out, at);
            put_u32(&mut out, width as u32);
            at += (width * PAGE / PART_ALIGN) as u32;
        }
        pad_to(&mut out, PART_ALIGN);
        pages.iter().filter(|p| !p.is_constant()).for_each(|p| p.codes.put(&mut out));
        Ok(Some(out))
    }
}

impl<'a> ColumnView<'a> {
    /// Nothing is known of anyone.
    pub const UNKNOWN: ColumnView<'static> = ColumnView { entries: &[], codes: &[], owned: &[] };

    /// A column that lies in some bytes as [`encode_values`] wrote it; none at all is all unknown.
    pub(crate) fn over(bytes: &'a [u8]) -> Option<ColumnView<'a>> {
        if bytes.is_empty() {
            return Some(ColumnView::UNKNOWN);
        }
        let (entries, codes) = read_part(bytes)?;
        Some(ColumnView { entries, codes, owned: &[] })
    }

    /// Whether every page lies within the codes.
    pub(crate) fn is_sound(&self) -> bool {
        self.entries.iter().all(|entry| mapped_page(entry, self.codes).is_some())
    }

    /// Pages that may hold something known.
    #[inline]
    pub fn page_count(&self) -> usize {
        self.entries.len().max(self.owned.len())
    }

    /// A page of the stripe; beyond the last, everyone is unknown.
    #[inline]
    pub fn page(&self, page: usize) -> Page<'a> {
        if let Some(Some(owned)) = self.owned.get(page) {
            return owned.as_page();
        }
        self.entries.get(page).and_then(|entry| mapped_page(entry, self.codes)).unwrap_or(Page::UNKNOWN)
    }

    /// Bounds of some pages, as of one; by their heads alone.
    pub fn bounds(&self, pages: std::ops::Range<usize>) -> Option<(i64, i64)> {
        pages.filter_map(|page| self.page(page).bounds()).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Code of a place in the stripe.
    #[inline]
    pub fn code(&self, in_stripe: u32) -> u64 {
        self.page((in_stripe / PAGE_PROFILES) as usize).code((in_stripe % PAGE_PROFILES) as usize)
    }

    /// Value of a place in the stripe; `None` is unknown.
    #[inline]
    pub fn value(&self, in_stripe: u32) -> Option<i64> {
        self.page((in_stripe / PAGE_PROFILES) as usize).value((in_stripe % PAGE_PROFILES) as usize)
    }

    /// Appends the values of the first `count` places, [`UNKNOWN_VALUE`] where none is known.
    pub(crate) fn push_values(&self, count: usize, out: &mut Vec<i64>) {
        for first in (0..count).step_by(PAGE) {
            self.page(first / PAGE).push_values(PAGE.min(count - first), out);
        }
    }
}

impl OwnedPage {
    fn copy_of(page: &Page<'_>) -> OwnedPage {
        let codes = match page.codes {
            Codes::Constant(code) => OwnedCodes::of_width(width_for(code), &|_| code),
            Codes::U8(codes) => OwnedCodes::U8(codes.to_vec()),
            Codes::U16(codes) => OwnedCodes::U16(codes.to_vec()),
            Codes::U32(codes) => OwnedCodes::U32(codes.to_vec()),
            Codes::U64(codes) => OwnedCodes::U64(codes.to_vec()),
        };
        OwnedPage { base: page.base, max_code: page.max_code, codes }
    }

    /// The same page with the least base (unless fixed) and the narrowest codes.
    fn narrowed(page: &Page<'_>, fixed_base: bool) -> OwnedPage {
        let codes = (0..PAGE).map(|slot| page.code(slot));
        let (least, max) = codes.fold((u64::MAX, 0), |(lo, hi), c| (if c > 0 { lo.min(c) } else { lo }, hi.max(c)));
        let shift = if fixed_base || max == 0 { 0 } else { least - 1 };
        let max_code = max - shift.min(max);
        let base = if max == 0 { 0 } else { page.base.wrapping_add(shift as i64) };
        let code_at = |slot: usize| match page.code(slot) {
            0 => 0,
            code => code - shift,
        };
        OwnedPage { base, max_code, codes: OwnedCodes::of_width(width_for(max_code), &code_at) }
    }

    #[inline]
    fn as_page(&self) -> Page<'_> {
        let codes = match &self.codes {
            OwnedCodes::U8(codes) => Codes::U8(codes),
            OwnedCodes::U16(codes) => Codes::U16(codes),
            OwnedCodes::U32(codes) => Codes::U32(codes),
            OwnedCodes::U64(codes) => Codes::U64(codes),
        };
        Page { base: self.base, max_code: self.max_code, codes }
    }

    fn is_constant(&self) -> bool {
        let page = self.as_page();
        (0..PAGE).all(|slot| page.code(slot) == self.max_code)
    }

    fn apply(&mut self, changes: &[PageChange], fixed_base: bool) {
        let known = changes.iter().filter_map(|(_, value)| *value);
        if let Some((low, high)) =
            known.fold(None, |b: Option<(i64, i64)>, v| Some(b.map_or((v, v), |(lo, hi)| (lo.min(v), hi.max(v)))))
        {
            self.make_room(low, high, fixed_base);
        }
        for (slot, value) in changes {
            let code = value.map_or(0, |v| v.wrapping_sub(self.base) as u64 + 1);
            self.max_code = self.max_code.max(code);
            self.codes.set(usize::from(*slot), code);
        }
    }

    /// Widens base and codes so that values from `low` to `high` fit beside those that are there.
    fn make_room(&mut self, low: i64, high: i64, fixed_base: bool) {
        let empty = self.max_code == 0;
        let base = match (fixed_base, empty) {
            (true, _) => 0,
            (false, true) => low,
            (false, false) => self.base.min(low),
        };
        let shift = if empty { 0 } else { self.base.wrapping_sub(base) as u64 };
        let max_code = (high.wrapping_sub(base) as u64 + 1).max(if empty { 0 } else { self.max_code + shift });
        let width = width_for(max_code).max(self.codes.width());
        if base != self.base || width != self.codes.width() {
            let old = self.as_page();
            let code_at = |slot: usize| match old.code(slot) {
                0 => 0,
                code => code + shift,
            };
            let codes = OwnedCodes::of_width(width, &code_at);
            *self = OwnedPage { base, max_code: if empty { 0 } else { self.max_code + shift }, codes };
        }
    }
}

/// A column of `count` values, [`UNKNOWN_VALUE`] for none, each page in its narrowest width. `page_at` appends the values
/// from a place on: at least as many as the page has left.
pub(crate) fn encode_values(count: usize, page_at: &mut dyn FnMut(usize, &mut Vec<i64>)) -> Vec<u8> {
    let pages = count.div_ceil(PAGE);
    let codes_at = (HEADER_BYTES + pages * ENTRY_BYTES).next_multiple_of(PART_ALIGN);
    let (mut out, mut codes) = (Vec::with_capacity(codes_at), Vec::new());
    put_u32(&mut out, pages as u32);
    put_u32(&mut out, 0);
    let mut values = Vec::with_capacity(PAGE);
    for from in (0..count).step_by(PAGE) {
        values.clear();
        page_at(from, &mut values);
        values.truncate(PAGE.min(count - from));
        // Unknown is the least of all numbers: nothing hangs on a branch.
        let (mut low, mut high, mut unknown) = (i64::MAX, UNKNOWN_VALUE, 0usize);
        for value in &values {
            let is_unknown = *value == UNKNOWN_VALUE;
            low = low.min(if is_unknown { i64::MAX } else { *value });
            high = high.max(*value);
            unknown += usize::from(is_unknown);
        }
        let (base, max_code) = match unknown == values.len() {
            true => (0, 0),
            false => (low, high.wrapping_sub(low) as u64 + 1),
        };
        let code = |value: i64| if value == UNKNOWN_VALUE { 0 } else { value.wrapping_sub(base) as u64 + 1 };
        let is_constant = max_code == 0 || (unknown == 0 && low == high);
        let width = if is_constant { 0 } else { width_for(max_code) };
        put_u64(&mut out, base as u64);
        put_u64(&mut out, max_code);
        put_u32(&mut out, (codes.len() / PART_ALIGN) as u32);
        put_u32(&mut out, width as u32);
        let start = codes.len();
        codes.resize(start + width * PAGE, 0);
        let page = &mut codes[start..];
        macro_rules! put_codes {
            ($code:ty) => {
                for (place, value) in page.as_chunks_mut::<{ size_of::<$code>() }>().0.iter_mut().zip(&values) {
                    *place = (code(*value) as $code).to_le_bytes();
                }
            };
        }
        match width {
            0 => {}
            1 => put_codes!(u8),
            2 => put_codes!(u16),
            4 => put_codes!(u32),
            _ => put_codes!(u64),
        }
    }
    pad_to(&mut out, PART_ALIGN);
    out.extend_from_slice(&codes);
    out
}

/// Bytes of a code where the largest is `max_code`.
pub fn width_for(max_code: u64) -> usize {
    match max_code {
        0..=0xFF => 1,
        0x100..=0xFFFF => 2,
        0x1_0000..=0xFFFF_FFFF => 4,
        _ => 8,
    }
}

impl OwnedCodes {
    fn of_width(width: usize, code_at: &dyn Fn(usize) -> u64) -> OwnedCodes {
        match width {
            1 => OwnedCodes::U8((0..PAGE).map(|slot| code_at(slot) as u8).collect()),
            2 => OwnedCodes::U16((0..PAGE).map(|slot| code_at(slot) as u16).collect()),
            4 => OwnedCodes::U32((0..PAGE).map(|slot| code_at(slot) as u32).collect()),
            _ => OwnedCodes::U64((0..PAGE).map(code_at).collect()),
        }
    }

    fn width(&self) -> usize {
        match self {
            OwnedCodes::U8(_) => 1,
            OwnedCodes::U16(_) => 2,
            OwnedCodes::U32(_) => 4,
            OwnedCodes::U64(_) => 8,
        }
    }

    fn set(&mut self, slot: usize, code: u64) {
        match self {
            OwnedCodes::U8(codes) => codes[slot] = code as u8,
            OwnedCodes::U16(codes) => codes[slot] = code as u16,
            OwnedCodes::U32(codes) => codes[slot] = code as u32,
            OwnedCodes::U64(codes) => codes[slot] = code,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            OwnedCodes::U8(codes) => out.extend_from_slice(codes),
            OwnedCodes::U16(codes) => out.extend_from_slice(bytemuck::cast_slice(codes)),
            OwnedCodes::U32(codes) => out.extend_from_slice(bytemuck::cast_slice(codes)),
            OwnedCodes::U64(codes) => out.extend_from_slice(bytemuck::cast_slice(codes)),
        }
    }
}

#[inline]
fn mapped_page<'a>(entry: &[u64; 3], codes: &'a [u8]) -> Option<Page<'a>> {
    let [base, max_code, at_and_width] = *entry;
    let (at, width) = ((at_and_width as u32) as usize * PART_ALIGN, (at_and_width >> 32) as usize);
    let bytes = codes.get(at..at.checked_add(width * PAGE)?)?;
    let codes = match width {
        0 => Codes::Constant(max_code),
        1 => Codes::U8(bytes),
        2 => Codes::U16(bytemuck::try_cast_slice(bytes).ok()?),
        4 => Codes::U32(bytemuck::try_cast_slice(bytes).ok()?),
        8 => Codes::U64(bytemuck::try_cast_slice(bytes).ok()?),
        _ => return None,
    };
    Some(Page { base: base as i64, max_code, codes })
}

fn read_part(bytes: &[u8]) -> Option<(&[[u64; 3]], &[u8])> {
    let page_count = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let entries_end = HEADER_BYTES + page_count.checked_mul(ENTRY_BYTES)?;
    let entries = bytemuck::try_cast_slice(bytes.get(HEADER_BYTES..entries_end)?).ok()?;
    Some((entries, bytes.get(entries_end.next_multiple_of(PART_ALIGN).min(bytes.len())..)?))
}

fn check_part(bytes: &[u8]) -> Result<(), String> {
    let (entries, codes) = read_part(bytes).ok_or("a page directory that does not fit")?;
    if entries.len() > STRIPE_PAGES {
        return Err(format!("{} pages in a stripe", entries.len()));
    }
    match entries.iter().position(|entry| mapped_page(entry, codes).is_none()) {
        Some(page) => Err(format!("page {page} outside of the part")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn value() -> impl Strategy<Value = Option<i64>> {
        prop_oneof![
            Just(None),
            (0i64..200).prop_map(Some),
            (-40_000i64..40_000).prop_map(Some),
            (-NUMBER_MAX..=NUMBER_MAX).prop_map(Some)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
        #[test]
        fn pages_hold_what_was_put(batches in proptest::collection::vec(proptest::collection::vec((0u16..4096, value()), 1..40), 1..5)) {
            let mut model: HashMap<u16, Option<i64>> = HashMap::new();
            let mut column = StripeColumn::default();
            for changes in &batches {
                column.apply(3, changes, false).unwrap();
                model.extend(changes.iter().copied());
            }
            let view = column.open().unwrap();
            let narrowed = OwnedPage::narrowed(&view.page(3), false);
            for slot in 0..4096u16 {
                let wanted = model.get(&slot).copied().flatten();
                prop_assert_eq!(view.page(3).value(usize::from(slot)), wanted);
                prop_assert_eq!(narrowed.as_page().value(usize::from(slot)), wanted);
            }
            let part = column.encode(false).unwrap();
            if let Some(part) = part {
                prop_assert_eq!(check_part(&part), Ok(()));
                let (entries, codes) = read_part(&part).unwrap();
                let page = mapped_page(&entries[3], codes).unwrap();
                prop_assert!((0..4096).all(|slot| page.value(slot) == view.page(3).value(slot)));
            }
        }
    }
}
