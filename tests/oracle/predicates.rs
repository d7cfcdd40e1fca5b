//! Random predicates over a world: every operator that language.md has for attributes, with values that people have,
//! values that nobody has, and values beside them.

use jiff::civil::Date;
use queryparser::ast::{
    Aggregate, CompareOp, Decimal, Literal, LiteralValue, Name, Operand, Predicate, PredicateKind, ProfileAggregate,
    Scalar, Span, Top,
};

use super::lines::{odd_day, odd_text, somebody};
use super::literals::{USUAL_DAY, date_near, digits_near, like, literal, number, text};
use super::people::{Kind, Value, World};
use super::random::Random;

/// All operators.
pub const OPS: [CompareOp; 6] = [
    CompareOp::Equal,
    CompareOp::NotEqual,
    CompareOp::Less,
    CompareOp::LessOrEqual,
    CompareOp::Greater,
    CompareOp::GreaterOrEqual,
];
/// Those that go with texts and flags.
pub const EQUALITY: [CompareOp; 2] = [CompareOp::Equal, CompareOp::NotEqual];

/// Makes predicates about a world.
pub struct Maker<'a> {
    pub world: &'a World,
    pub random: &'a mut Random,
}

/// A predicate without a place.
pub fn made(kind: PredicateKind) -> Predicate {
    Predicate { kind, span: Span::default() }
}

/// A name without a place.
pub fn named(text: &str) -> Name {
    Name { text: text.into(), span: Span::default() }
}

/// A tag or property as what a clause looks at.
pub fn operand(name: &str) -> Operand {
    Operand::Name(named(name))
}

/// The negation; `NOT NOT p` is printed as it stands.
pub fn not(predicate: Predicate) -> Predicate {
    made(PredicateKind::Not(Box::new(predicate)))
}

/// AND or OR of some, as the parsers would flatten it.
pub fn chain(and: bool, children: Vec<Predicate>) -> Predicate {
    let mut flat = Vec::new();
    for child in children {
        match child.kind {
            PredicateKind::And(inner) if and => flat.extend(inner),
            PredicateKind::Or(inner) if !and => flat.extend(inner),
            kind => flat.push(made(kind)),
        }
    }
    match flat.len() {
        1 => flat.pop().unwrap(),
        _ => made(if and { PredicateKind::And(flat) } else { PredicateKind::Or(flat) }),
    }
}

/// A day as a random question has it.
pub fn as_of(random: &mut Random) -> Date {
    if random.percent(60) { odd_day(random) } else { USUAL_DAY }
}

impl Maker<'_> {
    /// A predicate of at most so many levels.
    pub fn predicate(&mut self, depth: u32) -> Predicate {
        if depth == 0 || self.random.percent(25) {
            return self.leaf(depth);
        }
        match self.random.below(8) {
            0 | 1 => not(self.predicate(depth - 1)),
            2..=4 => self.group(true, depth),
            5 | 6 => self.group(false, depth),
            _ => self.leaf(depth),
        }
    }

    fn group(&mut self, and: bool, depth: u32) -> Predicate {
        let count = if self.random.percent(4) { 12 } else { 2 + self.random.below(3) };
        let children = (0..count).map(|_| self.predicate(depth - 1)).collect();
        chain(and, children)
    }

    /// A clause.
    pub fn leaf(&mut self, depth: u32) -> Predicate {
        if !self.world.events.is_empty() && self.random.percent(35) {
            return made(self.about_events());
        }
        if !self.world.states.is_empty() && self.random.percent(12) {
            return made(self.earlier(depth));
        }
        let kind = match self.random.below(100) {
            0..=1 => PredicateKind::Constant(self.random.percent(50)),
            2..=7 => self.identity(),
            8..=12 => self.one_id(),
            13..=17 => self.bucket(),
            18..=20 => self.bitmap(),
            21..=26 => self.top(depth),
            27..=30 => self.is_null(),
            _ => self.of_tag(depth),
        };
        made(kind)
    }

    fn of_tag(&mut self, depth: u32) -> PredicateKind {
        let tag = self.random.below(self.world.tags.len() as u64) as usize;
        let (name, kind) = self.world.tags[tag].clone();
        match kind {
            Kind::Flag => self.flag(&name),
            Kind::Category => self.category(tag, &name),
            Kind::Set => match self.random.below(4) {
                0 => PredicateKind::HasAll { tag: named(&name), list: self.texts(tag) },
                1 => PredicateKind::HasNone { tag: named(&name), list: self.texts(tag) },
                _ => self.category(tag, &name),
            },
            Kind::Number(_) => self.ordered(tag, &name, depth),
            Kind::Date if self.random.percent(30) => self.month_day(tag, &name),
            Kind::Date => self.ordered(tag, &name, depth),
        }
    }

    /// What held in an earlier state; of those who came since, nothing did.
    fn earlier(&mut self, depth: u32) -> PredicateKind {
        let (name, state) = self.random.pick(&self.world.states);
        let predicate = Box::new(Maker { world: state, random: self.random }.predicate(depth.min(2)));
        PredicateKind::Was { state: text(name.as_str()), predicate }
    }

    fn is_null(&mut self) -> PredicateKind {
        let mut names: Vec<&String> = self.world.tags.iter().map(|(name, _)| name).collect();
        names.extend(&self.world.id_types);
        let one_id = "one_id".to_string();
        names.push(&one_id);
        let operand = operand(self.random.pick::<&String>(&names));
        PredicateKind::IsNull { operand, negated: self.random.percent(50) }
    }

    fn flag(&mut self, name: &str) -> PredicateKind {
        let value = literal(LiteralValue::Bool(self.random.percent(50)));
        match self.random.below(4) {
            0 | 1 => PredicateKind::Flag(named(name)),
            2 => {
                let op = *self.random.pick(&EQUALITY);
                PredicateKind::Compare { operand: operand(name), op, scalar: Scalar::Literal(value) }
            }
            _ => {
                let list = vec![value; 1 + self.random.below(2) as usize];
                PredicateKind::In { operand: operand(name), negated: self.random.percent(50), list }
            }
        }
    }

    fn category(&mut self, tag: usize, name: &str) -> PredicateKind {
        match self.random.below(6) {
            0..=2 => {
                let op = *self.random.pick(&EQUALITY);
                PredicateKind::Compare { operand: operand(name), op, scalar: Scalar::Literal(text(self.text_of(tag))) }
            }
            3 | 4 => {
                PredicateKind::In { operand: operand(name), negated: self.random.percent(40), list: self.texts(tag) }
            }
            _ => {
                let sample = self.text_of(tag);
                like(self.random, operand(name), &sample)
            }
        }
    }

    fn texts(&mut self, tag: usize) -> Vec<Literal> {
        let count = if self.random.percent(3) { 400 } else { 1 + self.random.below(4) };
        (0..count).map(|_| text(self.text_of(tag))).collect()
    }

    fn identity(&mut self) -> PredicateKind {
        let at = self.random.below(self.world.id_types.len() as u64) as usize;
        let operand = operand(&self.world.id_types[at]);
        match self.random.below(6) {
            0 | 1 => {
                let op = *self.random.pick(&EQUALITY);
                PredicateKind::Compare { operand, op, scalar: Scalar::Literal(text(self.id_of(at as u8))) }
            }
            2 | 3 => {
                let count = if self.random.percent(5) { 1000 } else { 1 + self.random.below(5) };
                let list = (0..count).map(|_| text(self.id_of(at as u8))).collect();
                PredicateKind::In { operand, negated: self.random.percent(40), list }
            }
            4 => {
                let sample = self.id_of(at as u8);
                like(self.random, operand, &sample)
            }
            _ => PredicateKind::IsNull { operand, negated: self.random.percent(50) },
        }
    }

    fn id_of(&mut self, id_type: u8) -> String {
        let person = somebody(self.random, self.world).and_then(|id| self.world.people[id as usize].as_ref());
        let own = person.and_then(|p| p.ids.iter().find(|(t, _)| *t == id_type));
        match own {
            Some((_, id)) if !self.random.percent(15) => id.to_string(),
            _ => format!("nobody{}", self.random.below(9)),
        }
    }

    fn one_id(&mut self) -> PredicateKind {
        let end = self.world.people.len() as i64;
        let id = |random: &mut Random| match random.below(8) {
            0 => number(random.word(&["-1", "2.5", "4294967295", "4294967296", "99999999999999999999", "0", "1e30"])),
            _ => number(&random.within(0, end + 2).to_string()),
        };
        let operand = operand("one_id");
        match self.random.below(4) {
            0 | 1 => {
                let op = *self.random.pick(&OPS);
                PredicateKind::Compare { operand, op, scalar: Scalar::Literal(id(self.random)) }
            }
            2 => {
                let count = if self.random.percent(5) { 2000 } else { 1 + self.random.below(6) };
                let list = (0..count).map(|_| id(self.random)).collect();
                PredicateKind::In { operand, negated: self.random.percent(40), list }
            }
            _ => {
                let (low, high) = (Scalar::Literal(id(self.random)), Scalar::Literal(id(self.random)));
                PredicateKind::Between { operand, negated: self.random.percent(40), low, high }
            }
        }
    }

    fn bucket(&mut self) -> PredicateKind {
        let of = *self.random.pick(&[1, 2, 3, 7, 100, 1000, u32::MAX]);
        let salt = text(self.random.word(&["summer sale", "", "é"]));
        let operand = Operand::Bucket { salt, of, span: Span::default() };
        let value = |random: &mut Random| match random.below(8) {
            0 => number(random.word(&["-1", "1.5", "1e12"])),
            _ => number(&random.below(u64::from(of) + 2).to_string()),
        };
        match self.random.below(4) {
            0 | 1 => {
                let op = *self.random.pick(&OPS);
                PredicateKind::Compare { operand, op, scalar: Scalar::Literal(value(self.random)) }
            }
            2 => {
                let list = (0..1 + self.random.below(4)).map(|_| value(self.random)).collect();
                PredicateKind::In { operand, negated: self.random.percent(40), list }
            }
            _ => {
                let (low, high) = (Scalar::Literal(value(self.random)), Scalar::Literal(value(self.random)));
                PredicateKind::Between { operand, negated: self.random.percent(40), low, high }
            }
        }
    }

    fn bitmap(&mut self) -> PredicateKind {
        let end = self.world.people.len() as u64 + 5;
        let mut ids = roaring::RoaringBitmap::new();
        match self.random.below(4) {
            0 => {}
            1 => _ = ids.insert_range(self.random.below(end) as u32..=(end + 100_000) as u32),
            _ => (0..self.random.below(3000)).for_each(|_| _ = ids.insert(self.random.below(end) as u32)),
        }
        if self.random.percent(20) {
            ids.insert(u32::MAX);
        }
        let bytes = storage::portable::write_portable(&ids);
        PredicateKind::InBitmap(text(base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)))
    }

    fn measure(&mut self, wanted: impl Fn(Kind) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.world.tags.len()).filter(|at| wanted(self.world.tags[*at].1)).collect();
        (!all.is_empty()).then(|| *self.random.pick(&all))
    }

    fn top(&mut self, depth: u32) -> PredicateKind {
        let Some(tag) = self.measure(|kind| matches!(kind, Kind::Number(_) | Kind::Date)) else {
            return PredicateKind::Constant(true);
        };
        let filter = self.random.percent(50).then(|| self.predicate(depth.min(1)));
        let count = self.world.people.len() as u64;
        let n = *self.random.pick(&[1, 2, 10, count / 3 + 1, count.max(1), count + 7, 1 << 40]);
        let by = named(&self.world.tags[tag].0);
        let descending = self.random.percent(60);
        PredicateKind::Top(Box::new(Top { by, descending, n, filter, span: Span::default() }))
    }

    fn ordered(&mut self, tag: usize, name: &str, depth: u32) -> PredicateKind {
        let operand = operand(name);
        match self.random.below(10) {
            0..=4 => {
                let op = *self.random.pick(&OPS);
                PredicateKind::Compare { operand, op, scalar: self.held(tag, depth) }
            }
            5..=7 => {
                let (low, high) = (self.held(tag, depth), self.held(tag, depth));
                PredicateKind::Between { operand, negated: self.random.percent(40), low, high }
            }
            _ => {
                let count = if self.random.percent(4) { 500 } else { 1 + self.random.below(4) };
                let list = (0..count).map(|_| self.literal_of(tag)).collect();
                PredicateKind::In { operand, negated: self.random.percent(40), list }
            }
        }
    }

    fn held(&mut self, tag: usize, depth: u32) -> Scalar {
        if !self.random.percent(15) {
            return Scalar::Literal(self.literal_of(tag));
        }
        let is_date = self.world.tags[tag].1 == Kind::Date;
        let of = self.measure(|kind| (kind == Kind::Date) == is_date && matches!(kind, Kind::Number(_) | Kind::Date));
        let of = named(&self.world.tags[of.unwrap_or(tag)].0);
        let any = named(&self.random.pick(&self.world.tags).0);
        let q = Decimal::parse(self.random.word(&["0", "1", "0.5", "0.8", "0.25", "0.333", "0.999"])).unwrap();
        let aggregate = match self.random.below(if is_date { 3 } else { 8 }) {
            0 => Aggregate::Min(of),
            1 => Aggregate::Max(of),
            2 | 7 => Aggregate::Quantile(of, q),
            3 => Aggregate::Avg(of),
            4 => Aggregate::Sum(of),
            5 => Aggregate::CountAll,
            _ => Aggregate::CountDistinct(any),
        };
        let filter = self.random.percent(50).then(|| Box::new(self.predicate(depth.min(1))));
        Scalar::ProfileAggregate(Box::new(ProfileAggregate { aggregate, filter, span: Span::default() }))
    }

    fn value_of(&mut self, tag: usize) -> Option<Value> {
        for _ in 0..4 {
            let person = somebody(self.random, self.world).and_then(|id| self.world.people[id as usize].as_ref());
            if let Some(value) = person.and_then(|p| p.tags[tag].clone()) {
                return Some(value);
            }
        }
        None
    }

    fn text_of(&mut self, tag: usize) -> String {
        match self.value_of(tag) {
            Some(Value::Text(text)) if !self.random.percent(15) => text.to_string(),
            Some(Value::Set(set)) if !self.random.percent(15) => {
                set.iter().nth(self.random.below(set.len() as u64) as usize).unwrap().to_string()
            }
            _ if self.random.percent(50) => odd_text(self.random).to_string(),
            _ => format!("nobody has {}", self.random.below(5)),
        }
    }

    fn literal_of(&mut self, tag: usize) -> Literal {
        match self.world.tags[tag].1 {
            Kind::Number(scale) => self.number_of(tag, scale),
            _ => self.date_of(tag),
        }
    }

    fn number_of(&mut self, tag: usize, scale: u8) -> Literal {
        let near = match self.value_of(tag) {
            Some(Value::Number(n)) => n,
            _ => self.random.within(-5, 100),
        };
        let written = digits_near(self.random, near.into(), scale.into());
        // Builders send numbers as texts, too.
        if self.random.percent(6) && !written.contains('e') { text(written) } else { number(&written) }
    }

    fn date_of(&mut self, tag: usize) -> Literal {
        let near = match self.value_of(tag) {
            Some(Value::Date(date)) => date,
            _ => odd_day(self.random),
        };
        date_near(self.random, near)
    }

    fn month_day(&mut self, tag: usize, name: &str) -> PredicateKind {
        let day = |maker: &mut Self| {
            let date = match maker.value_of(tag) {
                Some(Value::Date(date)) if maker.random.percent(70) => date,
                _ => odd_day(maker.random),
            };
            text(format!("{:02}-{:02}", date.month(), date.day()))
        };
        let operand = Operand::MonthDay(named(name));
        match self.random.below(6) {
            0 | 1 => {
                let op = *self.random.pick(&OPS);
                PredicateKind::Compare { operand, op, scalar: Scalar::Literal(day(self)) }
            }
            2 => {
                let list = (0..1 + self.random.below(3)).map(|_| day(self)).collect();
                PredicateKind::In { operand, negated: self.random.percent(40), list }
            }
            _ => {
                let (low, high) = (Scalar::Literal(day(self)), Scalar::Literal(day(self)));
                PredicateKind::Between { operand, negated: self.random.percent(40), low, high }
            }
        }
    }
}
