//! The leaf clauses of a predicate, each with its place in the AST and in the canonical tree.
//! The shape of that tree is decided here, once, for [`crate::predicate_tree`] and [`clauses`] alike.
//!
//! ```text
//!   AST    And[a, Not(Or[b, c]), Not(d)]
//!   tree   {and, rules: [a, {not, or, rules: [b, c]}, {not, and, rules: [d]}]}
//!   leaves a /rules/0 [0]   b /rules/1/rules/0 [1,0,0]   c /rules/1/rules/1 [1,0,1]   d /rules/2/rules/0 [2,0]
//! ```

use std::slice;

use crate::ast::{Predicate, PredicateKind};
use crate::predicates::Junction;

/// One leaf clause of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// JSON Pointer of its rule in the canonical tree.
    pub path: String,
    /// Which child to take from the root of the AST down to it; NOT has one child, 0.
    pub steps: Vec<usize>,
}

/// All leaf clauses, in order. A leaf is what the canonical tree has a rule for: `NOT EXISTS (…)` is one; TRUE and FALSE
/// are empty groups and therefore none; conditions inside subqueries and `was` belong to their clause.
pub fn clauses(predicate: &Predicate) -> Vec<Clause> {
    let mut found = Vec::new();
    match shape(predicate) {
        Shape::Leaf => found.push(Clause { path: "/rules/0".to_owned(), steps: Vec::new() }),
        Shape::Group(group) => walk(&group, String::new(), &mut Vec::new(), &mut found),
    }
    found
}

fn walk(group: &Group<'_>, path: String, steps: &mut Vec<usize>, found: &mut Vec<Clause>) {
    let depth = steps.len();
    steps.extend(group.through);
    for (index, child) in group.children.iter().enumerate() {
        steps.push(index);
        let path = format!("{path}/rules/{index}");
        match shape(child) {
            Shape::Leaf => found.push(Clause { path, steps: steps.clone() }),
            Shape::Group(group) => walk(&group, path, steps, found),
        }
        steps.pop();
    }
    steps.truncate(depth);
}

/// A rule or group of the canonical tree, and the predicate that it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule<'p> {
    /// JSON Pointer in the canonical tree; of the root none.
    pub path: String,
    /// What it says, with the NOT of a group that has one.
    pub predicate: &'p Predicate,
    /// What a group is made of; nothing of a leaf.
    pub group: Option<RuleGroup<'p>>,
}

/// A group of rules.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleGroup<'p> {
    /// Everyone else.
    pub negated: bool,
    /// Any of, rather than all of.
    pub is_or: bool,
    /// In order.
    pub rules: Vec<Rule<'p>>,
}

/// The canonical tree from its root down to its leaves, which are those of [`clauses`].
pub fn rules(predicate: &Predicate) -> Rule<'_> {
    rule_of(predicate, root_group(predicate), String::new())
}

fn rule_of<'p>(predicate: &'p Predicate, group: Group<'p>, path: String) -> Rule<'p> {
    let rules = group.children.iter().zip(0..).map(|(child, index): (_, usize)| {
        let path = format!("{path}/rules/{index}");
        match shape(child) {
            Shape::Leaf => Rule { path, predicate: child, group: None },
            Shape::Group(group) => rule_of(child, group, path),
        }
    });
    let group = RuleGroup { negated: group.negated, is_or: group.junction == Junction::Or, rules: rules.collect() };
    Rule { path, predicate, group: Some(group) }
}

/// What a predicate is in the canonical tree.
pub(crate) enum Shape<'a> {
    /// One rule.
    Leaf,
    /// A group of rules.
    Group(Group<'a>),
}

/// A group of the canonical tree.
pub(crate) struct Group<'a> {
    pub(crate) negated: bool,
    pub(crate) junction: Junction,
    pub(crate) children: &'a [Predicate],
    /// The step from the predicate to the parent of `children`, if that is not the predicate itself.
    through: Option<usize>,
}

/// The group or rule that stands for `predicate` inside a group.
pub(crate) fn shape(predicate: &Predicate) -> Shape<'_> {
    let group = |negated, junction, children, through| Shape::Group(Group { negated, junction, children, through });
    match &predicate.kind {
        PredicateKind::And(children) => group(false, Junction::And, children, None),
        PredicateKind::Or(children) => group(false, Junction::Or, children, None),
        PredicateKind::Constant(value) => group(!value, Junction::And, &[], None),
        PredicateKind::Not(inner) => match &inner.kind {
            PredicateKind::Exists(_) => Shape::Leaf,
            PredicateKind::And(children) => group(true, Junction::And, children, Some(0)),
            PredicateKind::Or(children) => group(true, Junction::Or, children, Some(0)),
            _ => group(true, Junction::And, slice::from_ref(&**inner), None),
        },
        _ => Shape::Leaf,
    }
}

/// The group that stands for `predicate` at the root: a rule becomes a group of one.
pub(crate) fn root_group(predicate: &Predicate) -> Group<'_> {
    match shape(predicate) {
        Shape::Group(group) => group,
        Shape::Leaf => {
            Group { negated: false, junction: Junction::And, children: slice::from_ref(predicate), through: None }
        }
    }
}
