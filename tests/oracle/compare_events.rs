//! Holds the product's answers about events against what listing them comes to: tables, rows, series, funnels, penetration
//! and what portraits show. Knows all events of a person and their order of acceptance; nothing is kept by day or value.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use headcount::engine::{DistributionRequest, Question, SeriesRequest, Space, Where};
use headcount::query::cell::Cell;
use headcount::query::series::Period;
use jiff::civil::{Date, date};
use queryparser::ast::{EventFilter, Interval, Predicate, PredicateKind, Unit};

use super::answers::{cell, is_cell, label};
use super::clock::day_number;
use super::compare::{Checked, count, same, size};
use super::drive::by_text;
use super::events::{Event, EventKind};
use super::meaning::Asked;
use super::meaning_events::Of;
use super::people::{Kind, World};
use super::predicates::Maker;
use super::random::Random;
use super::values::{Has, Held};

/// Rows of some people's events: whose, and what.
type Rows<'w> = Vec<(u32, &'w Event)>;

/// Events of a kind that meet a condition, of some people: by person and time, equal ones in the order of acceptance.
fn rows_of<'w>(asked: &Asked<'w>, event: usize, filter: &EventFilter, members: &[bool]) -> Rows<'w> {
    let condition = filter.condition.as_ref().map(|condition| asked.condition(event, condition));
    let mut rows = Vec::new();
    for (id, person) in asked.world.live().filter(|(id, _)| members[*id as usize]) {
        let of_person = person.events_of(event).iter();
        let mut own: Vec<&Event> = of_person.filter(|e| condition.as_ref().is_none_or(|meets| meets(e))).collect();
        own.sort_by_key(|event| event.at);
        rows.extend(own.into_iter().map(|event| (id, event)));
    }
    rows
}

fn people(rows: &Rows<'_>) -> u64 {
    rows.iter().map(|(id, _)| *id).collect::<BTreeSet<u32>>().len() as u64
}

/// What an answer shows of an event.
fn shown(world: &World, of: Of, event: &Event) -> Cell<'static> {
    match of {
        Of::Day => Cell::Date(day_number(event.day)),
        Of::At => Cell::Text(world.zone.written(event.at).into()),
        Of::Property(at, kind) => event.properties[at].as_ref().map_or(Cell::Null, |value| cell(value, kind)),
    }
}

/// The names by which rows are looked at: properties, the day and the time.
fn looks(kind: &EventKind) -> Vec<(String, Of)> {
    let own = ["day", "at"].into_iter().filter(|own| kind.property(own).is_none()).map(String::from);
    let names = kind.properties.iter().map(|(name, _)| name.clone()).chain(own);
    names.map(|name| (name.clone(), Of::named(kind, &name))).collect()
}

/// One aggregate: as it is written, and what it comes to over some rows.
struct Summed {
    text: String,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Rows,
    People,
    Distinct(Of),
    Sum(Of),
    Avg(Of),
    Min(Of),
    Max(Of),
    /// In thousandths.
    Quantile(Of, usize),
}

impl Summed {
    fn all(kind: &EventKind, random: &mut Random) -> Vec<Summed> {
        let made = |text: String, what| Summed { text, what };
        let mut all = vec![made("count(*)".into(), What::Rows), made("count(DISTINCT one_id)".into(), What::People)];
        for (name, of) in looks(kind) {
            let name = format!("\"{name}\"");
            if random.percent(60) {
                all.push(made(format!("count(DISTINCT {name})"), What::Distinct(of)));
            }
            if matches!(of, Of::Property(_, Kind::Number(_))) {
                all.push(made(format!("sum({name})"), What::Sum(of)));
                all.push(made(format!("avg({name})"), What::Avg(of)));
            }
            if matches!(of, Of::Day | Of::At | Of::Property(_, Kind::Number(_) | Kind::Date)) && random.percent(70) {
                let thousandths = *random.pick(&[0, 250, 500, 900, 999, 1000]);
                let q = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
                all.push(made(format!("min({name})"), What::Min(of)));
                all.push(made(format!("max({name})"), What::Max(of)));
                all.push(made(format!("quantile({name}, {q})"), What::Quantile(of, thousandths)));
            }
        }
        let first = random.below(all.len() as u64) as usize;
        all.rotate_left(first);
        all
    }

    /// Holds a cell against what it ought to be.
    fn check(&self, world: &World, rows: &Rows<'_>, found: &Cell<'_>) -> Checked {
        let number = |n: u64| Held::Decimal(n.into(), 0);
        let known = |of: Of| {
            let mut known: Vec<(Has<'_>, &Event)> = rows.iter().filter_map(|(_, e)| Some((of.of(e)?, *e))).collect();
            known.sort_by(|(a, _), (b, _)| a.cmp(b));
            known
        };
        let scale = |of: Of| match of {
            Of::Property(_, Kind::Number(scale)) => u32::from(scale),
            _ => 0,
        };
        let sum = |of: Of| -> i128 {
            let numbers = known(of).into_iter().map(|(has, _)| match has {
                Has::Number(n, _) => n,
                other => panic!("{other:?} is no number"),
            });
            numbers.sum()
        };
        let at = |of: Of, place: usize| known(of).get(place).map_or(Cell::Null, |(_, event)| shown(world, of, event));
        let wanted = match self.what {
            What::Rows => number(rows.len() as u64),
            What::People => number(people(rows)),
            What::Distinct(of) => number(known(of).iter().map(|(has, _)| has).collect::<BTreeSet<_>>().len() as u64),
            What::Sum(of) => Held::Decimal(sum(of), scale(of)),
            What::Avg(of) if known(of).is_empty() => Held::Null,
            What::Avg(of) => Held::Mean(sum(of), known(of).len() as i128 * 10i128.pow(scale(of))),
            What::Min(of) => return same(&self.text, found, &at(of, 0)),
            What::Max(of) => return same(&self.text, found, &at(of, known(of).len().max(1) - 1)),
            What::Quantile(of, thousandths) => {
                let rank = (known(of).len() * thousandths).div_ceil(1000).max(1);
                return same(&self.text, found, &at(of, rank - 1));
            }
        };
        if is_cell(found, &wanted) { Ok(()) } else { Err(format!("{}: found {found:?}, wanted {wanted:?}", self.text)) }
    }
}

/// A question about the rows of one event.
struct Table<'w> {
    world: &'w World,
    event: usize,
    rows: Rows<'w>,
    /// What stands behind FROM.
    from: String,
    question: Question,
}

impl<'w> Table<'w> {
    fn random(world: &'w World, audience: &Predicate, as_of: Date, random: &mut Random) -> Table<'w> {
        let filter = Maker { world, random }.steps().swap_remove(0);
        let event = world.event(&filter.event.text).unwrap();
        let asked = Asked { world, as_of };
        let mut clauses: Vec<String> = Vec::new();
        if let Some(condition) = &filter.condition {
            let text = queryparser::predicate_text(condition);
            // An AND of rows and people is one list of clauses; anything else of rows stands in brackets.
            let is_list = matches!(&condition.kind, PredicateKind::And(_));
            clauses.push(if is_list && random.percent(50) { text } else { format!("({text})") });
        }
        let members = if random.percent(60) {
            let text = queryparser::predicate_text(audience);
            clauses.push(format!("one_id IN (SELECT one_id FROM profiles WHERE {text})"));
            asked.members(audience)
        } else {
            vec![true; world.people.len()]
        };
        if random.percent(50) {
            clauses.reverse();
        }
        let filters = if clauses.is_empty() { String::new() } else { format!(" WHERE {}", clauses.join(" AND ")) };
        let from = format!("FROM \"{}\"{filters}", filter.event.text);
        let rows = rows_of(&asked, event, &filter, &members);
        Table { world, event, rows, from, question: Question { as_of: Some(as_of), ..Question::default() } }
    }

    fn ask(&self, space: &Space, sql: &str) -> Result<Vec<Vec<Cell<'static>>>, String> {
        Ok(space.query(sql, &self.question).map_err(|e| format!("{sql}: {e}"))?.value.rows)
    }

    /// Totals, and groups by one or two columns, some of them left out by HAVING.
    fn grouped(&self, space: &Space, random: &mut Random) -> Checked {
        let kind = &self.world.events[self.event];
        let all = Summed::all(kind, random);
        let list = all.iter().map(|summed| summed.text.as_str()).collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT {list} {}", self.from);
        let found = self.ask(space, &sql)?;
        same(&sql, found.len(), 1)?;
        for (summed, cell) in all.iter().zip(&found[0]) {
            summed.check(self.world, &self.rows, cell).map_err(|e| format!("{sql}: {e}"))?;
        }
        let looks = looks(kind);
        let mut by = vec![random.pick(&looks).clone()];
        by.extend(Some(random.pick(&looks).clone()).filter(|(name, _)| random.percent(40) && *name != by[0].0));
        let mut groups: BTreeMap<Vec<String>, Rows<'w>> = BTreeMap::new();
        for (id, event) in &self.rows {
            let key = by.iter().map(|(_, of)| label(&shown(self.world, *of, event))).collect();
            groups.entry(key).or_default().push((*id, event));
        }
        let names = by.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        let least = random.percent(40).then(|| 1 + random.below(4));
        let having = least.map_or(String::new(), |least| format!(" HAVING count(DISTINCT one_id) >= {least}"));
        groups.retain(|_, rows| people(rows) >= least.unwrap_or(0));
        let sql = format!("SELECT {names}, {list} {} GROUP BY {names}{having}", self.from);
        let found = self.ask(space, &sql)?;
        let labels: BTreeSet<Vec<String>> =
            found.iter().map(|row| row[..by.len()].iter().map(label).collect()).collect();
        same(&format!("{sql}: groups"), labels, groups.keys().cloned().collect())?;
        same(&format!("{sql}: rows"), found.len(), groups.len())?;
        for row in &found {
            let (key, cells) = row.split_at(by.len());
            let rows = &groups[&key.iter().map(label).collect::<Vec<_>>()];
            for (summed, cell) in all.iter().zip(cells) {
                summed.check(self.world, rows, cell).map_err(|e| format!("{sql}: at {key:?}: {e}"))?;
            }
        }
        Ok(())
    }

    /// The rows themselves, by person and time.
    fn listed(&self, space: &Space, random: &mut Random) -> Checked {
        let looks = looks(&self.world.events[self.event]);
        let names: String = looks.iter().map(|(name, _)| format!(", \"{name}\"")).collect();
        let limit = random.percent(40).then(|| random.below(self.rows.len() as u64 + 3));
        let limited = limit.map_or(String::new(), |limit| format!(" LIMIT {limit}"));
        let sql = format!("SELECT one_id{names} {}{limited}", self.from);
        let found = self.ask(space, &sql)?;
        let wanted = self.rows.iter().map(|(id, event)| {
            let cells = looks.iter().map(|(_, of)| shown(self.world, *of, event));
            std::iter::once(Cell::Int((*id).into())).chain(cells).collect::<Vec<_>>()
        });
        let wanted: Vec<_> = wanted.take(limit.unwrap_or(u64::MAX) as usize).collect();
        same(&format!("{sql}: number of rows"), found.len(), wanted.len())?;
        found.iter().zip(&wanted).try_for_each(|(found, wanted)| same(&sql, found, wanted))
    }

    /// The rows by day, week or month.
    fn series(&self, space: &Space, audience: &Predicate, as_of: Date, random: &mut Random) -> Checked {
        let kind = &self.world.events[self.event];
        let filter = Maker { world: self.world, random }.steps().swap_remove(0);
        let is_same_event = filter.event.text == kind.name;
        let asked = Asked { world: self.world, as_of };
        let filter = EventFilter { condition: filter.condition.filter(|_| is_same_event), ..filter };
        let rows = rows_of(&asked, self.event, &filter, &asked.members(audience));
        let day = |random: &mut Random| {
            let day = if rows.is_empty() { date(2026, 1, 1) } else { random.pick(&rows).1.day };
            day.checked_add(jiff::Span::new().days(random.within(-9, 9))).unwrap()
        };
        let (one, other) = (day(random), day(random));
        let first = one.min(other).max(one.max(other).checked_sub(jiff::Span::new().days(3_000)).unwrap());
        let last = one.max(other);
        let numbers: Vec<&(String, Kind)> = kind.properties.iter().filter(|p| matches!(p.1, Kind::Number(_))).collect();
        let measure = (!numbers.is_empty() && random.percent(70)).then(|| (*random.pick(&numbers)).clone());
        let by = *random.pick(&[Period::Day, Period::Week, Period::Month]);
        let request = SeriesRequest {
            event: kind.name.clone(),
            event_where: filter.condition.as_ref().map(|c| Where::Text(queryparser::predicate_text(c))),
            measure: measure.as_ref().map(|(name, _)| name.clone()),
            from: Some(first),
            to: Some(last),
            by,
        };
        let found = space.series(&by_text(audience, as_of), &request).map_err(|e| format!("{request:?}: {e}"))?.value;
        let mut begins = begin(by, first);
        for row in &found.rows {
            let ends = next(by, begins);
            let inside = |event: &Event| event.day >= first.max(begins) && event.day <= last && event.day < ends;
            let inside: Rows<'_> = rows.iter().filter(|(_, event)| inside(event)).copied().collect();
            let what = format!("{request:?} at {begins}");
            let wanted = (Cell::Date(day_number(begins)), people(&inside), inside.len() as u64);
            same(&what, (row.day.clone(), row.people, row.events), wanted)?;
            match &measure {
                None => same(&what, (&row.sum, &row.average), (&Cell::Null, &Cell::Null))?,
                Some((name, _)) => {
                    let of = Of::named(kind, name);
                    let summed = |text: &str, what| Summed { text: text.into(), what };
                    let sum = summed("sum", What::Sum(of)).check(self.world, &inside, &row.sum);
                    let average = summed("average", What::Avg(of)).check(self.world, &inside, &row.average);
                    sum.and(average).map_err(|e| format!("{what}: {e}"))?;
                }
            }
            begins = ends;
        }
        if begins <= last { Err(format!("{request:?}: ends before {begins}")) } else { Ok(()) }
    }
}

fn begin(by: Period, day: Date) -> Date {
    match by {
        Period::Day => day,
        Period::Week => {
            let mut monday = (0..7).map(|n| day.checked_sub(jiff::Span::new().days(n)).unwrap());
            monday.find(|day| day.weekday() == jiff::civil::Weekday::Monday).unwrap()
        }
        Period::Month => date(day.year(), day.month(), 1),
    }
}

fn next(by: Period, begins: Date) -> Date {
    match by {
        Period::Day => begins.tomorrow().unwrap(),
        Period::Week => begins.checked_add(jiff::Span::new().days(7)).unwrap(),
        Period::Month if begins.month() == 12 => date(begins.year() + 1, 1, 1),
        Period::Month => date(begins.year(), begins.month() + 1, 1),
    }
}

/// How many get how far through random steps, and who they are.
fn funnel(space: &Space, world: &World, audience: &Predicate, as_of: Date, random: &mut Random) -> Checked {
    let steps = Maker { world, random }.steps();
    let within = random.percent(60).then(|| Interval { count: random.within(1, 40) as i32, unit: Unit::Day });
    let asked = Asked { world, as_of };
    let members = asked.members(audience);
    let all = super::predicates::made(PredicateKind::FollowedBy { steps: steps.clone(), within });
    let tree = queryparser::predicate_tree(&all)["rules"][0].take();
    let question = by_text(audience, as_of);
    let found = space.funnel(&question, &tree["followed_by"], tree.get("within"));
    let found = found.map_err(|e| format!("funnel {tree}: {e}"))?.value.steps;
    same(&format!("funnel {tree}: steps"), found.len(), steps.len())?;
    let mut before: Option<u64> = None;
    for (at, step) in found.iter().enumerate() {
        let reached = if at == 0 { asked.exists(&steps[0]) } else { asked.followed_by(&steps[..=at], within) };
        let wanted = members.iter().zip(&reached).filter(|(a, b)| **a && **b).count() as u64;
        let what = format!("funnel {tree}: step {at}");
        same(&what, step.people, wanted)?;
        let asked_again =
            |text: &str| count(space, &Question { audience: Some(Where::Text(text.into())), ..question.clone() });
        same(&format!("{what}, {}", step.predicate), asked_again(&step.predicate)?, wanted)?;
        if let Some(before) = before {
            let dropped = &found[at - 1];
            same(&format!("{what}: dropped"), dropped.dropped, Some(before - wanted))?;
            let text = dropped.dropped_where.as_deref().ok_or("nobody to ask for who dropped")?;
            same(&format!("{what}: dropped, {text}"), asked_again(text)?, before - wanted)?;
        }
        before = Some(wanted);
    }
    Ok(())
}

/// How many have an event with each value of a property, in a window, against a base.
fn penetration(
    space: &Space,
    world: &World,
    (audience, base): (&Predicate, &Predicate),
    as_of: Date,
    random: &mut Random,
) -> Checked {
    let event = random.below(world.events.len() as u64) as usize;
    let kind = &world.events[event];
    let fit: Vec<&(String, Kind)> =
        kind.properties.iter().filter(|(_, kind)| matches!(kind, Kind::Category | Kind::Flag)).collect();
    if fit.is_empty() {
        return Ok(());
    }
    let (name, _) = *random.pick(&fit);
    let of = Of::named(kind, name);
    let asked = Asked { world, as_of };
    let (members, base_members) = (asked.members(audience), asked.members(base));
    let filter = EventFilter { event: super::predicates::named(&kind.name), condition: None, span: Default::default() };
    let mut window = None;
    let rows = rows_of(&asked, event, &filter, &vec![true; world.people.len()]);
    if !rows.is_empty() && random.percent(60) {
        let (one, other) = (random.pick(&rows).1.day, random.pick(&rows).1.day);
        window = Some((one.min(other), one.max(other)));
    }
    let holders = |members: &[bool]| {
        let mut holders: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        for (id, event) in &rows {
            let inside = window.is_none_or(|(first, last)| (first..=last).contains(&event.day));
            if inside && members[*id as usize] && of.of(event).is_some() {
                holders.entry(label(&shown(world, of, event))).or_default().insert(*id);
            }
        }
        holders
    };
    let (mut by_value, by_value_base) = (holders(&members), holders(&base_members));
    let top = *random.pick(&[0, 1, 2, 5, 1_000_000]);
    let request = DistributionRequest {
        tags: vec![format!("{}.{name}", kind.name)],
        top: Some(top),
        window,
        ..DistributionRequest::default()
    };
    let question = Question { base: Some(Where::Text(queryparser::predicate_text(base))), ..by_text(audience, as_of) };
    let answer = space.distribution(&question, &request).map_err(|e| format!("{request:?}: {e}"))?.value;
    let found = &answer.tags[0].1;
    let what = |part: &str| format!("{request:?}: {part}");
    let reach = by_value.values().flatten().collect::<BTreeSet<_>>().len() as u64;
    same(&what("sizes"), (answer.count, answer.base_count), (size(&members), size(&base_members)))?;
    same(&what("reach and unknown"), (found.reach, found.unknown), (reach, size(&members) - reach))?;
    let mut counts: Vec<usize> = by_value.values().map(BTreeSet::len).collect();
    counts.sort_by_key(|n| Reverse(*n));
    counts.truncate(top);
    same(&what("counts"), found.values.iter().map(|v| v.count as usize).collect(), counts)?;
    for value in &found.values {
        let label = label(&value.value);
        let Some(ids) = by_value.remove(&label) else { return Err(what(&format!("{label} is there (twice?)"))) };
        let of_base = by_value_base.get(&label).map_or(0, BTreeSet::len) as u64;
        same(&what(&label), (value.count, value.base_count), (ids.len() as u64, of_base))?;
        let ratio = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let wanted = (ratio(ids.len() as u64, size(&members)), ratio(of_base, size(&base_members)));
        same(&what("shares"), (value.share, value.base_share), wanted)?;
    }
    let other = by_value.values().flatten().collect::<BTreeSet<_>>().len() as u64;
    same(&what("other"), found.other, other)
}

/// The events that a portrait shows, newest first: of one kind and second the last accepted comes first.
pub fn happened(space: &Space, world: &World, one_id: u32) -> Checked {
    let person = world.people[one_id as usize].as_ref().unwrap();
    let Some((id_type, id)) = person.ids.first() else { return Ok(()) };
    let portrait = space.portrait(&world.id_types[*id_type as usize], id).map_err(|e| format!("{id}: {e}"))?.value;
    let mut wanted: Vec<(i64, usize, &Event)> = Vec::new();
    for kind in 0..world.events.len() {
        wanted.extend(person.events_of(kind).iter().rev().map(|event| (event.at, kind, event)));
    }
    wanted.sort_by_key(|(at, kind, _)| (Reverse(*at), *kind));
    let wanted = wanted.into_iter().map(|(at, kind, event)| {
        let kind = &world.events[kind];
        let known = kind.properties.iter().zip(&event.properties);
        let known = known.filter_map(|((name, kind), value)| Some((name.clone(), cell(value.as_ref()?, *kind))));
        (kind.name.clone(), world.zone.written(at), known.collect::<BTreeMap<_, _>>())
    });
    let found = portrait.events.iter().map(|happened| {
        (happened.event.clone(), happened.at.clone(), happened.properties.iter().cloned().collect::<BTreeMap<_, _>>())
    });
    same("events of a portrait", portrait.events.len(), wanted.len().min(100))?;
    found
        .zip(wanted)
        .try_for_each(|(found, wanted)| same(&format!("an event of {id}"), label_all(found), label_all(wanted)))
}

fn label_all((event, at, properties): (String, String, BTreeMap<String, Cell<'_>>)) -> String {
    format!("{event} {at} {properties:?}")
}

/// All questions about events once.
pub fn everything(
    space: &Space,
    world: &World,
    (audience, base): (&Predicate, &Predicate),
    as_of: Date,
    random: &mut Random,
) -> Checked {
    if world.events.is_empty() {
        return Ok(());
    }
    let table = Table::random(world, audience, as_of, random);
    table.grouped(space, random)?;
    table.listed(space, random)?;
    table.series(space, audience, as_of, random)?;
    funnel(space, world, audience, as_of, random)?;
    penetration(space, world, (audience, base), as_of, random)?;
    for _ in 0..3 {
        if !world.doers.is_empty() {
            let one_id = *random.pick(&world.doers);
            if world.people[one_id as usize].is_some() {
                happened(space, world, one_id)?;
            }
        }
    }
    Ok(())
}
