//! Events: the rows of each kind by stripe, mapped and fresh, the values of their properties, and the keys seen.
//! Knows how fresh rows become few segments; what a batch comes to is `apply`'s matter.
//!
//! ```text
//!   EventField  ── stripes[Arc<EventStripe>] · values (one a property) · keys (index from keys to OneIDs)
//!   EventStripe ── base: one mapped segment  +  runs: fresh segments, oldest first, of which few are of like size
//! ```
//! Reading takes the rows of all segments together; a store snapshot folds them into one.

use std::sync::Arc;

use crate::error::Result;
use crate::fold::{fold, merge_owned};
use crate::index::HashIndex;
use crate::pack::Part;
use crate::schema::{EventId, PropertyId, Tag};
use crate::segment::Segment;
use crate::values::Values;

/// The rows of one event in one stripe.
#[derive(Debug, Clone, Default)]
pub struct EventStripe {
    base: Option<Segment>,
    /// Rows, and how many, that came since; oldest first.
    runs: Vec<(Segment, u32)>,
    /// Runs that a store snapshot may be folding: they are not merged any more.
    taken: usize,
    /// How often rows of it were found that are not to be kept: their profile was erased, or their day is over.
    dead: u32,
}

/// All events of one kind.
#[derive(Debug, Clone)]
pub struct EventField {
    pub(crate) id: EventId,
    pub(crate) stripes: Vec<Arc<EventStripe>>,
    pub(crate) values: Vec<Values>,
    pub(crate) keys: HashIndex,
}

/// Where the bytes of an event are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventBytes {
    /// Mapped bytes of rows.
    pub rows_disk: u64,
    /// Mapped bytes of property values and of the table of keys.
    pub dictionary_disk: u64,
    /// Heap bytes of all that came since the last store snapshot.
    pub memory: u64,
}

impl EventStripe {
    /// Rows as a store snapshot has them.
    pub(crate) fn mapped(part: Arc<Part>) -> EventStripe {
        EventStripe { base: Some(Segment::Mapped(part)), ..EventStripe::default() }
    }

    /// The mapped part below, if any.
    pub fn base(&self) -> Option<&Arc<Part>> {
        self.base.as_ref().and_then(Segment::part)
    }

    /// All segments, oldest first.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.base.iter().chain(self.runs.iter().map(|(run, _)| run))
    }

    /// Whether nothing has changed since the part was written.
    pub(crate) fn is_mapped_only(&self) -> bool {
        self.runs.is_empty() && self.dead == 0
    }

    /// Heap bytes of fresh rows.
    pub(crate) fn owned_bytes(&self) -> usize {
        self.runs.iter().map(|(run, _)| run.owned_bytes()).sum()
    }

    /// Adds fresh rows. Merging runs of like size keeps them few, at most so many `beside` each other: each row is copied
    /// a logarithmic number of times, to that base and one.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] from a run, which cannot be.
    pub(crate) fn push(&mut self, run: Segment, rows: u32, beside: usize) -> Result<()> {
        self.runs.push((run, rows));
        while let [.., (_, last)] = self.runs[self.taken..] {
            let is_alike = |(_, rows): &&(Segment, u32)| u64::from(last) * 2 >= u64::from(*rows);
            let alike = self.runs[self.taken..].iter().rev().take_while(is_alike).count();
            if alike <= beside {
                break;
            }
            let runs = self.runs.split_off(self.runs.len() - alike);
            let rows = runs.iter().map(|(_, rows)| rows).sum();
            let segments: Vec<&Segment> = runs.iter().map(|(run, _)| run).collect();
            self.runs.extend(merge_owned(&segments, &|_, _| true)?.map(|merged| (merged, rows)));
        }
        Ok(())
    }

    /// Some rows are not to be kept by the next store snapshot.
    pub(crate) fn mark_dead(&mut self) {
        self.dead += 1;
    }

    /// How many rows are of a place in the stripe.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub(crate) fn row_count_of(&self, in_stripe: u32) -> Result<u32> {
        self.segments().try_fold(0, |sum, segment| Ok(sum + segment.open()?.rows_of(in_stripe).len() as u32))
    }

    /// Whether a place in the stripe has a row with the fingerprint of a key, of a day from `kept_from` on.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub(crate) fn has_key(&self, in_stripe: u32, fingerprint: i64, kept_from: i64) -> Result<bool> {
        for segment in self.segments() {
            let view = segment.open()?;
            let (keys, days) = (view.key(), view.day());
            let is_it =
                |row| keys.value(row) == Some(fingerprint) && days.value(row).is_some_and(|day| day >= kept_from);
            if view.rows_of(in_stripe).any(is_it) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The stripe as a store snapshot takes it: its runs stay as they are until then.
    pub(crate) fn take(&mut self) {
        self.taken = self.runs.len();
    }

    /// Whether it may have rows of profiles that are gone.
    pub fn has_dead(&self) -> bool {
        self.dead > 0
    }

    /// The part that a store snapshot keeps: all rows that `keep` (owner, day) lets stay, with who has which values of the
    /// event's properties; `None` where there are none.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub(crate) fn encode(&self, properties: &[Tag], keep: &dyn Fn(u32, i64) -> bool) -> Result<Option<Vec<u8>>> {
        fold(&self.segments().collect::<Vec<_>>(), properties, keep)
    }

    /// This stripe once a store snapshot has folded all that `taken` held into `folded`.
    pub(crate) fn over(&self, taken: &EventStripe, folded: Option<Arc<Part>>) -> Option<EventStripe> {
        let same_base = match (&self.base, &taken.base) {
            (Some(mine), Some(other)) => mine.is(other),
            (None, None) => true,
            _ => false,
        };
        let is_prefix = self.runs.len() >= taken.runs.len()
            && self.runs.iter().zip(&taken.runs).all(|((mine, _), (other, _))| mine.is(other));
        (same_base && is_prefix).then(|| EventStripe {
            base: folded.map(Segment::Mapped),
            runs: self.runs[taken.runs.len()..].to_vec(),
            taken: 0,
            // Whoever was erased meanwhile is dropped by the next one.
            dead: self.dead - taken.dead.min(self.dead),
        })
    }
}

impl EventField {
    pub(crate) fn empty(id: EventId) -> EventField {
        EventField { id, stripes: Vec::new(), values: Vec::new(), keys: HashIndex::default() }
    }

    /// One stripe, if it has rows.
    pub fn stripe(&self, stripe: usize) -> Option<&EventStripe> {
        self.stripes.get(stripe).map(|stripe| &**stripe)
    }

    /// Texts of a category property's values.
    pub fn values(&self, property: PropertyId) -> &Values {
        &self.values[property.0 as usize]
    }

    /// How many rows it has, those not to be kept included.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub fn row_count(&self) -> Result<u64> {
        let segments = self.stripes.iter().flat_map(|stripe| stripe.segments());
        let mut rows = 0;
        for segment in segments {
            rows += u64::from(segment.open()?.row_count());
        }
        Ok(rows)
    }

    /// Where its bytes are.
    pub fn bytes(&self) -> EventBytes {
        let length = |part: &Arc<Part>| part.place().length;
        let stripes = self.stripes.iter();
        let tables: u64 = self.keys.tables().iter().map(length).sum();
        let texts: u64 = self.values.iter().filter_map(|values| values.base()).map(length).sum();
        let fresh: usize = stripes.clone().map(|stripe| stripe.owned_bytes()).sum();
        let dictionary: usize = self.values.iter().map(Values::owned_bytes).sum();
        EventBytes {
            rows_disk: stripes.filter_map(|stripe| stripe.base()).map(length).sum(),
            dictionary_disk: tables + texts,
            memory: (fresh + dictionary + self.keys.owned_bytes()) as u64,
        }
    }

    pub(crate) fn stripe_mut(&mut self, stripe: usize) -> &mut EventStripe {
        if self.stripes.len() <= stripe {
            self.stripes.resize_with(stripe + 1, Arc::default);
        }
        Arc::make_mut(&mut self.stripes[stripe])
    }
}
