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
    #[inline]
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
    #[inline]
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

/// Where the slots of a page end in its codes.
#[derive(Debug, Clone, Copy)]
enum Ends<'a> {
    U16(&'a [u16]),
    U32(&'a [u32]),
}

/// The lists of one page, for reading many of them.
#[derive(Debug, Clone, Copy)]
pub struct PageLists<'a> {
    ends: Ends<'a>,
    codes: List<'a>,
}

impl<'a> PageLists<'a> {
    /// Appends the lists of some slots, each below 4,096. Widths are looked at once.
    #[inline(always)]
    pub fn push(&self, slots: impl Iterator<Item = usize>, lists: &mut Vec<List<'a>>) {
        match (self.ends, self.codes) {
            (Ends::U16(ends), List::U8(codes)) => lists.extend(slots.map(|slot| List::U8(codes_of(ends, codes, slot)))),
            (Ends::U16(ends), List::U16(codes)) => {
                lists.extend(slots.map(|slot| List::U16(codes_of(ends, codes, slot))))
            }
            (Ends::U16(ends), List::U32(codes)) => {
                lists.extend(slots.map(|slot| List::U32(codes_of(ends, codes, slot))))
            }
            (Ends::U32(ends), List::U8(codes)) => lists.extend(slots.map(|slot| List::U8(codes_of(ends, codes, slot)))),
            (Ends::U32(ends), List::U16(codes)) => {
                lists.extend(slots.map(|slot| List::U16(codes_of(ends, codes, slot))))
            }
            (Ends::U32(ends), List::U32(codes)) => {
                lists.extend(slots.map(|slot| List::U32(codes_of(ends, codes, slot))))
            }
        }
    }
}

#[inline(always)]
fn codes_of<'a, E: Copy + Into<u32>, C>(ends: &[E], codes: &'a [C], slot: usize) -> &'a [C] {
    let start = if slot == 0 { 0 } else { ends[slot - 1].into() };
    &codes[start as usize..ends[slot].into() as usize]
}

impl<'a> ListsView<'a> {
    /// The lists of a page; `None` where nobody has a value.
    pub fn page(&self, page: usize) -> Option<PageLists<'a>> {
        match self.slot(page as u32 * PAGE as u32) {
            Slot::Owned(_) => {
                let owned = self.owned_page(page)?;
                Some(PageLists { ends: Ends::U32(owned.ends()), codes: List::U32(owned.items()) })
            }
            Slot::Mapped { entry, payload, .. } => mapped_page(entry, payload),
            Slot::Nobody => None,
        }
    }

    /// Codes of a place in the stripe.
    #[inline]
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

fn mapped_page<'a>(entry: &Entry, payload: &'a [u8]) -> Option<PageLists<'a>> {
    let [at, ends_width, code_width, items] = entry.map(|word| word as usize);
    let ends = payload.get(at * 8..at * 8 + ends_width * PAGE)?;
    let ends = match ends_width {
        2 => Ends::U16(bytemuck::try_cast_slice(ends).ok()?),
        4 => Ends::U32(bytemuck::try_cast_slice(ends).ok()?),
        _ => return None,
    };
    let codes_at = at * 8 + ends_width * PAGE;
    let codes = payload.get(codes_at..codes_at + items * code_width)?;
    let codes = match code_width {
        1 => List::U8(codes),
        2 => List::U16(bytemuck::try_cast_slice(codes).ok()?),
        4 => List::U32(bytemuck::try_cast_slice(codes).ok()?),
        _ => return None,
    };
    Some(PageLists { ends, codes })
}

fn mapped_list<'a>(entry: &Entry, payload: &'a [u8], slot: usize) -> Option<List<'a>> {
    let PageLists { ends, codes } = mapped_page(entry, payload)?;
    let end_of = |slot: usize| match ends {
        Ends::U16(ends) => usize::from(ends[slot]),
        Ends::U32(ends) => ends[slot] as usize,
    };
    codes.slice(if slot == 0 { 0 } else { end_of(slot - 1) }, end_of(slot))
}
