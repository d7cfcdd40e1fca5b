//! The meaning of a predicate, read from language.md word for word and evaluated person by person.
//! Knows no index and no plan. A leaf says true, false or unknown of each person; a predicate says only in or out.

use std::cmp::Ordering;
use std::collections::HashSet;

use jiff::civil::Date;
use queryparser::ast::{
    Aggregate, CompareOp, Interval, Literal, LiteralValue, Name, Operand, Predicate, PredicateKind, Scalar, Unit,
};
use xxhash_rust::xxh3::xxh3_64;

use super::people::{Kind, Person, Value, World};
use super::values::{Has, Held, is_like};

/// A question about a world on a day.
pub struct Asked<'w> {
    pub world: &'w World,
    pub as_of: Date,
}

/// What a person with a OneID has of an operand; none where it is unknown.
pub type Look<'a> = Box<dyn for<'p> Fn(u32, &'p Person) -> Option<Has<'p>> + 'a>;

/// What a clause says of what it looks at: true or false; neither where it holds it against null.
pub type Test<'a> = Box<dyn Fn(&Has<'_>) -> Option<bool> + 'a>;

impl Asked<'_> {
    /// Whether each OneID ever given out is a member.
    pub fn members(&self, predicate: &Predicate) -> Vec<bool> {
        let all = |predicates: &[Predicate]| predicates.iter().map(|p| self.members(p)).collect::<Vec<_>>();
        match &predicate.kind {
            PredicateKind::Constant(value) => self.each(|_, _| *value),
            PredicateKind::And(children) | PredicateKind::Or(children) if children.is_empty() => self.each(|_, _| true),
            PredicateKind::And(children) => {
                let all = all(children);
                self.each(|id, _| all.iter().all(|m| m[id as usize]))
            }
            PredicateKind::Or(children) => {
                let all = all(children);
                self.each(|id, _| all.iter().any(|m| m[id as usize]))
            }
            PredicateKind::Not(inner) => {
                let inner = self.members(inner);
                self.each(|id, _| !inner[id as usize])
            }
            PredicateKind::Flag(name) => {
                let (tag, _) = self.world.tag(&name.text).unwrap();
                self.each(|_, person| person.tags[tag] == Some(Value::Flag(true)))
            }
            // IS NULL: whoever has nothing there.
            PredicateKind::IsNull { operand, negated } => {
                let look = self.looking_at(operand);
                self.each(|id, person| look(id, person).is_some() == *negated)
            }
            PredicateKind::HasAll { tag, list } => {
                self.having(tag, list, |set, wanted| wanted.iter().all(|w| set.contains(w)))
            }
            PredicateKind::HasNone { tag, list } => {
                let any = self.having(tag, list, |set, wanted| wanted.iter().any(|w| set.contains(w)));
                self.each(|id, _| !any[id as usize])
            }
            PredicateKind::Top(top) => {
                let among = top.filter.as_ref().map_or_else(|| self.each(|_, _| true), |f| self.members(f));
                let chosen = self.ordered(&top.by, top.descending, &among);
                let mut members = vec![false; self.world.people.len()];
                chosen.into_iter().take(top.n as usize).for_each(|id| members[id as usize] = true);
                members
            }
            PredicateKind::InBitmap(literal) => {
                let LiteralValue::Text(text) = &literal.value else { panic!("a bitmap is a text") };
                let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap();
                let ids = roaring::RoaringBitmap::deserialize_from(&bytes[..]).unwrap();
                self.each(|id, _| ids.contains(id))
            }
            PredicateKind::Exists(filter) => self.exists(filter),
            PredicateKind::FollowedBy { steps, within } => self.followed_by(steps, *within),
            PredicateKind::Was { state, predicate } => self.was(state, predicate),
            kind => {
                let (operand, negated, test) = self.clause(kind);
                let look = self.looking_at(operand);
                // Those of whom the test says true; negated, those of whom it says false. Of the unknown it says neither.
                self.each(|id, person| look(id, person).and_then(|has| test(&has)) == Some(!negated))
            }
        }
    }

    /// Those of whom it held then. Erasure reaches every state; so whoever is in an earlier one lives today too.
    fn was(&self, state: &Literal, predicate: &Predicate) -> Vec<bool> {
        let LiteralValue::Text(name) = &state.value else { panic!("the oracle knows states by their names only") };
        let (_, then) = self.world.states.iter().find(|(own, _)| own == name).expect("a state that was taken");
        let members = Asked { world: then, as_of: self.as_of }.members(predicate);
        self.each(|id, _| members.get(id as usize) == Some(&true))
    }

    /// A clause in its positive form: what it looks at, whether it is negated, and what it says.
    pub fn clause<'a>(&self, kind: &'a PredicateKind) -> (&'a Operand, bool, Test<'a>) {
        match kind {
            PredicateKind::Compare { operand, op, scalar } => {
                let held = self.scalar(scalar);
                let positive = if *op == CompareOp::NotEqual { CompareOp::Equal } else { *op };
                (operand, *op == CompareOp::NotEqual, Box::new(move |has| has.compares(positive, &held)))
            }
            PredicateKind::Between { operand, negated, low, high } => {
                let (low, high) = (self.scalar(low), self.scalar(high));
                if *negated && (low == Held::Null || high == Held::Null) {
                    // As SQL: below the low end or above the high end; nobody is either of null.
                    let outside: Test<'a> = Box::new(move |has| {
                        let below = has.compares(CompareOp::Less, &low) == Some(true);
                        Some(below || has.compares(CompareOp::Greater, &high) == Some(true))
                    });
                    return (operand, false, outside);
                }
                let turns =
                    matches!((operand, &low, &high), (Operand::MonthDay(_), Held::Text(a), Held::Text(b)) if a > b);
                let inside: Test<'a> = Box::new(move |has| {
                    let from = has.compares(CompareOp::GreaterOrEqual, &low)?;
                    let to = has.compares(CompareOp::LessOrEqual, &high)?;
                    // Months and days may go across New Year.
                    Some(if turns { from || to } else { from && to })
                });
                (operand, *negated, inside)
            }
            PredicateKind::In { operand, negated, list } => {
                let list: Vec<Held> = list.iter().map(|l| self.literal(l)).collect();
                let text = |held: &Held| match held {
                    Held::Text(text) => Some(text.clone()),
                    _ => None,
                };
                let texts: Option<HashSet<String>> = list.iter().map(text).collect();
                let among: Test<'a> = Box::new(move |has| match (has, &texts) {
                    (Has::Text(text), Some(texts)) => Some(texts.contains(*text)),
                    (Has::Ids(own) | Has::Set(own), Some(texts)) => Some(own.iter().any(|one| texts.contains(*one))),
                    _ => Some(list.iter().any(|held| has.compares(CompareOp::Equal, held) == Some(true))),
                });
                (operand, *negated, among)
            }
            PredicateKind::Like { operand, negated, fold_case, pattern, escape } => {
                let LiteralValue::Text(pattern) = &pattern.value else { panic!("a pattern is a text") };
                let like: Test<'a> = Box::new(move |has| match has {
                    Has::Text(text) => Some(is_like(text, pattern, *escape, *fold_case)),
                    Has::Ids(all) | Has::Set(all) => {
                        Some(all.iter().any(|text| is_like(text, pattern, *escape, *fold_case)))
                    }
                    _ => panic!("LIKE looks at texts"),
                });
                (operand, *negated, like)
            }
            other => panic!("the oracle does not know {other:?}"),
        }
    }

    /// OneIDs in the order of a tag: unknown last both ways, ties to the lower OneID.
    pub fn ordered(&self, by: &Name, descending: bool, among: &[bool]) -> Vec<u32> {
        let (tag, _) = self.world.tag(&by.text).unwrap();
        let mut all: Vec<(Option<&Value>, u32)> =
            self.world.live().filter(|(id, _)| among[*id as usize]).map(|(id, p)| (p.tags[tag].as_ref(), id)).collect();
        all.sort_by(|(a, a_id), (b, b_id)| {
            let by_value = match (a, b) {
                (None, None) => Ordering::Equal,
                (None, _) => Ordering::Greater,
                (_, None) => Ordering::Less,
                (Some(a), Some(b)) if descending => b.cmp(a),
                (Some(a), Some(b)) => a.cmp(b),
            };
            by_value.then(a_id.cmp(b_id))
        });
        all.into_iter().map(|(_, id)| id).collect()
    }

    pub(super) fn each(&self, test: impl Fn(u32, &Person) -> bool) -> Vec<bool> {
        let people = self.world.people.iter().zip(0u32..);
        people.map(|(person, id)| person.as_ref().is_some_and(|person| test(id, person))).collect()
    }

    /// How to look at an operand.
    pub fn looking_at<'a>(&'a self, operand: &'a Operand) -> Look<'a> {
        match operand {
            Operand::Name(name) if name.text == "one_id" => Box::new(|id, _| Some(Has::OneId(id))),
            Operand::Name(name) => match self.world.tag(&name.text) {
                Some((tag, kind)) => Box::new(move |_, person| Some(Has::of(person.tags[tag].as_ref()?, kind))),
                None => {
                    let id_type = self.world.id_types.iter().position(|t| *t == name.text).unwrap() as u8;
                    Box::new(move |_, person| {
                        let own: Vec<&str> =
                            person.ids.iter().filter(|(t, _)| *t == id_type).map(|(_, id)| &**id).collect();
                        (!own.is_empty()).then_some(Has::Ids(own))
                    })
                }
            },
            Operand::MonthDay(name) => {
                let (tag, _) = self.world.tag(&name.text).unwrap();
                Box::new(move |_, person| match person.tags[tag].as_ref()? {
                    Value::Date(date) => {
                        // As a number of two scales apart from any date: 12-31 is 1231.
                        Some(Has::Number(i128::from(date.month()) * 100 + i128::from(date.day()), 0))
                    }
                    _ => panic!("month_day of a date"),
                })
            }
            Operand::Bucket { salt, of, .. } => {
                let LiteralValue::Text(salt) = &salt.value else { panic!("a salt is a text") };
                let (salt, of) = (salt.clone(), *of);
                Box::new(move |id, _| Some(Has::Number(bucket(&salt, of, id).into(), 0)))
            }
            Operand::EventAggregate(aggregate) => self.of_events(aggregate),
        }
    }

    fn having(&self, tag: &Name, list: &[Literal], test: impl Fn(&[&str], &[&str]) -> bool) -> Vec<bool> {
        let (tag, _) = self.world.tag(&tag.text).unwrap();
        let wanted: Vec<&str> = list
            .iter()
            .map(|literal| match &literal.value {
                LiteralValue::Text(text) => text.as_str(),
                other => panic!("a set has texts, not {other:?}"),
            })
            .collect();
        self.each(|_, person| match &person.tags[tag] {
            Some(Value::Set(set)) => test(&set.iter().map(|v| &**v).collect::<Vec<_>>(), &wanted),
            _ => test(&[], &wanted),
        })
    }

    fn scalar(&self, scalar: &Scalar) -> Held {
        match scalar {
            Scalar::Literal(literal) => self.literal(literal),
            Scalar::ProfileAggregate(aggregate) => {
                let among = aggregate.filter.as_ref().map_or_else(|| self.each(|_, _| true), |f| self.members(f));
                self.aggregate(&aggregate.aggregate, &among)
            }
        }
    }

    /// A value as it is meant on the day and in the zone of the question.
    pub(super) fn literal(&self, literal: &Literal) -> Held {
        match &literal.value {
            LiteralValue::Bool(value) => Held::Bool(*value),
            LiteralValue::Number(number) => Held::Decimal(number.digits, number.scale.into()),
            LiteralValue::Text(text) => Held::Text(text.clone()),
            LiteralValue::Date(date) => Held::Date(*date),
            LiteralValue::RelativeDate(steps) => {
                Held::Date(steps.iter().fold(self.as_of, |day, step| moved(day, *step)))
            }
            LiteralValue::LocalTimestamp(shown) => Held::Instant(self.world.zone.moment(*shown)),
            LiteralValue::Instant(at) => Held::Instant(*at),
        }
    }

    /// An aggregate over some people.
    pub fn aggregate(&self, aggregate: &Aggregate, among: &[bool]) -> Held {
        let people = || self.world.live().filter(|(id, _)| among[*id as usize]);
        let known = |name: &Name| -> Vec<(Value, Kind)> {
            let (tag, kind) = self.world.tag(&name.text).unwrap();
            let mut all: Vec<_> = people().filter_map(|(_, p)| Some((p.tags[tag].clone()?, kind))).collect();
            all.sort_by(|(a, _), (b, _)| a.cmp(b));
            all
        };
        let sum = |values: &[(Value, Kind)]| -> i128 {
            values
                .iter()
                .map(|(v, _)| if let Value::Number(n) = v { i128::from(*n) } else { panic!("a sum of numbers") })
                .sum()
        };
        let scale_of = |name: &Name| match self.world.tag(&name.text) {
            Some((_, Kind::Number(scale))) => u32::from(scale),
            _ => 0,
        };
        let held = |found: Option<&(Value, Kind)>| match found {
            Some((Value::Number(n), Kind::Number(scale))) => Held::Decimal((*n).into(), (*scale).into()),
            Some((Value::Date(date), _)) => Held::Date(*date),
            _ => Held::Null,
        };
        match aggregate {
            Aggregate::CountAll => Held::Decimal(people().count() as i128, 0),
            Aggregate::CountDistinct(name) => Held::Decimal(self.distinct(name, among) as i128, 0),
            Aggregate::Sum(name) => Held::Decimal(sum(&known(name)), scale_of(name)),
            Aggregate::Avg(name) => match known(name) {
                none if none.is_empty() => Held::Null,
                some => Held::Mean(sum(&some), some.len() as i128 * 10i128.pow(scale_of(name))),
            },
            Aggregate::Min(name) => held(known(name).first()),
            Aggregate::Max(name) => held(known(name).last()),
            Aggregate::Quantile(name, q) => {
                let all = known(name);
                let needed =
                    (q.digits * all.len() as i128 + 10i128.pow(q.scale.into()) - 1) / 10i128.pow(q.scale.into());
                // The least known value that at least so many do not exceed.
                held(all.get((needed.max(1) - 1) as usize))
            }
        }
    }

    fn distinct(&self, name: &Name, among: &[bool]) -> usize {
        let operand = Operand::Name(name.clone());
        let look = self.looking_at(&operand);
        let mut seen = std::collections::BTreeSet::new();
        for (id, person) in self.world.live().filter(|(id, _)| among[*id as usize]) {
            match look(id, person) {
                None => {}
                Some(Has::OneId(id)) => _ = seen.insert(id.to_string()),
                Some(Has::Ids(all)) => _ = seen.insert(all[0].to_string()),
                Some(Has::Flag(value)) => _ = seen.insert(value.to_string()),
                Some(Has::Text(text)) => _ = seen.insert(text.to_string()),
                Some(Has::Set(all)) => seen.extend(all.into_iter().map(str::to_string)),
                Some(Has::Number(n, _)) => _ = seen.insert(n.to_string()),
                Some(Has::Date(date)) => _ = seen.insert(date.to_string()),
                Some(other) => panic!("{other:?} is no tag's"),
            }
        }
        seen.len()
    }
}

/// The bucket of a profile, as the product documents it: MurmurHash3's 32-bit finalizer twice, over OneID plus the low
/// half of the salt's XXH3-64, then over that XOR the high half; scaled to `of` buckets.
pub fn bucket(salt: &str, of: u32, one_id: u32) -> u32 {
    fn finalized(hash: u32) -> u32 {
        let hash = (hash ^ (hash >> 16)).wrapping_mul(0x85EB_CA6B);
        let hash = (hash ^ (hash >> 13)).wrapping_mul(0xC2B2_AE35);
        hash ^ (hash >> 16)
    }
    let seed = xxh3_64(salt.as_bytes());
    let (low, high) = ((seed & 0xFFFF_FFFF) as u32, (seed >> 32) as u32);
    let hash = finalized(finalized(one_id.wrapping_add(low)) ^ high);
    ((u128::from(hash) * u128::from(of)) / (1 << 32)) as u32
}

/// A day moved by a distance; a month's end is clipped, as PostgreSQL does.
fn moved(day: Date, step: Interval) -> Date {
    let count = i64::from(step.count);
    let by_days = |days: i64| day.checked_add(jiff::Span::new().days(days)).unwrap();
    let by_months = |months: i64| {
        let month = i64::from(day.year()) * 12 + i64::from(day.month()) - 1 + months;
        let (year, month) = (month.div_euclid(12) as i16, (month.rem_euclid(12) + 1) as i8);
        let last = jiff::civil::date(year, month, 1).days_in_month();
        jiff::civil::date(year, month, day.day().min(last))
    };
    match step.unit {
        Unit::Day => by_days(count),
        Unit::Week => by_days(7 * count),
        Unit::Month => by_months(count),
        Unit::Year => by_months(12 * count),
    }
}
