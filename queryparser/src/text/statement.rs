//! Statements: `[EXPLAIN] SELECT items FROM name [WHERE] [GROUP BY] [HAVING] [ORDER BY] [LIMIT] [;]`.
//! What SQL has and this language has not is refused by name, at its place.

use super::Parser;
use crate::ast::{Name, OrderBy, Select, SelectExpression, SelectItem, Statement};
use crate::diagnostic::{Fault, Outcome};
use crate::lexer::TokenKind;

/// Names that GROUP BY may have.
const GROUP_NAMES_MAX: usize = 2;

/// Clauses of SQL that are refused, and what to say.
const REFUSED: [(&str, &str); 21] = [
    ("OFFSET", "OFFSET is not supported: pages are asked for by the last one_id seen"),
    ("FETCH", "FETCH is not supported: write LIMIT n"),
    ("JOIN", "JOIN is not supported: events are asked for by EXISTS or (SELECT … FROM event)"),
    ("INNER", "JOIN is not supported: events are asked for by EXISTS or (SELECT … FROM event)"),
    ("LEFT", "JOIN is not supported: events are asked for by EXISTS or (SELECT … FROM event)"),
    ("RIGHT", "JOIN is not supported: events are asked for by EXISTS or (SELECT … FROM event)"),
    ("FULL", "JOIN is not supported: events are asked for by EXISTS or (SELECT … FROM event)"),
    ("CROSS", "JOIN is not supported: events are asked for by EXISTS or (SELECT … FROM event)"),
    ("NATURAL", "JOIN is not supported: events are asked for by EXISTS or (SELECT … FROM event)"),
    ("UNION", "UNION is not supported: join conditions with OR"),
    ("INTERSECT", "INTERSECT is not supported: join conditions with AND"),
    ("EXCEPT", "EXCEPT is not supported: join conditions with AND NOT"),
    ("WINDOW", "window functions are not supported"),
    ("OVER", "window functions are not supported"),
    ("FOR", "FOR is not supported"),
    ("FILTER", "FILTER is not supported: put the condition after WHERE"),
    ("GROUP", "GROUP BY does not belong here"),
    ("HAVING", "HAVING does not belong here"),
    ("ORDER", "ORDER BY does not belong here"),
    ("LIMIT", "LIMIT does not belong here"),
    ("TABLESAMPLE", "TABLESAMPLE is not supported: members can be sampled through the API"),
];

impl Parser<'_> {
    /// The whole text as one statement.
    pub(crate) fn whole_statement(&mut self) -> Outcome<Statement> {
        if self.at(TokenKind::End) {
            return Err(Fault::new("empty", self.current.span(), "the statement is empty")
                .hint("write SELECT count(*) FROM profiles"));
        }
        let explain = self.eat_word("EXPLAIN");
        if self.at_word("ANALYZE") {
            return Err(self.unsupported("EXPLAIN takes no ANALYZE: it shows the plan with its times"));
        }
        if self.at_word("WITH") {
            return Err(self.unsupported("WITH is not supported: save an audience and use in_audience('…')"));
        }
        self.need_word("SELECT", "or EXPLAIN SELECT")?;
        let select = self.select()?;
        while self.eat(TokenKind::Semicolon) {}
        if !self.at(TokenKind::End) {
            self.refuse_clause()?;
            return Err(self.unexpected("the end of the statement"));
        }
        Ok(if explain { Statement::Explain(select) } else { Statement::Select(select) })
    }

    /// Refuses a clause that SQL has and this place has not.
    pub(super) fn refuse_clause(&self) -> Outcome<()> {
        match REFUSED.into_iter().find(|(word, _)| self.at_word(word)) {
            Some((_, message)) => Err(self.unsupported(message)),
            None => Ok(()),
        }
    }

    fn select(&mut self) -> Outcome<Select> {
        if self.at_any_word(&["DISTINCT", "ALL"]) {
            return Err(self.unsupported("SELECT DISTINCT is not supported").hint("GROUP BY gives each value once"));
        }
        let mut items = vec![self.item()?];
        while self.eat(TokenKind::Comma) {
            items.push(self.item()?);
        }
        self.need_word("FROM", "after the list of SELECT")?;
        let from = self.name("profiles or the name of an event after FROM")?;
        self.refuse_alias()?;
        let filter = if self.eat_word("WHERE") { Some(self.predicate()?) } else { None };
        let group_by = self.group_by(&items)?;
        let having = if self.eat_word("HAVING") { Some(self.having()?) } else { None };
        let order_by = self.order_by(&items)?;
        let limit =
            if self.eat_word("LIMIT") { Some(self.whole_number(u64::MAX, "a number after LIMIT")?) } else { None };
        Ok(Select { items, from, filter, group_by, having, order_by, limit })
    }

    /// Only one table, and no other name for it.
    fn refuse_alias(&self) -> Outcome<()> {
        if self.at(TokenKind::Comma) {
            return Err(self.unsupported("only one name may stand after FROM"));
        }
        self.refuse_join()?;
        if self.at_word("AS") || (self.at_name() && !self.refused_word()) {
            return Err(self.unsupported("what stands after FROM takes no other name"));
        }
        Ok(())
    }

    fn refuse_join(&self) -> Outcome<()> {
        let here = ["GROUP", "HAVING", "ORDER", "LIMIT"];
        if self.at_any_word(&here) { Ok(()) } else { self.refuse_clause() }
    }

    fn refused_word(&self) -> bool {
        REFUSED.iter().any(|(word, _)| self.at_word(word))
    }

    fn item(&mut self) -> Outcome<SelectItem> {
        self.count_term()?;
        let start = self.current.start;
        if self.at(TokenKind::Star) {
            return Err(self
                .unsupported("SELECT * is not supported")
                .hint("name the tags, such as SELECT one_id, city; or count with SELECT count(*)"));
        }
        let expression = self.expression_item("a column or an aggregate")?;
        let alias = if self.eat_word("AS") { Some(self.name("a name after AS")?) } else { None };
        if alias.is_none() && self.at_name() && !self.refused_word() {
            return Err(self.expected("`,` or FROM").hint("another name for a column is written with AS"));
        }
        Ok(SelectItem { expression, alias, span: self.span_from(start) })
    }

    fn expression_item(&mut self, what: &str) -> Outcome<SelectExpression> {
        if !self.at_aggregate() {
            return Ok(SelectExpression::Column(self.name(what)?));
        }
        let computed = self.aggregate()?;
        self.over_profiles(computed).map(SelectExpression::Aggregate)
    }

    fn group_by(&mut self, items: &[SelectItem]) -> Outcome<Vec<Name>> {
        let mut names = Vec::new();
        if !self.eat_word("GROUP") {
            return Ok(names);
        }
        self.need_word("BY", "after GROUP")?;
        loop {
            if names.len() == GROUP_NAMES_MAX {
                return Err(self.unsupported(format!("GROUP BY takes at most {GROUP_NAMES_MAX} names")));
            }
            names.push(self.group_name(items)?);
            if !self.eat(TokenKind::Comma) {
                return Ok(names);
            }
        }
    }

    /// A name, or the place of an item that is one.
    fn group_name(&mut self, items: &[SelectItem]) -> Outcome<Name> {
        if !self.at(TokenKind::Number) {
            return self.name("a name after GROUP BY");
        }
        let span = self.current.span();
        match self.item_at(items)? {
            SelectExpression::Column(name) => Ok(Name { text: name.text, span }),
            SelectExpression::Aggregate(_) => {
                Err(Fault::new("syntax", span, "GROUP BY takes columns; this item is an aggregate"))
            }
        }
    }

    /// The item whose place, from 1, is the current number.
    fn item_at(&mut self, items: &[SelectItem]) -> Outcome<SelectExpression> {
        let span = self.current.span();
        let place = self.whole_number(u64::MAX, "the place of an item")?;
        let item = usize::try_from(place).ok().and_then(|place| items.get(place.checked_sub(1)?));
        item.map(|item| item.expression.clone()).ok_or_else(|| {
            let message = format!("there is no item {place}: the list of SELECT has {}", items.len());
            Fault::new("syntax", span, message)
        })
    }

    /// The whole text as what stands after ORDER BY, of a list that has no items to name by their place.
    pub(crate) fn whole_order(&mut self) -> Outcome<Vec<OrderBy>> {
        let keys = self.order_keys(&[])?;
        if self.at(TokenKind::End) { Ok(keys) } else { Err(self.unexpected("`,` or the end of the text")) }
    }

    fn order_by(&mut self, items: &[SelectItem]) -> Outcome<Vec<OrderBy>> {
        if !self.eat_word("ORDER") {
            return Ok(Vec::new());
        }
        self.need_word("BY", "after ORDER")?;
        self.order_keys(items)
    }

    fn order_keys(&mut self, items: &[SelectItem]) -> Outcome<Vec<OrderBy>> {
        let mut keys = Vec::new();
        loop {
            self.count_term()?;
            let start = self.current.start;
            let expression = if self.at(TokenKind::Number) {
                self.item_at(items)?
            } else {
                self.expression_item("a column, an aggregate or the place of an item to order by")?
            };
            let descending = self.direction()?;
            keys.push(OrderBy { expression, descending, span: self.span_from(start) });
            if !self.eat(TokenKind::Comma) {
                return Ok(keys);
            }
        }
    }
}
