//! The forward lists of a set tag in one stripe: for each OneID its value codes, ascending; mapped, changed pages owned.
//! Knows codes as numbers; the portrait, the old values at an upsert and small audiences are read from here.
//!
//! ```text
//!   part  = page_count:u32 0:u32 entry{page_count} payload
//!   entry = at:u32 (8-byte units in the payload) ends_width:u32 (0 nobody, 2, 4) code_width:u32 (1, 2, 4) items:u32
//!   page  = ends[4096] pad8 codes[items] pad8                slot s is codes[ends[s-1]..ends[s]]
//! ```

use std::sync::Arc;

use crate::codec::{pad_to, put_u32};
use crate::error::Result;
use crate::ids::{PAGE_PROFILES, STRIPE_PAGES};
use crate::pack::Part;
use crate::varpage::VarPage;

const PAGE: usize = PAGE_PROFILES as usize;
const HEADER_BYTES: usize = 8;

/// Forward lists of one set in one stripe.
#[derive(Debug, Clone, Default)]
pub struct StripeLists {
    base: Option<Arc<Part>>,
    owned: Vec<Option<Arc<VarPage<u32>>>>,
}

/// Verified lists, ready to read.
#[derive(Debug, Clone, Copy)]
pub struct ListsView<'a> {
    entries: &'a [[u32; 4]],
    payload: &'a [u8],
    owned: &'a [Option<Arc<VarPage<u32>>>],
}

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

    #[inline]
    fn slice(self, start: usize, end: usize) -> Option<List<'a>> {
        Some(match self {
            List::U8(codes) => List::U8(codes.get(start..end)?),
            List::U16(codes) => List::U16(codes.get(start..end)?),
            List::U32(codes) => List::U32(codes.get(start..end)?),
        })
    }
}

impl StripeLists {
    /// The lists as a store snapshot has them.
    pub fn mapped(part: Arc<Part>) -> StripeLists {
        StripeLists { base: Some(part), owned: Vec::new() }
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
        self.owned.len() * 8 + self.owned.iter().flatten().map(|p| p.heap_bytes() + 64).sum::<usize>()
    }

    /// Verifies the part (once) and gives what can be read.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn open(&self) -> Result<ListsView<'_>> {
        let (entries, payload) = match &self.base {
            None => (&[][..], &[][..]),
            Some(part) => read_part(part.bytes_checked(check_part)?).unwrap_or((&[], &[])),
        };
        Ok(ListsView { entries, payload, owned: &self.owned })
    }

    /// Replaces the lists of some slots of a page; sorted by slot, each once, codes ascending.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] from the part below.
    pub(crate) fn apply(&mut self, page: usize, changes: &[(u16, &[u32])]) -> Result<()> {
        let next = match self.owned.get(page) {
            Some(Some(owned)) => owned.with(changes),
            _ => self.open()?.owned_copy(page).with(changes),
        };
        if self.owned.is_empty() {
            self.owned.resize(STRIPE_PAGES, None);
        }
        self.owned[page] = Some(Arc::new(next));
        Ok(())
    }

    /// The part that a store snapshot keeps; `None` when nobody has a value.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] from the part below.
    pub(crate) fn encode(&self) -> Result<Option<Vec<u8>>> {
        let view = self.open()?;
        let pages = view.entries.len().max(self.owned.len());
        let (mut entries, mut payload) = (Vec::new(), Vec::new());
        for page in 0..pages {
            let copy;
            let page = match self.owned.get(page) {
                Some(Some(owned)) => owned.as_ref(),
                _ => {
                    copy = view.owned_copy(page);
                    &copy
                }
            };
            entries.push(put_page(page, &mut payload));
        }
        let Some(last) = entries.iter().rposition(|e| e[1] > 0) else { return Ok(None) };
        entries.truncate(last + 1);
        let mut out = Vec::with_capacity(HEADER_BYTES + entries.len() * 16 + payload.len());
        put_u32(&mut out, entries.len() as u32);
        put_u32(&mut out, 0);
        entries.as_flattened().iter().for_each(|word| put_u32(&mut out, *word));
        out.extend_from_slice(&payload);
        Ok(Some(out))
    }
}

impl<'a> ListsView<'a> {
    /// Codes of a place in the stripe.
    #[inline]
    pub fn list(&self, in_stripe: u32) -> List<'a> {
        let (page, slot) = ((in_stripe / PAGE_PROFILES) as usize, (in_stripe % PAGE_PROFILES) as usize);
        if let Some(Some(owned)) = self.owned.get(page) {
            return List::U32(owned.get(slot));
        }
        self.entries.get(page).and_then(|entry| mapped_list(entry, self.payload, slot)).unwrap_or(List::EMPTY)
    }

    fn owned_copy(&self, page: usize) -> VarPage<u32> {
        let first = page as u32 * PAGE_PROFILES;
        VarPage::build(|slot, items| self.list(first + slot as u32).for_each(|code| items.push(code)))
    }
}

fn put_page(page: &VarPage<u32>, payload: &mut Vec<u8>) -> [u32; 4] {
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

#[inline]
fn mapped_list<'a>(entry: &[u32; 4], payload: &'a [u8], slot: usize) -> Option<List<'a>> {
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

fn read_part(bytes: &[u8]) -> Option<(&[[u32; 4]], &[u8])> {
    let page_count = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let entries_end = HEADER_BYTES + page_count.checked_mul(16)?;
    Some((bytemuck::try_cast_slice(bytes.get(HEADER_BYTES..entries_end)?).ok()?, bytes.get(entries_end..)?))
}

fn check_part(bytes: &[u8]) -> Result<(), String> {
    let (entries, payload) = read_part(bytes).ok_or("a page directory that does not fit")?;
    if entries.len() > STRIPE_PAGES {
        return Err(format!("{} pages in a stripe", entries.len()));
    }
    let broken = |entry: &[u32; 4]| entry[1] != 0 && mapped_list(entry, payload, PAGE - 1).is_none();
    match entries.iter().position(broken) {
        Some(page) => Err(format!("page {page} outside of the part")),
        None => Ok(()),
    }
}
