//! Subqueries: `(SELECT 1 FROM event …)`, `(SELECT sum(amount) FROM event …)`, `(SELECT quantile(…) FROM profiles …)`
//! and `IN (SELECT one_id FROM profiles … ORDER BY … LIMIT n)`; and the aggregates that they and statements compute.
//!
//! What stands after FROM decides: `profiles` asks about everyone, any other name about the events of the profile at hand.

use super::Parser;
use super::predicate::Side;
use crate::ast::{
    Aggregate, Decimal, EventAggregate, EventFilter, EventFunction, Name, Operand, Predicate, PredicateKind,
    ProfileAggregate, Scalar, Span, Top,
};
use crate::diagnostic::{Fault, Outcome};
use crate::lexer::{Token, TokenKind};
use crate::nearest::nearest;
use crate::predicates;
use crate::words::{AGGREGATES, PROFILES};

/// An aggregate before it is known what it is computed over.
pub(super) struct Computed {
    function: Function,
    of: Option<Name>,
    span: Span,
}

enum Function {
    Event(EventFunction),
    Quantile(Decimal),
}

impl Parser<'_> {
    /// `EXISTS (SELECT 1 FROM event …)`.
    pub(super) fn exists(&mut self) -> Outcome<PredicateKind> {
        self.bump();
        Ok(PredicateKind::Exists(self.event_filter("EXISTS")?))
    }

    /// `(SELECT 1 FROM event [WHERE …])`.
    pub(super) fn event_filter(&mut self, place: &str) -> Outcome<EventFilter> {
        let open = self.need(TokenKind::LeftParen, format_args!("(SELECT 1 FROM …) in {place}"))?;
        self.need_word("SELECT", format_args!("1 FROM … in {place}"))?;
        let one = self.current.of(self.text) == "1" && self.eat(TokenKind::Number);
        if !one && !self.eat(TokenKind::Star) {
            return Err(self.expected("`1` after SELECT: only whether there is an event is asked"));
        }
        self.need_word("FROM", "and an event")?;
        let event = self.name("the name of an event after FROM")?;
        if event.text == PROFILES {
            let message = format!("{place} asks about events of the profile at hand, not about profiles");
            return Err(Fault::new("unsupported", event.span, message).hint("name an event after FROM"));
        }
        let condition = self.subquery_filter()?.map(Box::new);
        self.close_subquery(open)?;
        Ok(EventFilter { event, condition, span: self.span_from(open.start) })
    }

    /// `(SELECT aggregate FROM event|profiles [WHERE …])`.
    pub(super) fn scalar_subquery(&mut self) -> Outcome<Side> {
        let open = self.need(TokenKind::LeftParen, "`(`")?;
        self.need_word("SELECT", "in the subquery")?;
        if !self.at_aggregate() {
            return Err(self.expected("an aggregate such as count(*) after SELECT"));
        }
        let computed = self.aggregate()?;
        self.need_word("FROM", "and an event or profiles")?;
        let from = self.name("an event or profiles after FROM")?;
        let filter = self.subquery_filter()?.map(Box::new);
        self.close_subquery(open)?;
        let span = self.span_from(open.start);
        if from.text == PROFILES {
            let aggregate = self.over_profiles(computed)?;
            return Ok(Side::Scalar(Scalar::ProfileAggregate(Box::new(ProfileAggregate { aggregate, filter, span }))));
        }
        let Function::Event(function) = computed.function else {
            let message = "quantile is computed over profiles, not over the events of one profile";
            return Err(Fault::new("unsupported", computed.span, message));
        };
        let filter = EventFilter { event: from, condition: filter, span };
        let aggregate = EventAggregate { function, of: computed.of, filter };
        Ok(Side::Operand(Operand::EventAggregate(Box::new(aggregate))))
    }

    /// `[WHERE …]`; TRUE is none.
    fn subquery_filter(&mut self) -> Outcome<Option<Predicate>> {
        if !self.eat_word("WHERE") {
            return Ok(None);
        }
        self.deeper(Parser::predicate).map(|predicate| predicates::condition(Some(predicate)))
    }

    fn close_subquery(&mut self, open: Token) -> Outcome<()> {
        if self.at(TokenKind::RightParen) {
            return self.close(open);
        }
        self.refuse_clause()?;
        self.close(open)
    }

    /// `(SELECT one_id FROM profiles [WHERE …] [ORDER BY tag [DESC] LIMIT n])` behind IN; `open` is its `(`.
    pub(super) fn top(&mut self, operand: Operand, negated: bool, open: Token) -> Outcome<PredicateKind> {
        let span = match &operand {
            Operand::Name(name) if name.text == "one_id" => name.span,
            Operand::Name(Name { span, .. }) | Operand::MonthDay(Name { span, .. }) | Operand::Bucket { span, .. } => {
                return Err(only_one_id(*span));
            }
            Operand::EventAggregate(aggregate) => return Err(only_one_id(aggregate.filter.span)),
        };
        self.bump();
        let column = self.name("one_id after SELECT")?;
        if column.text != "one_id" {
            return Err(only_one_id(column.span));
        }
        self.need_word("FROM", "profiles")?;
        let from = self.name("profiles after FROM")?;
        if from.text != PROFILES {
            let message = format!("expected profiles after FROM, found the event `{}`", from.text);
            return Err(Fault::new("unsupported", from.span, message)
                .hint(format!("to ask who has such events, write EXISTS (SELECT 1 FROM {} …)", from.text)));
        }
        let filter = self.subquery_filter()?;
        if self.at(TokenKind::RightParen) {
            self.close(open)?;
            let span = self.span_from(span.start);
            let everyone = Predicate { kind: PredicateKind::Constant(true), span };
            let kind = PredicateKind::Among(Box::new(filter.unwrap_or(everyone)));
            return Ok(if negated { PredicateKind::Not(Box::new(Predicate { kind, span })) } else { kind });
        }
        self.need_word("ORDER", "BY a tag")?;
        self.need_word("BY", "after ORDER")?;
        let by = self.name("a tag after ORDER BY")?;
        let descending = self.direction()?;
        if self.at(TokenKind::Comma) {
            return Err(self.unsupported("the top is in the order of one tag"));
        }
        self.need_word("LIMIT", "and a number")?;
        let n = self.whole_number(u64::MAX, "a number after LIMIT")?;
        self.close_subquery(open)?;
        let span = self.span_from(span.start);
        let kind = PredicateKind::Top(Box::new(Top { by, descending, n, filter, span }));
        Ok(if negated { PredicateKind::Not(Box::new(Predicate { kind, span })) } else { kind })
    }

    /// `[ASC|DESC] [NULLS LAST]`: whether descending.
    pub(super) fn direction(&mut self) -> Outcome<bool> {
        let descending = self.at_word("DESC");
        if descending || self.at_word("ASC") {
            self.bump();
        }
        if self.eat_word("NULLS") {
            if self.at_word("FIRST") {
                return Err(self.unsupported("unknown values come last, in both orders"));
            }
            self.need_word("LAST", "after NULLS")?;
        }
        Ok(descending)
    }

    /// Whether `name (` stands here: in these places that is an aggregate.
    pub(super) fn at_aggregate(&self) -> bool {
        self.at_name() && self.next.kind == TokenKind::LeftParen
    }

    /// `count(*)`, `sum(x)`, `quantile(x, 0.8)` …
    pub(super) fn aggregate(&mut self) -> Outcome<Computed> {
        let name = self.name("an aggregate")?;
        let open = self.bump();
        let function = match name.text.as_str() {
            "count" => return self.count(&name, open),
            "sum" => Some(EventFunction::Sum),
            "avg" => Some(EventFunction::Avg),
            "min" => Some(EventFunction::Min),
            "max" => Some(EventFunction::Max),
            "first" => Some(EventFunction::First),
            "last" => Some(EventFunction::Last),
            "quantile" => None,
            _ => {
                let shown: String = name.text.chars().take(60).collect();
                let fault = Fault::new("unknown_function", name.span, format!("there is no aggregate `{shown}`"));
                return Err(fault.suggest(nearest(&name.text, AGGREGATES)));
            }
        };
        if self.at_word("DISTINCT") {
            return Err(self.unsupported("DISTINCT goes with count only"));
        }
        let of = Some(self.name(format_args!("a name in {}", name.text))?);
        let function = match function {
            Some(function) => Function::Event(function),
            None => Function::Quantile(self.share()?),
        };
        self.close(open)?;
        Ok(Computed { function, of, span: self.span_from(name.span.start) })
    }

    fn count(&mut self, name: &Name, open: Token) -> Outcome<Computed> {
        let (function, of) = if self.eat(TokenKind::Star) {
            (EventFunction::Count, None)
        } else if self.eat_word("DISTINCT") {
            (EventFunction::CountDistinct, Some(self.name("a name after DISTINCT")?))
        } else {
            return Err(self.expected("`*` or DISTINCT and a name in count"));
        };
        self.close(open)?;
        Ok(Computed { function: Function::Event(function), of, span: self.span_from(name.span.start) })
    }

    /// The second argument of quantile: from 0 to 1.
    fn share(&mut self) -> Outcome<Decimal> {
        self.need(TokenKind::Comma, "`,` and a share from 0 to 1 in quantile")?;
        let start = self.current.start;
        let share = self.number("a share from 0 to 1")?;
        let one = 10_i128.pow(u32::from(share.scale));
        if (0..=one).contains(&share.digits) {
            return Ok(share);
        }
        Err(Fault::new("bad_number", self.span_from(start), "the share of a quantile is from 0 to 1"))
    }

    /// The aggregate, computed over many profiles or many events.
    pub(super) fn over_profiles(&self, computed: Computed) -> Outcome<Aggregate> {
        let Computed { function, of, span } = computed;
        let Some(of) = of else { return Ok(Aggregate::CountAll) };
        Ok(match function {
            Function::Quantile(share) => Aggregate::Quantile(of, share),
            Function::Event(EventFunction::Count | EventFunction::CountDistinct) => Aggregate::CountDistinct(of),
            Function::Event(EventFunction::Sum) => Aggregate::Sum(of),
            Function::Event(EventFunction::Avg) => Aggregate::Avg(of),
            Function::Event(EventFunction::Min) => Aggregate::Min(of),
            Function::Event(EventFunction::Max) => Aggregate::Max(of),
            Function::Event(EventFunction::First | EventFunction::Last) => {
                let message = "first and last are of the events of one profile";
                return Err(Fault::new("unsupported", span, message)
                    .hint("compare them in a condition: (SELECT first(…) FROM event) = …"));
            }
        })
    }
}

fn only_one_id(span: Span) -> Box<Fault> {
    Fault::new("unsupported", span, "a subquery behind IN is about one_id only")
        .hint("write one_id IN (SELECT one_id FROM profiles … ORDER BY tag DESC LIMIT n)")
}
