//! `was(state, predicate)`: bound and asked of the earlier view, then cut down to those who still live.
//! Knows which view is meant; what the predicate means there is the parent's matter, as anywhere.

use queryparser::ast::{Literal, LiteralValue, Predicate};

use super::Binder;
use crate::query::context::Context;
use crate::query::error::Result;
use crate::query::plan::Node;
use crate::query::remembered::Remembered;
use crate::query::states::{open, state_of_literal};
use crate::query::totals::id_set;

impl Binder<'_> {
    /// Everyone of the question's view for whom it held then. Two-valued: who did not live then is in no `was`, and in
    /// the `NOT` of each.
    pub(super) fn was(&mut self, state: &Literal, predicate: &Predicate) -> Result<Node> {
        let wanted = state_of_literal(&state.value, || match &state.value {
            LiteralValue::RelativeDate(intervals) => self.relative(intervals, state.span),
            _ => Ok(self.ctx.as_of),
        })?;
        let asked = match open(self.ctx.states, &wanted)? {
            Ok(asked) => asked,
            Err(unknown) => return Err(self.fault("unknown_state", state.span, unknown.message, unknown.hint)),
        };
        if let Some(message) = asked.nearest {
            self.warn("nearest_state", state.span, message);
        }
        if asked.view.data_version() == self.ctx.view.data_version() {
            return self.predicate(predicate);
        }
        let remembered = Remembered::default();
        let among = self.ctx.among.map(|among| among.of_view(&asked.view)).transpose()?;
        let ctx = Context { view: &asked.view, remembered: &remembered, among: among.as_ref(), ..*self.ctx };
        let mut then = Binder::new(&ctx, self.source);
        then.only = self.only;
        let plan = then.plan(predicate)?;
        self.warnings.extend(then.into_warnings());
        self.warnings.truncate(super::WARNINGS_MAX);
        let members = match self.only {
            Some(only) => only.set(&ctx, &plan)?,
            None => id_set(&ctx, &ctx.only(plan))?,
        };
        Ok(Node::ids(members.among_live(self.ctx.view)?))
    }
}
