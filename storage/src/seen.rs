//! Keys of events: which rows of a batch have been seen before, and so change nothing.
//! Knows the index of keys and the rows that have them; a key goes with the event that has it: once that is erased or no
//! longer kept, it may come again.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::batch::Upserts;
use crate::changes::EventKey;
use crate::error::{Error, Result};
use crate::ids::{OneId, in_stripe, stripe_of};
use crate::schema::EventId;
use crate::view::View;

/// Keys of events.
pub(crate) type KeySet = HashSet<(EventId, EventKey), BuildHasherDefault<KeyHasher>>;

/// The keys of a batch.
pub(crate) struct SeenKeys<'a> {
    view: &'a View,
    /// By row, and whether the index may hold it; empty where no row has one.
    rows: Vec<Option<(EventId, EventKey, bool)>>,
    /// Those of the rows so far.
    fresh: KeySet,
    /// Those of batches whose events are not in the view yet.
    under_way: &'a [&'a KeySet],
}

/// Keys are hashes already.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u32(&mut self, hash: u32) {
        self.write_u64(hash.into());
    }

    fn write_i64(&mut self, fingerprint: i64) {
        self.write_u64(fingerprint as u64);
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = self.0.rotate_left(32) ^ word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<'a> SeenKeys<'a> {
    /// Asks the index for all keys at once, which overlaps the cache misses.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub(crate) fn new(view: &'a View, batch: &Upserts, under_way: &'a [&'a KeySet]) -> Result<SeenKeys<'a>> {
        let (mut rows, mut count) = (Vec::new(), 0);
        for column in batch.events.iter().filter(|column| !column.keys.is_empty()) {
            rows.resize(batch.rows as usize, None);
            let hash = |key: &Option<u128>| key.map_or(0, |key| u64::from(EventKey::of(key).hash) << 32);
            let hashes: Vec<u64> = column.keys.iter().map(hash).collect();
            let may_hold = view.event(column.event).keys.may_hold(&hashes)?;
            for ((row, key), may_hold) in column.rows.iter().zip(&column.keys).zip(may_hold) {
                rows[*row as usize] = key.map(|key| (column.event, EventKey::of(key), may_hold));
                count += 1;
            }
        }
        let fresh = KeySet::with_capacity_and_hasher(count, BuildHasherDefault::default());
        Ok(SeenKeys { view, rows, fresh, under_way })
    }

    /// Whether the key of a row has been seen.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub(crate) fn has(&self, row: u32) -> Result<bool> {
        let Some(Some((event, key, may_hold))) = self.rows.get(row as usize) else { return Ok(false) };
        if self.fresh.contains(&(*event, *key)) || self.under_way.iter().any(|keys| keys.contains(&(*event, *key))) {
            return Ok(true);
        }
        if !may_hold {
            return Ok(false);
        }
        let field = self.view.event(*event);
        let kept_from = self.view.schema.events[event.0 as usize].kept_from.map_or(i64::MIN, i64::from);
        let mut failed = None;
        let is_it = |one_id: u32| {
            // The events of who was joined are the survivor's by now.
            let Some(OneId(owner)) = self.view.lives_as(OneId(one_id))? else { return Ok(false) };
            let Some(stripe) = field.stripe(stripe_of(owner)) else { return Ok(false) };
            stripe.has_key(in_stripe(owner), key.fingerprint, kept_from)
        };
        let found = field.keys.find(key.hash, |one_id| {
            is_it(one_id).unwrap_or_else(|error: Error| {
                failed = Some(error);
                false
            })
        })?;
        failed.map_or(Ok(found.is_some()), Err)
    }

    /// The row counts: from now on its key has been seen.
    pub(crate) fn take(&mut self, row: u32) {
        if let Some(Some((event, key, _))) = self.rows.get(row as usize) {
            self.fresh.insert((*event, *key));
        }
    }

    /// Those of all rows that counted.
    pub(crate) fn into_taken(self) -> KeySet {
        self.fresh
    }
}
