//! The oracle itself: its answers about events and earlier states held against answers that were worked out by hand.
//! Needs no product. What it is trusted with is every edge that language.md names.

mod oracle;

use jiff::civil::{Date, date};
use queryparser::{Limits, parse_predicate, parse_tree, predicate_text, predicate_tree};

use oracle::clock::Zone;
use oracle::event_lines::{EventFalls, event_json, event_line};
use oracle::events::{At, EventKind, EventLine};
use oracle::meaning::Asked;
use oracle::people::{Kind, Line, Value, World};
use oracle::predicates::{Maker, as_of, made};
use oracle::random::{Random, seed};

/// A world with the events `purchase` (category, store, amount with two digits, gift) and `visit` (none).
struct Room(World);

impl Room {
    fn in_zone(zone: &str) -> Room {
        let mut world = World { zone: Zone::named(zone), ..World::default() };
        let tags = [("city".to_string(), Kind::Category), ("spend".to_string(), Kind::Number(2))];
        world.extend(&["member".into()], &tags.into_iter().collect());
        let property = |name: &str, kind| (name.to_string(), kind);
        let properties = vec![
            property("category", Kind::Category),
            property("store", Kind::Category),
            property("amount", Kind::Number(2)),
            property("gift", Kind::Flag),
        ];
        world.extend_events(&[
            EventKind { name: "purchase".into(), properties },
            EventKind { name: "visit".into(), properties: Vec::new() },
        ]);
        Room(world)
    }

    /// A purchase: `category store amount`, `-` for what is unknown.
    fn buys(&mut self, member: &str, at: &str, what: &str) -> &mut Room {
        let mut properties = Vec::new();
        for (property, word) in what.split(' ').enumerate().filter(|(_, word)| *word != "-" && !word.is_empty()) {
            let value = match property {
                2 => Value::Number((word.parse::<f64>().unwrap() * 100.0).round() as i64),
                3 => Value::Flag(word == "gift"),
                _ => Value::Text(word.into()),
            };
            properties.push((property, Some(value)));
        }
        self.event(member, 0, at, properties, None, false).unwrap();
        self
    }

    fn visits(&mut self, member: &str, at: &str) -> &mut Room {
        self.event(member, 1, at, Vec::new(), None, false).unwrap();
        self
    }

    fn event(
        &mut self,
        member: &str,
        event: usize,
        at: &str,
        properties: Vec<(usize, Option<Value>)>,
        key: Option<&str>,
        reject_unknown: bool,
    ) -> Result<bool, &'static str> {
        let ids = vec![(0, member.to_string())];
        let line = EventLine { ids, event, at: written(at), properties, key: key.map(str::to_string) };
        self.0.apply_event(&line, reject_unknown)
    }

    fn comes(&mut self, member: &str, city: &str) -> &mut Room {
        let set = vec![(0, Some(Value::Text(city.into())))];
        self.0.apply(&Line { ids: vec![(0, member.to_string())], set, ..Line::default() }, false).unwrap();
        self
    }

    /// Asked on 2026-01-31: members by their first identity.
    fn check(&self, text: &str, wanted: &[&str]) -> &Room {
        let parsed = parse_predicate(text, &Limits::default()).unwrap_or_else(|e| panic!("{}", e.render(text)));
        let members = Asked { world: &self.0, as_of: date(2026, 1, 31) }.members(&parsed.ast);
        let found: Vec<&str> =
            self.0.live().filter(|(id, _)| members[*id as usize]).map(|(_, person)| &*person.ids[0].1).collect();
        assert_eq!(found, wanted, "{text}");
        self
    }
}

/// A time as lines have it: with `Z`, with an offset, or as the clocks of the space show it.
fn written(at: &str) -> At {
    let shown = at[..19].parse().unwrap();
    match &at[19..] {
        "" => At::Local(shown),
        "Z" => At::Ahead(shown, 0),
        offset => {
            let minutes = offset[1..3].parse::<i64>().unwrap() * 60 + offset[4..6].parse::<i64>().unwrap();
            At::Ahead(shown, if offset.starts_with('-') { -minutes } else { minutes })
        }
    }
}

#[test]
fn a_condition_is_about_one_event() {
    let mut room = Room::in_zone("UTC");
    room.buys("a", "2026-01-01T10:00:00", "bakery s7 5").buys("a", "2026-01-02T10:00:00", "produce s1 5");
    room.buys("b", "2026-01-01T10:00:00", "bakery s1 5").buys("b", "2026-01-02T10:00:00", "produce s7 5");
    room.comes("c", "Paris");
    room.check("EXISTS (SELECT 1 FROM purchase WHERE category = 'bakery' AND store = 's7')", &["a"]);
    room.check("NOT EXISTS (SELECT 1 FROM purchase WHERE category = 'bakery' AND store = 's7')", &["b", "c"]);
    room.check("EXISTS (SELECT 1 FROM purchase WHERE NOT (category = 'bakery' OR store = 's7'))", &["a"]);
    room.check("EXISTS (SELECT 1 FROM purchase)", &["a", "b"]);
    room.check("EXISTS (SELECT 1 FROM visit)", &[]);
    room.check("EXISTS (SELECT 1 FROM purchase WHERE category = 'given to nobody')", &[]);
    room.check("EXISTS (SELECT 1 FROM purchase WHERE category IN ('bakery', 'x') AND store LIKE '%7')", &["a"]);
    room.check("EXISTS (SELECT 1 FROM purchase WHERE FALSE)", &[]);
}

#[test]
fn an_unknown_property_is_neither_equal_nor_different() {
    let mut room = Room::in_zone("UTC");
    room.buys("a", "2026-01-01T10:00:00", "- s1 5").buys("b", "2026-01-01T10:00:00", "bakery - - gift");
    room.buys("c", "2026-01-01T10:00:00", "produce s2 -5 none");
    let exists = |condition: &str| format!("EXISTS (SELECT 1 FROM purchase WHERE {condition})");
    room.check(&exists("category <> 'bakery'"), &["c"]);
    room.check(&exists("category <> 'given to nobody'"), &["b", "c"]);
    room.check(&exists("NOT category = 'bakery'"), &["a", "c"]);
    room.check(&exists("category NOT IN ('bakery')"), &["c"]);
    room.check(&exists("category NOT LIKE 'b%'"), &["c"]);
    room.check(&exists("category IS NULL"), &["a"]);
    room.check(&exists("amount IS NOT NULL"), &["a", "c"]);
    room.check(&exists("amount NOT BETWEEN 0 AND 5"), &["c"]);
    room.check(&exists("NOT amount BETWEEN 0 AND 5"), &["b", "c"]);
    room.check(&exists("amount = 5.00"), &["a"]);
    room.check(&exists("amount < 5.001"), &["a", "c"]);
    room.check(&exists("gift"), &["b"]);
    room.check(&exists("gift = FALSE"), &["c"]);
    room.check(&exists("NOT gift"), &["a", "c"]);
    room.check(&exists("gift <> TRUE"), &["c"]);
}

#[test]
fn of_nothing_count_and_sum_are_zero_and_the_others_null() {
    let mut room = Room::in_zone("UTC");
    room.comes("nobody", "Paris").buys("unknown", "2026-01-01T10:00:00", "").buys("a", "2026-01-01T10:00:00", "x y 5");
    let of = |what: &str, rest: &str| format!("(SELECT {what} FROM purchase) {rest}");
    room.check(&of("count(*)", "= 0"), &["nobody"]);
    room.check(&of("count(*)", "< 2"), &["nobody", "unknown", "a"]);
    room.check(&of("sum(amount)", "= 0"), &["nobody", "unknown"]);
    room.check(&of("sum(amount)", "IS NULL"), &[]);
    room.check(&of("count(*)", "IS NOT NULL"), &["nobody", "unknown", "a"]);
    room.check(&of("count(DISTINCT category)", "= 0"), &["nobody", "unknown"]);
    room.check(&of("count(DISTINCT day)", "= 1"), &["unknown", "a"]);
    for what in ["min(amount)", "max(amount)", "avg(amount)"] {
        room.check(&of(what, "IS NULL"), &["nobody", "unknown"]);
        room.check(&of(what, "<> 6"), &["a"]);
        room.check(&of(what, "< 6"), &["a"]);
        room.check(&of(what, "NOT BETWEEN 6 AND 7"), &["a"]);
        room.check(&of(what, "NOT IN (6)"), &["a"]);
        room.check(&format!("NOT {}", of(what, "= 5")), &["nobody", "unknown"]);
    }
    for what in ["first(category)", "last(category)"] {
        room.check(&of(what, "IS NULL"), &["nobody", "unknown"]);
        room.check(&of(what, "<> 'z'"), &["a"]);
        room.check(&of(what, "NOT LIKE 'z%'"), &["a"]);
        room.check(&of(what, "= 'x'"), &["a"]);
    }
    room.check("(SELECT max(day) FROM purchase) < CURRENT_DATE - INTERVAL '29' DAY", &["unknown", "a"]);
    room.check("(SELECT max(day) FROM purchase) < CURRENT_DATE - INTERVAL '30' DAY", &[]);
}

#[test]
fn means_compare_as_fractions() {
    let mut room = Room::in_zone("UTC");
    for amount in ["0.10", "0.20", "0.20"] {
        room.buys("sixth", "2026-01-01T10:00:00", &format!("- - {amount}"));
    }
    room.buys("fifteen", "2026-01-01T10:00:00", "- - 0.1").buys("fifteen", "2026-01-01T10:00:00", "- - 0.2");
    room.buys("fifteen", "2026-01-01T10:00:00", "a b -");
    room.buys("minus", "2026-01-01T10:00:00", "- - -0.01").buys("minus", "2026-01-01T10:00:00", "- - -0.02");
    room.buys("minus", "2026-01-01T10:00:00", "- - -0.02");
    let avg = |rest: &str| format!("(SELECT avg(amount) FROM purchase) {rest}");
    room.check(&avg("= 0.15"), &["fifteen"]);
    room.check(&avg("<> 0.15"), &["sixth", "minus"]);
    room.check(&avg("> 0.16666666666666666666666666666666666666"), &["sixth"]);
    room.check(&avg("< 0.16666666666666666666666666666666666667"), &["sixth", "fifteen", "minus"]);
    room.check(&avg("> -0.016666666666666666666666666666666667"), &["sixth", "fifteen", "minus"]);
    room.check(&avg("> -0.016666666666666666666666666666666666"), &["sixth", "fifteen"]);
    room.check(&avg("BETWEEN 0.15 AND 0.15"), &["fifteen"]);
    room.check(&avg("IN (1, 0.15)"), &["fifteen"]);
    room.check("(SELECT sum(amount) FROM purchase) = 0.3", &["fifteen"]);
}

#[test]
fn first_and_last_go_by_time_and_then_by_acceptance() {
    let mut room = Room::in_zone("UTC");
    room.buys("a", "2026-01-02T10:00:00", "late s1 1").buys("a", "2026-01-01T10:00:00", "early s1 2");
    room.buys("b", "2026-01-01T10:00:00", "one s1 1").buys("b", "2026-01-01T10:00:00", "two s1 2");
    room.buys("c", "2026-01-01T10:00:00", "- s1 1").buys("c", "2026-01-02T10:00:00", "two s2 2");
    let of = |what: &str, rest: &str| format!("(SELECT {what} FROM purchase) {rest}");
    room.check(&of("first(category)", "= 'early'"), &["a"]);
    room.check(&of("last(category)", "= 'late'"), &["a"]);
    room.check(&of("first(category)", "= 'one'"), &["b"]);
    room.check(&of("last(category)", "= 'two'"), &["b", "c"]);
    room.check(&of("first(category)", "IS NULL"), &["c"]);
    room.check("(SELECT first(category) FROM purchase WHERE store = 's2') = 'two'", &["c"]);
    room.check(&of("last(amount)", "> 1"), &["b", "c"]);
    room.check(&of("first(day)", "= DATE '2026-01-01'"), &["a", "b", "c"]);
    room.check(&of("min(amount)", "= 1"), &["a", "b", "c"]);
}

#[test]
fn steps_follow_strictly_and_within_the_limit_of_the_first() {
    let mut room = Room::in_zone("America/New_York");
    let bought = "(SELECT 1 FROM purchase WHERE category = 'x')";
    let then = |limit: &str| format!("followed_by({bought}, (SELECT 1 FROM visit){limit})");
    room.buys("same time", "2026-01-01T10:00:00", "x").visits("same time", "2026-01-01T10:00:00");
    room.buys("at limit", "2026-01-01T10:00:00", "x").visits("at limit", "2026-01-15T10:00:00");
    room.buys("past limit", "2026-01-01T10:00:00", "x").visits("past limit", "2026-01-15T10:00:01");
    room.visits("before", "2026-01-01T10:00:00").buys("before", "2026-01-02T10:00:00", "x");
    // Accepted the other way round.
    room.visits("late line", "2026-01-01T10:00:01").buys("late line", "2026-01-01T10:00:00", "x");
    room.buys("second try", "2025-01-01T10:00:00", "x").buys("second try", "2026-01-01T10:00:00", "x");
    room.visits("second try", "2026-01-02T10:00:00");
    room.buys("other", "2026-01-01T10:00:00", "y").visits("other", "2026-01-02T10:00:00");
    // Clocks go back on 2025-11-02: the same hour of the next day is 25 hours later. On 2026-03-08 it is 23.
    room.buys("autumn", "2025-11-01T12:00:00", "x").visits("autumn", "2025-11-02T12:00:00");
    room.buys("spring", "2026-03-07T12:00:00", "x").visits("spring", "2026-03-08T13:00:00");
    let all = ["at limit", "past limit", "late line", "second try", "autumn", "spring"];
    room.check(&then(""), &all);
    let near = ["at limit", "late line", "second try", "autumn", "spring"];
    room.check(&then(", INTERVAL '14' DAY"), &near);
    room.check(&then(", INTERVAL '2' WEEK"), &near);
    room.check(&then(", INTERVAL '13' DAY"), &["late line", "second try", "autumn", "spring"]);
    room.check(&then(", INTERVAL '1' DAY"), &["late line", "second try", "spring"]);
}

#[test]
fn each_step_needs_an_event_of_its_own() {
    let mut room = Room::in_zone("UTC");
    room.visits("once", "2026-01-01T10:00:00");
    room.visits("twice at once", "2026-01-01T10:00:00").visits("twice at once", "2026-01-01T10:00:00");
    room.visits("twice", "2026-01-01T10:00:00").visits("twice", "2026-01-02T10:00:00");
    for day in ["01", "05", "08", "09"] {
        room.visits("four", &format!("2026-01-{day}T10:00:00"));
    }
    let visits = |n: usize, limit: &str| format!("followed_by({}{limit})", vec!["(SELECT 1 FROM visit)"; n].join(", "));
    room.check(&visits(2, ""), &["twice", "four"]);
    room.check(&visits(3, ""), &["four"]);
    room.check(&visits(4, ", INTERVAL '8' DAY"), &["four"]);
    room.check(&visits(4, ", INTERVAL '7' DAY"), &[]);
    // From the fifth to the ninth: all within the limit of the first step, whatever came before it.
    room.check(&visits(3, ", INTERVAL '4' DAY"), &["four"]);
    room.check(&visits(3, ", INTERVAL '3' DAY"), &[]);
    room.check(&visits(2, ", INTERVAL '2147483647' WEEK"), &["twice", "four"]);
}

#[test]
fn days_are_those_of_the_zone() {
    let on = |day: &str| format!("EXISTS (SELECT 1 FROM visit WHERE day = DATE '{day}')");
    let mut york = Room::in_zone("America/New_York");
    york.visits("before midnight", "2026-03-08T04:59:59Z").visits("midnight", "2026-03-08T05:00:00Z");
    york.visits("last of 23 hours", "2026-03-09T03:59:59Z").visits("next", "2026-03-09T04:00:00Z");
    york.check(&on("2026-03-07"), &["before midnight"]);
    york.check(&on("2026-03-08"), &["midnight", "last of 23 hours"]);
    york.check(&on("2026-03-09"), &["next"]);
    let mut howe = Room::in_zone("Australia/Lord_Howe");
    // Ahead 10:30 h in winter and 11 h in summer, from 2025-10-05 02:00.
    howe.visits("winter", "2025-10-04T13:29:59Z").visits("spring", "2025-10-04T13:30:00Z");
    howe.visits("summer", "2025-10-05T13:00:00Z");
    howe.check(&on("2025-10-04"), &["winter"]).check(&on("2025-10-05"), &["spring"]);
    howe.check(&on("2025-10-06"), &["summer"]);
    let mut apia = Room::in_zone("Pacific/Apia");
    // Friday 2011-12-30 was left out.
    apia.visits("thursday", "2011-12-30T09:59:59Z").visits("saturday", "2011-12-30T10:00:00Z");
    apia.check(&on("2011-12-29"), &["thursday"]).check(&on("2011-12-30"), &[]).check(&on("2011-12-31"), &["saturday"]);
    apia.check("(SELECT count(DISTINCT day) FROM visit) = 1", &["thursday", "saturday"]);
}

#[test]
fn times_without_offset_are_the_clocks_of_the_zone() {
    let mut york = Room::in_zone("America/New_York");
    // 01:30 comes twice on 2025-11-02: the first is meant. 02:30 never comes on 2026-03-08: as if clocks stayed.
    york.visits("twice", "2025-11-02T01:30:00").visits("first", "2025-11-02T05:30:00Z");
    york.visits("second", "2025-11-02T01:30:00-05:00").visits("never", "2026-03-08T02:30:00");
    let at = |moment: &str| format!("EXISTS (SELECT 1 FROM visit WHERE at = TIMESTAMP '{moment}')");
    york.check(&at("2025-11-02T05:30:00Z"), &["twice", "first"]).check(&at("2025-11-02T06:30:00Z"), &["second"]);
    york.check(&at("2025-11-02 01:30:00"), &["twice", "first"]);
    york.check(&at("2026-03-08T07:30:00Z"), &["never"]).check(&at("2026-03-08 03:30:00"), &["never"]);
    york.check("EXISTS (SELECT 1 FROM visit WHERE at > '2025-11-02T01:30:00-04:00')", &["second", "never"]);
    york.check("(SELECT max(at) FROM visit) < TIMESTAMP '2025-11-02 02:00:00'", &["twice", "first", "second"]);
    let mut howe = Room::in_zone("Australia/Lord_Howe");
    howe.visits("twice", "2026-04-05T01:45:00").visits("never", "2025-10-05T02:15:00");
    howe.check(&at("2026-04-04T14:45:00Z"), &["twice"]).check(&at("2025-10-04T15:45:00Z"), &["never"]);
    let mut apia = Room::in_zone("Pacific/Apia");
    apia.visits("never", "2011-12-30T12:00:00").visits("before", "2011-12-29T12:00:00");
    apia.check(&at("2011-12-30T22:00:00Z"), &["never"]).check(&at("2011-12-29T22:00:00Z"), &["before"]);
    let mut shanghai = Room::in_zone("Asia/Shanghai");
    shanghai.visits("summer time", "1986-05-04T12:00:00").visits("today", "2026-01-01T00:00:00");
    shanghai.check(&at("1986-05-04T03:00:00Z"), &["summer time"]).check(&at("2025-12-31T16:00:00Z"), &["today"]);
}

#[test]
fn a_key_counts_once_whoever_says_it() {
    let mut room = Room::in_zone("UTC");
    let noon = "2026-01-01T12:00:00Z";
    let amount = |n| vec![(2, Some(Value::Number(n)))];
    assert_eq!(room.event("a", 0, noon, amount(100), Some("k"), false), Ok(true));
    assert_eq!(room.event("a", 0, noon, amount(900), Some("k"), false), Ok(false));
    assert_eq!(room.event("new", 0, noon, amount(900), Some("k"), false), Ok(false));
    assert_eq!(room.event("b", 1, noon, Vec::new(), Some("k"), false), Ok(true));
    assert_eq!(room.event("c", 0, noon, amount(1), Some("k2"), true), Err("unknown_profile"));
    assert_eq!(room.event("c", 0, noon, amount(1), Some("k2"), false), Ok(true));
    assert_eq!(room.event("a", 0, noon, amount(1), None, true), Ok(false));
    room.check("TRUE", &["a", "b", "c"]);
    room.check("(SELECT sum(amount) FROM purchase) = 1.01", &["a"]);
    room.check("(SELECT count(*) FROM purchase) = 1", &["c"]);
}

#[test]
fn of_an_earlier_state_only_those_who_lived_then_and_live_now() {
    let mut room = Room::in_zone("UTC");
    room.comes("stays", "Paris").comes("moves", "Paris").comes("goes", "Paris").comes("other", "Rome");
    room.buys("stays", "2026-01-01T10:00:00", "x").buys("goes", "2026-01-01T10:00:00", "x");
    room.0.take_state("then");
    room.comes("moves", "Rome").comes("new", "Paris").buys("new", "2026-01-01T10:00:00", "x");
    room.buys("moves", "2026-01-01T10:00:00", "x");
    room.0.erase(2);
    room.check("was('then', city = 'Paris')", &["stays", "moves"]);
    room.check("was('then', NOT city = 'Paris')", &["other"]);
    room.check("NOT was('then', city = 'Paris')", &["other", "new"]);
    room.check("was('then', city = 'Paris') AND city <> 'Paris'", &["moves"]);
    room.check("was('then', EXISTS (SELECT 1 FROM purchase))", &["stays"]);
    room.check("was('then', NOT EXISTS (SELECT 1 FROM purchase)) AND EXISTS (SELECT 1 FROM purchase)", &["moves"]);
    room.check("was('then', TRUE)", &["stays", "moves", "other"]);
    room.check("city = 'Paris' OR was('then', city = 'Rome')", &["stays", "other", "new"]);
    room.0.take_state("then");
    room.check("was('then', city = 'Paris')", &["stays", "new"]);
}

#[test]
fn an_erased_person_takes_no_place_in_an_earlier_state() {
    let mut room = Room::in_zone("UTC");
    for (member, spend) in [("first", 900), ("second", 500), ("third", 100)] {
        let set = vec![(1, Some(Value::Number(spend)))];
        room.0.apply(&Line { ids: vec![(0, member.to_string())], set, ..Line::default() }, false).unwrap();
    }
    room.0.take_state("then");
    room.0.erase(0);
    room.check("was('then', one_id IN (SELECT one_id FROM profiles ORDER BY spend DESC LIMIT 1))", &["second"]);
    room.check("was('then', spend >= (SELECT max(spend) FROM profiles))", &["second"]);
    room.check("was('then', spend < (SELECT avg(spend) FROM profiles))", &["third"]);
}

/// Random events of random people, with a state from half-way.
fn town(random: &mut Random) -> World {
    let falls = EventFalls::random(random);
    let mut world = World { zone: Zone::named(falls.zone), ..World::default() };
    world.extend(&["member".into()], &[("spend".to_string(), Kind::Number(2))].into_iter().collect());
    world.extend_events(&falls.kinds());
    for at in 0..400 {
        let line = event_line(random, &world, &falls);
        let _ = world.apply_event(&line, false);
        if at == 200 {
            world.take_state("half-way");
        }
    }
    world
}

#[test]
fn lines_say_in_json_what_the_oracle_takes_them_for() {
    let mut random = Random::new(seed());
    for _ in 0..30 {
        let falls = EventFalls::random(&mut random);
        let zone = jiff::tz::TimeZone::get(falls.zone).unwrap();
        let mut world = World { zone: Zone::named(falls.zone), ..World::default() };
        world.extend(&["member".into()], &Default::default());
        world.extend_events(&falls.kinds());
        for _ in 0..100 {
            let line = event_line(&mut random, &world, &falls);
            let json: serde_json::Value = serde_json::from_str(&event_json(&mut random, &line, &world)).unwrap();
            let at = json["at"].as_str().unwrap();
            let moment = match at.parse::<jiff::Timestamp>() {
                Ok(moment) => moment,
                Err(_) => zone.to_timestamp(at.parse().unwrap()).unwrap(),
            };
            assert_eq!(world.moment(line.at), moment.as_second(), "{at} in {}", falls.zone);
            assert_eq!(
                world.zone.day(moment.as_second()),
                moment.to_zoned(zone.clone()).date(),
                "{at} in {}",
                falls.zone
            );
            assert_eq!(json["key"].as_str(), line.key.as_deref());
            let kind = &world.events[line.event];
            assert_eq!(json["event"], kind.name);
            for (property, value) in &line.properties {
                let said = &json[&kind.properties[*property].0];
                match value {
                    None => assert!(said.is_null()),
                    Some(Value::Text(text)) => assert_eq!(said, &**text),
                    Some(Value::Flag(flag)) => assert_eq!(said, flag),
                    Some(Value::Date(date)) => assert_eq!(*said, date.to_string()),
                    Some(_) => assert!(said.is_number()),
                }
            }
            let _ = world.apply_event(&line, false);
        }
    }
}

#[test]
fn random_questions_about_events_read_back_from_text_and_from_tree() {
    let mut random = Random::new(seed());
    let (mut asked, mut telling) = (0, 0);
    for _ in 0..10 {
        let world = town(&mut random);
        for _ in 0..200 {
            let day: Date = as_of(&mut random);
            let predicate = match asked % 4 {
                0 => Maker { world: &world, random: &mut random }.predicate(2),
                _ => made(Maker { world: &world, random: &mut random }.about_events()),
            };
            let question = Asked { world: &world, as_of: day };
            let members = question.members(&predicate);
            let text = predicate_text(&predicate);
            let from_text =
                parse_predicate(&text, &Limits::default()).unwrap_or_else(|e| panic!("{}", e.render(&text)));
            assert_eq!(question.members(&from_text.ast), members, "{text}");
            let tree = predicate_tree(&predicate);
            let from_tree = parse_tree(&tree, &Limits::default()).unwrap_or_else(|e| panic!("{tree}\n{e}"));
            assert_eq!(question.members(&from_tree.ast), members, "{tree}");
            asked += 1;
            telling += u32::from(members.contains(&true) && members.contains(&false));
        }
    }
    // Questions that all or nobody meet find few mistakes.
    assert!(telling * 3 > asked, "only {telling} of {asked} tell people apart");
    println!("{telling} of {asked} questions tell people apart");
}
