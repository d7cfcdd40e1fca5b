//! Random schemas, people and upsert lines, good ones and bad ones.
//! Knows shapes of data that indexes trip over: constants, runs, one value each, nobody, extremes of numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;

use super::clock::Zone;
use super::drive::EVENTS;
use super::event_lines::EventFalls;
use super::people::{Kind, Line, Value, World, number_text};
use super::random::Random;

/// Greatest number of units that a tag holds.
const UNITS_MAX: i64 = (1 << 62) - 1;

/// Texts that printers, parsers and patterns trip over.
const ODD_TEXTS: &[&str] = &[
    "Shanghai",
    "Hangzhou",
    "O'Brien",
    "",
    "  ",
    "100%",
    "a_b",
    "back\\slash",
    "naïve",
    "ÄRZTE",
    "ärzte",
    "上海",
    "🙂",
    "a,b",
    "\"quoted\"",
    "line\nbreak",
    "tab\there",
    "NULL",
    "true",
    "2026-11-01",
    "12",
    "Private",
    "private",
    "%",
    "_",
    "\\",
    "a",
    "aa",
    "aaa",
    "ab",
    "abab",
    "''",
    "--",
    "/*",
    "12-29",
];

/// Names that the language could take for something else.
const ODD_NAMES: &[&str] = &[
    "count",
    "sum",
    "bucket",
    "month_day",
    "offset",
    "table",
    "left",
    "all",
    "day",
    "has_all",
    "user",
    "end",
    "a",
    "quantile",
    "rules",
];

/// How a tag's values fall.
#[derive(Debug, Clone)]
pub struct Fall {
    pub kind: Kind,
    /// Known of so many in a thousand.
    known: u64,
    /// The same value again for about so many people.
    run: u64,
    texts: Vec<Arc<str>>,
    numbers: (i64, i64),
    /// Of a text: never from the list but one of so many made up.
    made_up: u64,
    last: Option<Option<Value>>,
}

/// A random schema with the way that its values fall.
#[derive(Debug, Clone)]
pub struct Falls {
    pub id_types: Vec<String>,
    pub tags: BTreeMap<String, Fall>,
    pub events: EventFalls,
}

impl Falls {
    /// Some tags of every kind.
    pub fn random(random: &mut Random) -> Falls {
        let events = if EVENTS { EventFalls::random(random) } else { EventFalls::default() };
        let mut falls = Falls { id_types: Vec::new(), tags: BTreeMap::new(), events };
        let id_types = 1 + random.below(3);
        falls.id_types = ["member", "phone", "e_mail"][..id_types as usize].iter().map(|n| n.to_string()).collect();
        for prefix in ["flag", "city", "likes", "age", "born"] {
            for at in 0..1 + random.below(2) + random.below(2) {
                falls.add(random, prefix, at);
            }
        }
        for name in ODD_NAMES {
            if random.percent(12) {
                let prefix = random.word(&["flag", "city", "likes", "age", "born"]);
                let kind = kind_of(random, prefix);
                let fall = Fall::random(random, kind);
                falls.tags.insert(name.to_string(), fall);
            }
        }
        falls
    }

    /// One more tag.
    pub fn add(&mut self, random: &mut Random, prefix: &str, at: u64) -> String {
        let name = format!("{prefix}_{at}");
        let kind = kind_of(random, prefix);
        self.tags.insert(name.clone(), Fall::random(random, kind));
        name
    }

    /// Each tag's kind.
    pub fn kinds(&self) -> BTreeMap<String, Kind> {
        self.tags.iter().map(|(name, fall)| (name.clone(), fall.kind)).collect()
    }

    /// The schema as the product takes it.
    pub fn schema(&self) -> storage::SchemaJson {
        let of = |falls: &BTreeMap<String, Fall>| -> serde_json::Value {
            falls
                .iter()
                .map(|(name, fall)| (name.clone(), type_json(fall.kind)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let mut schema = serde_json::json!({"id_types": self.id_types, "tags": of(&self.tags)});
        if !self.events.events.is_empty() {
            let event = |properties| serde_json::json!({"properties": of(properties)});
            let events = self.events.events.iter().map(|(name, properties)| (name.clone(), event(properties)));
            schema["events"] = events.collect::<serde_json::Map<_, _>>().into();
            schema["time_zone"] = self.events.zone.into();
        }
        serde_json::from_value(schema).unwrap()
    }

    /// Adds to a world what the schema adds to the product.
    pub fn extend(&self, world: &mut World) {
        if !self.events.events.is_empty() {
            world.zone = Zone::named(self.events.zone);
        }
        world.extend(&self.id_types, &self.kinds());
        world.extend_events(&self.events.kinds());
    }
}

fn type_json(kind: Kind) -> serde_json::Value {
    match kind {
        Kind::Flag => serde_json::json!({"type": "flag"}),
        Kind::Category => serde_json::json!({"type": "category"}),
        Kind::Set => serde_json::json!({"type": "set"}),
        Kind::Number(scale) => serde_json::json!({"type": "number", "scale": scale}),
        Kind::Date => serde_json::json!({"type": "date"}),
    }
}

fn kind_of(random: &mut Random, prefix: &str) -> Kind {
    match prefix {
        "flag" => Kind::Flag,
        "city" => Kind::Category,
        "likes" => Kind::Set,
        "age" => Kind::Number(*random.pick(&[0, 0, 1, 2, 2, 4, 9])),
        _ => Kind::Date,
    }
}

impl Fall {
    /// A random way for values of a kind to fall.
    pub fn random(random: &mut Random, kind: Kind) -> Fall {
        let count = *random.pick(&[1, 2, 3, 5, 12, 30]);
        let mut texts: BTreeSet<Arc<str>> = (0..count).map(|_| odd_text(random)).collect();
        if random.percent(10) {
            texts.insert("long".repeat(200).into());
        }
        let numbers = match random.below(9) {
            0 => (0, 1),
            1 => (-UNITS_MAX, UNITS_MAX),
            2 => (UNITS_MAX - 3, UNITS_MAX),
            3 => (-UNITS_MAX, -UNITS_MAX + 200),
            4 => (-50, 50),
            5 => (0, 1_000_000),
            6 => (7, 7),
            _ => (18, 90),
        };
        Fall {
            kind,
            known: *random.pick(&[0, 5, 100, 500, 900, 1000, 1000]),
            run: *random.pick(&[1, 1, 1, 3, 500, 5000]),
            texts: texts.into_iter().collect(),
            numbers,
            made_up: 0,
            last: None,
        }
    }

    /// A category or set of very many values.
    pub fn of_many(kind: Kind, made_up: u64, known: u64) -> Fall {
        Fall { kind, known, run: 1, texts: vec!["top".into()], numbers: (0, 0), made_up, last: None }
    }

    /// The next person's value, none for unknown.
    pub fn next(&mut self, random: &mut Random) -> Option<Value> {
        if let Some(last) = &self.last
            && random.below(self.run) != 0
        {
            return last.clone();
        }
        let value = (random.below(1000) < self.known).then(|| self.known_value(random));
        let value = value.filter(|v| !matches!(v, Value::Set(set) if set.is_empty()));
        self.last = Some(value.clone());
        value
    }

    /// Whether a value that is made alone is known.
    pub fn is_known(&self, random: &mut Random) -> bool {
        random.below(1000) < self.known
    }

    /// A known value; a set may come out empty.
    pub fn known_value(&self, random: &mut Random) -> Value {
        match self.kind {
            Kind::Flag => Value::Flag(random.percent(40)),
            Kind::Category => Value::Text(self.text(random)),
            Kind::Set => {
                let count = if random.percent(3) { 20 } else { random.below(4) };
                Value::Set((0..count).map(|_| self.text(random)).collect())
            }
            Kind::Number(_) => Value::Number(random.within(self.numbers.0, self.numbers.1)),
            Kind::Date if random.percent(2) => {
                Value::Date(*random.pick(&[jiff::civil::date(1, 1, 1), Date::MAX, jiff::civil::date(1600, 2, 29)]))
            }
            Kind::Date => Value::Date(odd_day(random)),
        }
    }

    fn text(&self, random: &mut Random) -> Arc<str> {
        if self.made_up > 0 && !random.percent(5) {
            return format!("v{}", random.below(self.made_up)).into();
        }
        // The first ones are the most frequent.
        let at = random.below(self.texts.len() as u64).min(random.below(self.texts.len() as u64));
        self.texts[at as usize].clone()
    }
}

/// A day, often one at the end of a month.
pub fn odd_day(random: &mut Random) -> Date {
    let year = random.within(1950, 2030) as i16;
    let month = random.within(1, 12) as i8;
    let first = jiff::civil::date(year, month, 1);
    match random.below(4) {
        0 => first.last_of_month(),
        1 => jiff::civil::date(year, *random.pick(&[1, 12, 2]), *random.pick(&[1, 28, 27])),
        _ => first.checked_add(jiff::Span::new().days(random.within(0, 27))).unwrap(),
    }
}

/// A text from the list, or a made-up word.
pub fn odd_text(random: &mut Random) -> Arc<str> {
    if random.percent(70) { (*random.pick(ODD_TEXTS)).into() } else { format!("w{}", random.below(500)).into() }
}

/// Somebody who lives, if anybody does.
pub fn somebody(random: &mut Random, world: &World) -> Option<u32> {
    let count = world.people.len() as u64;
    let start = random.below(count);
    (0..count).map(|at| ((start + at) % count) as usize).find(|id| world.people[*id].is_some()).map(|id| id as u32)
}

/// Identities of a person, or of somebody new; now and then with more than they had.
pub fn identities(random: &mut Random, world: &World, known: Option<u32>, more_percent: u64) -> Vec<(u8, String)> {
    let mut ids: Vec<(u8, String)> = Vec::new();
    if let Some(person) = known.and_then(|id| world.people[id as usize].as_ref()) {
        let (id_type, id) = random.pick(&person.ids).clone();
        ids.push((id_type, id.into()));
    }
    for id_type in 0..world.id_types.len() as u8 {
        let has = ids.iter().any(|(t, _)| *t == id_type);
        if !has && (random.percent(more_percent) || (ids.is_empty() && id_type as usize + 1 == world.id_types.len())) {
            ids.push((id_type, format!("{}{}", random.word(&["M", "", "p-", "é'"]), random.below(1 << 40))));
        }
    }
    // Perhaps of others, too: several profiles in a line.
    while random.percent(4)
        && let Some(person) = somebody(random, world).and_then(|id| world.people[id as usize].as_ref())
    {
        let (id_type, id) = random.pick(&person.ids).clone();
        ids.retain(|(t, _)| *t != id_type);
        ids.push((id_type, id.into()));
    }
    ids
}

/// Two sides of a link: of people who are known or new, of one or of two.
pub fn link(random: &mut Random, world: &World) -> [Vec<(u8, String)>; 2] {
    [(); 2].map(|()| {
        let known = if random.percent(80) { somebody(random, world) } else { None };
        identities(random, world, known, 10)
    })
}

/// A link as JSON.
pub fn link_json(sides: &[Vec<(u8, String)>; 2], world: &World) -> String {
    let [a, b] = sides.each_ref().map(|ids| identities_json(ids, world));
    format!("{{\"a\":{a},\"b\":{b}}}")
}

/// A good line, about somebody new or known.
pub fn line(random: &mut Random, world: &World, falls: &Falls) -> Line {
    let known = if random.percent(55) { somebody(random, world) } else { None };
    let mut line = Line { ids: identities(random, world, known, 30), ..Line::default() };
    for (tag, (name, kind)) in world.tags.iter().enumerate() {
        let Some(fall) = falls.tags.get(name) else { continue };
        let texts = |random: &mut Random| (0..random.below(4)).map(|_| fall.text(random)).collect::<Vec<_>>();
        if random.percent(8) {
            line.unset.push(tag);
        }
        if random.percent(45) {
            let value = (!random.percent(10)).then(|| fall.known_value(random));
            line.set.push((tag, value));
        }
        if *kind == Kind::Set && random.percent(20) {
            line.remove.push((tag, texts(random)));
        }
        if *kind == Kind::Set && random.percent(30) {
            line.add.push((tag, texts(random)));
        }
    }
    line
}

/// Identities as JSON.
pub fn identities_json(ids: &[(u8, String)], world: &World) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let pairs = ids.iter().map(|(t, id)| format!("{}:{}", quoted(&world.id_types[*t as usize]), quoted(id)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// A value as JSON.
pub fn value_json(value: Option<&Value>, kind: Kind) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    match (value, kind) {
        (None, _) => "null".to_string(),
        (Some(Value::Flag(value)), _) => value.to_string(),
        (Some(Value::Text(text)), _) => quoted(text),
        (Some(Value::Set(set)), _) => format!("[{}]", set.iter().map(|t| quoted(t)).collect::<Vec<_>>().join(",")),
        (Some(Value::Number(n)), Kind::Number(scale)) => number_text(*n, scale),
        (Some(Value::Date(date)), _) => quoted(&date.to_string()),
        (Some(other), kind) => panic!("{other:?} in a {kind:?}"),
    }
}

/// The line as JSON.
pub fn json(line: &Line, world: &World) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let list = |texts: &[Arc<str>]| format!("[{}]", texts.iter().map(|t| quoted(t)).collect::<Vec<_>>().join(","));
    let name = |tag: usize| quoted(&world.tags[tag].0);
    let object = |pairs: Vec<String>| format!("{{{}}}", pairs.join(","));
    let mut parts = vec![format!("\"id\":{}", identities_json(&line.ids, world))];
    if !line.unset.is_empty() {
        let names: Vec<Arc<str>> = line.unset.iter().map(|tag| world.tags[*tag].0.as_str().into()).collect();
        parts.push(format!("\"unset\":{}", list(&names)));
    }
    let set = line
        .set
        .iter()
        .map(|(tag, value)| format!("{}:{}", name(*tag), value_json(value.as_ref(), world.tags[*tag].1)));
    parts.push(format!("\"set\":{}", object(set.collect())));
    for (word, changes) in [("add", &line.add), ("remove", &line.remove)] {
        if !changes.is_empty() {
            parts.push(format!(
                "\"{word}\":{}",
                object(changes.iter().map(|(tag, texts)| format!("{}:{}", name(*tag), list(texts))).collect())
            ));
        }
    }
    object(parts)
}

/// A line that has something wrong with it, whatever else it says.
pub fn bad_line(random: &mut Random, world: &World) -> String {
    let id_type = &world.id_types[0];
    let id = format!("\"id\":{{\"{id_type}\":\"bad{}\"}}", random.next());
    let tag = random.pick(&world.tags);
    let wrong = match tag.1 {
        Kind::Flag => random.word(&["\"yes\"", "1", "[]"]),
        Kind::Category => random.word(&["5", "[\"a\"]", "true", "{}"]),
        Kind::Set => random.word(&["\"yoga\"", "[1]", "[null]", "{}"]),
        Kind::Number(_) => {
            random.word(&["\"abc\"", "0.12345678901", "4611686018427387904", "1e99", "true", "[]", "NaN"])
        }
        Kind::Date => random.word(&["\"2026-02-30\"", "20260101", "\"\"", "\"yesterday\"", "\"2026-13-01\""]),
    };
    match random.below(13) {
        0 => "not json".into(),
        1 => "{\"id\":{}}".into(),
        2 => "{\"set\":{}}".into(),
        3 => format!("{{\"id\":{{\"{id_type}\":\"\"}}}}"),
        4 => "{\"id\":{\"nope\":\"x\"}}".into(),
        5 => format!("{{{id},\"set\":{{\"nope\":1}}}}"),
        6 => format!("{{{id},\"sett\":{{}}}}"),
        7 => format!("{{{id}}} trailing"),
        8 => format!("{{\"id\":{{\"{id_type}\":\"nul\\u0000\"}}}}"),
        9 => format!("{{\"id\":{{\"{id_type}\":\"{}\"}}}}", "x".repeat(1025)),
        10 => format!("{{{id},\"id\":{{\"{id_type}\":\"twice\"}}}}"),
        11 if tag.1 != Kind::Set => format!("{{{id},\"add\":{{\"{}\":[\"x\"]}}}}", tag.0),
        _ => format!("{{{id},\"set\":{{\"{}\":{wrong}}}}}", tag.0),
    }
}
