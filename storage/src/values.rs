//! The values of a tag: texts by dense number, and the way back.
//! Knows texts; who has which is the bitmaps' matter. Numbers are given in order of first acceptance.
//!
//! ```text
//!   Values = base: Part (mapped)  +  added: append-only, shared by all views, each bounded by its own count
//!
//!   part   = count:u32 retired:u32 table_length:u64 ends[count]:u32 retired_ids[retired]:u32 pad8 table pad8 texts
//! ```
//! A value that nobody has any more is retired when people are erased: its text goes, its number stays taken.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use crate::codec::{pad_to, put_u32, put_u64};
use crate::error::Result;
use crate::ids::ValueId;
use crate::index::{HashIndex, TableBytes, hash_key};
use crate::pack::Part;

/// Longest text of a value, in bytes.
pub const VALUE_BYTES_MAX: usize = 4096;

/// The values of one tag, as one view sees them.
#[derive(Debug, Clone, Default)]
pub struct Values {
    base: Option<Arc<Part>>,
    added: Arc<Added>,
    index: HashIndex,
    count: u32,
    /// Values that lost their text since the part was written.
    retired: Arc<BTreeSet<u32>>,
}

impl Values {
    /// Values as a store snapshot has them.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn mapped(part: Arc<Part>) -> Result<Values> {
        let base_count = open_part(&part)?.ends.len() as u32;
        let added = Arc::new(Added { first: base_count, ..Added::default() });
        Ok(Values { base: Some(part), added, count: base_count, ..Values::default() })
    }

    /// How many numbers are given out.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The mapped part below, if any.
    pub fn base(&self) -> Option<&Arc<Part>> {
        self.base.as_ref()
    }

    /// Whether nothing has been added since the part was written.
    pub fn is_mapped_only(&self) -> bool {
        self.count == self.added.first && self.retired.is_empty()
    }

    /// Bytes held on the heap.
    pub fn owned_bytes(&self) -> usize {
        self.index.owned_bytes()
            + (self.added.first..self.count).map(|v| 24 + self.text_of_added(v).len()).sum::<usize>()
    }

    /// The text of a value; a retired one has none.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn text(&self, value: ValueId) -> Result<&str> {
        if value.0 >= self.count || self.retired.contains(&value.0) {
            return Ok("");
        }
        if value.0 >= self.added.first {
            return Ok(self.text_of_added(value.0));
        }
        match &self.base {
            Some(part) => Ok(open_part(part)?.text(value.0)),
            None => Ok(""),
        }
    }

    /// The number of a text, if anyone was ever given it.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn find(&self, text: &str) -> Result<Option<ValueId>> {
        let hash = hash_key(text.as_bytes());
        let first = self.added.first;
        let stands = |v: u32| v < self.count && !self.retired.contains(&v);
        let is_added = |v: u32| v >= first && stands(v) && self.text_of_added(v) == text;
        if let Some(value) = self.index.find(hash, is_added)? {
            return Ok(Some(ValueId(value)));
        }
        let Some(part) = &self.base else { return Ok(None) };
        let part = open_part(part)?;
        let is_it = |v: u32| part.text(v) == text && stands(v);
        Ok(part.find(hash, is_it).map(ValueId))
    }

    /// All values that have a text, ascending by number.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn iter(&self) -> Result<impl Iterator<Item = (ValueId, &str)>> {
        let part = self.base.as_deref().map(open_part).transpose()?;
        let retired: BTreeSet<u32> = self.all_retired(part.as_ref());
        Ok((0..self.count).filter(move |v| !retired.contains(v)).map(move |v| {
            let text = match &part {
                Some(part) if v < self.added.first => part.text(v),
                _ => self.text_of_added(v),
            };
            (ValueId(v), text)
        }))
    }

    /// The number of a text, given out now if need be; only the writer calls this.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub(crate) fn find_or_add(&mut self, text: &str) -> Result<ValueId> {
        if let Some(value) = self.find(text)? {
            return Ok(value);
        }
        let value = self.count;
        self.add_as(value, text);
        Ok(ValueId(value))
    }

    /// Adds a text under the next number.
    pub(crate) fn add_as(&mut self, value: u32, text: &str) {
        debug_assert_eq!(value, self.count);
        if !self.added.put(value - self.added.first, text) {
            // The number was given out before, in a batch that was given up: that list is not ours any more.
            let fresh = Added { first: self.added.first, ..Added::default() };
            (self.added.first..self.count).for_each(|v| {
                fresh.put(v - fresh.first, self.text_of_added(v));
            });
            fresh.put(value - fresh.first, text);
            self.added = Arc::new(fresh);
        }
        self.index.put(hash_key(text.as_bytes()), value);
        self.count += 1;
    }

    /// The part that a store snapshot keeps.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub(crate) fn encode(&self) -> Result<Option<Vec<u8>>> {
        if self.count == 0 {
            return Ok(None);
        }
        let part = self.base.as_deref().map(open_part).transpose()?;
        let retired = self.all_retired(part.as_ref());
        let (mut ends, mut texts, mut table) = (Vec::new(), Vec::new(), HashIndex::default());
        for value in 0..self.count {
            if !retired.contains(&value) {
                let text = self.text(ValueId(value))?;
                texts.extend_from_slice(text.as_bytes());
                table.put(hash_key(text.as_bytes()), value);
            }
            ends.push(texts.len() as u32);
        }
        let table = table.encode(true, Some)?.1.unwrap_or_default();
        let mut out = Vec::with_capacity(16 + ends.len() * 4 + retired.len() * 4 + table.len() + texts.len() + 16);
        put_u32(&mut out, self.count);
        put_u32(&mut out, retired.len() as u32);
        put_u64(&mut out, table.len() as u64);
        ends.iter().chain(&retired).for_each(|word| put_u32(&mut out, *word));
        pad_to(&mut out, 8);
        out.extend_from_slice(&table);
        pad_to(&mut out, 8);
        out.extend_from_slice(&texts);
        Ok(Some(out))
    }

    /// Takes the texts of values that nobody has any more; their numbers stay taken.
    pub(crate) fn retire(&mut self, values: &[u32]) {
        Arc::make_mut(&mut self.retired).extend(values);
    }

    /// The values that have lost their text.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub(crate) fn retired(&self) -> Result<BTreeSet<u32>> {
        Ok(self.all_retired(self.base.as_deref().map(open_part).transpose()?.as_ref()))
    }

    fn all_retired(&self, part: Option<&MappedValues<'_>>) -> BTreeSet<u32> {
        part.iter().flat_map(|p| p.retired.iter()).chain(&*self.retired).copied().collect()
    }

    fn text_of_added(&self, value: u32) -> &str {
        self.added.get(value - self.added.first)
    }
}

struct MappedValues<'a> {
    ends: &'a [u32],
    retired: &'a [u32],
    table: Option<TableBytes<'a>>,
    texts: &'a [u8],
}

impl<'a> MappedValues<'a> {
    fn read(bytes: &'a [u8], trusted: bool) -> Option<MappedValues<'a>> {
        let header: &[u32] = bytemuck::try_cast_slice(bytes.get(..16)?).ok()?;
        let (count, retired) = (header[0] as usize, header[1] as usize);
        let table_length = (u64::from(header[3]) << 32 | u64::from(header[2])) as usize;
        let ends_end = 16usize.checked_add(count.checked_mul(4)?)?;
        let retired_end = ends_end.checked_add(retired.checked_mul(4)?)?;
        let table_at = retired_end.next_multiple_of(8);
        let table_end = table_at.checked_add(table_length)?;
        let texts = bytes.get(table_end.next_multiple_of(8)..)?;
        let ends: &[u32] = bytemuck::try_cast_slice(bytes.get(16..ends_end)?).ok()?;
        if ends.last().map_or(0, |e| *e as usize) != texts.len() {
            return None;
        }
        let table_bytes = bytes.get(table_at..table_end)?;
        let table = if table_length == 0 { None } else { Some(TableBytes::read(table_bytes, trusted)?) };
        let retired: &[u32] = bytemuck::try_cast_slice(bytes.get(ends_end..retired_end)?).ok()?;
        let values = MappedValues { ends, retired, table, texts };
        (trusted || (0..count as u32).all(|v| values.text_checked(v).is_some())).then_some(values)
    }

    fn text(&self, value: u32) -> &'a str {
        self.text_checked(value).unwrap_or("")
    }

    fn text_checked(&self, value: u32) -> Option<&'a str> {
        let end = *self.ends.get(value as usize)?;
        let start = if value == 0 { 0 } else { self.ends[value as usize - 1] };
        std::str::from_utf8(self.texts.get(start as usize..end as usize)?).ok()
    }

    fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.table.as_ref()?.find(hash, &mut is_it)
    }
}

fn open_part(part: &Part) -> Result<MappedValues<'_>> {
    let check = |bytes: &[u8]| match MappedValues::read(bytes, false) {
        Some(_) => Ok(()),
        None => Err("values whose texts do not fit".to_string()),
    };
    let bytes = part.bytes_checked(check)?;
    let none = MappedValues { ends: &[], retired: &[], table: None, texts: &[] };
    Ok(MappedValues::read(bytes, true).unwrap_or(none))
}

/// An append-only list of texts that readers walk without a lock: segments of doubling length, each slot set once.
#[derive(Debug, Default)]
struct Added {
    /// Number of the first text in it.
    first: u32,
    segments: [OnceLock<Segment>; 32],
}

/// Slots that are each set once.
type Segment = Box<[OnceLock<Box<str>>]>;

const FIRST_SEGMENT_BITS: u32 = 4;

impl Added {
    fn place(at: u32) -> (usize, usize) {
        let shifted = at as u64 + (1 << FIRST_SEGMENT_BITS);
        let segment = 63 - shifted.leading_zeros() - FIRST_SEGMENT_BITS;
        (segment as usize, (shifted - (1 << (segment + FIRST_SEGMENT_BITS))) as usize)
    }

    /// Puts a text at a place; false where another one stands already.
    fn put(&self, at: u32, text: &str) -> bool {
        let (segment, slot) = Added::place(at);
        let slots = 1usize << (segment as u32 + FIRST_SEGMENT_BITS);
        let segment = self.segments[segment].get_or_init(|| (0..slots).map(|_| OnceLock::new()).collect());
        &**segment[slot].get_or_init(|| text.into()) == text
    }

    fn get(&self, at: u32) -> &str {
        let (segment, slot) = Added::place(at);
        self.segments[segment].get().and_then(|s| s[slot].get()).map_or("", |text| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_get_dense_numbers_and_are_found_again() {
        let mut values = Values::default();
        let texts: Vec<String> = (0..5000).map(|n| format!("value {n}")).collect();
        for (n, text) in texts.iter().enumerate() {
            assert_eq!(values.find_or_add(text).unwrap(), ValueId(n as u32));
        }
        let before = values.clone();
        assert_eq!(values.find_or_add("one more").unwrap(), ValueId(5000));
        assert_eq!(before.find("one more").unwrap(), None, "a view does not see what came after it");
        for (n, text) in texts.iter().enumerate() {
            assert_eq!(values.find(text).unwrap(), Some(ValueId(n as u32)));
            assert_eq!(values.text(ValueId(n as u32)).unwrap(), text);
        }
        assert_eq!(values.iter().unwrap().count(), 5001);
    }

    #[test]
    fn places_are_dense() {
        let mut next = (0, 0);
        for at in 0..10_000 {
            let (segment, slot) = Added::place(at);
            assert!((segment, slot) == next || (segment == next.0 + 1 && slot == 0), "{at}");
            next = (segment, slot + 1);
        }
    }
}
