//! Random events: their schema, the times at which they fall, and lines of them, good ones and bad ones.
//! Knows times that clocks trip over: midnights, hours that come twice or never, one moment for several events.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime, date};

use super::clock::{DAY_S, clock_shows};
use super::events::{At, Event, EventKind, EventLine};
use super::lines::{Fall, identities, identities_json, somebody, value_json};
use super::people::{Kind, World};
use super::random::Random;

const EVENT_NAMES: &[&str] = &["purchase", "visit", "call", "window", "app_open", "natural", "first"];

/// Names of properties; some are tags' and id types' too, some are words of the language.
const PROPERTY_NAMES: &[&str] =
    &["category", "store", "channel", "category", "store", "amount", "price", "pieces", "amount", "gift", "until"];
const ODD_PROPERTY_NAMES: &[&str] = &[
    "city_0", "age_0", "flag_0", "born_0", "likes_0", "member", "count", "last", "all", "rules", "user", "set", "sum",
];

/// Zones and days on which something happens to their clocks.
const ZONES: &[(&str, &[Date])] = &[
    ("UTC", &[date(1970, 1, 1), date(2016, 12, 31)]),
    ("America/New_York", &[date(2025, 11, 2), date(2026, 3, 8)]),
    ("Europe/London", &[date(2025, 10, 26), date(2026, 3, 29)]),
    ("Asia/Shanghai", &[date(1986, 5, 4), date(1991, 9, 15)]),
    // Half an hour only.
    ("Australia/Lord_Howe", &[date(2025, 10, 5), date(2026, 4, 5)]),
    // 2011-12-30 never was.
    ("Pacific/Apia", &[date(2011, 12, 29), date(2011, 12, 31), date(2021, 4, 4)]),
];
const DAYS: &[Date] = &[
    date(2025, 12, 31),
    date(2026, 1, 1),
    date(2026, 1, 30),
    date(2026, 1, 31),
    date(2025, 11, 3),
    date(2024, 2, 29),
    date(1969, 12, 31),
    date(1901, 1, 1),
    date(2099, 12, 31),
];
const TIMES: &[(i8, i8, i8)] = &[
    (0, 0, 0),
    (0, 0, 1),
    (23, 59, 59),
    (12, 0, 0),
    (1, 30, 0),
    (1, 59, 59),
    (2, 0, 0),
    (2, 15, 0),
    (2, 30, 0),
    (3, 0, 0),
];
const AHEAD_MINUTES: &[i64] = &[480, -300, 60, 0, 345, -210, 840, -720, 630];

/// Something that was sent, good or bad.
#[derive(Debug, Clone)]
pub enum Sent {
    Good(EventLine),
    Bad(String),
}

/// A random schema of events with the way that they fall.
#[derive(Debug, Clone, Default)]
pub struct EventFalls {
    pub zone: &'static str,
    pub events: BTreeMap<String, BTreeMap<String, Fall>>,
    /// Days on which much happens.
    days: Vec<Date>,
    /// Keys are one of so many.
    keys: u64,
    /// The last batch, that it may be sent once more.
    pub last: Vec<Sent>,
}

impl EventFalls {
    /// One to three events.
    pub fn random(random: &mut Random) -> EventFalls {
        let (zone, trips) = *random.pick(ZONES);
        let mut falls = EventFalls { zone, keys: *random.pick(&[5, 60, 5_000]), ..EventFalls::default() };
        for _ in 0..1 + random.below(5) {
            let day = if random.percent(50) { *random.pick(trips) } else { *random.pick(DAYS) };
            falls.days.push(day.checked_add(jiff::Span::new().days(random.within(-1, 1))).unwrap());
        }
        for _ in 0..1 + random.below(3) {
            falls.add(random);
        }
        falls
    }

    /// One more event, or more properties of one.
    pub fn add(&mut self, random: &mut Random) {
        let properties = self.events.entry(random.word(EVENT_NAMES).to_string()).or_default();
        for _ in 0..1 + random.below(5) {
            let odd = random.percent(20);
            let name = if odd { random.word(ODD_PROPERTY_NAMES) } else { random.word(PROPERTY_NAMES) };
            let kind = match name {
                "category" | "store" | "channel" => Kind::Category,
                "amount" | "price" => Kind::Number(random.below(4) as u8),
                "pieces" => Kind::Number(0),
                "gift" => Kind::Flag,
                "until" => Kind::Date,
                _ => *random.pick(&[Kind::Category, Kind::Number(1), Kind::Flag, Kind::Date]),
            };
            let fall = match kind {
                Kind::Category if random.percent(15) => Fall::of_many(kind, 3_000, 950),
                _ => Fall::random(random, kind),
            };
            properties.entry(name.into()).or_insert(fall);
        }
    }

    /// Each event with the kinds of its properties.
    pub fn kinds(&self) -> Vec<EventKind> {
        let kinds = |properties: &BTreeMap<String, Fall>| {
            properties.iter().map(|(name, fall)| (name.clone(), fall.kind)).collect()
        };
        self.events.iter().map(|(name, all)| EventKind { name: name.clone(), properties: kinds(all) }).collect()
    }

    fn time(&self, random: &mut Random, world: &World) -> At {
        let day = match random.below(5) {
            0 => date(2026, 1, 31).checked_add(jiff::Span::new().days(random.within(-400, 30))).unwrap(),
            _ => *random.pick(&self.days),
        };
        let shown = if random.percent(60) {
            let (hour, minute, second) = *random.pick(TIMES);
            day.at(hour, minute, second, 0)
        } else {
            day.at(random.below(24) as i8, random.below(60) as i8, random.below(60) as i8, 0)
        };
        match random.below(5) {
            0 | 1 => At::Local(shown),
            _ => ahead(random, world.zone.moment(shown)),
        }
    }

    /// A time that has to do with an event: the same, or whole days of 86,400 s from it.
    fn time_near(random: &mut Random, event: &Event) -> At {
        let days = *random.pick(&[0, 0, 1, 7, 14, -1]);
        ahead(random, event.at + days * DAY_S)
    }
}

/// A moment as clocks somewhere show it.
fn ahead(random: &mut Random, at: i64) -> At {
    let minutes = *random.pick(AHEAD_MINUTES);
    At::Ahead(clock_shows(at + 60 * minutes), minutes)
}

/// A good line, about somebody new or known.
pub fn event_line(random: &mut Random, world: &World, falls: &EventFalls) -> EventLine {
    let lives = |one_id: &u32| world.people[*one_id as usize].is_some();
    let again = (!world.doers.is_empty() && random.percent(65)).then(|| *random.pick(&world.doers)).filter(lives);
    let known = again.or_else(|| if random.percent(80) { somebody(random, world) } else { None });
    let person = known.and_then(|one_id| world.people[one_id as usize].as_ref());
    let mut ids = identities(random, world, known, 4);
    if random.percent(20) {
        // Seldom all that could be named is.
        ids.truncate(1);
    }
    let event = random.below(world.events.len() as u64) as usize;
    let kind = &world.events[event];
    let own = person.map_or(&[][..], |person| {
        let of = random.below(world.events.len() as u64) as usize;
        person.events_of(of)
    });
    let at = match own {
        [] => falls.time(random, world),
        own if random.percent(25) => {
            let one = random.pick(own);
            EventFalls::time_near(random, one)
        }
        _ => falls.time(random, world),
    };
    let mut properties = Vec::new();
    for (property, (name, _)) in kind.properties.iter().enumerate() {
        let Some(fall) = falls.events.get(&kind.name).and_then(|all| all.get(name)) else { continue };
        if random.percent(85) && fall.is_known(random) {
            properties.push((property, Some(fall.known_value(random))));
        } else if random.percent(30) {
            properties.push((property, None));
        }
    }
    let key = random.percent(50).then(|| match random.below(3) {
        0 => format!("order-{}", random.next()),
        _ => format!("order-{}/{}", random.below(falls.keys), random.below(2)),
    });
    EventLine { ids, event, at, properties, key }
}

/// The line as JSON, its parts in any order.
pub fn event_json(random: &mut Random, line: &EventLine, world: &World) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let kind = &world.events[line.event];
    let mut parts = vec![
        format!("\"id\":{}", identities_json(&line.ids, world)),
        format!("\"event\":{}", quoted(&kind.name)),
        format!("\"at\":\"{}\"", at_text(random, line.at)),
    ];
    for (property, value) in &line.properties {
        let (name, of) = &kind.properties[*property];
        parts.push(format!("{}:{}", quoted(name), value_json(value.as_ref(), *of)));
    }
    parts.extend(line.key.as_ref().map(|key| format!("\"key\":{}", quoted(key))));
    let first = random.below(parts.len() as u64) as usize;
    parts.rotate_left(if random.percent(40) { first } else { 0 });
    format!("{{{}}}", parts.join(","))
}

fn at_text(random: &mut Random, at: At) -> String {
    let shown = |shown: DateTime| shown.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    match at {
        At::Local(local) => shown(local),
        At::Ahead(utc, 0) if random.percent(70) => format!("{}Z", shown(utc)),
        At::Ahead(local, minutes) => {
            let sign = if minutes < 0 { '-' } else { '+' };
            format!("{}{sign}{:02}:{:02}", shown(local), minutes.abs() / 60, minutes.abs() % 60)
        }
    }
}

/// A line that has something wrong with it, whatever else it says.
pub fn bad_event_line(random: &mut Random, world: &World) -> String {
    let id = format!("\"id\":{{\"{}\":\"bad{}\"}}", world.id_types[0], random.next());
    let kind = random.pick(&world.events);
    let event = format!("\"event\":\"{}\"", kind.name);
    let at = "\"at\":\"2026-01-31T10:30:00Z\"";
    let (property, of) = random.pick(&kind.properties);
    let wrong = match of {
        Kind::Flag => random.word(&["\"yes\"", "1", "[]"]),
        Kind::Category | Kind::Set => random.word(&["5", "[\"a\"]", "true", "{}"]),
        Kind::Number(_) => random.word(&["\"abc\"", "0.12345678901", "4611686018427387904", "1e99", "true", "[]"]),
        Kind::Date => random.word(&["\"2026-02-30\"", "20260101", "\"\"", "\"yesterday\"", "\"2026-13-01\""]),
    };
    let no_time = random.word(&[
        "\"2026-02-30T10:00:00Z\"",
        "\"2026-01-31T25:00:00Z\"",
        "\"2026-01-31T10:60:00+08:00\"",
        "\"yesterday\"",
        "\"\"",
        "null",
        "[]",
        "true",
    ]);
    match random.below(14) {
        0 => "not json".into(),
        1 => format!("{{{id},{at}}}"),
        2 => format!("{{{id},\"event\":\"nope\",{at}}}"),
        3 => format!("{{{id},{event},{at},\"nope\":1}}"),
        4 | 5 => format!("{{{id},{event},{at},\"{property}\":{wrong}}}"),
        6 => format!("{{{id},{event}}}"),
        7 | 8 => format!("{{{id},{event},\"at\":{no_time}}}"),
        9 => format!("{{{event},{at}}}"),
        10 => format!("{{\"id\":{{}},{event},{at}}}"),
        11 => format!("{{\"id\":{{\"nope\":\"x\"}},{event},{at}}}"),
        12 => format!("{{{id},{event},{at}}} trailing"),
        _ => format!("{{{id},{event},{at},\"key\":{{}}}}"),
    }
}
