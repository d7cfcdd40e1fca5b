//! From a batch of upserts to decided changes: who is meant, who is new, which values are new.
//! Knows the writer's view and the batch; changes nothing but the lists of values to add.
//!
//! A row is refused whole, before anything of it counts; an atomic batch with a refused row leaves no trace.

use std::sync::Arc;

use crate::batch::{Outcome, SetOp, TagChanges, TagColumn, UNSET, Upserts};
use crate::changes::{Changes, FieldChanges};
use crate::error::{Error, Result};
use crate::field::Field;
use crate::resolve::{NOBODY, Resolved, resolve};
use crate::schema::TagType;
use crate::values::VALUE_BYTES_MAX;
use crate::view::View;

/// Decides a batch against the writer's view. New values are added to `view` (they are invisible until published).
///
/// # Errors
/// [`Error::Refused`] for a batch that is not well-formed, [`Error::Full`], [`Error::Corrupt`].
pub(crate) fn prepare(view: &mut View, batch: &Upserts) -> Result<(Changes, Outcome)> {
    check_shape(view, batch)?;
    let (Resolved { one_ids, created, identities, next_one_id }, outcome) = resolve(view, batch)?;
    let mut changes = Changes { next_one_id, created, identities, ..Changes::default() };
    for column in &batch.tags {
        let field = &mut view.tags[column.tag.0 as usize];
        let Decided { changes: decided, first_value, values } = decide_column(field, column, &one_ids)?;
        if !values.is_empty() {
            changes.values.push((column.tag, first_value, values));
        }
        if !decided.is_empty() {
            changes.tags.push((column.tag, decided));
        }
    }
    Ok((changes, outcome))
}

/// Checks that a batch fits the schema and itself.
///
/// # Errors
/// [`Error::Refused`].
pub(crate) fn check_shape(view: &View, batch: &Upserts) -> Result<()> {
    let refuse = |reason: String| Err(Error::Refused { code: "bad_batch", reason });
    for (at, column) in batch.ids.iter().enumerate() {
        if column.offsets.len() != batch.rows as usize + 1 || column.id_type.0 as usize >= view.id_types.len() {
            return refuse("an id column that does not fit the batch".into());
        }
        if batch.ids[..at].iter().any(|other| other.id_type == column.id_type) {
            return refuse("two id columns of one id type".into());
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

/// A column in OneIDs and value numbers.
pub(crate) struct Decided {
    /// Sorted by OneID, those of one profile in turn; rows that do not count are left out.
    pub(crate) changes: FieldChanges,
    /// The number of the first of `values`.
    pub(crate) first_value: u32,
    /// Values that are new; they have been added to the field.
    pub(crate) values: Vec<Box<str>>,
}

/// Decides one column: `one_ids` says whom each row means.
///
/// # Errors
/// [`Error::Refused`], [`Error::Corrupt`].
pub(crate) fn decide_column(field: &mut Arc<Field>, column: &TagColumn, one_ids: &[u32]) -> Result<Decided> {
    let of_row = |row: u32| one_ids.get(row as usize).copied().filter(|one_id| *one_id != NOBODY);
    let (dictionary, first_value) = match &column.changes {
        TagChanges::Numbers(_) => (&[][..], 0),
        TagChanges::Texts { dictionary, .. } | TagChanges::Sets { dictionary, .. } => {
            (&dictionary[..], field.values.count())
        }
    };
    let mut numbers = Numbered { field, dictionary, numbers: vec![UNSET; dictionary.len()], added: Vec::new() };
    let changes = match &column.changes {
        TagChanges::Numbers(list) => {
            let codes = list.iter().filter_map(|(row, value)| Some((of_row(*row)?, *value)));
            FieldChanges::Codes(sorted_by_one_id(codes.collect()))
        }
        TagChanges::Texts { changes: list, .. } => {
            let mut codes = Vec::with_capacity(list.len());
            for (row, code) in list {
                if let Some(one_id) = of_row(*row) {
                    let value = if *code == UNSET { None } else { Some(i64::from(numbers.number(*code)?)) };
                    codes.push((one_id, value));
                }
            }
            FieldChanges::Codes(sorted_by_one_id(codes))
        }
        TagChanges::Sets { changes: list, codes, .. } => decide_sets(&mut numbers, list, codes, of_row)?,
    };
    Ok(Decided { changes, first_value, values: numbers.added })
}

fn sorted_by_one_id<T>(mut codes: Vec<(u32, T)>) -> Vec<(u32, T)> {
    codes.sort_by_key(|(one_id, _)| *one_id);
    codes
}

fn decide_sets(
    numbers: &mut Numbered<'_>,
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
    let mut changes = Vec::with_capacity(starts.len());
    let (mut decided, mut values) = (Vec::with_capacity(codes.len()), Vec::new());
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

/// Dictionary places to value numbers, each looked up once.
struct Numbered<'a> {
    field: &'a mut Arc<Field>,
    dictionary: &'a [Box<str>],
    numbers: Vec<u32>,
    added: Vec<Box<str>>,
}

impl Numbered<'_> {
    fn number(&mut self, code: u32) -> Result<u32> {
        let Some(&known) = self.numbers.get(code as usize) else {
            return Err(Error::Refused { code: "bad_batch", reason: "a code outside of its dictionary".into() });
        };
        if known != UNSET {
            return Ok(known);
        }
        let text = &self.dictionary[code as usize];
        let number = match self.field.values.find(text)? {
            Some(value) => value.0,
            None => {
                self.added.push(text.clone());
                Arc::make_mut(self.field).values.find_or_add(text)?.0
            }
        };
        self.numbers[code as usize] = number;
        Ok(number)
    }
}
