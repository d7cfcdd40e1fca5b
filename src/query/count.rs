//! Counts: an audience, its base, and what each clause does to it.
//! Knows predicates and plans; the one code path by which anything is counted is `totals::count`.

use queryparser::ast::{Predicate, PredicateKind};
use serde::Serialize;

use super::bind::Binder;
use super::context::Context;
use super::error::Result;
use super::plan::Node;
use super::totals::count;

/// How many an audience holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CountAnswer {
    /// Members of the audience, whatever the base.
    pub count: u64,
    /// Members of the base.
    pub base_count: u64,
    /// |audience ∩ base| ÷ |base|; null over an empty base.
    pub share: Option<f64>,
    /// Each clause alone, and the whole without it; only if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clauses: Option<Vec<ClauseCount>>,
}

/// What one clause does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClauseCount {
    /// Pointer of the clause in the canonical tree.
    pub path: String,
    /// Members of the clause alone.
    pub count: u64,
    /// Members of the whole question with this clause taken out of its group.
    pub without: u64,
}

/// Counts an audience against a base.
///
/// # Errors
/// The budget's, or damage of the store.
pub fn count_answer(ctx: &Context<'_>, audience: &Node, base: &Node) -> Result<CountAnswer> {
    let (counted, base_count) = (count(ctx, audience)?, count(ctx, base)?);
    let both = match base {
        Node::Everyone => counted,
        base => count(ctx, &Node::and(vec![audience.clone(), base.clone()]).ordered(ctx.everyone()))?,
    };
    Ok(CountAnswer { count: counted, base_count, share: ratio(both, base_count), clauses: None })
}

/// Part ÷ whole; none of an empty whole.
pub(crate) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Counts each clause of a predicate alone, and the whole without it.
///
/// # Errors
/// As binding and counting.
pub fn breakdown(binder: &mut Binder<'_>, predicate: &Predicate) -> Result<Vec<ClauseCount>> {
    let mut counts = Vec::new();
    for clause in queryparser::clauses(predicate) {
        let alone = binder.plan(at(predicate, &clause.steps))?;
        let without = match removed(predicate, &clause.steps) {
            Some(rest) => binder.plan(&rest)?,
            None => Node::Everyone,
        };
        let (alone, without) = (count(binder.ctx, &alone)?, count(binder.ctx, &without)?);
        counts.push(ClauseCount { path: clause.path, count: alone, without });
    }
    Ok(counts)
}

fn at<'p>(predicate: &'p Predicate, steps: &[usize]) -> &'p Predicate {
    let Some((first, rest)) = steps.split_first() else { return predicate };
    match &predicate.kind {
        PredicateKind::And(children) | PredicateKind::Or(children) => at(&children[*first], rest),
        PredicateKind::Not(inner) => at(inner, rest),
        _ => predicate,
    }
}

/// The predicate without the clause at `steps`; nothing where that leaves its group empty.
fn removed(predicate: &Predicate, steps: &[usize]) -> Option<Predicate> {
    let (first, rest) = steps.split_first()?;
    let kind = match &predicate.kind {
        PredicateKind::And(children) => PredicateKind::And(without(children, *first, rest)),
        PredicateKind::Or(children) => PredicateKind::Or(without(children, *first, rest)),
        PredicateKind::Not(inner) => PredicateKind::Not(Box::new(removed(inner, rest)?)),
        _ => return None,
    };
    match kind {
        PredicateKind::And(mut left) | PredicateKind::Or(mut left) if left.len() < 2 => left.pop(),
        kind => Some(Predicate { kind, span: predicate.span }),
    }
}

fn without(children: &[Predicate], place: usize, rest: &[usize]) -> Vec<Predicate> {
    let kept = children.iter().enumerate().filter_map(|(at, child)| match at == place {
        true => removed(child, rest),
        false => Some(child.clone()),
    });
    kept.collect()
}
