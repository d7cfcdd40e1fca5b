//! Holds the product's answers against the oracle's. Each check says in words what differs.

use std::collections::BTreeMap;

use headcount::engine::{CrosstabRequest, DistributionRequest, MembersRequest, Question, Space, Where};
use headcount::query::cell::Cell;
use headcount::query::distribution::{Bins, Distribution};
use jiff::civil::Date;
use queryparser::ast::{Aggregate, Decimal, Predicate};
use storage::column::NUMBER_MAX;

use super::answers::{cell, groups, is_cell, label, pairs};
use super::drive::{by_text, by_tree, rows};
use super::meaning::Asked;
use super::people::{Kind, Value, World};
use super::predicates::{Maker, as_of, named, not};
use super::random::Random;
use super::shrink::shrunken;
use super::values::Held;

/// The outcome of a check; what differs, in words.
pub type Checked = Result<(), String>;

pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, wanted: T) -> Checked {
    if found == wanted { Ok(()) } else { Err(format!("{what}: found {found:?}, wanted {wanted:?}")) }
}

pub(super) fn size(members: &[bool]) -> u64 {
    members.iter().filter(|m| **m).count() as u64
}

fn ids_of(members: &[bool]) -> Vec<u32> {
    members.iter().zip(0..).filter(|(m, _)| **m).map(|(_, id)| id).collect()
}

pub(super) fn count(space: &Space, question: &Question) -> Result<u64, String> {
    space.count(question, false).map(|a| a.value.count).map_err(|e| format!("an error: {e}"))
}

/// A predicate's count by text and by tree, its negation's, and (now and then) its members.
pub fn predicate(space: &Space, world: &World, predicate: &Predicate, as_of: Date, thorough: bool) -> Checked {
    let members = Asked { world, as_of }.members(predicate);
    let wanted = size(&members);
    same("count by text", count(space, &by_text(predicate, as_of))?, wanted)?;
    same("count by tree", count(space, &by_tree(predicate, as_of))?, wanted)?;
    let everyone = world.live().count() as u64;
    same("count of NOT", count(space, &by_text(&not(predicate.clone()), as_of))?, everyone - wanted)?;
    if thorough {
        let bitmap = space.member_bitmap(&by_text(predicate, as_of)).map_err(|e| e.to_string())?.value;
        let found: Vec<u32> = bitmap.iter().collect();
        if let Some(differs) = first_difference(&found, &ids_of(&members)) {
            return Err(format!("members as a bitmap: {differs}"));
        }
    }
    Ok(())
}

fn first_difference(found: &[u32], wanted: &[u32]) -> Option<String> {
    let at = (0..found.len().max(wanted.len())).find(|at| found.get(*at) != wanted.get(*at))?;
    Some(format!("at place {at}: found {:?}, wanted {:?}", found.get(at), wanted.get(at)))
}

/// The share of an audience in a base.
pub fn share(space: &Space, world: &World, audience: &Predicate, base: &Predicate, as_of: Date) -> Checked {
    let asked = Asked { world, as_of };
    let (a, b) = (asked.members(audience), asked.members(base));
    let base_where = Some(Where::Text(queryparser::predicate_text(base)));
    let question = Question { base: base_where, ..by_text(audience, as_of) };
    let found = space.count(&question, true).map_err(|e| e.to_string())?.value;
    same("count with a base", found.count, size(&a))?;
    same("base_count", found.base_count, size(&b))?;
    let both = a.iter().zip(&b).filter(|(a, b)| **a && **b).count() as f64;
    same("share", found.share, (size(&b) > 0).then(|| both / size(&b) as f64))
}

/// The smallest pair of audience and base, one made smaller after the other, of which a check fails still.
fn shrunken_pair(
    audience: &Predicate,
    base: &Predicate,
    check: impl Fn(&Predicate, &Predicate) -> Checked,
) -> Option<String> {
    let (audience, _) = shrunken(audience, |p| check(p, base).err())?;
    let (base, how) = shrunken(base, |p| check(&audience, p).err())?;
    Some(format!("{how}\n  shrunken audience: {audience}\n  shrunken base: {base}"))
}

/// Rows of members: all of them with all columns, a page, and an order.
pub fn members(space: &Space, world: &World, predicate: &Predicate, as_of: Date, random: &mut Random) -> Checked {
    let asked = Asked { world, as_of };
    let members = asked.members(predicate);
    let question = by_text(predicate, as_of);
    let all_tags: Vec<String> = world.tags.iter().map(|(name, _)| name.clone()).collect();
    let row = |id: u32| -> (u32, Vec<Cell<'static>>) {
        let person = world.people[id as usize].as_ref().unwrap();
        let ids = (0..world.id_types.len() as u8).map(|t| {
            let own = person.ids.iter().find(|(own, _)| *own == t);
            own.map_or(Cell::Null, |(_, id)| Cell::Text(id.to_string().into()))
        });
        let tags = person.tags.iter().zip(&world.tags);
        let tags = tags.map(|(value, (_, kind))| value.as_ref().map_or(Cell::Null, |v| cell(v, *kind)));
        (id, std::iter::once(Cell::Int(id.into())).chain(ids).chain(tags).collect())
    };
    let request = MembersRequest { columns: all_tags, ..MembersRequest::default() };
    let wanted: Vec<_> = ids_of(&members).into_iter().map(row).collect();
    let found = rows(space, &question, &request)?;
    same("number of rows", found.len(), wanted.len())?;
    for (found, wanted) in found.iter().zip(&wanted) {
        same("a member's row", found, wanted)?;
    }
    let (after, limit) = (random.below(world.people.len() as u64 + 1) as u32, random.below(20));
    let page = MembersRequest { after: Some(after), limit: Some(limit), ..MembersRequest::default() };
    let found: Vec<u32> = rows(space, &question, &page)?.into_iter().map(|(id, _)| id).collect();
    let wanted: Vec<u32> = ids_of(&members).into_iter().filter(|id| *id > after).take(limit as usize).collect();
    same("a page of members", found, wanted)?;
    let Some((name, _)) = world.tags.iter().find(|(_, kind)| matches!(kind, Kind::Number(_) | Kind::Date)) else {
        return Ok(());
    };
    for descending in [false, true] {
        let ordered = asked.ordered(&named(name), descending, &members);
        let limit = random.percent(50).then(|| random.below(ordered.len() as u64 + 3));
        let quoted = format!("\"{name}\"{}", if descending { " DESC" } else { "" });
        let request = MembersRequest { order_by: Some(quoted), limit, ..MembersRequest::default() };
        let found: Vec<u32> = rows(space, &question, &request)?.into_iter().map(|(id, _)| id).collect();
        let wanted: Vec<u32> = ordered.into_iter().take(limit.unwrap_or(u64::MAX) as usize).collect();
        same(&format!("members by {name}, descending {descending}, limit {limit:?}"), found, wanted)?;
    }
    Ok(())
}

/// The portrait of somebody, found by each identity.
pub fn portrait(space: &Space, world: &World, one_id: u32) -> Checked {
    let person = world.people[one_id as usize].as_ref().unwrap();
    let mut identities: Vec<(String, Vec<String>)> = Vec::new();
    for (at, name) in world.id_types.iter().enumerate() {
        let own: Vec<String> =
            person.ids.iter().filter(|(t, _)| *t as usize == at).map(|(_, id)| id.to_string()).collect();
        if !own.is_empty() {
            identities.push((name.clone(), own));
        }
    }
    let known = person.tags.iter().zip(&world.tags);
    let tags: BTreeMap<String, String> =
        known.filter_map(|(v, (name, kind))| Some((name.clone(), label(&cell(v.as_ref()?, *kind))))).collect();
    for (id_type, id) in &person.ids {
        let found =
            space.portrait(&world.id_types[*id_type as usize], id).map_err(|e| format!("portrait of {id}: {e}"))?.value;
        same("portrait's OneID", found.one_id, one_id)?;
        same("portrait's identities", &found.identities, &identities)?;
        let found: BTreeMap<String, String> = found.tags.iter().map(|(name, c)| (name.clone(), label(c))).collect();
        same("portrait's tags", &found, &tags)?;
    }
    Ok(())
}

/// The distribution of an audience over a tag, against a base.
pub fn distribution(
    space: &Space,
    world: &World,
    (audience, base): (&Predicate, &Predicate),
    tag: usize,
    top: usize,
    as_of: Date,
    random: &mut Random,
) -> Checked {
    let asked = Asked { world, as_of };
    let (members, base_members) = (asked.members(audience), asked.members(base));
    let (name, kind) = &world.tags[tag];
    let wanted_bins = random_bins(world, &members, tag, random);
    let base_where = Some(Where::Text(queryparser::predicate_text(base)));
    let question = Question { base: base_where, ..by_text(audience, as_of) };
    // The only tag, or one of two.
    let tags = vec![name.clone(); 1 + random.below(2) as usize];
    let are_edges = matches!(wanted_bins, Some(Bins::Edges(_)));
    let request = DistributionRequest { tags, top: Some(top), bins: wanted_bins, ..DistributionRequest::default() };
    let answer = space.distribution(&question, &request).map_err(|e| format!("{e}: {request:?}"))?.value;
    let found = &answer.tags[0].1;
    let mut by_value = groups(world, &members, tag);
    let by_value_base = groups(world, &base_members, tag);
    let unknown = by_value.remove(&label(&Cell::Null)).map_or(0, |ids| ids.len() as u64);
    let what = |part: &str| format!("distribution over {name}, top {top}: {part}");
    same(&what("unknown"), found.unknown, unknown)?;
    same(&what("reach"), found.reach, size(&members) - unknown)?;
    same(&what("sizes"), (answer.count, answer.base_count), (size(&members), size(&base_members)))?;
    if matches!(kind, Kind::Number(_) | Kind::Date) {
        let checked = bins(world, (&members, &base_members), tag, found, are_edges);
        return checked.map_err(|e| what(&format!("{e}, bins {:?}", request.bins)));
    }
    let mut counts: Vec<u64> = by_value.values().map(|ids| ids.len() as u64).collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts.truncate(top);
    same(&what("counts"), found.values.iter().map(|v| v.count).collect(), counts)?;
    for value in &found.values {
        let label = label(&value.value);
        let Some(ids) = by_value.remove(&label) else { return Err(what(&format!("{label} is there (twice?)"))) };
        same(&what(&label), value.count, ids.len() as u64)?;
        let base_count = by_value_base.get(&label).map_or(0, |ids| ids.len() as u64);
        same(&what(&format!("{label} in the base")), value.base_count, base_count)?;
        let ratio = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        same(&what("share"), value.share, ratio(value.count, size(&members)))?;
        same(&what("base_share"), value.base_share, ratio(base_count, size(&base_members)))?;
    }
    // Whoever has at least one of the values that are left.
    let mut other: Vec<u32> = by_value.into_values().flatten().collect();
    other.sort_unstable();
    other.dedup();
    same(&what("other"), found.other, other.len() as u64)
}

fn units(value: &Value) -> i64 {
    match value {
        Value::Number(n) => *n,
        Value::Date(date) => super::clock::day_number(*date),
        other => panic!("{other:?} has no units"),
    }
}

fn known_units(world: &World, members: &[bool], tag: usize) -> Vec<i64> {
    let known = world.live().filter(|(id, _)| members[*id as usize]).filter_map(|(_, p)| p.tags[tag].as_ref());
    let mut all: Vec<i64> = known.map(units).collect();
    all.sort_unstable();
    all
}

/// Bins to ask for: of a width, between edges, by quantiles, or as they are chosen.
fn random_bins(world: &World, members: &[bool], tag: usize, random: &mut Random) -> Option<Bins> {
    let one = match world.tags[tag].1 {
        Kind::Number(scale) => 10i64.pow(scale.into()),
        Kind::Date => 1,
        _ => return None,
    };
    let units = known_units(world, members, tag);
    let (low, high) = (units.first()? / one, units.last()? / one);
    match random.below(4) {
        0 => None,
        1 => Some(Bins::Width(((high - low) / (1 + random.below(2000) as i64) + 1 + random.below(3) as i64).into())),
        2 => Some(Bins::Quantiles(1 + random.below(12) as u32)),
        _ => {
            let mut edges: Vec<i64> = (0..8).map(|_| *random.pick(&units) / one + random.below(3) as i64 - 1).collect();
            edges.extend([low, if low > 0 { low - 1 } else { low + 1 }]);
            edges.retain(|edge| edge.abs() <= NUMBER_MAX / one);
            edges.sort_unstable();
            edges.dedup();
            Some(Bins::Edges(edges.into_iter().map(serde_json::Value::from).collect()))
        }
    }
}

fn bins(
    world: &World,
    (members, base): (&[bool], &[bool]),
    tag: usize,
    found: &Distribution,
    are_edges: bool,
) -> Checked {
    let (all, base) = (known_units(world, members, tag), known_units(world, base, tag));
    let summary = found.summary.as_ref().ok_or("no summary")?;
    let unit = |cell: &Cell<'_>| match cell {
        Cell::Decimal(n, _) => Ok(Some(*n as i64)),
        Cell::Date(day) => Ok(Some(*day)),
        Cell::Null => Ok(None),
        other => Err(format!("{other:?} is no bound")),
    };
    same("min", unit(&summary.min)?, all.first().copied())?;
    same("max", unit(&summary.max)?, all.last().copied())?;
    let quartile = |n: usize| all[(all.len() * n).div_ceil(4).max(1) - 1];
    let wanted = (!all.is_empty()).then(|| (1..=3).map(quartile).collect::<Vec<_>>());
    let quartiles = summary.quartiles.as_ref().map(|q| q.iter().map(|c| unit(c).unwrap().unwrap()).collect::<Vec<_>>());
    same("quartiles", quartiles, wanted)?;
    if let (Kind::Number(scale), false) = (world.tags[tag].1, all.is_empty()) {
        let sum: i128 = all.iter().map(|n| i128::from(*n)).sum();
        let mean = Held::Mean(sum, all.len() as i128 * 10i128.pow(scale.into()));
        if !is_cell(&summary.avg, &mean) {
            return Err(format!("avg: found {:?}, wanted {mean:?}", summary.avg));
        }
    }
    let mut sum = 0;
    for (at, value) in found.values.iter().enumerate() {
        let bounds = value.bin.as_ref().ok_or("a bin without bounds")?;
        let (low, high) = (unit(&bounds.low)?.unwrap(), unit(&bounds.high)?.unwrap());
        let is_last = at + 1 == found.values.len();
        let inside = |n: &&i64| **n >= low && (**n < high || (is_last && **n == high));
        same(&format!("bin {low}..{high}"), value.count, all.iter().filter(inside).count() as u64)?;
        same(&format!("base of bin {low}..{high}"), value.base_count, base.iter().filter(inside).count() as u64)?;
        sum += value.count;
    }
    same("sum of the bins and other", sum + found.other, all.len() as u64)?;
    if are_edges { Ok(()) } else { same("other", found.other, 0) }
}

/// An audience by two tags.
pub fn crosstab(space: &Space, world: &World, audience: &Predicate, tags: (usize, usize), as_of: Date) -> Checked {
    let members = Asked { world, as_of }.members(audience);
    let (rows, columns) = (world.tags[tags.0].0.clone(), world.tags[tags.1].0.clone());
    let what = format!("crosstab {rows} by {columns}");
    let found = space.crosstab(&by_text(audience, as_of), &CrosstabRequest { rows, columns });
    let sides = [tags.0, tags.1].map(|tag| groups(world, &members, tag));
    let found = match found {
        Err(headcount::engine::Error::Query(headcount::query::Error::TooLarge { max, .. }))
            if sides[0].len() as u64 * sides[1].len() as u64 > max =>
        {
            return Ok(());
        }
        other => other.map_err(|e| format!("{what}: {e}"))?.value,
    };
    let mut cells = BTreeMap::new();
    for (row, counts) in found.rows.iter().zip(&found.counts) {
        for (column, n) in found.columns.iter().zip(counts).filter(|(_, n)| **n > 0) {
            cells.insert((label(row), label(column)), *n);
        }
    }
    same(&what, cells, pairs(world, &members, tags.0, tags.1))?;
    for (labels, totals, tag) in
        [(&found.rows, &found.row_totals, tags.0), (&found.columns, &found.column_totals, tags.1)]
    {
        let found: BTreeMap<String, u64> = labels.iter().map(label).zip(totals.iter().copied()).collect();
        let wanted: BTreeMap<String, u64> =
            groups(world, &members, tag).into_iter().map(|(label, ids)| (label, ids.len() as u64)).collect();
        same(&format!("{what}: totals"), found, wanted)?;
    }
    Ok(())
}

/// Aggregates over an audience, whole and by the values of a tag.
pub fn aggregates(
    space: &Space,
    world: &World,
    audience: &Predicate,
    by: usize,
    measure: usize,
    as_of: Date,
    random: &mut Random,
) -> Checked {
    let asked = Asked { world, as_of };
    let members = asked.members(audience);
    let (name, kind) = &world.tags[measure];
    let of = named(name);
    let q = Decimal::parse(random.word(&["0", "0.5", "0.9", "1", "0.123"])).unwrap();
    let mut all = vec![Aggregate::CountAll, Aggregate::CountDistinct(named(&random.pick(&world.tags).0))];
    if matches!(kind, Kind::Number(_) | Kind::Date) {
        all.extend([Aggregate::Min(of.clone()), Aggregate::Max(of.clone()), Aggregate::Quantile(of.clone(), q)]);
    }
    if matches!(kind, Kind::Number(_)) {
        all.extend([Aggregate::Sum(of.clone()), Aggregate::Avg(of)]);
    }
    let list = all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let condition = queryparser::predicate_text(audience);
    let question = Question { as_of: Some(as_of), ..Question::default() };
    let sql = format!("SELECT {list} FROM profiles WHERE {condition}");
    let found = space.query(&sql, &question).map_err(|e| format!("{sql}: {e}"))?.value;
    let check = |cells: &[Cell<'_>], among: &[bool], what: &str| -> Checked {
        for (cell, aggregate) in cells.iter().zip(&all) {
            let wanted = asked.aggregate(aggregate, among);
            if !is_cell(cell, &wanted) {
                return Err(format!("{aggregate} {what}: found {cell:?}, wanted {wanted:?}\n  {sql}"));
            }
        }
        Ok(())
    };
    check(&found.rows[0], &members, "over all")?;
    let groups = groups(world, &members, by);
    if groups.len() > 60 {
        return Ok(());
    }
    let by = format!("\"{}\"", world.tags[by].0);
    let sql = format!("SELECT {by}, {list} FROM profiles WHERE {condition} GROUP BY {by}");
    let found = space.query(&sql, &question).map_err(|e| format!("{sql}: {e}"))?.value;
    let labels = found.rows.iter().map(|row| label(&row[0])).collect::<std::collections::BTreeSet<_>>();
    same("groups", labels.into_iter().collect::<Vec<_>>(), groups.keys().cloned().collect())?;
    same("rows of groups", found.rows.len(), groups.len())?;
    for row in &found.rows {
        let mut among = vec![false; world.people.len()];
        groups[&label(&row[0])].iter().for_each(|id| among[*id as usize] = true);
        check(&row[1..], &among, &format!("GROUP BY {by} at {:?}", row[0]))?;
    }
    Ok(())
}

/// All the other questions once, with random audiences.
pub fn everything(space: &Space, world: &World, random: &mut Random, rounds: u32) -> Checked {
    for round in 0..rounds {
        let as_of = as_of(random);
        let mut maker = Maker { world, random };
        let (audience, base) = (maker.predicate(2), maker.predicate(1));
        let about = |e: String| format!("{e}\n  audience: {audience}\n  base: {base}\n  as of {as_of}");
        let check = |a: &Predicate, b: &Predicate| share(space, world, a, b, as_of);
        check(&audience, &base).map_err(|e| about(shrunken_pair(&audience, &base, check).unwrap_or(e)))?;
        let tag = random.below(world.tags.len() as u64) as usize;
        let other = random.below(world.tags.len() as u64) as usize;
        let top = *random.pick(&[0, 1, 3, 100, 1_000_000]);
        distribution(space, world, (&audience, &base), tag, top, as_of, random).map_err(about)?;
        crosstab(space, world, &audience, (tag, other), as_of).map_err(about)?;
        super::compare_events::everything(space, world, (&audience, &base), as_of, random).map_err(about)?;
        aggregates(space, world, &audience, tag, other, as_of, random).map_err(about)?;
        if round == 0 {
            members(space, world, &audience, as_of, random).map_err(about)?;
        }
        for _ in 0..3 {
            if let Some(one_id) = super::lines::somebody(random, world) {
                portrait(space, world, one_id)?;
            }
        }
    }
    Ok(())
}
