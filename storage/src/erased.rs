//! Who was erased since: what an earlier view, or a record that led from it, must be rid of. Whoever was joined to somebody
//! who lives is not gone, and still stands there as the profile that he was.
//! Knows views and records; which files are rewritten is `purge`'s matter.

use std::collections::BTreeSet;

use crate::bitmaps::ValueBitmap;
use crate::changes::{Changes, Dictionary, EventChanges, FieldChanges, Identities, Record};
use crate::error::Result;
use crate::ids::{CHUNK_PROFILES, CHUNK_WORDS, KNOWN, STRIPE_CHUNKS, in_stripe, stripe_of};
use crate::joins::Joins;
use crate::view::View;

/// Who lives in a view, in his own name or another's, to be looked up.
pub(crate) struct Living<'a> {
    stripes: Vec<ValueBitmap<'a>>,
    joins: &'a Joins,
}

impl<'a> Living<'a> {
    /// Of the present view.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub(crate) fn of(view: &'a View) -> Result<Living<'a>> {
        let stripes = view.live.stripes.iter().map(|stripe| Ok(stripe.bitmaps()?.value(KNOWN)));
        let living = Living { stripes: stripes.collect::<Result<_>>()?, joins: &view.joins };
        // Here, since looking up cannot fail.
        view.joins.check()?;
        Ok(living)
    }

    /// Whether somebody lives, perhaps as one whom he was joined to.
    pub(crate) fn contains(&self, one_id: u32) -> bool {
        self.lives_as(one_id).is_some()
    }

    /// The live profile that somebody is, or was joined to.
    pub(crate) fn lives_as(&self, mut one_id: u32) -> Option<u32> {
        while !self.stripes.get(stripe_of(one_id)).is_some_and(|live| live.contains(in_stripe(one_id))) {
            one_id = self.joins.survivor_of(one_id).ok().flatten()?;
        }
        Some(one_id)
    }

    /// Profiles of an earlier view that live no more, ascending. Bits of a chunk at a time.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub(crate) fn gone_from(&self, earlier: &View) -> Result<Vec<u32>> {
        let mut gone = Vec::new();
        for stripe in 0..earlier.stripe_count() {
            let then = earlier.live.stripe(stripe).bitmaps()?.value(KNOWN);
            for (chunk, container) in then.containers.iter().enumerate() {
                let (mut lived, mut lives) = ([0; CHUNK_WORDS], [0; CHUNK_WORDS]);
                container.or_into(&mut lived);
                if let Some(now) = self.stripes.get(stripe) {
                    now.containers[chunk].or_into(&mut lives);
                }
                let first = (stripe * STRIPE_CHUNKS + chunk) as u32 * CHUNK_PROFILES;
                for (at, (lived, lives)) in (0u32..).zip(lived.iter().zip(&lives)) {
                    let mut left = lived & !lives;
                    while left != 0 {
                        let one_id = first + at * 64 + left.trailing_zeros();
                        gone.extend((!self.contains(one_id)).then_some(one_id));
                        left &= left - 1;
                    }
                }
            }
        }
        Ok(gone)
    }

    /// A record without those who live no more; whether it held any of them.
    pub(crate) fn without_gone(&self, record: Record) -> (Record, bool) {
        match record {
            Record::Changes(changes) => {
                let (kept, changed) = self.changes_without_gone(changes);
                (Record::Changes(kept), changed)
            }
            Record::Erase(one_ids) => {
                let before = one_ids.len();
                let kept: Vec<u32> = one_ids.into_iter().filter(|one_id| self.contains(*one_id)).collect();
                let changed = kept.len() < before;
                (Record::Erase(kept), changed)
            }
            other => (other, false),
        }
    }

    fn changes_without_gone(&self, mut changes: Changes) -> (Changes, bool) {
        let before = changes.created.len();
        changes.created.retain(|one_id| self.contains(*one_id));
        let mut changed = changes.created.len() < before;
        let before = changes.joins.len();
        changes.joins.retain(|join| self.contains(join.survivor));
        changed |= changes.joins.len() < before;
        if changes.identities.iter().any(|(_, one_id, _)| !self.contains(one_id)) {
            let mut kept = Identities::default();
            let living = changes.identities.iter().filter(|(_, one_id, _)| self.contains(*one_id));
            living.for_each(|(id_type, one_id, key)| kept.push(id_type, one_id, key));
            changes.identities = kept;
            changed = true;
        }
        for (_, of_tag) in &mut changes.tags {
            changed |= self.tag_without_gone(of_tag);
        }
        for (_, events) in &mut changes.events {
            changed |= self.events_without_gone(events);
        }
        (changes, changed)
    }

    fn tag_without_gone(&self, of_tag: &mut FieldChanges) -> bool {
        match of_tag {
            FieldChanges::Codes(all) => {
                let before = all.len();
                all.retain(|(one_id, _)| self.contains(*one_id));
                all.len() < before
            }
            FieldChanges::Sets { changes, codes } => {
                if changes.iter().all(|(one_id, ..)| self.contains(*one_id)) {
                    return false;
                }
                let (mut kept, mut kept_codes, mut start) = (Vec::new(), Vec::new(), 0);
                for (one_id, op, end) in changes.iter() {
                    if self.contains(*one_id) {
                        kept_codes.extend_from_slice(&codes[start as usize..*end as usize]);
                        kept.push((*one_id, *op, kept_codes.len() as u32));
                    }
                    start = *end;
                }
                (*changes, *codes) = (kept, kept_codes);
                true
            }
        }
    }
}

impl Living<'_> {
    fn events_without_gone(&self, events: &mut EventChanges) -> bool {
        let stays: Vec<bool> = events.one_ids.iter().map(|one_id| self.contains(*one_id)).collect();
        if stays.iter().all(|stays| *stays) {
            return false;
        }
        retain_by(&mut events.one_ids, &stays);
        retain_by(&mut events.at, &stays);
        retain_by(&mut events.days, &stays);
        // Empty where none has one.
        retain_by(&mut events.keys, &stays);
        events.properties.iter_mut().for_each(|(_, values)| retain_by(values, &stays));
        true
    }
}

fn retain_by<T>(all: &mut Vec<T>, stays: &[bool]) {
    let mut stays = stays.iter();
    all.retain(|_| stays.next().is_none_or(|stays| *stays));
}

/// A value of a tag or property, as something to look up.
pub(crate) type Given = BTreeSet<(u32, u32)>;

/// Values that some records give to anybody, by dictionary.
pub(crate) fn values_given<'r>(records: impl Iterator<Item = &'r Record>) -> Given {
    let mut given = BTreeSet::new();
    for record in records {
        let Record::Changes(changes) = record else { continue };
        for (event, events) in &changes.events {
            for (property, values) in &events.properties {
                let owner = Dictionary::Property(*event, *property).number();
                given.extend(values.iter().filter_map(|v| u32::try_from(*v).ok()).map(|value| (owner, value)));
            }
        }
        for (tag, of_tag) in &changes.tags {
            let owner = Dictionary::Tag(*tag).number();
            match of_tag {
                FieldChanges::Codes(all) => {
                    // Of numbers and dates, too: they have no texts, and nobody looks for theirs.
                    let codes = all.iter().filter_map(|(_, value)| *value).filter_map(|v| u32::try_from(v).ok());
                    given.extend(codes.map(|code| (owner, code)));
                }
                FieldChanges::Sets { codes, .. } => given.extend(codes.iter().map(|code| (owner, *code))),
            }
        }
    }
    given
}

/// Blanks the texts of values that a record brings and that nobody is `given`; the record that retires them, if any.
pub(crate) fn blank_unused(record: &mut Record, given: &Given) -> Option<Record> {
    let Record::Changes(changes) = record else { return None };
    let mut retired = Vec::new();
    let mut blank = |owner: Dictionary, first: u32, texts: &mut Vec<Box<str>>| {
        let is_given = |value| given.contains(&(owner.number(), value));
        let unused = (first..).zip(texts).filter(|(value, text)| !text.is_empty() && !is_given(*value));
        let values: Vec<u32> = unused
            .map(|(value, text)| {
                *text = "".into();
                value
            })
            .collect();
        if !values.is_empty() {
            retired.push((owner, values));
        }
    };
    for (tag, first, texts) in &mut changes.values {
        blank(Dictionary::Tag(*tag), *first, texts);
    }
    for (event, events) in &mut changes.events {
        for (property, first, texts) in &mut events.values {
            blank(Dictionary::Property(*event, *property), *first, texts);
        }
    }
    (!retired.is_empty()).then_some(Record::Retire(retired))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::SetOp;
    use crate::changes::Join;
    use crate::schema::{EventId, IdTypeId, PropertyId, TagId};

    #[test]
    fn a_record_loses_what_is_of_people_who_are_gone_and_nothing_else() {
        let mut view = View::empty();
        let created = Changes { next_one_id: 5, created: vec![1, 3], ..Changes::default() };
        crate::apply::apply(&mut view, &Record::Changes(created), 1, 1).unwrap();
        view.joins.put(9, 6);
        view.joins.put(6, 3);
        let living = Living::of(&view).unwrap();
        assert_eq!([3, 6, 9, 2].map(|one_id| living.lives_as(one_id)), [Some(3), Some(3), Some(3), None]);
        let mut identities = Identities::default();
        for (id, key) in [(1, "one"), (2, "two"), (3, "three")] {
            identities.push(IdTypeId(0), id, key.as_bytes());
        }
        let sets = FieldChanges::Sets {
            changes: vec![(1, SetOp::Add, 1), (2, SetOp::Replace, 3), (3, SetOp::Remove, 4)],
            codes: vec![7, 8, 9, 6],
        };
        let values = vec![(TagId(1), 8, vec!["eight".into(), "nine".into()])];
        let codes = FieldChanges::Codes(vec![(1, Some(4)), (2, Some(5)), (3, None)]);
        let tags = vec![(TagId(0), codes), (TagId(1), sets)];
        let events = EventChanges {
            values: vec![(PropertyId(0), 0, vec!["shop".into(), "web".into()])],
            one_ids: vec![2, 1],
            at: vec![20, 10],
            days: vec![200, 100],
            keys: Vec::new(),
            properties: vec![(PropertyId(0), vec![1, 0])],
        };
        let events = vec![(EventId(0), events)];
        let joins = vec![Join { retired: 4, survivor: 2 }, Join { retired: 9, survivor: 6 }];
        let record = Changes { next_one_id: 5, created: vec![1, 2, 3], joins, identities, values, tags, events };
        let (mut kept, changed) = living.without_gone(Record::Changes(record));
        assert!(changed);
        let given = values_given(std::iter::once(&kept));
        let shop = (Dictionary::Property(EventId(0), PropertyId(0)).number(), 0);
        assert_eq!(given, [(0, 4), (1, 6), (1, 7), shop].into());
        let web = (Dictionary::Property(EventId(0), PropertyId(0)), vec![1]);
        let retired = vec![(Dictionary::Tag(TagId(1)), vec![8, 9]), web];
        assert_eq!(blank_unused(&mut kept, &given), Some(Record::Retire(retired)));
        assert_eq!(blank_unused(&mut kept, &given), None, "only once");
        let Record::Changes(kept) = kept else { panic!("still changes") };
        assert_eq!((&kept.created[..], &kept.joins[..]), (&[1, 3][..], &[Join { retired: 9, survivor: 6 }][..]));
        let events = &kept.events[0].1;
        assert_eq!((&events.one_ids[..], &events.at[..], &events.days[..]), (&[1][..], &[10][..], &[100][..]));
        assert_eq!(events.properties, [(PropertyId(0), vec![0])]);
        assert_eq!(kept.identities.iter().map(|(_, id, _)| id).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(kept.tags[0].1, FieldChanges::Codes(vec![(1, Some(4)), (3, None)]));
        let sets = FieldChanges::Sets { changes: vec![(1, SetOp::Add, 1), (3, SetOp::Remove, 2)], codes: vec![7, 6] };
        assert_eq!(kept.tags[1].1, sets);
        assert!(!living.without_gone(Record::Changes(kept)).1, "nothing is left to take out");
    }
}
