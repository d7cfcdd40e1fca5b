//! The events of a batch: whose they are, in order of time, and with them those that joined profiles bring along.
//! Knows columns of events, and the rows of a profile; changes nothing but the lists of values to add.

use std::ops::Range;
use std::sync::Arc;

use crate::batch::{EventColumn, PropertyColumn, PropertyValues, UNSET};
use crate::changes::{EventChanges, EventKey, RowKey};
use crate::column::UNKNOWN_VALUE;
use crate::error::{Error, Result};
use crate::events::EventField;
use crate::ids::{in_stripe, stripe_of};
use crate::meant::Meant;
use crate::schema::PropertyId;
use crate::segment::SegmentView;
use crate::values::Values;

/// An event that counts: whose, when, and where it stands.
#[derive(Debug, Clone, Copy)]
struct Counted {
    one_id: u32,
    at: i64,
    /// Which of the columns; one more than there are: among those that the joined bring along.
    column: u32,
    place: u32,
}

/// The events of one kind that count, by profile and time, with their new values added to the field. Those that a
/// profile had before it was joined are its survivor's from now on: of one time, they stand behind what that one had by
/// then, and before what comes later.
///
/// # Errors
/// [`Error::Refused`], [`Error::Corrupt`].
pub(crate) fn decide_events(
    field: &mut Arc<EventField>,
    columns: &[(&EventColumn, &[i32])],
    meant: &Meant,
) -> Result<EventChanges> {
    if columns.is_empty() && !meant.has_joins() {
        return Ok(EventChanges::default());
    }
    let moved = Moved::read(field, meant)?;
    let counted = counted(columns, &moved, meant);
    let moved_from = columns.len() as u32;
    let days = |event: &Counted| match columns.get(event.column as usize) {
        Some((_, days)) => days[event.place as usize],
        None => moved.days[event.place as usize],
    };
    let mut changes = EventChanges {
        one_ids: counted.iter().map(|event| event.one_id).collect(),
        at: counted.iter().map(|event| event.at).collect(),
        days: counted.iter().map(days).collect(),
        ..EventChanges::default()
    };
    let keyed = columns.iter().any(|(column, _)| column.keys.iter().any(Option::is_some));
    if keyed || moved.keys.iter().any(Option::is_some) {
        let new = |key: &Option<u128>| key.map_or(RowKey::None, |key| RowKey::New(EventKey::of(key)));
        let key = |event: &Counted| match columns.get(event.column as usize) {
            Some((column, _)) => column.keys.get(event.place as usize).map_or(RowKey::None, new),
            None => moved.keys[event.place as usize].map_or(RowKey::None, RowKey::Moved),
        };
        changes.keys = counted.iter().map(key).collect();
    }
    for number in 0..field.values.len() {
        let property = PropertyId(number as u32);
        let mut listed = Vec::new();
        for (at, (column, _)) in (0u32..).zip(columns) {
            let Some(PropertyColumn { values, .. }) = column.properties.iter().find(|p| p.property == property) else {
                continue;
            };
            listed.resize(counted.len(), UNKNOWN_VALUE);
            let from = |event: &&Counted| event.column == at;
            let values = match values {
                PropertyValues::Numbers(list) => {
                    let value = |event: &Counted| list[event.place as usize].unwrap_or(UNKNOWN_VALUE);
                    counted.iter().filter(from).map(value).collect()
                }
                PropertyValues::Texts { dictionary, codes } => {
                    let known = &mut Arc::make_mut(field).values[number];
                    let codes = counted.iter().filter(from).map(|event| codes[event.place as usize]);
                    numbered(known, dictionary, codes, property, &mut changes.values)?
                }
            };
            put(&mut listed, &counted, at, values.into_iter());
        }
        if let Some(values) = moved.properties.get(number).filter(|values| !values.is_empty()) {
            listed.resize(counted.len(), UNKNOWN_VALUE);
            let of_moved = counted.iter().filter(|event| event.column == moved_from);
            put(&mut listed, &counted, moved_from, of_moved.map(|event| values[event.place as usize]));
        }
        if listed.iter().any(|value| *value != UNKNOWN_VALUE) {
            changes.properties.push((property, listed));
        }
    }
    Ok(changes)
}

/// Puts the values of one column's events where these stand.
fn put(listed: &mut [i64], counted: &[Counted], column: u32, values: impl Iterator<Item = i64>) {
    let slots = listed.iter_mut().zip(counted).filter(|(_, event)| event.column == column);
    slots.zip(values).for_each(|((slot, _), value)| *slot = value);
}

/// All events that count, by profile and time, those of one time in order of acceptance.
fn counted(columns: &[(&EventColumn, &[i32])], moved: &Moved, meant: &Meant) -> Vec<Counted> {
    let mut counted = Vec::with_capacity(columns.iter().map(|(column, _)| column.rows.len()).sum());
    let mut of_members = Vec::new();
    for (number, (column, _)) in (0u32..).zip(columns) {
        for (place, (row, at)) in (0u32..).zip(column.rows.iter().zip(&column.at)) {
            if let Some(one_id) = meant.alone(*row) {
                counted.push(Counted { one_id, at: *at, column: number, place });
            } else if let Some(one_id) = meant.member(*row) {
                of_members.push((*row, one_id, (*at, number, place)));
            }
        }
    }
    if meant.has_joins() {
        let had =
            |range: &Range<u32>| range.clone().map(|place| (moved.at[place as usize], columns.len() as u32, place));
        let mut events: Vec<Vec<(i64, u32, u32)>> = moved.of_members.iter().map(|range| had(range).collect()).collect();
        meant.fold(&mut events, of_members, |all, event| all.push(event), |all, others| all.extend(others));
        for (one_id, events) in meant.members().iter().zip(events) {
            let of_one = |(at, column, place)| Counted { one_id: *one_id, at, column, place };
            counted.extend(events.into_iter().map(of_one));
        }
    }
    counted.sort_by_key(|event| (event.one_id, event.at));
    counted
}

/// Events of one kind that profiles had when they were retired.
#[derive(Debug, Default)]
struct Moved {
    /// Those of each member, those of who is not retired left out: they stay where they are.
    of_members: Vec<Range<u32>>,
    at: Vec<i64>,
    days: Vec<i32>,
    /// Fingerprints.
    keys: Vec<Option<i64>>,
    /// By number; empty where none has a value.
    properties: Vec<Vec<i64>>,
}

impl Moved {
    fn read(field: &EventField, meant: &Meant) -> Result<Moved> {
        let mut moved = Moved { properties: vec![Vec::new(); field.values.len()], ..Moved::default() };
        let retired: std::collections::HashSet<u32> = meant.joins().map(|join| join.retired).collect();
        for of_stripe in meant.members().chunk_by(|a, b| stripe_of(*a) == stripe_of(*b)) {
            let stripe = field.stripe(stripe_of(of_stripe[0]));
            let segments = stripe.into_iter().flat_map(|stripe| stripe.segments());
            let segments = segments.map(|segment| segment.open()).collect::<Result<Vec<_>>>()?;
            for one_id in of_stripe {
                let start = moved.at.len() as u32;
                for segment in segments.iter().filter(|_| retired.contains(one_id)) {
                    moved.push(segment, segment.rows_of(in_stripe(*one_id)));
                }
                moved.of_members.push(start..moved.at.len() as u32);
            }
        }
        Ok(moved)
    }

    fn push(&mut self, segment: &SegmentView<'_>, rows: Range<u32>) {
        let first = self.at.len();
        let (at, days, keys) = (segment.at(), segment.day(), segment.key());
        self.at.extend(rows.clone().map(|row| at.value(row).unwrap_or(0)));
        self.days.extend(rows.clone().map(|row| days.value(row).unwrap_or(0) as i32));
        self.keys.extend(rows.clone().map(|row| keys.value(row)));
        for (values, number) in self.properties.iter_mut().zip(0..) {
            let column = segment.property(PropertyId(number));
            for (place, row) in (first..).zip(rows.clone()) {
                if let Some(value) = column.value(row) {
                    values.resize(self.at.len(), UNKNOWN_VALUE);
                    values[place] = value;
                }
            }
        }
        self.properties
            .iter_mut()
            .filter(|values| !values.is_empty())
            .for_each(|v| v.resize(self.at.len(), UNKNOWN_VALUE));
    }
}

/// Dictionary places as value numbers; the texts that are new are added to both lists of them.
fn numbered(
    values: &mut Values,
    dictionary: &[Box<str>],
    codes: impl Iterator<Item = u32>,
    property: PropertyId,
    new: &mut Vec<(PropertyId, u32, Vec<Box<str>>)>,
) -> Result<Vec<i64>> {
    let first = values.count();
    let mut numbers = vec![UNSET; dictionary.len()];
    let (mut listed, mut added) = (Vec::new(), Vec::new());
    for code in codes {
        if code == UNSET {
            listed.push(UNKNOWN_VALUE);
            continue;
        }
        let Some(slot) = numbers.get_mut(code as usize) else {
            return Err(Error::Refused { code: "bad_batch", reason: "a code outside of its dictionary".into() });
        };
        if *slot == UNSET {
            let text = &dictionary[code as usize];
            let before = values.count();
            *slot = values.find_or_add(text)?.0;
            if values.count() > before {
                added.push(text.clone());
            }
        }
        listed.push((*slot).into());
    }
    if !added.is_empty() {
        new.push((property, first, added));
    }
    Ok(listed)
}
