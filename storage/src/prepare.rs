//! From a batch of upserts to decided changes: who is meant, who is new, which values are new.
//! Knows the writer's view and the batch; changes nothing but the lists of values and identities to add.
//!
//! Rows are taken in order. A row is refused whole, before anything of it counts; an atomic batch with a refused row
//! leaves no trace.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::batch::{OnUnknown, Outcome, Rejected, SetOp, TagChanges, TagColumn, UNSET, Upserts};
use crate::changes::{Changes, FieldChanges};
use crate::error::{Error, Result};
use crate::ids::PROFILES_MAX;
use crate::keys::{KEY_BYTES_MAX, SEPARATOR};
use crate::schema::{IdTypeId, TagId, TagType};
use crate::values::VALUE_BYTES_MAX;
use crate::view::View;

/// Marks a row that does not count.
const NOBODY: u32 = u32::MAX;

/// Decides a batch against the writer's view. New values are added to `view` (they are invisible until published).
///
/// # Errors
/// [`Error::Refused`] for a batch that is not well-formed, [`Error::Full`], [`Error::Corrupt`].
pub(crate) fn prepare(view: &mut View, batch: &Upserts) -> Result<(Changes, Outcome)> {
    check_shape(view, batch)?;
    let mut people = People::new(view, batch.rows as usize);
    let mut refused = batch.refused.iter().copied().peekable();
    for row in 0..batch.rows {
        if refused.next_if_eq(&row).is_some() {
            people.one_ids.push(NOBODY);
        } else {
            people.take_row(batch, row)?;
        }
    }
    let People { created, identities, next_one_id, one_ids, rejected, .. } = people;
    let mut changes = Changes { next_one_id, created, identities, ..Changes::default() };
    let mut outcome = Outcome { rejected, ..Outcome::default() };
    if batch.atomic && !(outcome.rejected.is_empty() && batch.refused.is_empty()) {
        changes = Changes { next_one_id: view.next_one_id, ..Changes::default() };
        return Ok((changes, outcome));
    }
    outcome.created = changes.created.len() as u32;
    outcome.accepted = one_ids.iter().filter(|id| **id != NOBODY).count() as u32;
    for column in &batch.tags {
        if let Some(decided) = decide_column(view, column, &one_ids, &mut changes)? {
            changes.tags.push((column.tag, decided));
        }
    }
    Ok((changes, outcome))
}

fn check_shape(view: &View, batch: &Upserts) -> Result<()> {
    let refuse = |reason: String| Err(Error::Refused { code: "bad_batch", reason });
    for column in &batch.ids {
        if column.offsets.len() != batch.rows as usize + 1 || column.id_type.0 as usize >= view.id_types.len() {
            return refuse("an id column that does not fit the batch".into());
        }
    }
    for column in &batch.tags {
        let Some(tag) = view.schema.tags.get(column.tag.0 as usize) else {
            return refuse(format!("there is no tag number {}", column.tag.0));
        };
        let fits = match (&column.changes, tag.tag_type) {
            (TagChanges::Texts { dictionary, .. }, TagType::Category)
            | (TagChanges::Sets { dictionary, .. }, TagType::Set) => {
                dictionary.iter().all(|text| text.len() <= VALUE_BYTES_MAX)
            }
            (TagChanges::Numbers(_), TagType::Number { .. } | TagType::Date | TagType::Flag) => true,
            _ => false,
        };
        if !fits {
            return refuse(format!("changes of tag `{}` that do not fit its type", tag.name));
        }
    }
    Ok(())
}

/// Keys are hashed already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Who the rows mean, as far as the batch has been read.
struct People<'a> {
    view: &'a View,
    next_one_id: u32,
    created: Vec<u32>,
    identities: Vec<(IdTypeId, u32, Box<[u8]>)>,
    /// Hash of a new identity → its place in `identities`; a taken hash moves on by one.
    new: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
    one_ids: Vec<u32>,
    rejected: Vec<Rejected>,
}

impl<'a> People<'a> {
    fn new(view: &'a View, rows: usize) -> People<'a> {
        People {
            view,
            next_one_id: view.next_one_id,
            created: Vec::new(),
            identities: Vec::new(),
            new: HashMap::default(),
            one_ids: Vec::with_capacity(rows),
            rejected: Vec::new(),
        }
    }

    fn take_row(&mut self, batch: &Upserts, row: u32) -> Result<()> {
        let verdict = self.resolve(batch, row)?;
        let one_id = match verdict {
            Ok(one_id) => one_id,
            Err((code, message)) => {
                self.rejected.push(Rejected { row, code, message });
                NOBODY
            }
        };
        self.one_ids.push(one_id);
        Ok(())
    }

    fn resolve(&mut self, batch: &Upserts, row: u32) -> Result<Result<u32, (&'static str, String)>> {
        let keys = batch.ids.iter().map(|c| (c.id_type, c.key(row))).filter(|(_, key)| !key.is_empty());
        let mut meant: Option<(u32, IdTypeId)> = None;
        let mut unknown = Vec::new();
        let mut any = false;
        for (id_type, key) in keys {
            any = true;
            if key.len() > KEY_BYTES_MAX || key.contains(&SEPARATOR) {
                let name = &self.view.schema.id_types[id_type.0 as usize];
                let message = format!("an identity is 1 to {KEY_BYTES_MAX} bytes without NUL; this `{name}` is not");
                return Ok(Err(("bad_identity", message)));
            }
            match (self.find(id_type, key)?, meant) {
                (None, _) => unknown.push((id_type, key)),
                (Some(found), Some((other, first))) if found != other => {
                    let names = [first, id_type].map(|t| &self.view.schema.id_types[t.0 as usize]);
                    let message = format!(
                        "`{}` and `{}` belong to two profiles ({other} and {found}); joining profiles is not done here",
                        names[0], names[1]
                    );
                    return Ok(Err(("two_profiles", message)));
                }
                (Some(found), _) => meant = Some((found, id_type)),
            }
        }
        if !any {
            return Ok(Err(("no_identity", "a line names at least one identity".into())));
        }
        let one_id = match (meant, batch.unknown) {
            (Some((one_id, _)), _) => one_id,
            (None, OnUnknown::Reject) => {
                return Ok(Err(("unknown_profile", "nobody has this identity".into())));
            }
            (None, OnUnknown::Create) => self.create()?,
        };
        unknown.into_iter().for_each(|(id_type, key)| self.add_identity(id_type, one_id, key));
        Ok(Ok(one_id))
    }

    fn create(&mut self) -> Result<u32> {
        let one_id = self.next_one_id;
        if one_id >= PROFILES_MAX {
            return Err(Error::Full { profiles: one_id });
        }
        self.next_one_id += 1;
        self.created.push(one_id);
        Ok(one_id)
    }

    fn find(&self, id_type: IdTypeId, key: &[u8]) -> Result<Option<u32>> {
        let mut hash = new_hash(id_type, key);
        while let Some(at) = self.new.get(&hash) {
            let (known_type, one_id, known_key) = &self.identities[*at as usize];
            if *known_type == id_type && **known_key == *key {
                return Ok(Some(*one_id));
            }
            hash = hash.wrapping_add(1);
        }
        Ok(self.view.find_identity(id_type, key)?.map(|one_id| one_id.0))
    }

    fn add_identity(&mut self, id_type: IdTypeId, one_id: u32, key: &[u8]) {
        let mut hash = new_hash(id_type, key);
        while self.new.contains_key(&hash) {
            hash = hash.wrapping_add(1);
        }
        self.new.insert(hash, self.identities.len() as u32);
        self.identities.push((id_type, one_id, key.into()));
    }
}

fn new_hash(id_type: IdTypeId, key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, id_type.0.into())
}

/// The changes of one column in OneIDs and value numbers, sorted by OneID; rows that do not count are left out.
fn decide_column(
    view: &mut View,
    column: &TagColumn,
    one_ids: &[u32],
    changes: &mut Changes,
) -> Result<Option<FieldChanges>> {
    let of_row = |row: u32| one_ids.get(row as usize).copied().filter(|one_id| *one_id != NOBODY);
    let decided = match &column.changes {
        TagChanges::Numbers(list) => {
            let mut codes: Vec<(u32, Option<i64>)> =
                list.iter().filter_map(|(row, value)| Some((of_row(*row)?, *value))).collect();
            codes.sort_by_key(|(one_id, _)| *one_id);
            FieldChanges::Codes(codes)
        }
        TagChanges::Texts { dictionary, changes: list } => {
            let mut numbers = NumberedValues::new(view, column.tag, dictionary, changes);
            let mut codes = Vec::with_capacity(list.len());
            for (row, code) in list {
                if let Some(one_id) = of_row(*row) {
                    let value = if *code == UNSET { None } else { Some(i64::from(numbers.number(*code)?)) };
                    codes.push((one_id, value));
                }
            }
            codes.sort_by_key(|(one_id, _)| *one_id);
            FieldChanges::Codes(codes)
        }
        TagChanges::Sets { dictionary, changes: list, codes } => {
            let mut numbers = NumberedValues::new(view, column.tag, dictionary, changes);
            decide_sets(&mut numbers, list, codes, of_row)?
        }
    };
    let is_empty = match &decided {
        FieldChanges::Codes(codes) => codes.is_empty(),
        FieldChanges::Sets { changes, .. } => changes.is_empty(),
    };
    Ok((!is_empty).then_some(decided))
}

fn decide_sets(
    numbers: &mut NumberedValues<'_>,
    list: &[(u32, SetOp, u32)],
    codes: &[u32],
    of_row: impl Fn(u32) -> Option<u32>,
) -> Result<FieldChanges> {
    let mut starts = Vec::with_capacity(list.len());
    let mut start = 0;
    for (row, op, end) in list {
        if let Some(one_id) = of_row(*row) {
            starts.push((one_id, *op, start, *end));
        }
        start = *end;
    }
    starts.sort_by_key(|(one_id, ..)| *one_id);
    let (mut changes, mut decided, mut values) = (Vec::with_capacity(starts.len()), Vec::new(), Vec::new());
    for (one_id, op, start, end) in starts {
        values.clear();
        for code in &codes[start as usize..end as usize] {
            values.push(numbers.number(*code)?);
        }
        values.sort_unstable();
        values.dedup();
        decided.extend_from_slice(&values);
        changes.push((one_id, op, decided.len() as u32));
    }
    Ok(FieldChanges::Sets { changes, codes: decided })
}

/// Dictionary places to value numbers, each looked up once; new values are noted for the log.
struct NumberedValues<'a> {
    view: &'a mut View,
    tag: TagId,
    dictionary: &'a [Box<str>],
    numbers: Vec<u32>,
    noted: &'a mut Changes,
}

impl<'a> NumberedValues<'a> {
    fn new(view: &'a mut View, tag: TagId, dictionary: &'a [Box<str>], noted: &'a mut Changes) -> Self {
        let numbers = vec![UNSET; dictionary.len()];
        NumberedValues { view, tag, dictionary, numbers, noted }
    }

    fn number(&mut self, code: u32) -> Result<u32> {
        let Some(&known) = self.numbers.get(code as usize) else {
            return Err(Error::Refused { code: "bad_batch", reason: "a code outside of its dictionary".into() });
        };
        if known != UNSET {
            return Ok(known);
        }
        let text = &self.dictionary[code as usize];
        let field = &self.view.tags[self.tag.0 as usize];
        let number = match field.values.find(text)? {
            Some(value) => value.0,
            None => {
                let value = self.view.field_mut(crate::field::FieldId::Tag(self.tag)).values.find_or_add(text)?.0;
                self.note(value, text.clone());
                value
            }
        };
        self.numbers[code as usize] = number;
        Ok(number)
    }

    fn note(&mut self, value: u32, text: Box<str>) {
        match self.noted.values.iter_mut().find(|(tag, ..)| *tag == self.tag) {
            Some((_, _, texts)) => texts.push(text),
            None => self.noted.values.push((self.tag, value, vec![text])),
        }
    }
}
