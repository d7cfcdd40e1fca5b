//! The world as the oracle sees it: persons as plain structs, and what a line of an upsert does to them.
//! Knows http.md § Data (unset, set, remove, add; null is unset; an emptied set is unknown; a line that names several
//! joins them) and nothing of storage.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::civil::Date;

use super::clock::Zone;
use super::events::{Event, EventKind};

/// What a tag holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Flag,
    Category,
    Set,
    /// With so many digits after the point.
    Number(u8),
    Date,
}

/// A known value; numbers in units of their scale.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    Flag(bool),
    Text(Arc<str>),
    Set(BTreeSet<Arc<str>>),
    Number(i64),
    Date(Date),
}

/// One person: identities `(id type, text)` in order of acceptance, and a value or none for each tag.
#[derive(Debug, Clone, Default)]
pub struct Person {
    pub ids: Vec<(u8, Box<str>)>,
    pub tags: Vec<Option<Value>>,
    /// By kind, each in order of acceptance; may end before the last kind.
    pub events: Vec<Vec<Event>>,
}

/// Everyone. A OneID is the place in `people`; who was erased leaves a gap.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub zone: Zone,
    pub id_types: Vec<String>,
    pub tags: Vec<(String, Kind)>,
    pub events: Vec<EventKind>,
    pub people: Vec<Option<Person>>,
    pub by_id: HashMap<(u8, Box<str>), u32>,
    /// Keys of events that count, by the kind of event; and whose they were.
    pub keys: HashMap<(usize, Box<str>), u32>,
    /// Who had an event taken, once for each.
    pub doers: Vec<u32>,
    /// Who was joined, and to whom.
    pub joined: BTreeMap<u32, u32>,
    /// Everyone as they were, by name.
    pub states: Vec<(String, Arc<World>)>,
}

/// One line of an upsert.
#[derive(Debug, Clone, Default)]
pub struct Line {
    pub ids: Vec<(u8, String)>,
    pub unset: Vec<usize>,
    /// None is `null`.
    pub set: Vec<(usize, Option<Value>)>,
    pub remove: Vec<(usize, Vec<Arc<str>>)>,
    pub add: Vec<(usize, Vec<Arc<str>>)>,
}

/// What a bitmap upload does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Set,
    Add,
    Remove,
}

impl World {
    /// The tag of a name.
    pub fn tag(&self, name: &str) -> Option<(usize, Kind)> {
        self.tags.iter().position(|(n, _)| n == name).map(|at| (at, self.tags[at].1))
    }

    /// Live persons with their OneIDs.
    pub fn live(&self) -> impl Iterator<Item = (u32, &Person)> {
        self.people.iter().enumerate().filter_map(|(id, person)| Some((id as u32, person.as_ref()?)))
    }

    /// Takes a line; whether somebody new came of it, or why it is refused.
    pub fn apply(&mut self, line: &Line, reject_unknown: bool) -> Result<bool, &'static str> {
        let (one_id, is_new) = self.meant(&line.ids, reject_unknown)?;
        let tags = &mut self.people[one_id as usize].as_mut().unwrap().tags;
        line.unset.iter().for_each(|tag| tags[*tag] = None);
        for (tag, value) in &line.set {
            tags[*tag] = value.clone().filter(|v| !matches!(v, Value::Set(set) if set.is_empty()));
        }
        for (tag, values) in &line.remove {
            change_set(&mut tags[*tag], |set| values.iter().for_each(|v| _ = set.remove(v)));
        }
        for (tag, values) in &line.add {
            change_set(&mut tags[*tag], |set| set.extend(values.iter().cloned()));
        }
        Ok(is_new)
    }

    /// Whose these identities are.
    pub fn owners(&self, ids: &[(u8, String)]) -> BTreeSet<u32> {
        ids.iter().filter_map(|(t, id)| self.by_id.get(&(*t, id.as_str().into())).copied()).collect()
    }

    /// Who is meant by some identities, which are theirs from now on; and whether it is somebody new.
    pub fn meant(&mut self, ids: &[(u8, String)], reject_unknown: bool) -> Result<(u32, bool), &'static str> {
        let mut known = self.owners(ids).into_iter();
        let first = known.next();
        if first.is_none() && reject_unknown {
            return Err("unknown_profile");
        }
        // The lowest survives; the lower ones come first.
        if let Some(survivor) = first {
            known.for_each(|retired| self.join(retired, survivor));
        }
        let one_id = first.unwrap_or_else(|| {
            self.people.push(Some(Person { tags: vec![None; self.tags.len()], ..Person::default() }));
            self.people.len() as u32 - 1
        });
        for (id_type, id) in ids {
            let key = (*id_type, Box::from(id.as_str()));
            if self.by_id.insert(key.clone(), one_id).is_none() {
                self.people[one_id as usize].as_mut().unwrap().ids.push(key);
            }
        }
        Ok((one_id, first.is_none()))
    }

    /// Two become one: the survivor's known values stay, gaps are filled, sets unite; identities and events come behind.
    fn join(&mut self, retired: u32, survivor: u32) {
        let other = self.people[retired as usize].take().unwrap();
        other.ids.iter().for_each(|id| _ = self.by_id.insert(id.clone(), survivor));
        let own = self.people[survivor as usize].as_mut().unwrap();
        own.ids.extend(other.ids);
        for (own, other) in own.tags.iter_mut().zip(other.tags) {
            match (&mut *own, other) {
                (Some(Value::Set(own)), Some(Value::Set(other))) => own.extend(other),
                (None, other) => *own = other,
                _ => {}
            }
        }
        own.events.resize(own.events.len().max(other.events.len()), Vec::new());
        own.events.iter_mut().zip(other.events).for_each(|(own, other)| own.extend(other));
        let all = self.keys.values_mut().chain(&mut self.doers);
        all.filter(|one_id| **one_id == retired).for_each(|one_id| *one_id = survivor);
        self.joined.insert(retired, survivor);
    }

    /// Everyone who was joined to somebody, and himself.
    fn all_of(&self, one_id: u32) -> BTreeSet<u32> {
        let mut all = BTreeSet::from([one_id]);
        // Who is joined to whom is lower: all that leads to him comes after him.
        self.joined.range(one_id..).for_each(|(retired, survivor)| {
            if all.contains(survivor) {
                all.insert(*retired);
            }
        });
        all
    }

    /// Erases a person: nothing of theirs is left, in earlier states neither, where they may have been several; and the
    /// OneIDs are gone for ever.
    pub fn erase(&mut self, one_id: u32) {
        let all = self.all_of(one_id);
        self.erase_all(&all);
        self.states.iter_mut().for_each(|(_, state)| Arc::make_mut(state).erase_all(&all));
    }

    fn erase_all(&mut self, one_ids: &BTreeSet<u32>) {
        for one_id in one_ids {
            if let Some(person) = self.people.get_mut(*one_id as usize).and_then(Option::take) {
                person.ids.iter().for_each(|id| _ = self.by_id.remove(id));
            }
        }
    }

    /// Gives or takes a value by a list of OneIDs.
    pub fn upload(&mut self, tag: usize, value: &str, ids: &BTreeSet<u32>, mode: Mode) {
        let kind = self.tags[tag].1;
        for (id, person) in self.people.iter_mut().enumerate() {
            let Some(person) = person else { continue };
            let named = ids.contains(&(id as u32));
            let should = match mode {
                Mode::Set => Some(named),
                Mode::Add if named => Some(true),
                Mode::Remove if named => Some(false),
                _ => None,
            };
            let Some(should) = should else { continue };
            let slot = &mut person.tags[tag];
            match kind {
                Kind::Set if should => change_set(slot, |set| _ = set.insert(value.into())),
                Kind::Set => change_set(slot, |set| _ = set.remove(value)),
                _ => {
                    let meant =
                        if kind == Kind::Flag { Value::Flag(value == "true") } else { Value::Text(value.into()) };
                    if should {
                        *slot = Some(meant);
                    } else if *slot == Some(meant) {
                        *slot = None;
                    }
                }
            }
        }
    }

    /// More tags and id types; nobody has any yet.
    pub fn extend(&mut self, id_types: &[String], tags: &BTreeMap<String, Kind>) {
        for name in id_types {
            if !self.id_types.contains(name) {
                self.id_types.push(name.clone());
            }
        }
        for (name, kind) in tags {
            if self.tag(name).is_none() {
                self.tags.push((name.clone(), *kind));
                self.people.iter_mut().flatten().for_each(|person| person.tags.push(None));
            }
        }
        self.states.iter_mut().for_each(|(_, state)| Arc::make_mut(state).extend(id_types, tags));
    }
}

fn change_set(slot: &mut Option<Value>, change: impl FnOnce(&mut BTreeSet<Arc<str>>)) {
    let mut set = match slot.take() {
        Some(Value::Set(set)) => set,
        _ => BTreeSet::new(),
    };
    change(&mut set);
    if !set.is_empty() {
        *slot = Some(Value::Set(set));
    }
}

/// Digits of a number in units of its scale, as they are written: `-0.05`.
pub fn number_text(value: i64, scale: u8) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, rest) = digits.split_at(digits.len() - usize::from(scale));
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}
