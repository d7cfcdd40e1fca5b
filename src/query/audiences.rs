//! Saved audiences in questions: `in_audience('vip')`, however deep they are built on each other.
//! Knows how one is found and found only once; who saves them is the provider's matter.
//!
//! An audience is worked out once for a data version and a day, and remembered: one that is used in many places, or by
//! many others, costs what it costs once.

use std::sync::Arc;

use jiff::civil::Date;
use queryparser::ast::{Name, Predicate, PredicateKind, Scalar, Span};
use queryparser::{Parsed, Source, nearest};
use storage::OneId;

use super::bind::Binder;
use super::context::Context;
use super::error::Result;
use super::frozen::snapshots_used_by;
use super::plan::{IdSet, Node};
use super::totals::{count, materialized};

/// Audiences that may be built on each other, one in the other.
pub const DEPTH_MAX: usize = 64;

/// A saved audience.
#[derive(Debug)]
pub struct Saved {
    /// Its name.
    pub name: String,
    /// Counts up with each change.
    pub version: u64,
    /// Its definition.
    pub parsed: Parsed<Predicate>,
}

/// What an audience's members depend on, besides itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Moment {
    /// Of the people.
    pub data_version: u64,
    /// How many of them live: people are erased from earlier states, too.
    pub profiles: u32,
    /// What CURRENT_DATE means.
    pub as_of: Date,
}

/// Gives saved audiences, and remembers who is in them.
pub trait Audiences: Sync {
    /// The audience of a name, as it is now.
    ///
    /// # Errors
    /// A definition that cannot be read any more.
    fn find(&self, name: &str) -> Result<Option<Arc<Saved>>>;
    /// All names.
    fn names(&self) -> Vec<String>;
    /// Who was in an audience at a moment, where that is remembered.
    fn remembered(&self, saved: &Saved, moment: &Moment) -> Option<Node>;
    /// Remembers it.
    fn remember(&self, saved: &Saved, moment: &Moment, members: &Node);
    /// Who was frozen as an audience's members on a day; people among them may have been erased since.
    ///
    /// # Errors
    /// Damage of the store.
    fn frozen(&self, name: &str, date: Date) -> Result<Option<Arc<IdSet>>>;
    /// The days of an audience's snapshots, ascending.
    fn frozen_days(&self, name: &str) -> Vec<Date>;
}

/// There are none.
pub struct NoAudiences;

impl Audiences for NoAudiences {
    fn find(&self, _: &str) -> Result<Option<Arc<Saved>>> {
        Ok(None)
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn remembered(&self, _: &Saved, _: &Moment) -> Option<Node> {
        None
    }

    fn remember(&self, _: &Saved, _: &Moment, _: &Node) {}

    fn frozen(&self, _: &str, _: Date) -> Result<Option<Arc<IdSet>>> {
        Ok(None)
    }

    fn frozen_days(&self, _: &str) -> Vec<Date> {
        Vec::new()
    }
}

/// Names of the audiences that a predicate uses itself, each once, in order of appearance.
pub fn used_by(predicate: &Predicate) -> Vec<Name> {
    fn visit(predicate: &Predicate, names: &mut Vec<Name>) {
        if let PredicateKind::InAudience(name) = &predicate.kind
            && !names.iter().any(|known| known.text == name.text)
        {
            names.push(name.clone());
        }
        queryparser::children(predicate).into_iter().for_each(|child| visit(child, names));
    }
    let mut names = Vec::new();
    visit(predicate, &mut names);
    names
}

/// Whether who is in it depends on others than the profile at hand: a top N, or what is asked of profiles first.
pub fn looks_at_all(predicate: &Predicate) -> bool {
    let asks = |scalar: &Scalar| matches!(scalar, Scalar::ProfileAggregate(_));
    let itself = match &predicate.kind {
        PredicateKind::Top(_) => true,
        PredicateKind::Compare { scalar, .. } => asks(scalar),
        PredicateKind::Between { low, high, .. } => asks(low) || asks(high),
        _ => false,
    };
    itself || queryparser::children(predicate).into_iter().any(looks_at_all)
}

/// Whether who is in it depends on earlier states.
pub fn looks_back(predicate: &Predicate) -> bool {
    matches!(predicate.kind, PredicateKind::Was { .. }) || queryparser::children(predicate).into_iter().any(looks_back)
}

/// Whether who is in it hangs on more than data, day and definitions: on other states, of which today's is the present, or
/// on snapshots of audiences.
pub fn asks_states(predicate: &Predicate) -> bool {
    looks_back(predicate) || !snapshots_used_by(predicate).is_empty()
}

/// Names of the saved audiences that a live profile is in.
///
/// # Errors
/// The budget's, or damage of the store. A definition that cannot be asked any more holds nobody.
pub fn audiences_of(ctx: &Context<'_>, one_id: OneId) -> Result<Vec<String>> {
    let one = Node::ids(IdSet::from_sorted([one_id.0]));
    let mut inside = Vec::new();
    for text in ctx.audiences.names() {
        let source = Source::Text("".into());
        let mut binder = Binder::new(ctx, &source);
        let members = match binder.in_audience(&Name { text: text.clone(), span: Span::default() }) {
            Err(super::Error::Question(_)) => continue,
            members => members?,
        };
        if count(ctx, &Node::and(vec![one.clone(), members]))? > 0 {
            inside.push(text);
        }
    }
    Ok(inside)
}

impl Binder<'_> {
    pub(super) fn unknown_audience(&self, name: &Name) -> super::Error {
        let names = self.ctx.audiences.names();
        let hint = nearest(&name.text, names.iter().map(String::as_str));
        let hint = hint.map(|near| format!("did you mean '{near}'?"));
        self.fault("unknown_audience", name.span, format!("there is no audience `{}`", name.text), hint)
    }

    /// The members of a saved audience.
    ///
    /// # Errors
    /// An unknown name, with the nearest one; a fault of its definition; the budget's, or damage of the store.
    pub(super) fn in_audience(&mut self, name: &Name) -> Result<Node> {
        let audiences = self.ctx.audiences;
        let Some(saved) = audiences.find(&name.text)? else { return Err(self.unknown_audience(name)) };
        let view = self.ctx.view;
        let moment =
            Moment { data_version: view.data_version(), profiles: view.profile_count(), as_of: self.ctx.as_of };
        if let Some(members) = audiences.remembered(&saved, &moment) {
            return Ok(members);
        }
        if let Some(members) = self.only.and_then(|only| only.remembered(&saved, &moment)) {
            return Ok(members);
        }
        if self.depth >= DEPTH_MAX {
            let message = format!("audiences are built on each other more than {DEPTH_MAX} deep here");
            return Err(self.fault("nesting_too_deep", name.span, message, None));
        }
        let mut inner = Binder::new(self.ctx, &saved.parsed.source);
        inner.depth = self.depth + 1;
        inner.only = self.only;
        let members = inner.plan(&saved.parsed.ast).and_then(|plan| match self.only {
            Some(only) => Ok(Node::ids(only.set(self.ctx, &plan)?)),
            None => materialized(self.ctx, &self.ctx.only(plan)),
        });
        let warnings = inner.into_warnings();
        for warning in warnings {
            self.warn(warning.code, name.span, format!("in audience `{}`: {}", saved.name, warning.message));
        }
        let members = members.map_err(|error| match error {
            super::Error::Question(fault) => {
                let message = format!("audience `{}` cannot be asked any more: {}", saved.name, fault.message);
                self.fault(fault.code, name.span, message, fault.hint)
            }
            other => other,
        })?;
        match self.only {
            Some(only) => only.remember(&saved, moment, &members),
            None => audiences.remember(&saved, &moment, &members),
        }
        Ok(members)
    }
}
