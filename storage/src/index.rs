//! The hash index: from a key's hash to the numbers that may have that key. A hint, never the truth.
//! Knows 32-bit hashes and u32 numbers; whoever asks compares the key itself, in the view that he reads.
//!
//! ```text
//!   HashIndex = tables: mapped, sorted by hash  +  delta: open addressing over atomic words, shared by all views
//!               + frozen: deltas that a store snapshot is just making a table of
//!
//!   table part = bucket_bits:u32 count:u32 starts[2^bucket_bits + 1]:u32 pad8 entries[count]:u64
//!   entry      = hash:u32 << 32 | number:u32        8 bytes an entry, about 8.3 with the starts
//! ```
//! The delta only grows, and the one writer is the only one who puts: readers of an old view may find numbers that
//! are too new for it, compare the key in their view, and pass on. So it needs no lock, and a view costs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{pad_to, put_u32};
use crate::error::Result;
use crate::pack::Part;
use crate::words::Words;

const DELTA_SLOTS_MIN: usize = 1 << 10;
/// Keys whose cache misses overlap.
const ASKED_AT_ONCE: usize = 64;
/// A bucket of a table holds about this many entries: two cache lines.
const BUCKET_ENTRIES: usize = 16;

/// Hash of a key as the index keeps it.
pub fn hash_key(key: &[u8]) -> u32 {
    (xxh3_64(key) >> 32) as u32
}

/// The index as one view sees it.
#[derive(Debug, Clone, Default)]
pub struct HashIndex {
    tables: Vec<Arc<Part>>,
    frozen: Vec<Arc<Delta>>,
    delta: Arc<Delta>,
}

#[derive(Debug)]
struct Delta {
    /// `hash << 32 | number + 1`; 0 is free.
    slots: Words,
    count: AtomicUsize,
}

impl Default for Delta {
    fn default() -> Delta {
        Delta::with_slots(DELTA_SLOTS_MIN)
    }
}

impl Delta {
    fn with_slots(slots: usize) -> Delta {
        Delta { slots: Words::zeroed(slots), count: AtomicUsize::new(0) }
    }

    fn put(&self, entry: u64) {
        let slots = &*self.slots;
        let mask = slots.len() - 1;
        let mut at = (entry >> 32) as usize & mask;
        while slots[at].load(Ordering::Relaxed) != 0 {
            at = (at + 1) & mask;
        }
        slots[at].store(entry, Ordering::Release);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn find(&self, hash: u32, is_it: &mut dyn FnMut(u32) -> bool) -> Option<u32> {
        let slots = &*self.slots;
        let mask = slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let entry = slots[at].load(Ordering::Acquire);
            if entry == 0 {
                return None;
            }
            let number = (entry as u32).wrapping_sub(1);
            if (entry >> 32) as u32 == hash && is_it(number) {
                return Some(number);
            }
            at = (at + 1) & mask;
        }
    }

    /// Sets `may` of each key whose hash an entry has. The first words are read before any is looked at, so that their
    /// cache misses overlap.
    fn may_hold(&self, keys: &[u64], may: &mut [bool]) {
        let slots = &*self.slots;
        let mask = slots.len() - 1;
        let mut first = [0; ASKED_AT_ONCE];
        for (first, key) in first.iter_mut().zip(keys) {
            *first = slots[(key >> 32) as usize & mask].load(Ordering::Acquire);
        }
        for ((first, key), may) in first.into_iter().zip(keys).zip(may) {
            let (hash, mut entry, mut at) = (key >> 32, first, (key >> 32) as usize & mask);
            while entry != 0 && entry >> 32 != hash {
                at = (at + 1) & mask;
                entry = slots[at].load(Ordering::Acquire);
            }
            *may |= entry != 0;
        }
    }

    /// Entries as `hash << 32 | number`, sorted.
    fn sorted(&self) -> Vec<u64> {
        let mut entries: Vec<u64> =
            self.slots.iter().map(|s| s.load(Ordering::Acquire)).filter(|e| *e != 0).map(|e| e - 1).collect();
        entries.sort_unstable();
        entries
    }
}

impl HashIndex {
    /// An index over mapped tables, with nothing new.
    pub fn mapped(tables: Vec<Arc<Part>>) -> HashIndex {
        HashIndex { tables, ..HashIndex::default() }
    }

    /// The number with that hash for which `is_it` holds. Newest first; a few cache lines a table.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] from a table.
    pub fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Result<Option<u32>> {
        for delta in self.deltas() {
            if let Some(number) = delta.find(hash, &mut is_it) {
                return Ok(Some(number));
            }
        }
        for table in self.tables.iter().rev() {
            let table = Table::open(table)?;
            if let Some(number) = table.find(hash, &mut is_it) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// For each key, by [`xxh3_64`] of it, whether any entry has its hash. A few cache misses a key, of many keys at a time.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] from a table.
    pub(crate) fn may_hold(&self, keys: &[u64]) -> Result<Vec<bool>> {
        let mut may = vec![false; keys.len()];
        for delta in self.deltas() {
            keys.chunks(ASKED_AT_ONCE).zip(may.chunks_mut(ASKED_AT_ONCE)).for_each(|(k, m)| delta.may_hold(k, m));
        }
        for table in &self.tables {
            let table = Table::open(table)?;
            keys.chunks(ASKED_AT_ONCE).zip(may.chunks_mut(ASKED_AT_ONCE)).for_each(|(k, m)| table.may_hold(k, m));
        }
        Ok(may)
    }

    fn deltas(&self) -> impl Iterator<Item = &Arc<Delta>> {
        std::iter::once(&self.delta).chain(self.frozen.iter().rev())
    }

    /// As [`HashIndex::put`], of many: their first words are read before any is put, so that their cache misses overlap.
    pub(crate) fn put_all(&mut self, entries: &[(u32, u32)]) {
        for few in entries.chunks(ASKED_AT_ONCE) {
            self.make_room(few.len());
            let slots = &*self.delta.slots;
            let mask = slots.len() - 1;
            let read =
                few.iter().fold(0, |read, (hash, _)| read ^ slots[*hash as usize & mask].load(Ordering::Relaxed));
            std::hint::black_box(read);
            let entry = |(hash, number): &(u32, u32)| u64::from(*hash) << 32 | u64::from(*number + 1);
            few.iter().for_each(|few| self.delta.put(entry(few)));
        }
    }

    /// Adds an entry; only the writer calls this. Views taken before share it and pass over it.
    pub(crate) fn put(&mut self, hash: u32, number: u32) {
        self.put_all(&[(hash, number)]);
    }

    fn make_room(&mut self, entries: usize) {
        let count = self.delta.count.load(Ordering::Relaxed) + entries;
        while count * 10 > self.delta.slots.len() * 7 {
            let larger = Delta::with_slots(self.delta.slots.len() * 2);
            for slot in self.delta.slots.iter() {
                let entry = slot.load(Ordering::Relaxed);
                if entry != 0 {
                    larger.put(entry);
                }
            }
            self.delta = Arc::new(larger);
        }
    }

    /// Bytes of the part that is not mapped.
    pub fn owned_bytes(&self) -> usize {
        self.deltas().map(|delta| delta.slots.len() * 8).sum()
    }

    /// The index as a store snapshot is to take it; what is put here from now on is not in it.
    pub(crate) fn split(&mut self) -> HashIndex {
        if self.delta.count.load(Ordering::Relaxed) > 0 {
            self.frozen.push(std::mem::take(&mut self.delta));
        }
        HashIndex { tables: self.tables.clone(), frozen: self.frozen.clone(), delta: Arc::default() }
    }

    /// The mapped tables, oldest first.
    pub fn tables(&self) -> &[Arc<Part>] {
        &self.tables
    }

    /// What a store snapshot does: the delta becomes a table, merged with those before it that are not much larger,
    /// so that there are few tables and each entry is rewritten a logarithmic number of times. `keep` says what number an
    /// entry has from then on, or drops it. Gives how many of the present tables stay, and the new table's bytes.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] from a table.
    pub(crate) fn encode(&self, all: bool, keep: impl Fn(u32) -> Option<u32>) -> Result<(usize, Option<Vec<u8>>)> {
        let deltas = self.deltas().map(|delta| delta.sorted());
        let mut entries = deltas.reduce(|entries, more| merge(entries, &more)).unwrap_or_default();
        let mut kept = self.tables.len();
        if entries.is_empty() && !all {
            return Ok((kept, None));
        }
        while kept > 0 {
            let table = Table::open(&self.tables[kept - 1])?;
            if !all && table.entries.len() > entries.len() * 4 {
                break;
            }
            entries = merge(entries, table.entries);
            kept -= 1;
        }
        entries.retain_mut(|entry| {
            let number = keep(*entry as u32);
            *entry = *entry >> 32 << 32 | u64::from(number.unwrap_or(0));
            number.is_some()
        });
        if !entries.is_sorted() {
            entries.sort_unstable();
        }
        entries.dedup();
        Ok((kept, (!entries.is_empty()).then(|| encode_table(&entries))))
    }
}

impl HashIndex {
    /// This index once a store snapshot has made `tables` of all that `taken` held.
    pub(crate) fn over(&self, tables: Vec<Arc<Part>>, taken: &HashIndex) -> HashIndex {
        let is_taken = |delta: &&Arc<Delta>| taken.frozen.iter().any(|other| Arc::ptr_eq(delta, other));
        let frozen = self.frozen.iter().filter(|delta| !is_taken(delta)).cloned().collect();
        HashIndex { tables, frozen, delta: self.delta.clone() }
    }
}

fn merge(a: Vec<u64>, b: &[u64]) -> Vec<u64> {
    if b.is_empty() {
        return a;
    }
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        out.push(if x <= y { *a.next().unwrap_or(&0) } else { *b.next().unwrap_or(&0) });
    }
    out.extend(a);
    out.extend(b);
    out
}

struct Table<'a> {
    bucket_bits: u32,
    starts: &'a [u32],
    entries: &'a [u64],
}

impl<'a> Table<'a> {
    fn open(part: &'a Part) -> Result<Table<'a>> {
        let check = |bytes: &[u8]| match Table::read(bytes) {
            Some(table) if table.is_sound() => Ok(()),
            _ => Err("a hash table whose buckets do not fit".to_string()),
        };
        let bytes = part.bytes_checked(check)?;
        Ok(Table::read(bytes).unwrap_or(Table { bucket_bits: 0, starts: &[0, 0], entries: &[] }))
    }

    fn read(bytes: &'a [u8]) -> Option<Table<'a>> {
        let header: &[u32] = bytemuck::try_cast_slice(bytes.get(..8)?).ok()?;
        let (bucket_bits, count) = (header[0], header[1] as usize);
        if bucket_bits > 31 {
            return None;
        }
        let starts_end = 8 + ((1usize << bucket_bits) + 1) * 4;
        let entries_at = starts_end.next_multiple_of(8);
        Some(Table {
            bucket_bits,
            starts: bytemuck::try_cast_slice(bytes.get(8..starts_end)?).ok()?,
            entries: bytemuck::try_cast_slice(bytes.get(entries_at..entries_at.checked_add(count.checked_mul(8)?)?)?)
                .ok()?,
        })
    }

    fn is_sound(&self) -> bool {
        self.starts.is_sorted() && self.starts.last().is_some_and(|end| *end as usize == self.entries.len())
    }

    /// As [`Delta::may_hold`], of a table.
    fn may_hold(&self, keys: &[u64], may: &mut [bool]) {
        let mut spans = [(0, 0); ASKED_AT_ONCE];
        for (span, key) in spans.iter_mut().zip(keys) {
            let bucket = ((key >> 32) >> (32 - self.bucket_bits)) as usize;
            *span = (self.starts[bucket] as usize, self.starts[bucket + 1] as usize);
        }
        let mut middles = [0; ASKED_AT_ONCE];
        for (middle, (start, end)) in middles.iter_mut().zip(spans) {
            *middle = self.entries.get(start.midpoint(end)).map_or(0, |entry| entry >> 32);
        }
        for (((key, may), (start, end)), middle) in keys.iter().zip(may).zip(spans).zip(middles) {
            let (hash, at) = (key >> 32, start.midpoint(end));
            let rest = if middle < hash { &self.entries[at..end] } else { &self.entries[start..end.min(at + 1)] };
            *may |= rest.iter().any(|entry| entry >> 32 == hash);
        }
    }

    fn find(&self, hash: u32, is_it: &mut dyn FnMut(u32) -> bool) -> Option<u32> {
        let bucket = (u64::from(hash) >> (32 - self.bucket_bits)) as usize;
        let (start, end) = (self.starts[bucket] as usize, self.starts[bucket + 1] as usize);
        let entries = &self.entries[start..end];
        let first = entries.partition_point(|e| ((e >> 32) as u32) < hash);
        let same = entries[first..].iter().take_while(|e| (**e >> 32) as u32 == hash);
        same.map(|e| *e as u32).find(|number| is_it(*number))
    }
}

/// A table inside of another part: the values of a tag carry theirs with them.
pub(crate) struct TableBytes<'a>(Table<'a>);

impl<'a> TableBytes<'a> {
    /// Reads a table; `trusted` leaves out the check that walks all buckets.
    pub(crate) fn read(bytes: &'a [u8], trusted: bool) -> Option<TableBytes<'a>> {
        Table::read(bytes).filter(|table| trusted || table.is_sound()).map(TableBytes)
    }

    /// The number with that hash for which `is_it` holds.
    pub(crate) fn find(&self, hash: u32, is_it: &mut dyn FnMut(u32) -> bool) -> Option<u32> {
        self.0.find(hash, is_it)
    }
}

fn encode_table(entries: &[u64]) -> Vec<u8> {
    let bucket_bits = (entries.len() / BUCKET_ENTRIES).next_power_of_two().trailing_zeros();
    let buckets = 1usize << bucket_bits;
    let mut out = Vec::with_capacity(16 + buckets * 4 + entries.len() * 8);
    put_u32(&mut out, bucket_bits);
    put_u32(&mut out, entries.len() as u32);
    let bucket_of = |entry: u64| (u128::from(entry) >> (64 - bucket_bits)) as usize;
    let mut at = 0;
    for bucket in 0..=buckets {
        while at < entries.len() && bucket_of(entries[at]) < bucket {
            at += 1;
        }
        put_u32(&mut out, at as u32);
    }
    pad_to(&mut out, 8);
    out.extend_from_slice(bytemuck::cast_slice(entries));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn aligned(bytes: &[u8]) -> Vec<u64> {
        bytes.chunks(8).map(|c| u64::from_le_bytes(std::array::from_fn(|i| c.get(i).copied().unwrap_or(0)))).collect()
    }

    proptest! {
        #[test]
        fn what_is_put_is_found(hashes in proptest::collection::vec(prop_oneof![any::<u32>(), 0u32..8], 0..3000)) {
            let mut index = HashIndex::default();
            for (number, hash) in hashes.iter().enumerate() {
                index.put(*hash, number as u32);
            }
            let (kept, table) = index.encode(false, Some).unwrap();
            prop_assert_eq!(kept, 0);
            let words = table.as_deref().map(aligned).unwrap_or_default();
            let table = Table::read(bytemuck::cast_slice(&words));
            for (number, hash) in hashes.iter().enumerate() {
                let number = number as u32;
                prop_assert_eq!(index.find(*hash, |n| n == number).unwrap(), Some(number));
                let table = table.as_ref().unwrap();
                prop_assert!(table.is_sound());
                prop_assert_eq!(table.find(*hash, &mut |n| n == number), Some(number));
            }
            prop_assert_eq!(index.find(77, |_| false).unwrap(), None);
            let known: std::collections::BTreeSet<u32> = hashes.iter().copied().collect();
            let keys: Vec<u64> = hashes.iter().copied().chain(0..100).map(|hash| u64::from(hash) << 32 | 5).collect();
            let wanted: Vec<bool> = keys.iter().map(|key| known.contains(&((key >> 32) as u32))).collect();
            prop_assert_eq!(&index.may_hold(&keys).unwrap(), &wanted);
            index.split();
            prop_assert_eq!(&index.may_hold(&keys).unwrap(), &wanted);
            if let Some(table) = table {
                let mut may = vec![false; keys.len()];
                keys.chunks(ASKED_AT_ONCE).zip(may.chunks_mut(ASKED_AT_ONCE)).for_each(|(k, m)| table.may_hold(k, m));
                prop_assert_eq!(&may, &wanted);
            }
        }
    }
}
