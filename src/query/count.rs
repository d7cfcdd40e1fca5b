//! Counts: an audience, its base, and what each clause does to it.
//! Knows predicates and plans; plans are counted by `totals::count`, a question together with its clauses by `breakdown`.

use serde::Serialize;

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

/// Measures an audience of `counted` members against a base.
///
/// # Errors
/// The budget's, or damage of the store.
pub fn count_answer(ctx: &Context<'_>, audience: &Node, counted: u64, base: &Node) -> Result<CountAnswer> {
    let base_count = count(ctx, base)?;
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
