//! Who was erased since: what an earlier view, or a record that led from it, must be rid of.
//! Knows views and records; which files are rewritten is `purge`'s matter.

use std::collections::BTreeSet;

use crate::bitmaps::ValueBitmap;
use crate::changes::{Changes, FieldChanges, Identities, Record};
use crate::error::Result;
use crate::ids::{CHUNK_PROFILES, CHUNK_WORDS, KNOWN, STRIPE_CHUNKS, in_stripe, stripe_of};
use crate::schema::TagId;
use crate::view::View;

/// Who lives in a view, to be looked up.
pub(crate) struct Living<'a> {
    stripes: Vec<ValueBitmap<'a>>,
}

impl<'a> Living<'a> {
    /// Of the present view.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`].
    pub(crate) fn of(view: &'a View) -> Result<Living<'a>> {
        let stripes = view.live.stripes.iter().map(|stripe| Ok(stripe.bitmaps()?.value(KNOWN)));
        Ok(Living { stripes: stripes.collect::<Result<_>>()? })
    }

    /// Whether somebody lives.
    pub(crate) fn contains(&self, one_id: u32) -> bool {
        self.stripes.get(stripe_of(one_id)).is_some_and(|live| live.contains(in_stripe(one_id)))
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
                        gone.push(first + at * 64 + left.trailing_zeros());
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

/// Values that some records give to anybody, by tag.
pub(crate) fn values_given<'r>(records: impl Iterator<Item = &'r Record>) -> BTreeSet<(TagId, u32)> {
    let mut given = BTreeSet::new();
    for record in records {
        let Record::Changes(changes) = record else { continue };
        for (tag, of_tag) in &changes.tags {
            match of_tag {
                FieldChanges::Codes(all) => {
                    // Of numbers and dates, too: they have no texts, and nobody looks for theirs.
                    let codes = all.iter().filter_map(|(_, value)| *value).filter_map(|v| u32::try_from(v).ok());
                    given.extend(codes.map(|code| (*tag, code)));
                }
                FieldChanges::Sets { codes, .. } => given.extend(codes.iter().map(|code| (*tag, *code))),
            }
        }
    }
    given
}

/// Blanks the texts of values that a record brings and that nobody is `given`; the record that retires them, if any.
pub(crate) fn blank_unused(record: &mut Record, given: &BTreeSet<(TagId, u32)>) -> Option<Record> {
    let Record::Changes(changes) = record else { return None };
    let mut retired = Vec::new();
    for (tag, first, texts) in &mut changes.values {
        let unused = (*first..).zip(texts).filter(|(value, text)| !text.is_empty() && !given.contains(&(*tag, *value)));
        let values: Vec<u32> = unused
            .map(|(value, text)| {
                *text = "".into();
                value
            })
            .collect();
        if !values.is_empty() {
            retired.push((*tag, values));
        }
    }
    (!retired.is_empty()).then_some(Record::Retire(retired))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::SetOp;
    use crate::schema::IdTypeId;

    #[test]
    fn a_record_loses_what_is_of_people_who_are_gone_and_nothing_else() {
        let mut view = View::empty();
        let created = Changes { next_one_id: 5, created: vec![1, 3], ..Changes::default() };
        crate::apply::apply(&mut view, &Record::Changes(created), 1, 1).unwrap();
        let living = Living::of(&view).unwrap();
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
        let record = Changes { next_one_id: 5, created: vec![1, 2, 3], identities, values, tags };
        let (mut kept, changed) = living.without_gone(Record::Changes(record));
        assert!(changed);
        let given = values_given(std::iter::once(&kept));
        assert_eq!(given, [(TagId(0), 4), (TagId(1), 6), (TagId(1), 7)].into());
        assert_eq!(blank_unused(&mut kept, &given), Some(Record::Retire(vec![(TagId(1), vec![8, 9])])));
        assert_eq!(blank_unused(&mut kept, &given), None, "only once");
        let Record::Changes(kept) = kept else { panic!("still changes") };
        assert_eq!(kept.created, [1, 3]);
        assert_eq!(kept.identities.iter().map(|(_, id, _)| id).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(kept.tags[0].1, FieldChanges::Codes(vec![(1, Some(4)), (3, None)]));
        let sets = FieldChanges::Sets { changes: vec![(1, SetOp::Add, 1), (3, SetOp::Remove, 2)], codes: vec![7, 6] };
        assert_eq!(kept.tags[1].1, sets);
        assert!(!living.without_gone(Record::Changes(kept)).1, "nothing is left to take out");
    }
}
