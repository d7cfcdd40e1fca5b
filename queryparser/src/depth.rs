//! How deep an AST is: the bound that printing, dropping and every later pass may recurse by.
//! Each AND, OR, NOT and clause with a subquery is a level, whatever spelling it came from: so what was read from text
//! can be sent again as a tree, and the other way round.

use crate::Limits;
use crate::ast::{Having, Predicate, Statement};
use crate::diagnostic::{Fault, Outcome};
use crate::predicates::children;

/// # Errors
/// `nesting_too_deep` at the first predicate that is.
pub(crate) fn check_predicate(predicate: &Predicate, limits: &Limits) -> Outcome<()> {
    check(predicate, limits.depth_max, limits)
}

/// # Errors
/// `nesting_too_deep` at the first predicate that is. HAVING is bounded by its parentheses.
pub(crate) fn check_statement(statement: &Statement, limits: &Limits) -> Outcome<()> {
    let (Statement::Select(select) | Statement::Explain(select)) = statement;
    debug_assert!(select.having.as_ref().is_none_or(|having| having_depth(having) <= 2 * limits.depth_max + 2));
    select.filter.as_ref().map_or(Ok(()), |filter| check_predicate(filter, limits))
}

fn check(predicate: &Predicate, left: u32, limits: &Limits) -> Outcome<()> {
    let inside = children(predicate);
    if inside.is_empty() {
        return Ok(());
    }
    let Some(left) = left.checked_sub(1) else {
        let message = format!("nested more than {} deep", limits.depth_max);
        return Err(Fault::new("nesting_too_deep", predicate.span, message));
    };
    inside.into_iter().try_for_each(|child| check(child, left, limits))
}

fn having_depth(having: &Having) -> u32 {
    match having {
        Having::And(children) | Having::Or(children) => 1 + children.iter().map(having_depth).max().unwrap_or(0),
        Having::Not(inner) => 1 + having_depth(inner),
        Having::Compare { .. } => 0,
    }
}
