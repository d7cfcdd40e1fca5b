//! Many new people at once, as the bulk loader takes them: column by column.
//! Knows the columns of [`storage::Upserts`]; what falls to whom is decided by the falls of the schema.

use std::sync::Arc;

use storage::{EventColumn, IdColumn, IdTypeId, Schema, SetOp, TagChanges, TagColumn, TagId, UNSET, Upserts};

use super::clock::{clock_shows, day_number};
use super::events::{At, EventLine};
use super::lines::{Falls, somebody};
use super::people::{Kind, Line, Person, Value, World};
use super::random::Random;

/// Many new people at once, for [`storage::BulkLoader`]; they are added to the world too.
pub fn many(random: &mut Random, world: &mut World, falls: &mut Falls, count: u32) -> Upserts {
    let mut ids = no_ids(0);
    let names: Vec<String> = world.tags.iter().map(|(name, _)| name.clone()).collect();
    let first = world.people.len() as u32;
    let mut rows = Vec::with_capacity(count as usize);
    for row in 0..count {
        let key = format!("M{}", first + row);
        push_key(&mut ids, &key);
        ids.offsets.push(ids.bytes.len() as u32);
        let tags = names.iter().map(|name| falls.tags.get_mut(name).and_then(|fall| fall.next(random)));
        let tags: Vec<Option<Value>> = tags.collect();
        let id: (u8, Box<str>) = (0, key.into());
        world.by_id.insert(id.clone(), first + row);
        rows.push(tags.clone());
        world.people.push(Some(Person { ids: vec![id], tags, ..Default::default() }));
    }
    Upserts { rows: count, ids: vec![ids], tags: columns(world, &rows), ..Upserts::default() }
}

/// People who are known, each by an identity or by two, which may be two people's; with some of their tags and what they
/// did. The world is told, too.
pub fn known_again(random: &mut Random, world: &mut World, falls: &Falls, schema: &Schema, count: u32) -> Upserts {
    // Two of each type, since a row may name two of one.
    let mut ids: Vec<IdColumn> = (0..world.id_types.len() as u32 * 2).map(|at| no_ids(at / 2)).collect();
    let (mut set, mut events) = (Vec::new(), Vec::new());
    for row in 0..count {
        let (mut line, mut at) = (Line::default(), 1_767_225_600);
        for nth in 0..1 + random.below(2) * random.below(2) {
            let person = somebody(random, world).and_then(|one_id| world.people[one_id as usize].as_ref()).unwrap();
            let (of, key) = random.pick(&person.ids);
            push_key(&mut ids[usize::from(*of) * 2 + nth as usize], key);
            line.ids.push((*of, key.to_string()));
            at = person.events.iter().flatten().next().map_or(at, |event| event.at);
        }
        ids.iter_mut().for_each(|column| column.offsets.push(column.bytes.len() as u32));
        for (tag, (name, _)) in world.tags.iter().enumerate() {
            if let Some(fall) = falls.tags.get(name).filter(|_| random.percent(30)) {
                line.set.push((tag, Some(fall.known_value(random))));
            }
        }
        set.push((0..world.tags.len()).map(|tag| value_of(&line, tag)).collect::<Vec<_>>());
        world.apply(&line, false).unwrap();
        if !world.events.is_empty() && random.percent(40) {
            let (ids, at_shown) = (line.ids, At::Ahead(clock_shows(at), 0));
            world
                .apply_event(&EventLine { ids, event: 0, at: at_shown, properties: Vec::new(), key: None }, false)
                .unwrap();
            events.push((row, at));
        }
    }
    let mut batch = Upserts { rows: count, ids, tags: columns(world, &set), ..Upserts::default() };
    if !events.is_empty() {
        let (rows, at) = events.into_iter().unzip();
        let event = schema.event(&world.events[0].name).unwrap().0;
        batch.events.push(EventColumn { event, rows, at, keys: Vec::new(), properties: Vec::new() });
    }
    batch
}

fn value_of(line: &Line, tag: usize) -> Option<Value> {
    line.set.iter().find(|(of, _)| *of == tag).and_then(|(_, value)| value.clone())
}

fn no_ids(id_type: u32) -> IdColumn {
    IdColumn { id_type: IdTypeId(id_type), offsets: vec![0], bytes: Vec::new() }
}

fn push_key(ids: &mut IdColumn, key: &str) {
    ids.bytes.extend_from_slice(key.as_bytes());
}

/// What each row sets of each tag, as columns.
fn columns(world: &World, rows: &[Vec<Option<Value>>]) -> Vec<TagColumn> {
    let mut columns: Vec<TagColumn> = Vec::new();
    for (tag, (_, kind)) in world.tags.iter().enumerate() {
        let values = rows.iter().zip(0u32..).filter_map(|(tags, row)| Some((row, tags[tag].as_ref()?)));
        let mut dictionary: Vec<Box<str>> = Vec::new();
        let mut places = std::collections::HashMap::<Arc<str>, u32>::new();
        let mut code = |text: &Arc<str>| {
            *places.entry(text.clone()).or_insert_with(|| {
                dictionary.push((**text).into());
                dictionary.len() as u32 - 1
            })
        };
        let (mut texts, mut numbers, mut sets, mut codes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (row, value) in values {
            match value {
                Value::Text(text) => texts.push((row, code(text))),
                Value::Set(set) => {
                    codes.extend(set.iter().map(&mut code));
                    sets.push((row, SetOp::Replace, codes.len() as u32));
                }
                Value::Flag(flag) => numbers.push((row, Some(i64::from(*flag)))),
                Value::Number(n) => numbers.push((row, Some(*n))),
                Value::Date(date) => numbers.push((row, Some(day_number(*date)))),
            }
        }
        assert!(texts.iter().all(|(_, code)| *code != UNSET));
        let dictionary = Arc::new(dictionary);
        let changes = match kind {
            Kind::Category => TagChanges::Texts { dictionary, changes: texts },
            Kind::Set => TagChanges::Sets { dictionary, changes: sets, codes },
            _ => TagChanges::Numbers(numbers),
        };
        columns.push(TagColumn { tag: TagId(tag as u32), changes });
    }
    columns
}
