//! Earlier states at the engine's level: which view a request's `state` means, flows between two, sizes over days.
//! Knows spaces and requests; what a state is made of is the store's matter, how it is asked `query`'s.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::civil::Date;
use queryparser::At;
use serde::Serialize;
use storage::{State, StateError, StateRef, Store, View, ViewGuard};

use super::ask::{answer, named_tag, parse, plan_of};
use super::audiences::Lookup;
use super::past::Members;
use super::{Answer, Question, Result, Space};
use crate::query::bind::{Warning, request_fault};
use crate::query::distribution::Bins;
use crate::query::flow::{Flow, Request, Side, flow};
use crate::query::states::{Asked, open, state_of_text};
use crate::query::totals::count;
use crate::query::{Context, Node, Remembered, States};

impl States for Store {
    fn state(&self, wanted: &StateRef) -> std::result::Result<State, StateError> {
        Store::state(self, wanted)
    }
}

/// What is asked of a flow.
#[derive(Debug, Clone)]
pub struct FlowRequest {
    /// The tag: a flag, a category, a number or a date.
    pub tag: String,
    /// A date, or the name of a store snapshot.
    pub from: String,
    /// Likewise; the question's own view unless said.
    pub to: Option<String>,
    /// For numbers and dates.
    pub bins: Option<Bins>,
}

/// The sizes of an audience at the ends of days.
#[derive(Debug, Clone, Serialize)]
pub struct Sizes {
    /// A row for each day whose state is kept, ascending.
    pub rows: Vec<SizeRow>,
}

/// One day's size.
#[derive(Debug, Clone, Serialize)]
pub struct SizeRow {
    /// The day.
    pub day: String,
    /// Members at its end, without people who were erased since.
    pub people: u64,
}

/// A state beside the question's own, which needs no `was`.
fn side_of<'a>(state: &'a Asked, own: Side<'a>) -> Side<'a> {
    if state.view.data_version() == own.view.data_version() {
        return own;
    }
    Side { view: &state.view, name: state.name.as_ref() }
}

impl Space {
    /// Members by what a tag was in one state and became in another. The audience is that of the question's own view,
    /// in which all of them live.
    ///
    /// # Errors
    /// As [`Space::count`]; a tag or state that does not exist.
    pub fn flow(&self, question: &Question, request: &FlowRequest) -> Result<Answer<Flow>> {
        self.ask(question, |asked| {
            let axis = named_tag(asked.ctx.view, &request.tag, "/tag")?;
            let from = self.open_state(&request.from, "/from", &mut asked.warnings)?;
            let to = request.to.as_ref().map(|to| self.open_state(to, "/to", &mut asked.warnings)).transpose()?;
            let own = Side { view: asked.ctx.view, name: None };
            let sides = [side_of(&from, own), to.as_ref().map_or(own, |to| side_of(to, own))];
            let wanted = Request { axis, tag: &request.tag, bins: request.bins.as_ref() };
            Ok(flow(asked.ctx, asked.audience, sides, &wanted)?)
        })
    }

    /// How many an audience held at the end of each day from one to another, both included, whose state is kept.
    ///
    /// # Errors
    /// As [`Space::count`].
    pub fn sizes(&self, question: &Question, from: Option<Date>, to: Option<Date>) -> Result<Answer<Sizes>> {
        let start = Instant::now();
        let present = self.store.view();
        let lookup = self.lookup(&present);
        let past = self.past_of(&present, &lookup, question);
        let mut days = self.store.state_days()?;
        days.retain(|day| from.is_none_or(|from| from <= *day) && to.is_none_or(|to| *day <= to));
        let known = days.iter().filter_map(|day| Some((*day, past.get(*day, None)?)));
        let mut found: BTreeMap<Date, Members> = known.collect();
        days.retain(|day| !found.contains_key(day));
        let warnings = self.over_days((&present, &lookup), question, &days, |ctx, day, plan| {
            let members = Members { living: count(ctx, plan)?, entered: None, left: None };
            past.put(day, None, members);
            found.insert(day, members);
            Ok(())
        })?;
        let rows = found.into_iter().map(|(day, members)| SizeRow { day: day.to_string(), people: members.living });
        Ok(answer(Sizes { rows: rows.collect() }, &present, start, warnings))
    }

    /// Asks an audience of the states of some days. CURRENT_DATE is that day, unless the question says what it means.
    pub(super) fn over_days(
        &self,
        (present, lookup): (&View, &Lookup<'_>),
        question: &Question,
        days: &[Date],
        mut each: impl FnMut(&Context<'_>, Date, &Node) -> Result<()>,
    ) -> Result<Vec<Warning>> {
        let mut warnings = Vec::new();
        let budget = question.budget(Instant::now(), self.shared.limits.elapsed_ms_max);
        self.in_context_of(present, lookup, None, question, &budget, |ctx| {
            let parsed = question.audience.as_ref().map(|audience| parse(audience, ctx)).transpose()?;
            // Of a question without any day its faults are told, too.
            plan_of(ctx, parsed.as_ref(), &mut warnings)?;
            let mut walk = self.store.walk_states();
            for date in days.iter().copied() {
                ctx.budget.check()?;
                // None where the policy has done without it meanwhile.
                let Some(view) = walk.state(date)? else { continue };
                let (remembered, as_of) = (Remembered::default(), question.as_of.unwrap_or(date));
                let ctx = Context { view, remembered: &remembered, as_of, ..*ctx };
                each(&ctx, date, &plan_of(&ctx, parsed.as_ref(), &mut Vec::new())?)?;
            }
            Ok(())
        })?;
        Ok(warnings)
    }

    /// The view that a question is asked of.
    pub(super) fn view_for(&self, question: &Question, warnings: &mut Vec<Warning>) -> Result<ViewGuard> {
        match &question.state {
            Some(state) => Ok(ViewGuard::from_inner(self.open_state(state, "/state", warnings)?.view)),
            None => Ok(self.store.view()),
        }
    }

    fn open_state(&self, text: &str, pointer: &str, warnings: &mut Vec<Warning>) -> Result<Asked> {
        let asked = open(&self.store, &state_of_text(text))?
            .map_err(|unknown| request_fault("unknown_state", pointer, unknown.message, unknown.hint))?;
        if let Some(message) = &asked.nearest {
            let at = At::Tree { pointer: pointer.into() };
            warnings.push(Warning { code: "nearest_state", message: message.clone(), at });
        }
        Ok(asked)
    }
}
