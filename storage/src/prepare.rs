//! From a batch of upserts to decided changes: who is meant, who is new, which values are new.
//! Knows the writer's view and the batch; changes nothing but the lists of values to add.
//!
//! A row is refused whole, before anything of it counts; an atomic batch with a refused row leaves no trace.

use std::sync::Arc;

use crate::batch::{
    EventColumn, IdColumn, MOMENTS, Outcome, PropertyValues, Rejected, SetOp, TagChanges, TagColumn, UNSET, Upserts,
};
use crate::changes::{Changes, FieldChanges};
use crate::column::NUMBER_MAX;
use crate::error::{Error, Result};
use crate::field::Field;
use crate::policy::Clock;
use crate::prepare_events::decide_events;
use crate::prepare_joined::decide_joined;
use crate::resolve::{Resolved, resolve};
use crate::schema::{EventId, TagId, TagType};
use crate::values::VALUE_BYTES_MAX;
use crate::view::View;
use crate::zone::DayClock;

/// Decides a batch against the writer's view. New values are added to `view` (they are invisible until published).
///
/// # Errors
/// [`Error::Refused`] for a batch that is not well-formed, [`Error::Full`], [`Error::Corrupt`].
pub(crate) fn prepare(view: &mut View, batch: &Upserts, clock: &Clock) -> Result<(Changes, Outcome)> {
    check_shape(view, batch)?;
    let mut dated = Dated::new(view, batch, clock);
    let refused = std::mem::take(&mut dated.expired);
    let (Resolved { meant, created, identities, next_one_id, .. }, outcome) = resolve(view, batch, refused, &[])?;
    let joins = meant.joins().collect();
    let mut changes = Changes { next_one_id, created, joins, identities, ..Changes::default() };
    for column in &batch.tags {
        let field = &mut view.tags[column.tag.0 as usize];
        decide_column(field, column, |row| meant.alone(row))?.put(column.tag, &mut changes);
    }
    if meant.has_joins() {
        for (field, tag) in view.tags.iter_mut().zip((0..).map(TagId)) {
            decide_joined(field, batch.tags.iter().filter(|column| column.tag == tag), &meant)?.put(tag, &mut changes);
        }
    }
    for (field, event) in view.events.iter_mut().zip((0..).map(EventId)) {
        let decided = decide_events(field, &dated.columns_of(event, batch), &meant)?;
        if !decided.is_empty() {
            changes.events.push((event, decided));
        }
    }
    Ok((changes, outcome))
}

/// The days that the events of a batch fall on.
pub(crate) struct Dated {
    /// By column and event.
    pub(crate) days: Vec<Vec<i32>>,
    /// Rows with events that are older than what is kept.
    pub(crate) expired: Vec<Rejected>,
}

impl Dated {
    pub(crate) fn new(view: &View, batch: &Upserts, clock: &Clock) -> Dated {
        let mut dated = Dated { days: Vec::with_capacity(batch.events.len()), expired: Vec::new() };
        if batch.events.is_empty() {
            return dated;
        }
        let mut zone = DayClock::new(&view.schema.time_zone);
        let today = zone.day_of(clock.now().as_second());
        for column in &batch.events {
            let days: Vec<i32> = column.at.iter().map(|at| zone.day_of(*at)).collect();
            let event = &view.schema.events[column.event.0 as usize];
            if let Some(first) = event.first_kept(today) {
                let old = column.rows.iter().zip(&days).filter(|(_, day)| **day < first);
                dated.expired.extend(old.map(|(row, _)| Rejected {
                    row: *row,
                    code: "expired",
                    message: format!("`{}` is kept for {} days", event.name, event.retain_days.unwrap_or(0)),
                }));
            }
            dated.days.push(days);
        }
        dated
    }

    /// The columns of one event, with their days.
    pub(crate) fn columns_of<'b>(&'b self, event: EventId, batch: &'b Upserts) -> Vec<(&'b EventColumn, &'b [i32])> {
        let all = batch.events.iter().zip(&self.days).filter(|(column, _)| column.event == event);
        all.map(|(column, days)| (column, &days[..])).collect()
    }
}

/// Checks that a batch fits the schema and itself.
///
/// # Errors
/// [`Error::Refused`].
pub(crate) fn check_shape(view: &View, batch: &Upserts) -> Result<()> {
    let refuse = |reason: String| Err(Error::Refused { code: "bad_batch", reason });
    let misfits = |column: &IdColumn| {
        column.offsets.len() != batch.rows as usize + 1 || column.id_type.0 as usize >= view.id_types.len()
    };
    if batch.ids.iter().any(misfits) {
        return refuse("an id column that does not fit the batch".into());
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
    check_events(view, batch)
}

fn check_events(view: &View, batch: &Upserts) -> Result<()> {
    let refuse = |reason: String| Err(Error::Refused { code: "bad_batch", reason });
    for column in &batch.events {
        let Some(event) = view.schema.events.get(column.event.0 as usize) else {
            return refuse(format!("there is no event number {}", column.event.0));
        };
        let count = column.rows.len();
        let in_order = column.rows.is_sorted() && column.rows.last().is_none_or(|row| *row < batch.rows);
        let keys_fit = column.keys.is_empty() || column.keys.len() == count;
        if !in_order || column.at.len() != count || !keys_fit || column.at.iter().any(|at| !MOMENTS.contains(at)) {
            return refuse(format!("events `{}` that do not fit the batch", event.name));
        }
        for (place, values) in column.properties.iter().enumerate() {
            let declared = event.properties.get(values.property.0 as usize);
            let is_twice = column.properties[..place].iter().any(|other| other.property == values.property);
            let fits = match (&values.values, declared.map(|property| property.tag_type)) {
                (PropertyValues::Texts { dictionary, .. }, Some(TagType::Category)) => {
                    dictionary.iter().all(|text| text.len() <= VALUE_BYTES_MAX)
                }
                (PropertyValues::Numbers(list), Some(TagType::Number { .. } | TagType::Date | TagType::Flag)) => {
                    list.iter().flatten().all(|value| (-NUMBER_MAX..=NUMBER_MAX).contains(value))
                }
                _ => false,
            };
            if !fits || is_twice || values.values.len() != count {
                return refuse(format!("properties of events `{}` that do not fit", event.name));
            }
        }
    }
    Ok(())
}

/// Changes of a tag in OneIDs and value numbers.
pub(crate) struct Decided {
    /// Sorted by OneID, those of one profile in turn; rows that do not count are left out.
    pub(crate) changes: FieldChanges,
    /// The number of the first of `values`.
    pub(crate) first_value: u32,
    /// Values that are new; they have been added to the field.
    pub(crate) values: Vec<Box<str>>,
}

impl Decided {
    fn put(self, tag: TagId, changes: &mut Changes) {
        if !self.values.is_empty() {
            changes.values.push((tag, self.first_value, self.values));
        }
        if !self.changes.is_empty() {
            changes.tags.push((tag, self.changes));
        }
    }
}

/// Decides one column: `of_row` says whom each row means, if it counts here.
///
/// # Errors
/// [`Error::Refused`], [`Error::Corrupt`].
pub(crate) fn decide_column(
    field: &mut Arc<Field>,
    column: &TagColumn,
    of_row: impl Fn(u32) -> Option<u32>,
) -> Result<Decided> {
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
