//! What the other questions ought to answer: people by value, by two values, and their sums. Counted by listing people.

use std::collections::{BTreeMap, HashMap};

use headcount::query::cell::Cell;

use super::clock::day_number;
use super::people::{Kind, Value, World};
use super::values::Held;

/// A label that is unequal for unequal cells.
pub fn label(cell: &Cell<'_>) -> String {
    format!("{cell:?}")
}

/// A value as answers show it.
pub fn cell(value: &Value, kind: Kind) -> Cell<'static> {
    match (value, kind) {
        (Value::Flag(flag), _) => Cell::Bool(*flag),
        (Value::Text(text), _) => Cell::Text(text.to_string().into()),
        (Value::Set(set), _) => Cell::List(set.iter().map(|t| t.to_string().into()).collect()),
        (Value::Number(n), Kind::Number(scale)) => Cell::Decimal((*n).into(), scale),
        (Value::Date(date), _) => Cell::Date(day_number(*date)),
        (other, kind) => panic!("{other:?} in a {kind:?}"),
    }
}

/// One value of a person: unknown, one of a set, or the value itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key<'w> {
    Unknown,
    Of(&'w str),
    Is(&'w Value),
}

impl Key<'_> {
    fn label(self, kind: Kind) -> String {
        match self {
            Key::Unknown => label(&Cell::Null),
            Key::Of(text) => label(&Cell::Text(text.into())),
            Key::Is(value) => label(&cell(value, kind)),
        }
    }
}

fn keys(value: Option<&Value>) -> Vec<Key<'_>> {
    match value {
        None => vec![Key::Unknown],
        Some(Value::Set(set)) => set.iter().map(|text| Key::Of(text)).collect(),
        Some(value) => vec![Key::Is(value)],
    }
}

/// Members by value of a tag, a set's each once for every value; unknown under the label of null.
pub fn groups(world: &World, members: &[bool], tag: usize) -> BTreeMap<String, Vec<u32>> {
    let mut groups: HashMap<Key<'_>, Vec<u32>> = HashMap::new();
    for (id, person) in world.live().filter(|(id, _)| members[*id as usize]) {
        for key in keys(person.tags[tag].as_ref()) {
            groups.entry(key).or_default().push(id);
        }
    }
    groups.into_iter().map(|(key, ids)| (key.label(world.tags[tag].1), ids)).collect()
}

/// Counts of members by two tags.
pub fn pairs(world: &World, members: &[bool], rows: usize, columns: usize) -> BTreeMap<(String, String), u64> {
    let mut pairs: HashMap<(Key<'_>, Key<'_>), u64> = HashMap::new();
    for (_, person) in world.live().filter(|(id, _)| members[*id as usize]) {
        for row in keys(person.tags[rows].as_ref()) {
            for column in keys(person.tags[columns].as_ref()) {
                *pairs.entry((row, column)).or_insert(0) += 1;
            }
        }
    }
    let labels =
        |(row, column): (Key<'_>, Key<'_>)| (row.label(world.tags[rows].1), column.label(world.tags[columns].1));
    pairs.into_iter().map(|(pair, n)| (labels(pair), n)).collect()
}

/// Whether an aggregate's cell is what it ought to be; means to the last few bits of a double.
pub fn is_cell(found: &Cell<'_>, wanted: &Held) -> bool {
    match (found, wanted) {
        (Cell::Null, Held::Null) => true,
        (Cell::Int(n), Held::Decimal(digits, 0)) => i128::from(*n) == *digits,
        (Cell::Decimal(n, scale), Held::Decimal(digits, held)) => n == digits && u32::from(*scale) == *held,
        (Cell::Date(day), Held::Date(date)) => *day == day_number(*date),
        (Cell::Float(mean), Held::Mean(num, den)) => {
            let wanted = *num as f64 / *den as f64;
            (mean - wanted).abs() <= 1e-12 * wanted.abs().max(1.0)
        }
        _ => false,
    }
}
