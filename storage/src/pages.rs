//! A stripe's pages of things of varying length: the codes of a set, the bytes of identities. Mapped, changed pages owned.
//! Knows slots, items and pages; how a page is spelled in a part is its [`Form`]'s matter.
//!
//! ```text
//!   part = page_count:u32 0:u32 entry{page_count} payload          entry = 4 words, the first where its page begins
//! ```
//! Changing any slot rebuilds its page.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::codec::put_u32;
use crate::error::Result;
use crate::ids::{PAGE_PROFILES, STRIPE_PAGES};
use crate::pack::Part;

/// Slots of a page.
pub(crate) const PAGE: usize = PAGE_PROFILES as usize;
const HEADER_BYTES: usize = 8;

/// What a part says of one page. The first word is where it begins in the payload, in units of 8 bytes.
pub type Entry = [u32; 4];

/// How the pages of one kind of thing are spelled.
pub trait Form: Debug + Clone + Copy + Default {
    /// What a slot holds any number of.
    type Item: Debug + Copy + Default;

    /// Appends a page to the payload; gives its entry.
    fn put(page: &VarPage<Self::Item>, payload: &mut Vec<u8>) -> Entry;

    /// Whether nobody has anything in a page.
    fn is_empty(entry: &Entry) -> bool;

    /// Bytes that a page takes in the payload; `None` where entry and payload do not fit each other.
    fn bytes(entry: &Entry, payload: &[u8]) -> Option<usize>;

    /// Appends the items of a slot of a mapped page.
    fn push_slot(entry: &Entry, payload: &[u8], slot: usize, items: &mut Vec<Self::Item>);
}

/// The pages of one field in one stripe.
#[derive(Debug, Clone, Default)]
pub struct StripePages<F: Form> {
    base: Option<Arc<Part>>,
    /// Empty, or one a page.
    owned: Vec<Option<Arc<VarPage<F::Item>>>>,
    form: PhantomData<F>,
}

/// Verified pages, ready to read.
#[derive(Debug, Clone, Copy)]
pub struct PagesView<'a, F: Form> {
    entries: &'a [Entry],
    payload: &'a [u8],
    owned: &'a [Option<Arc<VarPage<F::Item>>>],
}

/// Where a slot's items are.
pub(crate) enum Slot<'a, F: Form> {
    Owned(&'a [F::Item]),
    Mapped { entry: &'a Entry, payload: &'a [u8], slot: usize },
    Nobody,
}

impl<F: Form> StripePages<F> {
    /// The pages as a store snapshot has them.
    pub fn mapped(part: Arc<Part>) -> StripePages<F> {
        StripePages { base: Some(part), ..StripePages::default() }
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
    pub fn open(&self) -> Result<PagesView<'_, F>> {
        let (entries, payload) = match &self.base {
            None => (&[][..], &[][..]),
            Some(part) => read_part(part.bytes_checked(check_part::<F>)?).unwrap_or((&[], &[])),
        };
        Ok(PagesView { entries, payload, owned: &self.owned })
    }

    /// Replaces what some slots of a page hold; sorted by slot, each once.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] from the part below.
    pub(crate) fn apply(&mut self, page: usize, changes: &[(u16, &[F::Item])]) -> Result<()> {
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

    /// The part that a store snapshot keeps; `None` when nobody has anything. Pages that have not changed are copied.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] from the part below.
    pub(crate) fn encode(&self) -> Result<Option<Vec<u8>>> {
        let view = self.open()?;
        let pages = view.entries.len().max(self.owned.len());
        let (mut entries, mut payload) = (Vec::with_capacity(pages), Vec::with_capacity(view.payload.len()));
        for page in 0..pages {
            entries.push(match (self.owned.get(page), view.entries.get(page)) {
                (Some(Some(owned)), _) => F::put(owned, &mut payload),
                (_, Some(entry)) => copy_page::<F>(entry, view.payload, &mut payload),
                (_, None) => [0; 4],
            });
        }
        let Some(last) = entries.iter().rposition(|entry| !F::is_empty(entry)) else { return Ok(None) };
        entries.truncate(last + 1);
        let mut out = Vec::with_capacity(HEADER_BYTES + entries.len() * 16 + payload.len());
        put_u32(&mut out, entries.len() as u32);
        put_u32(&mut out, 0);
        entries.as_flattened().iter().for_each(|word| put_u32(&mut out, *word));
        out.extend_from_slice(&payload);
        Ok(Some(out))
    }
}

impl<'a, F: Form> PagesView<'a, F> {
    /// Where the items of a place in the stripe are.
    #[inline]
    pub(crate) fn slot(&self, in_stripe: u32) -> Slot<'a, F> {
        let (page, slot) = ((in_stripe / PAGE_PROFILES) as usize, (in_stripe % PAGE_PROFILES) as usize);
        if let Some(Some(owned)) = self.owned.get(page) {
            return Slot::Owned(owned.get(slot));
        }
        let entry = self.entries.get(page).filter(|entry| !F::is_empty(entry));
        entry.map_or(Slot::Nobody, |entry| Slot::Mapped { entry, payload: self.payload, slot })
    }

    /// A page that has changed since.
    pub(crate) fn owned_page(&self, page: usize) -> Option<&'a VarPage<F::Item>> {
        self.owned.get(page)?.as_deref()
    }

    fn owned_copy(&self, page: usize) -> VarPage<F::Item> {
        let entry = self.entries.get(page).filter(|entry| !F::is_empty(entry));
        VarPage::build(0, |slot, items| {
            if let Some(entry) = entry {
                F::push_slot(entry, self.payload, slot, items);
            }
        })
    }
}

fn copy_page<F: Form>(entry: &Entry, from: &[u8], payload: &mut Vec<u8>) -> Entry {
    let Some(bytes) = F::bytes(entry, from).filter(|_| !F::is_empty(entry)) else { return [0; 4] };
    let (start, at) = (entry[0] as usize * 8, payload.len() as u32 / 8);
    payload.extend_from_slice(&from[start..start + bytes]);
    [at, entry[1], entry[2], entry[3]]
}

fn read_part(bytes: &[u8]) -> Option<(&[Entry], &[u8])> {
    let page_count = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let entries_end = HEADER_BYTES + page_count.checked_mul(16)?;
    Some((bytemuck::try_cast_slice(bytes.get(HEADER_BYTES..entries_end)?).ok()?, bytes.get(entries_end..)?))
}

fn check_part<F: Form>(bytes: &[u8]) -> Result<(), String> {
    let (entries, payload) = read_part(bytes).ok_or("a page directory that does not fit")?;
    if entries.len() > STRIPE_PAGES {
        return Err(format!("{} pages in a stripe", entries.len()));
    }
    let broken = |entry: &Entry| {
        let end = F::bytes(entry, payload).and_then(|bytes| (entry[0] as usize * 8).checked_add(bytes));
        !F::is_empty(entry) && end.is_none_or(|end| end > payload.len())
    };
    match entries.iter().position(broken) {
        Some(page) => Err(format!("page {page} outside of the part")),
        None => Ok(()),
    }
}

/// Items of 4,096 slots, one after the other.
#[derive(Debug, Clone)]
pub struct VarPage<T> {
    /// Where each slot ends in `items`.
    ends: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy> VarPage<T> {
    /// A page of what `slot_at` says, with room for so many items at first.
    fn build(items: usize, mut slot_at: impl FnMut(usize, &mut Vec<T>)) -> VarPage<T> {
        let mut page = VarPage { ends: Vec::with_capacity(PAGE), items: Vec::with_capacity(items) };
        for slot in 0..PAGE {
            slot_at(slot, &mut page.items);
            page.ends.push(page.items.len() as u32);
        }
        page
    }

    /// Items of a slot.
    pub(crate) fn get(&self, slot: usize) -> &[T] {
        let start = if slot == 0 { 0 } else { self.ends[slot - 1] };
        &self.items[start as usize..self.ends[slot] as usize]
    }

    /// The page with some slots replaced; `changes` is sorted by slot, each once. What lies between is copied as one.
    fn with(&self, changes: &[(u16, &[T])]) -> VarPage<T> {
        let added: usize = changes.iter().map(|(_, items)| items.len()).sum();
        let mut next = VarPage { ends: Vec::with_capacity(PAGE), items: Vec::with_capacity(self.items.len() + added) };
        for (slot, items) in changes {
            next.copy_up_to(self, usize::from(*slot));
            next.items.extend_from_slice(items);
            next.ends.push(next.items.len() as u32);
        }
        next.copy_up_to(self, PAGE);
        next
    }

    /// Appends the slots of another page, from where this one ends.
    fn copy_up_to(&mut self, from: &VarPage<T>, end: usize) {
        let first = self.ends.len();
        if first == end {
            return;
        }
        let start = if first == 0 { 0 } else { from.ends[first - 1] };
        let moved = (self.items.len() as u32).wrapping_sub(start);
        self.items.extend_from_slice(&from.items[start as usize..from.ends[end - 1] as usize]);
        self.ends.extend(from.ends[first..end].iter().map(|at| at.wrapping_add(moved)));
    }

    /// All items.
    pub(crate) fn items(&self) -> &[T] {
        &self.items
    }

    /// Where slots end.
    pub(crate) fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Bytes on the heap.
    fn heap_bytes(&self) -> usize {
        self.ends.capacity() * 4 + self.items.capacity() * size_of::<T>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn a_page_holds_what_was_put_last(
            batches in proptest::collection::vec(
                proptest::collection::btree_map(0u16..4096, proptest::collection::vec(any::<u8>(), 0..4), 0..60), 1..5),
        ) {
            let mut model: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
            let mut page = VarPage::build(0, |_, _| {});
            for batch in batches {
                let changes: Vec<(u16, &[u8])> = batch.iter().map(|(slot, items)| (*slot, &items[..])).collect();
                page = page.with(&changes);
                model.extend(batch);
            }
            for slot in 0..PAGE {
                let wanted = model.get(&(slot as u16)).map_or(&[][..], |items| items);
                prop_assert_eq!(page.get(slot), wanted);
            }
        }
    }
}
