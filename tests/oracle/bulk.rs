//! Many new people at once, as the bulk loader takes them: column by column.
//! Knows the columns of [`storage::Upserts`]; what falls to whom is decided by the falls of the schema.

use std::sync::Arc;

use storage::{IdColumn, IdTypeId, SetOp, TagChanges, TagColumn, TagId, UNSET, Upserts};

use super::clock::day_number;
use super::lines::Falls;
use super::people::{Kind, Person, Value, World};
use super::random::Random;

/// Many new people at once, for [`storage::BulkLoader`]; they are added to the world too.
pub fn many(random: &mut Random, world: &mut World, falls: &mut Falls, count: u32) -> Upserts {
    let mut ids = IdColumn { id_type: IdTypeId(0), offsets: vec![0], bytes: Vec::new() };
    let names: Vec<String> = world.tags.iter().map(|(name, _)| name.clone()).collect();
    let mut columns: Vec<TagColumn> = Vec::new();
    let first = world.people.len() as u32;
    for row in 0..count {
        let key = format!("M{}", first + row);
        ids.bytes.extend_from_slice(key.as_bytes());
        ids.offsets.push(ids.bytes.len() as u32);
        let tags = names.iter().map(|name| falls.tags.get_mut(name).and_then(|fall| fall.next(random))).collect();
        let id: (u8, Box<str>) = (0, key.into());
        world.by_id.insert(id.clone(), first + row);
        world.people.push(Some(Person { ids: vec![id], tags, ..Default::default() }));
    }
    let new = &world.people[first as usize..];
    for (tag, (_, kind)) in world.tags.iter().enumerate() {
        let values =
            new.iter().zip(0u32..).filter_map(|(person, row)| Some((row, person.as_ref()?.tags[tag].as_ref()?)));
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
    Upserts { rows: count, ids: vec![ids], tags: columns, ..Upserts::default() }
}
