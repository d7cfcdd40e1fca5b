//! The forward lists of a set tag in one stripe: for each OneID its value codes, ascending; mapped, changed pages owned.
//! Knows codes as numbers; the portrait, the old values at an upsert and small audiences are read from here.
//!
//! ```text
//!   entry = at:u32 (8-byte units in the payload) ends_width:u32 (0 nobody, 2, 4) code_width:u32 (1, 2, 4) items:u32
//!   page  = ends[4096] pad8 codes[items] pad8                slot s is codes[ends[s-1]..ends[s]]
//! ```

use crate::codec::pad_to;
use crate::pages::{Entry, Form, PAGE, PagesView, Slot, StripePages, VarPage};

/// Forward lists of one set in one stripe.
pub type StripeLists = StripePages<ListPages>;
/// Verified lists, ready to read.
pub type ListsView<'a> = PagesView<'a, ListPages>;

/// How pages of lists are spelled.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListPages;

/// Codes of one profile, ascending.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub enum List<'a> {
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
}

impl<'a> List<'a> {
    /// Nothing.
    pub const EMPTY: List<'static> = List::U8(&[]);

    /// Number of values.
    pub fn len(self) -> usize {
        match self {
            List::U8(codes) => codes.len(),
            List::U16(codes) => codes.len(),
            List::U32(codes) => codes.len(),
        }
    }

    /// Whether the set is unknown.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Calls `each` with every code.
    pub fn for_each(self, mut each: impl FnMut(u32)) {
        match self {
            List::U8(codes) => codes.iter().for_each(|c| each((*c).into())),
            List::U16(codes) => codes.iter().for_each(|c| each((*c).into())),
            List::U32(codes) => codes.iter().for_each(|c| each(*c)),
        }
    }

    /// The codes.
    pub fn to_vec(self) -> Vec<u32> {
        let mut codes = Vec::with_capacity(self.len());
        self.for_each(|c| codes.push(c));
        codes
    }

    /// Whether a code is among them.
    pub fn contains(self, code: u32) -> bool {
        match self {
            List::U8(codes) => u8::try_from(code).is_ok_and(|c| codes.binary_search(&c).is_ok()),
            List::U16(codes) => u16::try_from(code).is_ok_and(|c| codes.binary_search(&c).is_ok()),
            List::U32(codes) => codes.binary_search(&code).is_ok(),
        }
    }

    fn slice(self, start: usize, end: usize) -> Option<List<'a>> {
        Some(match self {
            List::U8(codes) => List::U8(codes.get(start..end)?),
            List::U16(codes) => List::U16(codes.get(start..end)?),
            List::U32(codes) => List::U32(codes.get(start..end)?),
        })
    }
}

impl<'a> ListsView<'a> {
    /// Codes of a place in the stripe.
    pub fn list(&self, in_stripe: u32) -> List<'a> {
        match self.slot(in_stripe) {
            Slot::Owned(codes) => List::U32(codes),
            Slot::Mapped { entry, payload, slot } => mapped_list(entry, payload, slot).unwrap_or(List::EMPTY),
            Slot::Nobody => List::EMPTY,
        }
    }
}

impl Form for ListPages {
    type Item = u32;

    fn put(page: &VarPage<u32>, payload: &mut Vec<u8>) -> Entry {
        put_page(page, payload)
    }

    fn is_empty(entry: &Entry) -> bool {
        entry[1] == 0
    }

    fn bytes(entry: &Entry, payload: &[u8]) -> Option<usize> {
        mapped_list(entry, payload, PAGE - 1)?;
        let [_, ends_width, code_width, items] = entry.map(|word| word as usize);
        Some(ends_width * PAGE + (items * code_width).next_multiple_of(8))
    }

    fn push_slot(entry: &Entry, payload: &[u8], slot: usize, items: &mut Vec<u32>) {
        mapped_list(entry, payload, slot).unwrap_or(List::EMPTY).for_each(|code| items.push(code));
    }
}

fn put_page(page: &VarPage<u32>, payload: &mut Vec<u8>) -> Entry {
    if page.items().is_empty() {
        return [0; 4];
    }
    let at = payload.len() as u32 / 8;
    let ends_width = if page.items().len() <= usize::from(u16::MAX) { 2 } else { 4 };
    let code_width = match page.items().iter().max() {
        Some(0..=0xFF) => 1,
        Some(0x100..=0xFFFF) => 2,
        _ => 4,
    };
    page.ends().iter().for_each(|end| payload.extend_from_slice(&end.to_le_bytes()[..ends_width]));
    pad_to(payload, 8);
    page.items().iter().for_each(|code| payload.extend_from_slice(&code.to_le_bytes()[..code_width]));
    pad_to(payload, 8);
    [at, ends_width as u32, code_width as u32, page.items().len() as u32]
}

fn mapped_list<'a>(entry: &Entry, payload: &'a [u8], slot: usize) -> Option<List<'a>> {
    let [at, ends_width, code_width, items] = entry.map(|word| word as usize);
    let ends_bytes = payload.get(at * 8..at * 8 + ends_width * PAGE)?;
    let end_of = |slot: usize| -> Option<usize> {
        Some(match ends_width {
            2 => bytemuck::try_cast_slice::<u8, u16>(ends_bytes).ok()?[slot].into(),
            4 => bytemuck::try_cast_slice::<u8, u32>(ends_bytes).ok()?[slot] as usize,
            _ => return None,
        })
    };
    let codes_at = at * 8 + ends_width * PAGE;
    let codes = payload.get(codes_at..codes_at + items * code_width)?;
    let codes = match code_width {
        1 => List::U8(codes),
        2 => List::U16(bytemuck::try_cast_slice(codes).ok()?),
        4 => List::U32(bytemuck::try_cast_slice(codes).ok()?),
        _ => return None,
    };
    codes.slice(if slot == 0 { 0 } else { end_of(slot - 1)? }, end_of(slot)?)
}
