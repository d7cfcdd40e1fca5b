//! Why a person is in an audience or not: clause by clause, with what was found of her, and the day that changes it.
//! Knows the canonical tree, audiences inside of it and earlier states; what a clause means is the binder's, and whether
//! it holds is asked of the evaluator that counts everyone, for her alone.
//!
//! ```text
//!   clause ── dates: days on which it can flip ── asked on each of them ── Timeline ┐
//!   group  ── AND, OR, NOT of its rules' timelines ─────────────────────────────────┴─ the first flip is the change
//! ```
//! A clause without CURRENT_DATE never flips by itself. One that holds dates of hers against CURRENT_DATE can flip only
//! where one of them is passed; one that holds her against others (the top N of a sliding window) is asked day by day.

mod dates;
mod found;

use std::collections::{BTreeSet, HashMap, HashSet};

use queryparser::ast::{LiteralValue, Name, Predicate, PredicateKind};
use queryparser::{Parsed, Rule, Source};
use serde::{Serialize, Serializer};
use storage::OneId;

use super::bind::day_from;
use super::bind::{Binder, Warning, date_of, day_number};
use super::cell::Cell;
use super::context::Context;
use super::error::{Error, Result};
use super::only::Only;
use super::remembered::Remembered;
use super::states::{open, state_of_literal};
use dates::Dates;
use found::found;

/// Days that are looked ahead.
pub const DAYS_AHEAD: i64 = 731;
/// Days that are looked ahead of a clause that is asked of everyone on each of them.
pub const DAYS_AHEAD_OF_EVERYONE: i64 = 62;
/// Most clauses that are told of; audiences beyond it are not taken apart.
const CLAUSES_MAX: usize = 2_000;
/// Audiences inside of each other that are taken apart.
const EXPANDED_DEPTH_MAX: usize = 16;
/// Longest text of a clause, in bytes.
const TEXT_BYTES_MAX: usize = 4_096;

/// Why someone is in an audience, or not.
#[derive(Debug, Clone, Serialize)]
pub struct Why {
    /// Her OneID.
    pub one_id: u32,
    /// Whether she is in it.
    pub matches: bool,
    /// The first later day on which that changes if nothing else happens.
    #[serde(serialize_with = "as_date")]
    pub changes_on: Option<i64>,
    /// What it is from then on.
    pub matches_then: Option<bool>,
    /// The last day that was looked at.
    #[serde(serialize_with = "as_day")]
    pub looked_until: i64,
    /// How the clauses are joined: `and`, `or`.
    pub combinator: &'static str,
    /// Whether it is everyone else.
    pub not: bool,
    /// The rules of the canonical tree's root.
    pub clauses: Vec<Reason>,
}

/// A rule or group of the canonical tree.
#[derive(Debug, Clone, Serialize)]
pub struct Reason {
    /// Its pointer in the canonical tree; within an audience or state in that one's own.
    pub path: String,
    /// What it says.
    pub text: String,
    /// Whether it holds.
    pub matches: bool,
    /// The first later day on which that changes if nothing else happens.
    #[serde(serialize_with = "as_date")]
    pub changes_on: Option<i64>,
    /// What was found of her; of a group nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Cell<'static>>,
    /// What that is held against, where it had to be worked out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Cell<'static>>,
    /// Of a group, an audience or a state: how its rules are joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combinator: Option<&'static str>,
    /// Likewise: whether it is everyone else.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub not: bool,
    /// Likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Reason>,
}

fn as_day<S: Serializer>(day: &i64, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    Cell::Date(*day).serialize(serializer)
}

fn as_date<S: Serializer>(day: &Option<i64>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    day.map_or(Cell::Null, Cell::Date).serialize(serializer)
}

/// Tells why a live profile is in an audience or not.
///
/// # Errors
/// The question's faults, the budget's, or damage of the store; more clauses than can be told of.
pub fn why(ctx: &Context<'_>, parsed: &Parsed<Predicate>, one_id: OneId) -> Result<(Why, Vec<Warning>)> {
    let only = Only::new(one_id);
    let place = Place { ctx, source: &parsed.source, depth: 0, is_live: ctx.view.is_live(one_id)?, is_past: false };
    let mut binder = place.binder(&only);
    let plan = binder.plan(&parsed.ast)?;
    let warnings = binder.into_warnings();
    let matches = only.is_in(ctx, &plan)?;
    let clauses = queryparser::clauses(&parsed.ast).len();
    if clauses > CLAUSES_MAX {
        return Err(Error::TooLarge { what: "clauses", asked: clauses as u64, max: CLAUSES_MAX as u64 });
    }
    let mut asker = Asker { only: &only, left: CLAUSES_MAX - clauses, expanded: HashSet::new(), known: HashMap::new() };
    let (root, timeline) = asker.rule(&place, &queryparser::rules(&parsed.ast))?;
    debug_assert_eq!(timeline.now, matches, "{}", root.text);
    let why = Why {
        one_id: one_id.0,
        matches,
        changes_on: timeline.flips.first().copied(),
        matches_then: timeline.flips.first().map(|_| !matches),
        looked_until: timeline.until,
        combinator: root.combinator.unwrap_or("and"),
        not: root.not,
        clauses: root.rules,
    };
    Ok((why, warnings))
}

/// Where a predicate is asked: of which people on which day, and inside of what.
#[derive(Clone, Copy)]
struct Place<'a> {
    ctx: &'a Context<'a>,
    source: &'a Source,
    /// How many audiences it is inside of.
    depth: usize,
    /// Whether she lived then: nobody else is in anything, nor in a NOT.
    is_live: bool,
    /// Of a state that moves with the day: what is told of it is told of one day.
    is_past: bool,
}

impl<'a> Place<'a> {
    fn binder(&self, only: &'a Only) -> Binder<'a> {
        let mut binder = Binder::new(self.ctx, self.source);
        binder.depth = self.depth;
        binder.only = Some(only);
        binder
    }

    fn holds(&self, only: &Only, predicate: &Predicate) -> Result<bool> {
        let plan = self.binder(only).plan(predicate)?;
        only.is_in(self.ctx, &plan)
    }
}

/// What an answer is from the question's day on.
#[derive(Debug, Clone, PartialEq)]
struct Timeline {
    now: bool,
    /// Later days on which it becomes the other, ascending.
    flips: Vec<i64>,
    /// The last day that is known.
    until: i64,
}

impl Timeline {
    fn is(&self, day: i64) -> bool {
        self.now ^ (self.flips.partition_point(|flip| *flip <= day) % 2 == 1)
    }

    /// All or any of some, or everyone else; from `today` to at most `until`.
    fn joined(parts: &[Timeline], is_or: bool, negated: bool, until: i64) -> Timeline {
        let of = |each: &dyn Fn(&Timeline) -> bool| {
            // An empty group is TRUE, whichever kind it is.
            let is = if is_or && !parts.is_empty() { parts.iter().any(each) } else { parts.iter().all(each) };
            is != negated
        };
        let until = parts.iter().map(|part| part.until).fold(until, i64::min);
        let now = of(&|part| part.now);
        let days: BTreeSet<i64> = parts.iter().flat_map(|part| part.flips.iter().copied()).collect();
        let (mut flips, mut is) = (Vec::new(), now);
        for day in days.into_iter().filter(|day| *day <= until) {
            if of(&|part| part.is(day)) != is {
                is = !is;
                flips.push(day);
            }
        }
        Timeline { now, flips, until }
    }
}

/// An audience, or a state, of one version and view.
type Known = (String, u64, u32);

struct Asker<'a> {
    only: &'a Only,
    /// Clauses that can still be told of.
    left: usize,
    /// Audiences that were taken apart already.
    expanded: HashSet<Known>,
    known: HashMap<Known, Timeline>,
}

impl Asker<'_> {
    fn rule(&mut self, place: &Place<'_>, rule: &Rule<'_>) -> Result<(Reason, Timeline)> {
        place.ctx.budget.check()?;
        let Some(group) = &rule.group else { return self.leaf(place, rule) };
        let mut reason = reason_of(rule);
        let mut parts = Vec::with_capacity(group.rules.len());
        for rule in &group.rules {
            let (inner, timeline) = self.rule(place, rule)?;
            reason.rules.push(inner);
            parts.push(timeline);
        }
        (reason.combinator, reason.not) = (Some(if group.is_or { "or" } else { "and" }), group.negated);
        let mut timeline = Timeline::joined(&parts, group.is_or, group.negated, last_day(place.ctx));
        if !place.is_live {
            timeline = Timeline { now: false, flips: Vec::new(), ..timeline };
        }
        Ok((told(reason, &timeline), timeline))
    }

    fn leaf(&mut self, place: &Place<'_>, rule: &Rule<'_>) -> Result<(Reason, Timeline)> {
        let mut reason = reason_of(rule);
        let timeline = match &rule.predicate.kind {
            PredicateKind::InAudience(name) => self.audience(place, rule.predicate, name, &mut reason)?,
            PredicateKind::Was { .. } => self.was(place, rule.predicate, &mut reason)?,
            PredicateKind::Among(inner) => {
                let timeline = self.inside(place, inner, &mut reason)?;
                reason.value = Some(Cell::Bool(timeline.now));
                timeline
            }
            _ => {
                let (value, threshold) = found(place, self.only, rule.predicate)?;
                (reason.value, reason.threshold) = (value, threshold);
                self.timeline(place, rule.predicate)?
            }
        };
        reason.value.get_or_insert(Cell::Bool(timeline.now));
        Ok((told(reason, &timeline), timeline))
    }

    /// The rules of a predicate inside of a clause become that clause's own.
    fn inside(&mut self, place: &Place<'_>, inner: &Predicate, reason: &mut Reason) -> Result<Timeline> {
        let (root, timeline) = self.rule(place, &queryparser::rules(inner))?;
        (reason.combinator, reason.not, reason.rules) = (root.combinator, root.not, root.rules);
        Ok(timeline)
    }

    fn audience(
        &mut self,
        place: &Place<'_>,
        predicate: &Predicate,
        name: &Name,
        reason: &mut Reason,
    ) -> Result<Timeline> {
        let (ctx, view) = (place.ctx, place.ctx.view);
        let known = (name.text.clone(), view.data_version(), view.profile_count());
        if let Some(timeline) = self.known.get(&known) {
            return Ok(timeline.clone());
        }
        let saved = ctx.audiences.find(&name.text)?;
        let clauses = saved.as_ref().map_or(0, |saved| queryparser::clauses(&saved.parsed.ast).len());
        let timeline = match saved {
            Some(saved)
                if clauses <= self.left && place.depth < EXPANDED_DEPTH_MAX && self.expanded.insert(known.clone()) =>
            {
                self.left -= clauses;
                let inner = Place { source: &saved.parsed.source, depth: place.depth + 1, ..*place };
                self.inside(&inner, &saved.parsed.ast, reason)?
            }
            _ => self.timeline(place, predicate)?,
        };
        if !place.is_past {
            self.known.insert(known, timeline.clone());
        }
        Ok(timeline)
    }

    fn was(&mut self, place: &Place<'_>, predicate: &Predicate, reason: &mut Reason) -> Result<Timeline> {
        let PredicateKind::Was { state, predicate: inner } = &predicate.kind else { unreachable!("it is a `was`") };
        let is_moving = matches!(state.value, LiteralValue::RelativeDate(_));
        let wanted = state_of_literal(&state.value, || match &state.value {
            LiteralValue::RelativeDate(intervals) => Ok(day_from(place.ctx.as_of, intervals).unwrap_or_default()),
            _ => Ok(place.ctx.as_of),
        })?;
        let Ok(asked) = open(place.ctx.states, &wanted)? else { return self.timeline(place, predicate) };
        let clauses = queryparser::clauses(inner).len();
        if clauses > self.left {
            return self.timeline(place, predicate);
        }
        self.left -= clauses;
        let remembered = Remembered::default();
        let ctx = Context { view: &asked.view, remembered: &remembered, ..*place.ctx };
        let is_live = place.is_live && ctx.view.is_live(self.only.one_id())?;
        let then = Place { ctx: &ctx, is_live, is_past: place.is_past || is_moving, ..*place };
        let timeline = self.inside(&then, inner, reason)?;
        if let [only] = &reason.rules[..] {
            reason.value = only.value.clone();
        }
        if is_moving { self.timeline(place, predicate) } else { Ok(timeline) }
    }

    /// A clause, on every day on which it can flip.
    fn timeline(&self, place: &Place<'_>, predicate: &Predicate) -> Result<Timeline> {
        let ctx = place.ctx;
        let today = day_number(ctx.as_of);
        let mut timeline = Timeline {
            now: place.is_live && place.holds(self.only, predicate)?,
            flips: Vec::new(),
            until: last_day(ctx),
        };
        if place.is_past || !place.is_live {
            return Ok(timeline);
        }
        let dates = Dates::of(ctx, self.only.one_id(), predicate)?;
        let mut is = timeline.now;
        let (days, until) = dates.days(today, timeline.until);
        timeline.until = until;
        for day in days {
            ctx.budget.check()?;
            let later = Context { as_of: date_of(day), ..*ctx };
            match (Place { ctx: &later, ..*place }).holds(self.only, predicate) {
                Ok(holds) if holds == is => {}
                Ok(holds) => {
                    is = holds;
                    timeline.flips.push(day);
                }
                // It cannot be asked on that day, as of a state that is not there yet.
                Err(Error::Question(_)) => {
                    timeline.until = day - 1;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(timeline)
    }
}

fn last_day(ctx: &Context<'_>) -> i64 {
    day_number(date_of(day_number(ctx.as_of) + DAYS_AHEAD))
}

fn reason_of(rule: &Rule<'_>) -> Reason {
    let mut text = queryparser::predicate_text(rule.predicate);
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    Reason {
        path: rule.path.clone(),
        text,
        matches: false,
        changes_on: None,
        value: None,
        threshold: None,
        combinator: None,
        not: false,
        rules: Vec::new(),
    }
}

fn told(reason: Reason, timeline: &Timeline) -> Reason {
    Reason { matches: timeline.now, changes_on: timeline.flips.first().copied(), ..reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timelines_are_joined_day_by_day() {
        let line = |now, flips: &[i64], until| Timeline { now, flips: flips.to_vec(), until };
        let parts = [line(true, &[3, 7], 10), line(false, &[2, 5, 8], 9)];
        for (is_or, negated) in [(false, false), (false, true), (true, false), (true, true)] {
            let joined = Timeline::joined(&parts, is_or, negated, 100);
            assert_eq!(joined.until, 9);
            for day in 0..=9 {
                let (a, b) = (parts[0].is(day), parts[1].is(day));
                assert_eq!(joined.is(day), (if is_or { a || b } else { a && b }) != negated, "{day}");
            }
        }
        assert_eq!(Timeline::joined(&[], true, false, 4), line(true, &[], 4));
    }
}
