//! What was found of past days, whose states do not change: an audience's sizes, and who entered and left.
//! Knows keys and numbers; what is found is the caller's. Whatever states or definitions hang on starts it anew.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::civil::Date;
use queryparser::ast::Predicate;
use queryparser::predicate_text;
use storage::{FrozenInfo, Schema, View};

use super::ask::parse_limited;
use super::audiences::Lookup;
use super::{Question, Space};
use crate::query::audiences::asks_states;

/// Most findings of a kind that are remembered; beyond it all are dropped.
const FOUND_MAX: usize = 1 << 16;
/// Longest question that is remembered, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 14;

/// Members of one day, and what became of those of the day before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Members {
    /// Those who still live.
    pub(super) living: u64,
    /// Of them, those who were none before; none of a first day.
    pub(super) entered: Option<u64>,
    /// Members before who are none any more.
    pub(super) left: Option<u64>,
}

/// What the members of past days hang on, besides the question and the audiences that it is built on.
#[derive(Debug, Clone)]
pub(super) struct Basis {
    schema: Arc<Schema>,
    erasures: u64,
    state_changes: u64,
}

impl PartialEq for Basis {
    fn eq(&self, other: &Basis) -> bool {
        Arc::ptr_eq(&self.schema, &other.schema)
            && (self.erasures, self.state_changes) == (other.erasures, other.state_changes)
    }
}

/// A question spelled out, what CURRENT_DATE means in it unless each day itself, a day, and the one before where that
/// matters.
type DayKey = (Arc<str>, Option<Date>, Date, Option<Date>);

/// A frozen set, and the one before it. No two sets share number and data version.
pub(super) type FrozenPair = ((Date, FrozenInfo), Option<(Date, FrozenInfo)>);

/// Findings on one basis.
#[derive(Debug)]
pub(super) struct Found<B, K>(Mutex<(Option<B>, HashMap<K, Members>)>);

impl<B, K> Default for Found<B, K> {
    fn default() -> Found<B, K> {
        Found(Mutex::new((None, HashMap::new())))
    }
}

impl<B: PartialEq + Clone, K: Eq + Hash> Found<B, K> {
    fn on(&self, basis: &B) -> MutexGuard<'_, (Option<B>, HashMap<K, Members>)> {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found.0.as_ref() != Some(basis) || found.1.len() >= FOUND_MAX {
            *found = (Some(basis.clone()), HashMap::new());
        }
        found
    }

    pub(super) fn get(&self, basis: &B, key: &K) -> Option<Members> {
        self.on(basis).1.get(key).copied()
    }

    pub(super) fn put(&self, basis: &B, key: K, members: Members) {
        self.on(basis).1.insert(key, members);
    }
}

/// What was found of past days.
#[derive(Debug, Default)]
pub(super) struct Past {
    days: Found<Basis, DayKey>,
    /// By frozen sets, which hang on nothing but how often somebody was erased.
    pub(super) frozen: Found<u64, FrozenPair>,
}

/// What was found of the past days of one question.
pub(super) struct PastOf<'a> {
    days: &'a Found<Basis, DayKey>,
    basis: Basis,
    /// None of one that is not to be remembered.
    question: Option<Arc<str>>,
    as_of: Option<Date>,
}

impl PastOf<'_> {
    fn key(&self, day: Date, before: Option<Date>) -> Option<DayKey> {
        Some((self.question.clone()?, self.as_of, day, before))
    }

    pub(super) fn get(&self, day: Date, before: Option<Date>) -> Option<Members> {
        self.days.get(&self.basis, &self.key(day, before)?)
    }

    pub(super) fn put(&self, day: Date, before: Option<Date>, members: Members) {
        if let Some(key) = self.key(day, before) {
            self.days.put(&self.basis, key, members);
        }
    }
}

impl Space {
    /// What was found of the past days of a question, by some definitions, as long as nothing has changed that they hang
    /// on.
    pub(super) fn past_of(&self, present: &View, lookup: &Lookup<'_>, question: &Question) -> PastOf<'_> {
        let basis = Basis {
            schema: present.schema().clone(),
            erasures: present.erasures(),
            state_changes: self.store.state_changes(),
        };
        let spelled = match &question.audience {
            None => Some(String::new()),
            // What is wrong with it is told when it is asked.
            Some(audience) => {
                let parsed = parse_limited(audience, &self.shared.limits).ok();
                parsed.and_then(|parsed| spelled_out(lookup, &parsed.ast))
            }
        };
        let question_text = spelled.filter(|text| text.len() <= TEXT_BYTES_MAX).map(Arc::from);
        PastOf { days: &self.past.days, basis, question: question_text, as_of: question.as_of }
    }
}

/// A condition and those of all audiences that it is built on; none where it hangs on more than those.
fn spelled_out(lookup: &Lookup<'_>, asked: &Predicate) -> Option<String> {
    let built_of = lookup.built_of(asked)?;
    let named = built_of.iter().map(|(name, saved)| (name.as_str(), &saved.parsed.ast));
    let all: Vec<(&str, &Predicate)> = std::iter::once(("", asked)).chain(named).collect();
    if all.iter().any(|(_, part)| asks_states(part)) {
        return None;
    }
    let texts: Vec<(&str, String)> = all.into_iter().map(|(name, part)| (name, predicate_text(part))).collect();
    serde_json::to_string(&texts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_kept_on_its_basis_alone() {
        let found = Found::<u64, u32>::default();
        let members = |living| Members { living, entered: None, left: None };
        assert_eq!(found.get(&1, &7), None);
        found.put(&1, 7, members(70));
        assert_eq!((found.get(&1, &7), found.get(&1, &8)), (Some(members(70)), None));
        assert_eq!(found.get(&2, &7), None, "on another basis");
        assert_eq!(found.get(&1, &7), None, "which came between");
    }
}
