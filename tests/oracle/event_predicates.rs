//! Random questions about events: conditions that some event meets, or nearly; aggregates held against what they come
//! to for somebody; steps that somebody took, with limits at the edge.

use jiff::civil::Date;
use queryparser::ast::{
    Decimal, EventAggregate, EventFilter, EventFunction, Interval, LiteralValue, Operand, Predicate, PredicateKind,
    Scalar, Span, Unit,
};

use super::clock::DAY_S;
use super::events::Event;
use super::lines::{odd_day, odd_text};
use super::literals::{USUAL_DAY, date_near, like, literal, moment_near, number, number_near, text};
use super::meaning::Asked;
use super::meaning_events::Of;
use super::people::{Kind, Person, World};
use super::predicates::{EQUALITY, Maker, OPS, chain, made, named, not, operand};
use super::random::Random;
use super::values::Has;

/// What a clause is about: the kind of values, and one that is there.
#[derive(Debug, Clone)]
enum Sample {
    Flag,
    Text(String),
    /// `digits / 10^scale`.
    Number(i128, u32),
    Date(Date),
    Moment(i64),
}

impl Sample {
    /// What somebody has there.
    fn of(has: Has<'_>) -> Sample {
        match has {
            Has::Flag(_) => Sample::Flag,
            Has::Text(text) => Sample::Text(text.into()),
            Has::Number(digits, scale) => Sample::Number(digits, scale),
            // Some places of it; it seldom ends there.
            Has::Mean(num, den) => Sample::Number((num * 1000).div_euclid(den), 3),
            Has::Date(date) => Sample::Date(date),
            Has::Instant(at) => Sample::Moment(at),
            other => panic!("{other:?} is of no event"),
        }
    }

    /// One that perhaps nobody has.
    fn any(random: &mut Random, of: Of) -> Sample {
        match of {
            Of::Property(_, Kind::Flag) => Sample::Flag,
            Of::Property(_, Kind::Number(scale)) => Sample::Number(random.within(-5, 100).into(), scale.into()),
            Of::Property(_, Kind::Date) => Sample::Date(odd_day(random)),
            Of::Property(..) => Sample::Text(odd_text(random).to_string()),
            Of::Day => Sample::Date(USUAL_DAY),
            Of::At => Sample::Moment(1_769_817_600),
        }
    }
}

impl<'a> Maker<'a> {
    /// A clause about events.
    pub fn about_events(&mut self) -> PredicateKind {
        match self.random.below(10) {
            0..=2 => PredicateKind::Exists(self.some_events().0),
            3 | 4 => self.followed_by(),
            _ => self.event_aggregate(),
        }
    }

    /// Somebody who has events, if anybody has.
    fn doer(&mut self) -> Option<(u32, &'a Person)> {
        let world: &'a World = self.world;
        let doers = &world.doers;
        let tries = if doers.is_empty() { 0 } else { 8 };
        (0..tries).find_map(|_| {
            let one_id = *self.random.pick(doers);
            Some((one_id, world.people[one_id as usize].as_ref()?))
        })
    }

    /// Events of a kind under a condition, and whose they were chosen by.
    fn some_events(&mut self) -> (EventFilter, Option<u32>) {
        let doer = self.doer();
        let kinds = self.world.events.len() as u64;
        let done = doer.and_then(|(_, person)| {
            let done: Vec<usize> = (0..kinds as usize).filter(|event| !person.events_of(*event).is_empty()).collect();
            (!done.is_empty()).then(|| *self.random.pick(&done))
        });
        let event = done.filter(|_| self.random.percent(90)).unwrap_or_else(|| self.random.below(kinds) as usize);
        let events = doer.map_or(&[][..], |(_, person)| person.events_of(event));
        let one = (!events.is_empty()).then(|| self.random.pick(events).clone());
        (self.filter(event, one.as_ref()), doer.map(|(one_id, _)| one_id))
    }

    /// Events of a kind; mostly the one that is given is one of them.
    fn filter(&mut self, event: usize, one: Option<&Event>) -> EventFilter {
        let depth = *self.random.pick(&[0, 0, 1, 1, 2]);
        let tries = if self.random.percent(80) { 8 } else { 1 };
        let mut condition = None;
        for _ in 0..if self.random.percent(20) { 0 } else { tries } {
            let made = condition.insert(self.condition(event, one, depth));
            let asked = Asked { world: self.world, as_of: USUAL_DAY };
            if one.is_none_or(|one| asked.condition(event, made)(one)) {
                break;
            }
        }
        // WHERE TRUE is no condition.
        let condition = condition.filter(|condition| condition.kind != PredicateKind::Constant(true)).map(Box::new);
        EventFilter { event: named(&self.world.events[event].name), condition, span: Span::default() }
    }

    fn condition(&mut self, event: usize, one: Option<&Event>, depth: u32) -> Predicate {
        if depth == 0 || self.random.percent(25) {
            return self.of_one(event, one);
        }
        let count = 2 + self.random.below(2);
        match self.random.below(6) {
            0 => not(self.condition(event, one, depth - 1)),
            1 => chain(false, (0..count).map(|_| self.condition(event, one, depth - 1)).collect()),
            _ => chain(true, (0..count).map(|_| self.condition(event, one, depth - 1)).collect()),
        }
    }

    /// A clause about a property, the day or the time of one event.
    fn of_one(&mut self, event: usize, one: Option<&Event>) -> Predicate {
        if self.random.percent(2) {
            return made(PredicateKind::Constant(self.random.percent(50)));
        }
        let (name, of) = self.look(event);
        if self.random.percent(8) {
            return made(PredicateKind::IsNull { operand: operand(&name), negated: self.random.percent(50) });
        }
        let own = one.filter(|_| self.random.percent(85)).and_then(|event| of.of(event)).map(Sample::of);
        let sample = own.unwrap_or_else(|| Sample::any(self.random, of));
        if let (Sample::Flag, true) = (&sample, self.random.percent(50)) {
            return made(PredicateKind::Flag(named(&name)));
        }
        made(self.about(operand(&name), sample))
    }

    /// Something of an event, by its name.
    fn look(&mut self, event: usize) -> (String, Of) {
        let kind = &self.world.events[event];
        let at = self.random.below(kind.properties.len() as u64 + 2) as usize;
        let name = match kind.properties.get(at) {
            Some((name, _)) => name,
            None if at == kind.properties.len() => "day",
            None => "at",
        };
        (name.to_string(), Of::named(kind, name))
    }

    /// An operand held against values like a sample.
    fn about(&mut self, operand: Operand, sample: Sample) -> PredicateKind {
        let negated = self.random.percent(35);
        match (&sample, self.random.below(10)) {
            (Sample::Flag | Sample::Text(_), 0..=4) => {
                let op = *self.random.pick(&EQUALITY);
                PredicateKind::Compare { operand, op, scalar: self.value(&sample) }
            }
            (Sample::Text(sample), 5 | 6) => like(self.random, operand, sample),
            (Sample::Number(..) | Sample::Date(_) | Sample::Moment(_), 0..=4) => {
                let op = *self.random.pick(&OPS);
                PredicateKind::Compare { operand, op, scalar: self.value(&sample) }
            }
            (Sample::Number(..) | Sample::Date(_) | Sample::Moment(_), 5..=7) => {
                let (low, high) = (self.value(&sample), self.value(&sample));
                PredicateKind::Between { operand, negated, low, high }
            }
            _ => {
                let count = if self.random.percent(3) { 300 } else { 1 + self.random.below(4) };
                let list = (0..count).map(|_| match self.value(&sample) {
                    Scalar::Literal(literal) => literal,
                    Scalar::ProfileAggregate(_) => unreachable!("values are literals"),
                });
                PredicateKind::In { operand, negated, list: list.collect() }
            }
        }
    }

    fn value(&mut self, sample: &Sample) -> Scalar {
        // Conditions of several clauses meet nobody if each of them is only nearly met.
        let exactly = self.random.percent(50);
        Scalar::Literal(match sample {
            Sample::Number(digits, scale) if exactly => {
                number(&Decimal { digits: *digits, scale: *scale as u8 }.to_string())
            }
            Sample::Date(date) if exactly => literal(LiteralValue::Date(*date)),
            Sample::Flag => literal(LiteralValue::Bool(self.random.percent(50))),
            Sample::Text(_) if self.random.percent(8) => text(format!("nobody has {}", self.random.below(5))),
            Sample::Text(_) if self.random.percent(15) => text(odd_text(self.random).to_string()),
            Sample::Text(own) => text(own.clone()),
            Sample::Number(digits, scale) => number_near(self.random, *digits, *scale),
            Sample::Date(date) => date_near(self.random, *date),
            Sample::Moment(at) => moment_near(self.random, &self.world.zone, *at),
        })
    }

    fn event_aggregate(&mut self) -> PredicateKind {
        let (filter, doer) = self.some_events();
        let event = self.world.event(&filter.event.text).unwrap();
        let looks: Vec<(String, Of)> = (0..4).map(|_| self.look(event)).collect();
        let summed = looks.iter().find(|(_, of)| matches!(of, Of::Property(_, Kind::Number(_))));
        let ordered =
            looks.iter().find(|(_, of)| matches!(of, Of::Day | Of::At | Of::Property(_, Kind::Number(_) | Kind::Date)));
        let (any_name, any) = &looks[0];
        let (function, of, look) = match self.random.below(12) {
            0 | 1 if summed.is_some() => (EventFunction::Sum, summed.map(|(name, _)| name), None),
            2 | 3 if summed.is_some() => (EventFunction::Avg, summed.map(|(name, _)| name), None),
            4 if ordered.is_some() => (EventFunction::Min, ordered.map(|(name, _)| name), ordered.map(|(_, of)| *of)),
            5 if ordered.is_some() => (EventFunction::Max, ordered.map(|(name, _)| name), ordered.map(|(_, of)| *of)),
            6 | 7 => (EventFunction::CountDistinct, Some(any_name), None),
            8 => (EventFunction::First, Some(any_name), Some(*any)),
            9 => (EventFunction::Last, Some(any_name), Some(*any)),
            _ => (EventFunction::Count, None, None),
        };
        let aggregate = EventAggregate { function, of: of.map(|name| named(name)), filter };
        let operand = Operand::EventAggregate(Box::new(aggregate));
        if self.random.percent(8) {
            return PredicateKind::IsNull { operand, negated: self.random.percent(50) };
        }
        let asked = Asked { world: self.world, as_of: USUAL_DAY };
        let person = doer.and_then(|one_id| Some((one_id, self.world.people[one_id as usize].as_ref()?)));
        let own = person.and_then(|(one_id, person)| asked.looking_at(&operand)(one_id, person).map(Sample::of));
        let sample = own.filter(|_| self.random.percent(85)).unwrap_or_else(|| match look {
            Some(of) => Sample::any(self.random, of),
            None => Sample::Number(self.random.within(0, 3).into(), 0),
        });
        self.about(operand, sample)
    }

    fn followed_by(&mut self) -> PredicateKind {
        let (steps, span_s) = self.steps_and_span();
        let days = (span_s.div_euclid(DAY_S) + self.random.within(0, 1) - i64::from(self.random.percent(15))).max(1);
        let within = match self.random.below(10) {
            0..=2 => None,
            3 => Some(Interval { count: (days / 7).max(1) as i32, unit: Unit::Week }),
            4 => Some(Interval { count: *self.random.pick(&[1, 2, 30, 400, i32::MAX]), unit: Unit::Day }),
            _ => Some(Interval { count: days as i32, unit: Unit::Day }),
        };
        PredicateKind::FollowedBy { steps, within }
    }

    /// Two to four steps.
    pub fn steps(&mut self) -> Vec<EventFilter> {
        self.steps_and_span().0
    }

    /// Steps that somebody took, one after the other, or (at equal times, mostly) nearly did; and how long it took them.
    fn steps_and_span(&mut self) -> (Vec<EventFilter>, i64) {
        let count = 2 + self.random.below(2) + self.random.below(2);
        let mut all: Vec<(usize, Event)> = match self.doer() {
            Some((_, person)) => (0..person.events.len())
                .flat_map(|event| person.events_of(event).iter().map(move |one| (event, one.clone())))
                .collect(),
            None => Vec::new(),
        };
        let mut taken = Vec::new();
        while taken.len() < count as usize && !all.is_empty() {
            taken.push(all.swap_remove(self.random.below(all.len() as u64) as usize));
        }
        taken.sort_by_key(|(_, event)| event.at);
        let steps = (0..count as usize).map(|at| match taken.get(at).cloned() {
            Some((event, one)) if !self.random.percent(10) => self.filter(event, Some(&one)),
            _ => self.some_events().0,
        });
        let steps = steps.collect();
        let span_s = match (taken.first(), taken.last()) {
            (Some((_, first)), Some((_, last))) => last.at - first.at,
            _ => 0,
        };
        (steps, span_s)
    }
}
