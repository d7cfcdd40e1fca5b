//! Statements → text, in the canonical spelling of [`crate::predicate_text`].

use std::fmt::{self, Display, Formatter};

use crate::ast::{Having, OrderBy, Select, SelectExpression, SelectItem, Statement};
use crate::print_text::Identifier;

/// The statement as canonical text, without a `;`.
pub fn statement_text(statement: &Statement) -> String {
    statement.to_string()
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Statement::Select(select) => write!(f, "{select}"),
            Statement::Explain(select) => write!(f, "EXPLAIN {select}"),
        }
    }
}

impl Display for Select {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SELECT ")?;
        write_list(f, &self.items)?;
        write!(f, " FROM {}", Identifier(&self.from.text))?;
        if let Some(filter) = &self.filter {
            write!(f, " WHERE {filter}")?;
        }
        if !self.group_by.is_empty() {
            let names: Vec<Identifier<'_>> = self.group_by.iter().map(|name| Identifier(&name.text)).collect();
            write!(f, " GROUP BY ")?;
            write_list(f, &names)?;
        }
        if let Some(having) = &self.having {
            write!(f, " HAVING {having}")?;
        }
        if !self.order_by.is_empty() {
            write!(f, " ORDER BY ")?;
            write_list(f, &self.order_by)?;
        }
        self.limit.map_or(Ok(()), |limit| write!(f, " LIMIT {limit}"))
    }
}

impl Display for SelectItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.expression)?;
        self.alias.as_ref().map_or(Ok(()), |alias| write!(f, " AS {}", Identifier(&alias.text)))
    }
}

impl Display for SelectExpression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            SelectExpression::Column(name) => write!(f, "{}", Identifier(&name.text)),
            SelectExpression::Aggregate(aggregate) => write!(f, "{aggregate}"),
        }
    }
}

impl Display for OrderBy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.expression, if self.descending { " DESC" } else { "" })
    }
}

impl Display for Having {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Having::And(children) => write_chain(f, children, " AND ", |child| matches!(child, Having::Or(_))),
            Having::Or(children) => write_chain(f, children, " OR ", |_| false),
            Having::Not(inner) if matches!(**inner, Having::And(_) | Having::Or(_)) => write!(f, "NOT ({inner})"),
            Having::Not(inner) => write!(f, "NOT {inner}"),
            Having::Compare { aggregate, op, value, .. } => write!(f, "{aggregate} {op} {value}"),
        }
    }
}

fn write_chain(f: &mut Formatter<'_>, children: &[Having], word: &str, wrapped: fn(&Having) -> bool) -> fmt::Result {
    for (index, child) in children.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { word })?;
        if wrapped(child) { write!(f, "({child})")? } else { write!(f, "{child}")? }
    }
    Ok(())
}

fn write_list<T: Display>(f: &mut Formatter<'_>, things: &[T]) -> fmt::Result {
    for (index, thing) in things.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { ", " })?;
        write!(f, "{thing}")?;
    }
    Ok(())
}
