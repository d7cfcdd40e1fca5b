//! Owned pages of things of varying length: the codes of a set, the bytes of identities.
//! Knows slots and items; knows nothing of what an item is. Changing any slot rebuilds the page.

use crate::ids::PAGE_PROFILES;

const PAGE: usize = PAGE_PROFILES as usize;

/// Items of 4,096 slots, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct VarPage<T> {
    /// Where each slot ends in `items`.
    ends: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy> VarPage<T> {
    /// A page of what `slot_at` says.
    pub(crate) fn build<'a>(mut slot_at: impl FnMut(usize, &mut Vec<T>)) -> VarPage<T>
    where
        T: 'a,
    {
        let mut page = VarPage { ends: Vec::with_capacity(PAGE), items: Vec::new() };
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

    /// The page with some slots replaced; `changes` is sorted by slot, each once.
    pub(crate) fn with(&self, changes: &[(u16, &[T])]) -> VarPage<T> {
        let mut next = changes.iter().peekable();
        VarPage::build(|slot, items| match next.next_if(|(s, _)| usize::from(*s) == slot) {
            Some((_, new)) => items.extend_from_slice(new),
            None => items.extend_from_slice(self.get(slot)),
        })
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
    pub(crate) fn heap_bytes(&self) -> usize {
        self.ends.capacity() * 4 + self.items.capacity() * size_of::<T>()
    }
}
