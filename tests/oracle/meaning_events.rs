//! The meaning of what is asked of events, read from language.md word for word: one person at a time, one event at a time.
//! Knows no rows sorted by anything and no days kept apart: every answer looks at all events of a person.

use std::collections::BTreeSet;

use queryparser::ast::Unit;
use queryparser::ast::{EventAggregate, EventFilter, EventFunction, Interval, Name, Operand, Predicate, PredicateKind};

use super::clock::DAY_S;
use super::events::{Event, EventKind};
use super::meaning::{Asked, Look};
use super::people::{Kind, Person};
use super::values::Has;

/// Whether an event meets a condition.
pub type Condition<'a> = Box<dyn Fn(&Event) -> bool + 'a>;

/// Events of a person that meet a condition, in the order of acceptance.
type Matching<'a> = Box<dyn for<'p> Fn(&'p Person) -> Vec<&'p Event> + 'a>;

/// What of an event is looked at.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    Property(usize, Kind),
    Day,
    At,
}

impl Of {
    /// What a name means of events of a kind.
    pub fn named(event: &EventKind, name: &str) -> Of {
        match name {
            "day" => Of::Day,
            "at" => Of::At,
            _ => {
                let (property, kind) = event.property(name).expect("a property");
                Of::Property(property, kind)
            }
        }
    }

    /// What an event has there; none where it is unknown.
    pub fn of(self, event: &Event) -> Option<Has<'_>> {
        match self {
            Of::Property(property, kind) => Some(Has::of(event.properties[property].as_ref()?, kind)),
            Of::Day => Some(Has::Date(event.day)),
            Of::At => Some(Has::Instant(event.at)),
        }
    }

    fn scale(self) -> u32 {
        match self {
            Of::Property(_, Kind::Number(scale)) => scale.into(),
            _ => 0,
        }
    }
}

impl Asked<'_> {
    /// Those with an event that meets the condition.
    pub fn exists(&self, filter: &EventFilter) -> Vec<bool> {
        let matching = self.matching(filter);
        self.each(|_, person| !matching(person).is_empty())
    }

    /// Those whose events have the steps in order: each strictly later than the one before, all within the limit of the
    /// first.
    pub fn followed_by(&self, steps: &[EventFilter], within: Option<Interval>) -> Vec<bool> {
        let steps: Vec<_> = steps.iter().map(|step| self.matching(step)).collect();
        let limit_s = within.map(|within| match within.unit {
            Unit::Day => i64::from(within.count) * DAY_S,
            Unit::Week => i64::from(within.count) * 7 * DAY_S,
            other => panic!("{other:?} is no unit of a limit"),
        });
        self.each(|_, person| {
            let times = |step: usize| steps[step](person).into_iter().map(|event| event.at).collect::<Vec<i64>>();
            let later: Vec<Vec<i64>> = (1..steps.len()).map(times).collect();
            times(0).into_iter().any(|first| {
                // Times at which the steps so far can have been made, the last of them just then.
                let mut reached = vec![first];
                for times in &later {
                    let near = |time: &&i64| limit_s.is_none_or(|limit_s| **time <= first + limit_s);
                    let before = reached.iter().min().copied();
                    let follows = |time: &&i64| before.is_some_and(|before| before < **time);
                    reached = times.iter().filter(near).filter(follows).copied().collect();
                }
                !reached.is_empty()
            })
        })
    }

    /// What an aggregate comes to for a person; none where it is null.
    pub fn of_events<'a>(&'a self, aggregate: &'a EventAggregate) -> Look<'a> {
        let matching = self.matching(&aggregate.filter);
        let function = aggregate.function;
        let Some(name) = &aggregate.of else {
            assert_eq!(function, EventFunction::Count, "only a count is of events as such");
            return Box::new(move |_, person| Some(Has::Number(matching(person).len() as i128, 0)));
        };
        let event = &self.world.events[self.world.event(&aggregate.filter.event.text).expect("an event")];
        let of = Of::named(event, &name.text);
        Box::new(move |_, person| {
            let mut events = matching(person);
            let known: Vec<Has<'_>> = events.iter().filter_map(|event| of.of(event)).collect();
            let numbers = known.iter().map(|has| match has {
                Has::Number(n, _) => *n,
                other => panic!("{other:?} is no number"),
            });
            match function {
                EventFunction::Count => panic!("a count has no property"),
                EventFunction::Sum => Some(Has::Number(numbers.sum(), of.scale())),
                EventFunction::Avg if known.is_empty() => None,
                EventFunction::Avg => Some(Has::Mean(numbers.sum(), known.len() as i128 * 10i128.pow(of.scale()))),
                EventFunction::Min => known.into_iter().min(),
                EventFunction::Max => known.into_iter().max(),
                EventFunction::CountDistinct => {
                    Some(Has::Number(known.iter().collect::<BTreeSet<_>>().len() as i128, 0))
                }
                EventFunction::First | EventFunction::Last => {
                    // Events of one time stay in the order of acceptance.
                    events.sort_by_key(|event| event.at);
                    let one = if function == EventFunction::First { events.first() } else { events.last() };
                    one.and_then(|event| of.of(event))
                }
            }
        })
    }

    /// Events of a person that meet a condition, in the order of acceptance.
    fn matching<'a>(&'a self, filter: &'a EventFilter) -> Matching<'a> {
        let event = self.world.event(&filter.event.text).expect("an event");
        let condition = filter.condition.as_ref().map(|condition| self.condition(event, condition));
        Box::new(move |person| {
            let meets = |event: &&Event| condition.as_ref().is_none_or(|meets| meets(event));
            person.events_of(event).iter().filter(meets).collect()
        })
    }

    /// The same two-valued rules, over events in place of people.
    pub fn condition<'a>(&'a self, event: usize, predicate: &'a Predicate) -> Condition<'a> {
        let all = |children: &'a [Predicate]| -> Vec<Condition<'a>> {
            children.iter().map(|child| self.condition(event, child)).collect()
        };
        let of = |name: &Name| Of::named(&self.world.events[event], &name.text);
        let at = |operand: &Operand| match operand {
            Operand::Name(name) => of(name),
            other => panic!("{other:?} is not of an event"),
        };
        match &predicate.kind {
            PredicateKind::Constant(value) => Box::new(move |_| *value),
            PredicateKind::And(children) | PredicateKind::Or(children) if children.is_empty() => Box::new(|_| true),
            PredicateKind::And(children) => {
                let all = all(children);
                Box::new(move |event| all.iter().all(|meets| meets(event)))
            }
            PredicateKind::Or(children) => {
                let all = all(children);
                Box::new(move |event| all.iter().any(|meets| meets(event)))
            }
            PredicateKind::Not(inner) => {
                let inner = self.condition(event, inner);
                Box::new(move |event| !inner(event))
            }
            PredicateKind::Flag(name) => {
                let of = of(name);
                Box::new(move |event| of.of(event) == Some(Has::Flag(true)))
            }
            PredicateKind::IsNull { operand, negated } => {
                let of = at(operand);
                Box::new(move |event| of.of(event).is_some() == *negated)
            }
            kind => {
                let (operand, negated, test) = self.clause(kind);
                let of = at(operand);
                Box::new(move |event| of.of(event).and_then(|has| test(&has)) == Some(!negated))
            }
        }
    }
}
