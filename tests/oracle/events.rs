//! Events as the oracle sees them: what happened to whom and when, in the order of acceptance; what a line does.
//! Knows http.md § Data (an unknown identity creates the profile, a key counts once) and nothing of storage.

use std::sync::Arc;

use jiff::civil::{Date, DateTime};

use super::clock::clock_number;
use super::people::{Kind, Person, Value, World};

/// Whether a line whose key was seen still says who is meant: creates the profile of an unknown identity, and gives
/// somebody another one. If not, such a line changes nothing at all.
const SEEN_KEYS_NAME_PEOPLE: bool = false;

/// A kind of events and what is known of each.
#[derive(Debug, Clone)]
pub struct EventKind {
    pub name: String,
    pub properties: Vec<(String, Kind)>,
}

/// One event of a person.
#[derive(Debug, Clone)]
pub struct Event {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    /// The date in the zone of the space.
    pub day: Date,
    pub properties: Vec<Option<Value>>,
}

/// A time as a line has it.
#[derive(Debug, Clone, Copy)]
pub enum At {
    /// Without offset: what the clocks of the space show.
    Local(DateTime),
    /// What clocks so many minutes ahead of UTC show.
    Ahead(DateTime, i64),
}

/// A line of events.
#[derive(Debug, Clone)]
pub struct EventLine {
    pub ids: Vec<(u8, String)>,
    pub event: usize,
    pub at: At,
    /// None is `null`; what is not there is unknown too.
    pub properties: Vec<(usize, Option<Value>)>,
    pub key: Option<String>,
}

impl EventKind {
    /// The property of a name.
    pub fn property(&self, name: &str) -> Option<(usize, Kind)> {
        self.properties.iter().position(|(n, _)| n == name).map(|at| (at, self.properties[at].1))
    }
}

impl Person {
    /// Events of a kind, in the order of acceptance.
    pub fn events_of(&self, event: usize) -> &[Event] {
        self.events.get(event).map_or(&[], Vec::as_slice)
    }
}

impl World {
    /// The event of a name.
    pub fn event(&self, name: &str) -> Option<usize> {
        self.events.iter().position(|event| event.name == name)
    }

    /// The moment that a written time means.
    pub fn moment(&self, at: At) -> i64 {
        match at {
            At::Local(shown) => self.zone.moment(shown),
            At::Ahead(shown, minutes) => clock_number(shown) - 60 * minutes,
        }
    }

    /// Takes a line; whether somebody new came of it, or why it is refused.
    pub fn apply_event(&mut self, line: &EventLine, reject_unknown: bool) -> Result<bool, &'static str> {
        let key = line.key.as_ref().map(|key| (line.event, Box::from(key.as_str())));
        let was_counted = key.as_ref().is_some_and(|key| self.keys.contains_key(key));
        if was_counted && !SEEN_KEYS_NAME_PEOPLE {
            return Ok(false);
        }
        let (one_id, is_new) = self.meant(&line.ids, reject_unknown)?;
        if was_counted {
            // Whatever else the line says now, nothing changes.
            return Ok(is_new);
        }
        let at = self.moment(line.at);
        let mut properties = vec![None; self.events[line.event].properties.len()];
        line.properties.iter().for_each(|(property, value)| properties[*property].clone_from(value));
        let event = Event { at, day: self.zone.day(at), properties };
        let events = &mut self.people[one_id as usize].as_mut().unwrap().events;
        if events.len() <= line.event {
            events.resize(line.event + 1, Vec::new());
        }
        events[line.event].push(event);
        if let Some(key) = key {
            self.keys.insert(key, one_id);
        }
        self.doers.push(one_id);
        Ok(is_new)
    }

    /// Whether http.md leaves open what becomes of a line: a key whose event was erased with its person; a key that was
    /// seen, on a line that would be refused without it.
    pub fn leaves_open(&self, line: &EventLine, reject_unknown: bool) -> bool {
        let Some(key) = &line.key else { return false };
        let Some(owner) = self.keys.get(&(line.event, key.as_str().into())) else { return false };
        let owners = self.owners(&line.ids);
        self.people[*owner as usize].is_none() || (owners.is_empty() && reject_unknown)
    }

    /// More events and properties; nobody has any yet.
    pub fn extend_events(&mut self, events: &[EventKind]) {
        for asked in events {
            let at = self.event(&asked.name).unwrap_or_else(|| {
                self.events.push(EventKind { name: asked.name.clone(), properties: Vec::new() });
                self.events.len() - 1
            });
            for (name, kind) in &asked.properties {
                if self.events[at].property(name).is_none() {
                    self.events[at].properties.push((name.clone(), *kind));
                    let all = self.people.iter_mut().flatten().filter_map(|person| person.events.get_mut(at));
                    all.flatten().for_each(|event| event.properties.push(None));
                }
            }
        }
        self.states.iter_mut().for_each(|(_, state)| Arc::make_mut(state).extend_events(events));
    }

    /// Remembers everyone as they are now, under a name; a state of that name is forgotten.
    pub fn take_state(&mut self, name: &str) {
        let state = World { states: Vec::new(), ..self.clone() };
        self.states.retain(|(own, _)| own != name);
        self.states.push((name.into(), Arc::new(state)));
    }
}
