//! The population as frames: who is in rows from … to …, and what they bought.
//! Knows tags and frames; who people are is `person`'s, what they bought `purchases`'.

use std::io::Write;
use std::ops::Range;

use serde_json::{Value, json};

use super::columns::{Dictionaries, Plain, ProfileColumns, PurchaseColumns, VisitColumns};
use super::person::{AS_OF, Person, STREAM_INTERESTS, STREAM_PHONES, STREAM_TAGS};
use super::purchases::{Lifetime, Purchase, purchases_of};
use super::random::Random;
use super::tables::{INTEREST_COUNT, INTERESTS_UNKNOWN, Tables, band_of};
use super::visits::visits_of;
use super::words;
use crate::import::frame::{Frame, UNKNOWN_CODE};

/// Lifetime spend, in hundredths, from which a person is of the second and every higher tier.
const TIER_SPEND: [i64; 4] = [15_000, 75_000, 250_000, 700_000];
/// Purchases from which someone who still buys is loyal.
const LOYAL_ORDERS: i64 = 15;
/// Phone numbers there are: five prefixes of nine digits.
const PHONES: u64 = 5_000_000_000;
const PHONE_PREFIXES: [&str; 5] = ["13", "15", "17", "18", "19"];
/// Steps between the phone numbers of neighbours; has no factor in common with [`PHONES`].
const PHONE_STEP: u64 = 2_654_435_761;

/// A seeded population of a given size.
#[derive(Debug)]
pub struct Population {
    seed: u64,
    profiles: u32,
    /// Place of the first person's phone number among all.
    phone_start: u64,
    tables: Tables,
    words: Dictionaries,
}

impl Population {
    /// The population of a seed. Row `i` follows from seed, `profiles` and `i` alone.
    pub fn new(seed: u64, profiles: u32) -> Self {
        let phone_start = Random::new(seed, 0, STREAM_PHONES).bits() % PHONES;
        Population { seed, profiles, phone_start, tables: Tables::new(), words: Dictionaries::new() }
    }

    /// Number of people.
    pub fn profiles_total(&self) -> u32 {
        self.profiles
    }

    /// The schema that the population fits, as `PUT /v1/spaces/{space}` takes it.
    pub fn schema_json(&self) -> Value {
        let looked_at = json!({
            "category": {"type": "category"}, "channel": {"type": "category"}, "price": {"type": "number", "scale": 2}
        });
        json!({
            "time_zone": "Asia/Shanghai",
            "id_types": ID_TYPES,
            "tags": {
                "gender": {"type": "category"}, "age": {"type": "number"}, "birthday": {"type": "date"},
                "city": {"type": "category"}, "province": {"type": "category"}, "tier": {"type": "category"},
                "lifecycle": {"type": "category"}, "interests": {"type": "set"}, "channels": {"type": "set"},
                "spend": {"type": "number", "scale": 2}, "orders": {"type": "number"}, "last_order": {"type": "date"},
                "signup": {"type": "date"}, "subscribed": {"type": "flag"}, "app_installed": {"type": "flag"},
                "staff": {"type": "flag"}, "device": {"type": "category"}, "source": {"type": "category"},
                "occupation": {"type": "category"}, "score": {"type": "number", "scale": 2}
            },
            "events": {
                "purchase": {"properties": {
                    "category": {"type": "category"}, "store": {"type": "category"}, "channel": {"type": "category"},
                    "amount": {"type": "number", "scale": 2}, "coupon": {"type": "category"}
                }},
                "visit": {"properties": looked_at}, "cart": {"properties": looked_at}
            }
        })
    }

    /// The profiles of a range of numbers: identities and the twenty tags.
    pub fn profiles(&self, range: Range<u32>) -> Frame {
        let rows = range.len();
        let mut columns = ProfileColumns::with_capacity(rows);
        let mut list = Vec::new();
        for number in range.clone() {
            let person = Person::new(&self.tables, self.seed, self.profiles, number);
            let lifetime = purchases_of(&self.tables, self.seed, number, &person, &mut list);
            self.push_profile(number, &person, &lifetime, &mut columns);
        }
        Frame {
            rows,
            columns: columns.into_frame(&self.tables, &self.words),
            lines: Vec::new(),
            first_line: u64::from(range.start) + 1,
        }
    }

    /// The purchases of a range of people's numbers, by person and then by time.
    pub fn purchases(&self, range: Range<u32>) -> Frame {
        let mut columns = PurchaseColumns::new();
        let mut list = Vec::new();
        for number in range {
            let person = Person::new(&self.tables, self.seed, self.profiles, number);
            purchases_of(&self.tables, self.seed, number, &person, &mut list);
            for (at, purchase) in list.iter().enumerate() {
                push_purchase(number, at, purchase, &mut columns);
            }
        }
        columns.into_frame(&self.tables, &self.words)
    }

    /// What a range of people looked at (`visit`) and put into the cart (`cart`), by person and then by time.
    pub fn visits(&self, range: Range<u32>) -> Frame {
        let mut columns = VisitColumns::new();
        let (mut purchases, mut list) = (Vec::new(), Vec::new());
        for number in range {
            let person = Person::new(&self.tables, self.seed, self.profiles, number);
            purchases_of(&self.tables, self.seed, number, &person, &mut purchases);
            visits_of(&self.tables, self.seed, number, &person, &purchases, &mut list);
            for visit in &list {
                push_member(number, &mut columns.member);
                columns.event.push(if visit.is_cart { CART } else { VISIT });
                columns.at.push(Some(visit.at));
                columns.category.push(visit.category);
                columns.shop.push(visit.shop);
                columns.price.push(Some(visit.price));
            }
        }
        columns.into_frame(&self.tables, &self.words)
    }

    fn push_profile(&self, number: u32, person: &Person, lifetime: &Lifetime, columns: &mut ProfileColumns) {
        let mut random = Random::new(self.seed, number, STREAM_TAGS);
        push_member(number, &mut columns.member);
        columns.phone.push(random.chance(0.8), |out| write_phone(self.phone_start, number, out));
        let mail = random.below(1 << 16);
        columns.email.push(random.chance(0.35), |out| write_email(number, mail, out));
        columns.gender.push(known(random.chance(0.94), person.is_man.into()));
        columns.age.push(random.chance(0.93).then_some(person.age.into()));
        columns.birthday.push(random.chance(0.86).then_some(person.birthday));
        self.push_places(person, &mut random, columns);
        self.push_value(person, lifetime, &mut random, columns);
        self.push_interests(number, person, columns);
        push_channels(person, &mut random, columns);
        push_device(person, &mut random, columns);
        columns.signup.push(random.chance(0.995).then_some(person.signup));
        let source = self.tables.source.draw(&mut random);
        columns.source.push(known(random.chance(0.9), source));
        let occupation = match person.age {
            0..=17 => UNKNOWN_CODE,
            18..=22 if random.chance(0.75) => 0,
            60.. if random.chance(0.8) => 1,
            _ => self.tables.occupation.draw(&mut random),
        };
        columns.occupation.push(known(random.chance(0.72), occupation));
        let score = (random.normal() * 2_800.0 + person.wealth * 800.0) as i64 + 2_000;
        columns.score.push(random.chance(0.8).then_some(score.clamp(-10_000, 10_000)));
    }

    fn push_places(&self, person: &Person, random: &mut Random, columns: &mut ProfileColumns) {
        let city_known = random.chance(0.95);
        columns.city.push(known(city_known, person.city));
        let province_known = city_known || random.chance(0.4);
        columns.province.push(known(province_known, self.tables.province_of[person.city as usize]));
    }

    /// Tags that follow from what the person bought.
    fn push_value(&self, person: &Person, lifetime: &Lifetime, random: &mut Random, columns: &mut ProfileColumns) {
        // Tiers were given some time ago, so they fit spend only roughly.
        let weighed = (lifetime.spend as f64 * (0.6 + 0.8 * random.unit())) as i64;
        let tier = TIER_SPEND.iter().take_while(|from| weighed >= **from).count() as u32;
        columns.tier.push(known(random.chance(0.97), tier));
        columns.spend.push(random.chance(0.96).then_some(lifetime.spend));
        columns.orders.push(random.chance(0.98).then_some(lifetime.orders));
        columns.last_order.push(lifetime.last.filter(|_| random.chance(0.99)));
        columns.lifecycle.push(known(random.chance(0.97), lifecycle(person, lifetime)));
        columns.subscribed.push(flag(random, 0.42, 0.40));
        let app_share = if person.age < 45 { 0.62 } else { 0.33 };
        columns.app_installed.push(flag(random, app_share, 0.94 - app_share));
        columns.staff.push(flag(random, 0.004, 0.93));
    }

    fn push_interests(&self, number: u32, person: &Person, columns: &mut ProfileColumns) {
        let mut random = Random::new(self.seed, number, STREAM_INTERESTS);
        if !random.chance(INTERESTS_UNKNOWN) {
            let limits = &self.tables.interest_limits[usize::from(person.is_man)][band_of(person.age)];
            for (pair, limits) in limits.chunks(2).enumerate() {
                let bits = random.bits();
                for (at, limit) in limits.iter().enumerate() {
                    if ((bits >> (32 * at)) as u32) < *limit {
                        columns.interests.codes.push((2 * pair + at) as u32);
                    }
                }
            }
        }
        columns.interests.offsets.push(columns.interests.codes.len() as u32);
    }
}

/// Places of the events of visits in their dictionary.
const VISIT: u32 = 1;
const CART: u32 = 2;
/// Id types of the population.
pub(super) const ID_TYPES: [&str; 3] = ["member", "phone", "email"];
const _: () = assert!(INTEREST_COUNT.is_multiple_of(2));

fn known(is_known: bool, code: u32) -> u32 {
    if is_known { code } else { UNKNOWN_CODE }
}

fn flag(random: &mut Random, share_true: f64, share_false: f64) -> Option<bool> {
    let place = random.unit();
    (place < share_true + share_false).then_some(place < share_true)
}

fn lifecycle(person: &Person, lifetime: &Lifetime) -> u32 {
    let (new, active, loyal, dormant, lapsed, churned) = (0, 1, 2, 3, 4, 5);
    let since = lifetime.last.map_or(AS_OF - person.signup + 30, |last| AS_OF - last);
    match since {
        _ if AS_OF - person.signup <= 90 => new,
        ..=90 if lifetime.orders >= LOYAL_ORDERS => loyal,
        ..=90 => active,
        91..=240 => dormant,
        241..=540 => lapsed,
        _ => churned,
    }
}

/// Ways to reach the person; some are open to hardly anyone of an age.
fn push_channels(person: &Person, random: &mut Random, columns: &mut ProfileColumns) {
    let young = person.age < 40;
    let shares = [0.55, 0.42, if young { 0.35 } else { 0.15 }, 0.18, if young { 0.06 } else { 0.22 }, 0.03];
    let silent = random.chance(0.1);
    for (code, share) in shares.into_iter().enumerate() {
        if random.chance(share) && !silent {
            columns.channels.codes.push(code as u32);
        }
    }
    columns.channels.offsets.push(columns.channels.codes.len() as u32);
}

fn push_device(person: &Person, random: &mut Random, columns: &mut ProfileColumns) {
    let rich = person.wealth > 0.5;
    let device = match random.below(100) {
        0..=44 if rich => 1,
        0..=24 => 1,
        25..=69 => 0,
        70..=87 => 2,
        88..=92 => 3,
        93..=96 => 4,
        _ if person.age > 55 => 5,
        _ => 0,
    };
    columns.device.push(known(random.chance(0.85), device));
}

fn push_purchase(number: u32, place: usize, purchase: &Purchase, columns: &mut PurchaseColumns) {
    push_member(number, &mut columns.member);
    columns.at.push(Some(purchase.at));
    columns.category.push(purchase.category);
    columns.store.push(purchase.store.unwrap_or(UNKNOWN_CODE));
    columns.shop.push(purchase.shop);
    columns.amount.push(Some(purchase.amount));
    columns.coupon.push(purchase.coupon.unwrap_or(UNKNOWN_CODE));
    columns.key.push(true, |out| {
        write_padded(u64::from(number) + 1, 1, out);
        out.push(b'-');
        write_padded(place as u64 + 1, 1, out);
    });
}

fn push_member(number: u32, member: &mut Plain) {
    member.push(true, |out| {
        out.push(b'M');
        write_padded(u64::from(number) + 1, 7, out);
    });
}

/// A number of eleven digits that no one else has.
fn write_phone(phone_start: u64, number: u32, out: &mut Vec<u8>) {
    let place = (u64::from(number) * PHONE_STEP + phone_start) % PHONES;
    out.extend_from_slice(PHONE_PREFIXES[(place % 5) as usize].as_bytes());
    write_padded(place / 5, 9, out);
}

fn write_email(number: u32, mail: u32, out: &mut Vec<u8>) {
    let name = words::MAIL_NAMES[mail as usize % words::MAIL_NAMES.len()];
    let domain = words::MAIL_DOMAINS[(mail >> 8) as usize % words::MAIL_DOMAINS.len()];
    write!(out, "{name}{number}@{domain}").expect("a Vec takes all bytes");
}

fn write_padded(value: u64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let (mut at, mut rest) = (digits.len(), value);
    while rest != 0 || digits.len() - at < width {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;
    use crate::import::frame::Column;
    use crate::import::read::Format;
    use crate::import::write::{Shape, encode_rows};

    const COUNT: u32 = 20_000;

    /// A frame's rows as text.
    fn spelt(frame: &Frame) -> String {
        let mut out = Vec::new();
        encode_rows(Format::Ndjson, &Shape::Flat, frame, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn rows(frame: &Frame) -> Vec<BTreeMap<String, Value>> {
        spelt(frame).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn people_are_the_same_however_they_are_cut() {
        let population = Population::new(42, COUNT);
        let whole = [spelt(&population.profiles(0..3000)), spelt(&population.purchases(0..3000))];
        for step in [1, 7, 1024] {
            let again = Population::new(42, COUNT);
            let ranges = (0..3000).step_by(step).map(|start| start..(start + step as u32).min(3000));
            // Asked for from the last, told from the first.
            let mut parts: Vec<[String; 2]> =
                ranges.rev().map(|r| [spelt(&again.profiles(r.clone())), spelt(&again.purchases(r))]).collect();
            parts.reverse();
            for (at, whole) in whole.iter().enumerate() {
                assert!(*whole == parts.iter().map(|part| part[at].as_str()).collect::<String>(), "cut every {step}");
            }
        }
        assert_ne!(spelt(&Population::new(43, COUNT).profiles(0..3000)), whole[0]);
    }

    #[test]
    fn the_schema_names_exactly_the_twenty_tags() {
        let population = Population::new(1, 10);
        let schema = population.schema_json();
        let tags: Vec<&String> = schema["tags"].as_object().unwrap().keys().collect();
        assert_eq!(tags.len(), 20);
        let frame = population.profiles(0..10);
        assert_eq!(frame.columns.len(), 20 + ID_TYPES.len());
        assert!(tags.iter().all(|tag| frame.column(tag).is_some()));
        let properties = schema["events"]["purchase"]["properties"].as_object().unwrap();
        let purchases = population.purchases(0..10);
        assert!(properties.keys().all(|name| purchases.column(name).is_some()));
    }

    #[test]
    fn shares_are_near_those_intended() {
        let rows = rows(&Population::new(7, COUNT).profiles(0..COUNT));
        let share = |test: &dyn Fn(&BTreeMap<String, Value>) -> bool| {
            rows.iter().filter(|row| test(row)).count() as f64 / f64::from(COUNT)
        };
        let of = |tag: &'static str, value: Value| share(&move |row| row.get(tag) == Some(&value));
        let known = |tag: &'static str| share(&move |row| row.contains_key(tag));
        for (what, found, low, high) in [
            ("members", known("member"), 1.0, 1.0),
            ("phones", known("phone"), 0.78, 0.82),
            ("e-mails", known("email"), 0.33, 0.37),
            ("women", of("gender", json!("F")), 0.50, 0.57),
            ("men", of("gender", json!("M")), 0.37, 0.44),
            ("Shanghai", of("city", json!("Shanghai")), 0.04, 0.12),
            ("Zhejiang", of("province", json!("Zhejiang")), 0.04, 0.15),
            ("V1", of("tier", json!("V1")), 0.45, 0.70),
            ("V5", of("tier", json!("V5")), 0.005, 0.05),
            ("spend zero", share(&|row| row.get("spend").and_then(Value::as_f64) == Some(0.0)), 0.1, 0.35),
            ("spend known", known("spend"), 0.94, 0.98),
            (
                "score below zero",
                share(&|row| row.get("score").and_then(Value::as_f64) < Some(0.0) && row.contains_key("score")),
                0.1,
                0.3,
            ),
            ("staff", of("staff", json!(true)), 0.002, 0.007),
            ("subscribed", of("subscribed", json!(true)), 0.40, 0.44),
            ("new", of("lifecycle", json!("new")), 0.01, 0.15),
            ("active", of("lifecycle", json!("active")), 0.05, 0.35),
            ("loyal", of("lifecycle", json!("loyal")), 0.02, 0.25),
            ("dormant", of("lifecycle", json!("dormant")), 0.05, 0.35),
            ("lapsed", of("lifecycle", json!("lapsed")), 0.05, 0.35),
            ("churned", of("lifecycle", json!("churned")), 0.15, 0.60),
            ("occupation known", known("occupation"), 0.60, 0.80),
        ] {
            assert!((low..=high).contains(&found), "{what}: {found}");
        }
    }

    #[test]
    fn interests_have_their_shares() {
        let population = Population::new(7, COUNT);
        let Some(Column::Set { codes, .. }) = population.profiles(0..COUNT).column("interests").cloned() else {
            unreachable!("interests are a set")
        };
        let mut counts = [0u32; INTEREST_COUNT];
        codes.iter().for_each(|code| counts[*code as usize] += 1);
        for (rank, count) in counts.iter().enumerate() {
            let intended = super::super::tables::interest_share(rank);
            let found = f64::from(*count) / f64::from(COUNT);
            let slack = 5.0 * (intended / f64::from(COUNT)).sqrt() + 0.02 * intended;
            assert!((found - intended).abs() < slack, "rank {rank}: {found} for {intended}");
        }
    }

    #[test]
    fn identities_are_distinct() {
        let rows = rows(&Population::new(9, COUNT).profiles(0..COUNT));
        for id_type in ID_TYPES {
            let ids: Vec<&str> = rows.iter().filter_map(|row| row.get(id_type)?.as_str()).collect();
            assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "{id_type}");
        }
        assert_eq!(rows[0]["member"], json!("M0000001"));
        assert!(rows.iter().filter_map(|row| row.get("phone")?.as_str()).all(|phone| phone.len() == 11));
    }

    #[test]
    fn tags_agree_with_purchases() {
        let population = Population::new(3, COUNT);
        let mut listed: BTreeMap<String, (i64, f64)> = BTreeMap::new();
        for row in rows(&population.purchases(0..2000)) {
            let sum = listed.entry(row["member"].as_str().unwrap().into()).or_default();
            *sum = (sum.0 + 1, sum.1 + row["amount"].as_f64().unwrap());
        }
        for row in rows(&population.profiles(0..2000)) {
            let (orders, spend) = listed.get(row["member"].as_str().unwrap()).copied().unwrap_or_default();
            assert!(row.get("orders").is_none_or(|n| n.as_i64().unwrap() >= orders));
            assert!(row.get("spend").is_none_or(|n| n.as_f64().unwrap() >= spend - 0.001));
            assert!(orders == 0 || row.get("last_order").is_none_or(|day| day.as_str() >= Some("2024-11-01")));
        }
    }
}
