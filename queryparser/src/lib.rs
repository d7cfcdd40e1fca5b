//! Audience questions, read and written: SQL text or JSON rule tree → one AST with places, and back to either.
//! Knows no schema, no data and no bitmaps: whether a name exists and a value fits is settled one floor up.
//!
//! ```text
//!   "age >= 30 AND vip"  ── lexer ── text::Parser ──┐                       ┌── predicate_text
//!                                                   ├── ast::Predicate ─────┤
//!   {"combinator": …}    ──────────── tree::Reader ─┘   (+ Source: places)  └── predicate_tree
//! ```
//!
//! Nothing here recurses without a bound: every level of nesting is counted against [`Limits::depth_max`], and chains
//! of AND and OR are loops that build one n-ary node. So no question overflows the stack when parsed, printed or dropped.
//!
//! ```
//! let limits = queryparser::Limits::default();
//! let parsed = queryparser::parse_predicate("30 <= age and Vip", &limits).unwrap();
//! assert_eq!(queryparser::predicate_text(&parsed.ast), "age >= 30 AND vip");
//! let problem = queryparser::parse_predicate("country = AND plan = 'x'", &limits).unwrap_err();
//! assert_eq!(problem.message, "expected a value after `=`, found `AND`");
//! ```

pub mod ast;
mod clauses;
mod dates;
mod decimal;
mod depth;
mod diagnostic;
mod lexer;
mod nearest;
mod predicates;
mod print_statement;
mod print_text;
mod print_tree;
mod source;
mod spans;
mod text;
mod tree;
mod words;

use std::sync::Arc;

use serde_json::Value;

pub use clauses::{Clause, Rule, RuleGroup, clauses, rules};
pub use dates::{date as parse_date, timestamp as parse_timestamp};
pub use diagnostic::Diagnostic;
pub use nearest::nearest;
pub use predicates::children;
pub use print_statement::statement_text;
pub use print_text::predicate_text;
pub use print_tree::predicate_tree;
pub use source::{At, PathTable, Source};
pub use spans::{Placed, clear_spans, without_spans};
pub use words::{AGGREGATES, FUNCTIONS};

use ast::{OrderBy, Predicate, Statement};
use diagnostic::Fault;

/// What a question may be at most. Each limit exceeded is an error with a code of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text; beyond it `text_too_long`.
    pub text_bytes_max: usize,
    /// Levels of parentheses, groups, NOTs and subqueries inside each other; beyond it `nesting_too_deep`.
    pub depth_max: u32,
    /// Clauses in the whole question, those inside subqueries too; beyond it `too_many_terms`.
    pub terms_max: u32,
    /// Values in one list; beyond it `too_many_literals`.
    pub list_literals_max: usize,
    /// Intervals added to one CURRENT_DATE; beyond it `too_many_intervals`.
    pub intervals_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            text_bytes_max: 64 << 20,
            depth_max: 64,
            terms_max: 100_000,
            list_literals_max: 2_000_000,
            intervals_max: 16,
        }
    }
}

/// A question that was understood, and what its [`ast::Span`]s refer to.
#[derive(Debug, Clone)]
pub struct Parsed<T> {
    /// What was asked.
    pub ast: T,
    /// Turns spans into places.
    pub source: Source,
}

/// Reads a condition: what stands after WHERE. The whole text must be one.
/// Linear in the text; 1,000,000 ids in a list take well under a second.
///
/// # Errors
/// The first thing that is not understood, with its place; blank text (`empty`); a limit exceeded.
pub fn parse_predicate(text: &str, limits: &Limits) -> Result<Parsed<Predicate>, Diagnostic> {
    parse_text(text, limits, |parser| {
        let predicate = parser.whole_predicate()?;
        depth::check_predicate(&predicate, limits)?;
        Ok(predicate)
    })
}

/// Reads a statement: `SELECT …` or `EXPLAIN SELECT …`, with or without a `;` at the end.
///
/// # Errors
/// As [`parse_predicate`].
pub fn parse_statement(text: &str, limits: &Limits) -> Result<Parsed<Statement>, Diagnostic> {
    parse_text(text, limits, |parser| {
        let statement = parser.whole_statement()?;
        depth::check_statement(&statement, limits)?;
        Ok(statement)
    })
}

/// Reads what stands after ORDER BY: `age DESC, city`.
///
/// # Errors
/// As [`parse_predicate`].
pub fn parse_order_by(text: &str, limits: &Limits) -> Result<Parsed<Vec<OrderBy>>, Diagnostic> {
    parse_text(text, limits, |parser| parser.whole_order())
}

/// Reads a rule tree: a group `{combinator, rules}` or a single rule.
/// Linear in the tree; a value in a list costs 8 bytes of path table besides itself.
///
/// # Errors
/// The first thing that is not understood, with its JSON Pointer; a limit exceeded.
pub fn parse_tree(tree: &Value, limits: &Limits) -> Result<Parsed<Predicate>, Diagnostic> {
    let mut reader = tree::Reader::new(limits);
    let read = reader.root(tree).and_then(|predicate| {
        depth::check_predicate(&predicate, limits)?;
        Ok(predicate)
    });
    let source = Source::Tree(Arc::new(reader.into_paths()));
    match read {
        Ok(ast) => Ok(Parsed { ast, source }),
        Err(fault) => Err(fault.located(&source)),
    }
}

fn parse_text<T>(
    text: &str,
    limits: &Limits,
    read: impl FnOnce(&mut text::Parser<'_>) -> Result<T, Box<Fault>>,
) -> Result<Parsed<T>, Diagnostic> {
    if text.len() > limits.text_bytes_max {
        let message = format!("the text has {} bytes; at most {} are read", text.len(), limits.text_bytes_max);
        return Err(Fault::new("text_too_long", ast::Span::default(), message).located(&Source::Text(Arc::from(""))));
    }
    let read = read(&mut text::Parser::new(text, limits));
    let source = Source::Text(Arc::from(text));
    match read {
        Ok(ast) => Ok(Parsed { ast, source }),
        Err(fault) => Err(fault.located(&source)),
    }
}
