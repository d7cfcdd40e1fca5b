//! Binding: a predicate's names become fields, its literals values of their types, its dates days; the result is a plan.
//! Knows the schema, the view and the question's day; knows nothing of how a plan is run, save for the subqueries whose
//! one answer it needs first.
//!
//! Two-valued: each operator denotes a subset of the known, `NOT` everyone else. A value that nobody was ever given is
//! the empty set and a warning; a name that does not exist is an error with its place and the nearest name.

mod days;
mod earlier;
pub(crate) mod events;
pub(crate) mod literals;

use base64::Engine;
use jiff::ToSpan;
use jiff::civil::Date;
use queryparser::ast::{
    CompareOp, Decimal, Literal, LiteralValue, Name, Operand, Predicate, PredicateKind, Scalar, Span,
};
use queryparser::{At, Source, nearest};
use storage::field::{FALSE, FieldId, TRUE};
use storage::portable::read_portable;
use storage::{IdTypeId, TagId, TagType, ValueId, View};
use xxhash_rust::xxh3::xxh3_64;

pub use literals::day_from;

use super::context::Context;
use super::error::Result;
use super::like::Pattern;
use super::number::{Range, decimal_text};
use super::only::Only;
use super::plan::{ColumnTest, IdSet, LeafKind, Node, any_of, column_test, share};
use super::totals;

/// Something that is not wrong but that the asker should see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Stable code.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// Where.
    pub at: At,
}

/// Most warnings that one answer carries.
const WARNINGS_MAX: usize = 20;

/// What a name on the left stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The OneID itself.
    OneId,
    /// An id type.
    Identity(IdTypeId),
    /// A tag.
    Tag(TagId, TagType),
}

/// Binds names and predicates of one question.
pub struct Binder<'a> {
    /// What the question runs in.
    pub ctx: &'a Context<'a>,
    source: &'a Source,
    warnings: Vec<Warning>,
    /// How many audiences this one's is inside of.
    pub(super) depth: usize,
    /// The one person that is asked about, where it is only one: what stands for itself need not be found of others.
    pub(super) only: Option<&'a Only>,
}

impl<'a> Binder<'a> {
    /// For a question from `source`.
    pub fn new(ctx: &'a Context<'a>, source: &'a Source) -> Binder<'a> {
        Binder { ctx, source, warnings: Vec::new(), depth: 0, only: None }
    }

    /// What was warned of so far.
    pub fn into_warnings(self) -> Vec<Warning> {
        self.warnings
    }

    /// The plan of a predicate, ordered for running.
    ///
    /// # Errors
    /// The question's faults with their places; the budget's; damage of the store.
    pub fn plan(&mut self, predicate: &Predicate) -> Result<Node> {
        Ok(share(self.predicate(predicate)?.ordered(self.ctx.everyone())))
    }

    /// The plan of a subquery over profiles, whomever the question itself is about.
    ///
    /// # Errors
    /// As [`Binder::plan`].
    pub(super) fn of_everyone(&mut self, filter: Option<&Predicate>) -> Result<Node> {
        let Some(filter) = filter else { return Ok(Node::Everyone) };
        let only = self.only.take();
        let plan = self.plan(filter);
        self.only = only;
        plan
    }

    /// The field that a name stands for.
    ///
    /// # Errors
    /// An unknown name, with the nearest one.
    pub fn column(&self, name: &Name) -> Result<Column> {
        let schema = self.view().schema();
        if name.text == "one_id" {
            return Ok(Column::OneId);
        }
        if let Some((id, tag)) = schema.tag(&name.text) {
            return Ok(Column::Tag(id, tag.tag_type));
        }
        if let Some(id_type) = schema.id_type(&name.text) {
            return Ok(Column::Identity(id_type));
        }
        let names = schema.tags.iter().map(|t| t.name.as_str()).chain(schema.id_types.iter().map(String::as_str));
        let hint = nearest(&name.text, names.chain(["one_id"])).map(|near| format!("did you mean `{near}`?"));
        Err(self.fault("unknown_tag", name.span, format!("there is no tag or id type `{}`", name.text), hint))
    }

    /// A number or date tag.
    ///
    /// # Errors
    /// An unknown name, or a tag of another type.
    pub fn measure(&self, name: &Name, what: &str) -> Result<(TagId, TagType)> {
        match self.column(name)? {
            Column::Tag(id, tag_type @ (TagType::Number { .. } | TagType::Date)) => Ok((id, tag_type)),
            other => {
                let message = format!("{what} needs a number or date; `{}` is {}", name.text, kind_of(other));
                Err(self.fault("wrong_type", name.span, message, None))
            }
        }
    }

    /// An error at a place of the question.
    pub fn fault(&self, code: &'static str, span: Span, message: String, hint: Option<String>) -> super::Error {
        self.source.diagnostic(code, span, message, hint).into()
    }

    fn view(&self) -> &'a View {
        self.ctx.view
    }

    pub(super) fn warn(&mut self, code: &'static str, span: Span, message: String) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(Warning { code, message, at: self.source.locate(span) });
        }
    }

    fn predicate(&mut self, predicate: &Predicate) -> Result<Node> {
        match &predicate.kind {
            PredicateKind::Constant(true) => Ok(Node::Everyone),
            PredicateKind::Constant(false) => Ok(Node::Nobody),
            PredicateKind::And(all) => Ok(Node::and(all.iter().map(|p| self.predicate(p)).collect::<Result<_>>()?)),
            PredicateKind::Or(any) => Ok(Node::or(any.iter().map(|p| self.predicate(p)).collect::<Result<_>>()?)),
            PredicateKind::Not(inner) => Ok(Node::not(self.predicate(inner)?)),
            PredicateKind::Flag(name) => self.flag(name),
            PredicateKind::Compare { operand, op, scalar } => self.compare(operand, *op, scalar, predicate.span),
            PredicateKind::Between { operand, negated, low, high } => self.between(operand, *negated, low, high),
            PredicateKind::In { operand, negated, list } => self.in_list(operand, *negated, list),
            PredicateKind::Like { operand, negated, fold_case, pattern, escape } => {
                self.like(operand, *negated, *fold_case, pattern, *escape)
            }
            PredicateKind::IsNull { operand, negated } => {
                let known = self.known(operand)?;
                Ok(if *negated { known } else { Node::not(known) })
            }
            PredicateKind::HasAll { tag, list } => {
                let tag = self.set_tag(tag, "has_all")?;
                Ok(Node::and(
                    list.iter()
                        .map(|value| self.any_value(tag, true, std::slice::from_ref(value)))
                        .collect::<Result<_>>()?,
                ))
            }
            PredicateKind::HasNone { tag, list } => {
                let tag = self.set_tag(tag, "has_none")?;
                Ok(Node::not(self.any_value(tag, true, list)?))
            }
            PredicateKind::Exists(filter) => self.exists(filter),
            PredicateKind::FollowedBy { steps, within } => self.in_order(steps, *within),
            PredicateKind::Top(top) => {
                let (tag, _) = self.measure(&top.by, "ORDER BY")?;
                let among = self.of_everyone(top.filter.as_ref())?;
                Ok(Node::ids(totals::top(self.ctx, &among, tag, top.descending, top.n)?))
            }
            PredicateKind::Among(inner) => self.predicate(inner),
            PredicateKind::InAudience(name) => self.in_audience(name),
            PredicateKind::InSnapshot { audience, on } => self.in_snapshot(audience, on),
            PredicateKind::Was { state, predicate } => self.was(state, predicate),
            PredicateKind::InBitmap(literal) => self.in_bitmap(literal),
        }
    }

    fn flag(&self, name: &Name) -> Result<Node> {
        match self.column(name)? {
            Column::Tag(tag, TagType::Flag) => Node::bitmap(self.view(), FieldId::Tag(tag), TRUE),
            other => {
                let message = format!("`{}` is {}: it does not stand alone", name.text, kind_of(other));
                let hint = format!("compare it, as in {}", example(&name.text, other));
                Err(self.fault("wrong_type", name.span, message, Some(hint)))
            }
        }
    }

    fn set_tag(&self, name: &Name, function: &str) -> Result<TagId> {
        match self.column(name)? {
            Column::Tag(tag, TagType::Set) => Ok(tag),
            other => {
                let message = format!("{function} needs a set; `{}` is {}", name.text, kind_of(other));
                Err(self.fault("wrong_type", name.span, message, None))
            }
        }
    }

    fn known(&mut self, operand: &Operand) -> Result<Node> {
        match operand {
            Operand::Name(name) | Operand::MonthDay(name) => match self.column(name)? {
                Column::OneId => Ok(Node::Everyone),
                Column::Identity(id_type) => Node::known(self.view(), FieldId::IdType(id_type)),
                Column::Tag(tag, _) => Node::known(self.view(), FieldId::Tag(tag)),
            },
            Operand::Bucket { .. } => Ok(Node::Everyone),
            Operand::EventAggregate(aggregate) => self.known_aggregate(aggregate),
        }
    }

    /// The positive form, or what of the known is not in it.
    fn signed(&mut self, operand: &Operand, negated: bool, positive: Node) -> Result<Node> {
        if !negated {
            return Ok(positive);
        }
        Ok(Node::and(vec![self.known(operand)?, Node::not(positive)]))
    }

    fn compare(&mut self, operand: &Operand, op: CompareOp, scalar: &Scalar, span: Span) -> Result<Node> {
        let negated = op == CompareOp::NotEqual;
        let positive = match operand {
            Operand::Name(name) => match self.column(name)? {
                Column::Tag(tag, tag_type @ (TagType::Number { .. } | TagType::Date)) => {
                    // Null compares false, both ways.
                    let Some(range) = self.range(name, tag_type, op, scalar)? else { return Ok(Node::Nobody) };
                    self.column_range(tag, range)?
                }
                column => self.compare_discrete(name, column, op, scalar, span)?,
            },
            Operand::MonthDay(name) => {
                let tag = self.date_tag(name, "month_day")?;
                let day = self.month_day(self.literal(scalar)?)?;
                self.month_days(tag, &[month_day_range(op, day)])?
            }
            Operand::Bucket { salt, of, .. } => {
                let number = self.number(self.literal(scalar)?, "a bucket")?;
                self.bucket(salt, *of, number.range(op, 0))?
            }
            Operand::EventAggregate(aggregate) => self.compare_aggregate(aggregate, op, scalar)?,
        };
        self.signed(operand, negated, positive)
    }

    /// Flags, categories, sets and identities, and the OneID itself.
    fn compare_discrete(
        &mut self,
        name: &Name,
        column: Column,
        op: CompareOp,
        scalar: &Scalar,
        span: Span,
    ) -> Result<Node> {
        let is_equality = matches!(op, CompareOp::Equal | CompareOp::NotEqual);
        if !is_equality && column != Column::OneId {
            let message = format!("`{}` is {}: it has no order", name.text, kind_of(column));
            let hint = format!("write {}", example(&name.text, column));
            return Err(self.fault("wrong_type", span, message, Some(hint)));
        }
        let literal = self.literal(scalar)?;
        match column {
            Column::OneId => {
                let range = self.number(literal, "one_id")?.range(op, 0);
                self.one_id_range(range)
            }
            Column::Identity(id_type) => self.identities(name, id_type, std::slice::from_ref(literal)),
            Column::Tag(tag, TagType::Flag) => {
                let LiteralValue::Bool(value) = literal.value else {
                    return Err(self.misfit(name, column, literal));
                };
                Node::bitmap(self.view(), FieldId::Tag(tag), if value { TRUE } else { FALSE })
            }
            Column::Tag(tag, tag_type) => self.any_value(tag, tag_type == TagType::Set, std::slice::from_ref(literal)),
        }
    }

    fn between(&mut self, operand: &Operand, negated: bool, low: &Scalar, high: &Scalar) -> Result<Node> {
        let positive = match operand {
            Operand::Name(name) => match self.column(name)? {
                Column::Tag(tag, tag_type @ (TagType::Number { .. } | TagType::Date)) => {
                    let low = self.range(name, tag_type, CompareOp::GreaterOrEqual, low)?;
                    let high = self.range(name, tag_type, CompareOp::LessOrEqual, high)?;
                    match (low, high, negated) {
                        (Some(low), Some(high), _) => {
                            self.column_range(tag, Range { low: low.low, high: high.high })?
                        }
                        // NOT BETWEEN is below the one or above the other: a null end leaves the other side.
                        (Some(low), None, true) => self.column_range(tag, low)?,
                        (None, Some(high), true) => self.column_range(tag, high)?,
                        _ => return Ok(Node::Nobody),
                    }
                }
                Column::OneId => {
                    let low = self.number(self.literal(low)?, "one_id")?.range(CompareOp::GreaterOrEqual, 0);
                    let high = self.number(self.literal(high)?, "one_id")?.range(CompareOp::LessOrEqual, 0);
                    self.one_id_range(Range { low: low.low, high: high.high })?
                }
                other => {
                    let message = format!("`{}` is {}: it has no order", name.text, kind_of(other));
                    let hint = format!("write {}", example(&name.text, other));
                    return Err(self.fault("wrong_type", name.span, message, Some(hint)));
                }
            },
            Operand::MonthDay(name) => {
                let tag = self.date_tag(name, "month_day")?;
                let (low, high) = (self.month_day(self.literal(low)?)?, self.month_day(self.literal(high)?)?);
                // From 12-29 to 01-04 goes across New Year.
                let ranges = if low <= high { vec![(low, high)] } else { vec![(low, u16::MAX), (0, high)] };
                self.month_days(tag, &ranges)?
            }
            Operand::Bucket { salt, of, .. } => {
                let low = self.number(self.literal(low)?, "a bucket")?.range(CompareOp::GreaterOrEqual, 0);
                let high = self.number(self.literal(high)?, "a bucket")?.range(CompareOp::LessOrEqual, 0);
                self.bucket(salt, *of, Range { low: low.low, high: high.high })?
            }
            Operand::EventAggregate(aggregate) => self.between_aggregate(aggregate, negated, low, high)?,
        };
        self.signed(operand, negated, positive)
    }

    fn in_list(&mut self, operand: &Operand, negated: bool, list: &[Literal]) -> Result<Node> {
        let positive = match operand {
            Operand::Name(name) => match self.column(name)? {
                Column::OneId => {
                    let mut ids = Vec::with_capacity(list.len());
                    for literal in list {
                        let range = self.number(literal, "one_id")?.range(CompareOp::Equal, 0);
                        ids.extend((!range.is_empty()).then_some(range.low).and_then(|id| u32::try_from(id).ok()));
                    }
                    self.live_ids(ids)?
                }
                Column::Identity(id_type) => self.identities(name, id_type, list)?,
                Column::Tag(tag, tag_type @ (TagType::Category | TagType::Set)) => {
                    self.any_value(tag, tag_type == TagType::Set, list)?
                }
                Column::Tag(tag, tag_type @ (TagType::Number { .. } | TagType::Date)) => {
                    let mut values = Vec::with_capacity(list.len());
                    for literal in list {
                        let range = self.literal_range(name, tag_type, CompareOp::Equal, literal)?;
                        values.extend((!range.is_empty()).then_some(range.low));
                    }
                    values.sort_unstable();
                    values.dedup();
                    column_test(self.view(), tag, ColumnTest::Any(values))?
                }
                column @ Column::Tag(tag, TagType::Flag) => {
                    let mut nodes = Vec::new();
                    for literal in list {
                        let LiteralValue::Bool(value) = literal.value else {
                            return Err(self.misfit(name, column, literal));
                        };
                        nodes.push(Node::bitmap(self.view(), FieldId::Tag(tag), if value { TRUE } else { FALSE })?);
                    }
                    Node::or(nodes)
                }
            },
            Operand::MonthDay(name) => {
                let tag = self.date_tag(name, "month_day")?;
                let days = list.iter().map(|literal| self.month_day(literal).map(|day| (day, day)));
                let days = days.collect::<Result<Vec<_>>>()?;
                self.month_days(tag, &days)?
            }
            Operand::Bucket { salt, of, .. } => {
                let mut nodes = Vec::new();
                for literal in list {
                    let range = self.number(literal, "a bucket")?.range(CompareOp::Equal, 0);
                    nodes.push(self.bucket(salt, *of, range)?);
                }
                Node::or(nodes)
            }
            Operand::EventAggregate(aggregate) => self.aggregate_in(aggregate, list)?,
        };
        self.signed(operand, negated, positive)
    }

    fn like(
        &mut self,
        operand: &Operand,
        negated: bool,
        fold_case: bool,
        pattern: &Literal,
        escape: Option<char>,
    ) -> Result<Node> {
        let LiteralValue::Text(text) = &pattern.value else {
            return Err(self.fault("wrong_type", pattern.span, "LIKE takes a text with % and _".into(), None));
        };
        let name = match operand {
            Operand::Name(name) => name,
            Operand::EventAggregate(aggregate) => {
                let positive = self.aggregate_like(aggregate, fold_case, pattern, escape)?;
                return self.signed(operand, negated, positive);
            }
            Operand::MonthDay(_) | Operand::Bucket { .. } => {
                return Err(self.fault("wrong_type", pattern.span, "LIKE looks at texts".into(), None));
            }
        };
        let compiled = Pattern::new(text, escape, fold_case);
        let compiled = compiled.map_err(|message| self.fault("bad_pattern", pattern.span, message, None))?;
        let positive = match self.column(name)? {
            Column::Tag(tag, tag_type @ (TagType::Category | TagType::Set)) => {
                let values = self.view().tag(tag).values().iter()?;
                let matched: Vec<ValueId> = values.filter(|(_, text)| compiled.matches(text)).map(|(v, _)| v).collect();
                any_of(self.view(), tag, tag_type == TagType::Set, &matched)?
            }
            Column::Identity(id_type) => self.identities_like(id_type, &compiled)?,
            other => {
                let message = format!("LIKE looks at texts; `{}` is {}", name.text, kind_of(other));
                return Err(self.fault("wrong_type", name.span, message, None));
            }
        };
        self.signed(operand, negated, positive)
    }

    /// Everyone with any of some values of a category or set.
    fn any_value(&mut self, tag: TagId, is_set: bool, list: &[Literal]) -> Result<Node> {
        let values = self.view().tag(tag).values();
        let mut found = Vec::with_capacity(list.len());
        for literal in list {
            let LiteralValue::Text(text) = &literal.value else {
                let name = &self.view().schema().tags[tag.0 as usize].name;
                let column = Column::Tag(tag, if is_set { TagType::Set } else { TagType::Category });
                return Err(self.misfit(&Name { text: name.clone(), span: literal.span }, column, literal));
            };
            match values.find(text)? {
                Some(value) => found.push(value),
                None => self.warn_unknown_value(tag, text, literal.span)?,
            }
        }
        found.sort_unstable();
        found.dedup();
        any_of(self.view(), tag, is_set, &found)
    }

    fn warn_unknown_value(&mut self, tag: TagId, text: &str, span: Span) -> Result<()> {
        if self.warnings.len() >= WARNINGS_MAX {
            return Ok(());
        }
        /// Beyond so many values the nearest one is not looked for.
        const NEAREST_AMONG_MAX: u32 = 50_000;
        let field = self.view().tag(tag);
        let mut message =
            format!("nobody has the value '{text}' of `{}`", self.view().schema().tags[tag.0 as usize].name);
        if field.values().count() <= NEAREST_AMONG_MAX {
            let texts: Vec<&str> = field.values().iter()?.map(|(_, text)| text).collect();
            if let Some(near) = nearest(text, texts) {
                message = format!("{message}; did you mean '{near}'?");
            }
        }
        self.warn("unknown_value", span, message);
        Ok(())
    }

    fn identities(&mut self, name: &Name, id_type: IdTypeId, list: &[Literal]) -> Result<Node> {
        let mut ids = Vec::with_capacity(list.len().min(1 << 20));
        for literal in list {
            let LiteralValue::Text(text) = &literal.value else {
                return Err(self.misfit(name, Column::Identity(id_type), literal));
            };
            ids.extend(self.view().find_identity(id_type, text.as_bytes())?.map(|one_id| one_id.0));
            if ids.len() % 4096 == 0 {
                self.ctx.budget.check()?;
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(Node::ids(IdSet::from_sorted(ids)))
    }

    fn identities_like(&self, id_type: IdTypeId, pattern: &Pattern) -> Result<Node> {
        let view = self.view();
        let shares = self.ctx.map_shares(|share| {
            let keys = view.id_type(id_type).stripe(share.stripe).keys()?;
            let known = self.ctx.only(Node::known(view, FieldId::IdType(id_type))?);
            let mut ids = totals::collect_share(self.ctx, &known, share)?;
            ids.retain(|id| keys.keys(storage::ids::in_stripe(*id)).to_texts().iter().any(|key| pattern.matches(key)));
            Ok(ids)
        })?;
        Ok(Node::ids(IdSet::from_sorted(shares.into_iter().flatten())))
    }

    fn in_bitmap(&self, literal: &Literal) -> Result<Node> {
        let LiteralValue::Text(text) = &literal.value else {
            return Err(self.fault("wrong_type", literal.span, "in_bitmap takes a base64 text".into(), None));
        };
        let fault = |message: String| self.fault("bad_bitmap", literal.span, message, None);
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        let bytes = bytes.map_err(|e| fault(format!("not base64: {e}")))?;
        let bitmap = read_portable(&bytes).map_err(|e| fault(e.to_string()))?;
        Ok(Node::ids(IdSet::from_bitmap(&bitmap).among_live(self.view())?))
    }

    fn live_ids(&self, mut ids: Vec<u32>) -> Result<Node> {
        ids.sort_unstable();
        ids.dedup();
        Ok(Node::ids(IdSet::from_sorted(ids).among_live(self.view())?))
    }

    fn one_id_range(&self, range: Range) -> Result<Node> {
        let end = i64::from(self.view().next_one_id()) - 1;
        let range = Range { low: range.low.max(0), high: range.high.min(end) };
        if range.is_empty() {
            return Ok(Node::Nobody);
        }
        Ok(Node::ids(IdSet::of_range(range.low as u32, range.high as u32).among_live(self.view())?))
    }

    fn bucket(&self, salt: &Literal, of: u32, range: Range) -> Result<Node> {
        let LiteralValue::Text(salt) = &salt.value else {
            return Err(self.fault("wrong_type", salt.span, "bucket takes a text as its salt".into(), None));
        };
        let range = Range { low: range.low.max(0), high: range.high.min(i64::from(of) - 1) };
        if range.is_empty() {
            return Ok(Node::Nobody);
        }
        let estimate = (self.ctx.everyone() * (range.high - range.low + 1) as u64).div_ceil(u64::from(of).max(1));
        let (low, high) = (range.low as u32, range.high as u32);
        Ok(Node::leaf(LeafKind::Bucket { seed: xxh3_64(salt.as_bytes()), of, low, high }, estimate))
    }

    fn column_range(&self, tag: TagId, range: Range) -> Result<Node> {
        if range.is_empty() {
            return Ok(Node::Nobody);
        }
        column_test(self.view(), tag, ColumnTest::Range(range))
    }

    fn month_days(&self, tag: TagId, ranges: &[(u16, u16)]) -> Result<Node> {
        let Some((first, last)) = totals::column_bounds(self.ctx, tag)? else { return Ok(Node::Nobody) };
        column_test(self.view(), tag, ColumnTest::of_month_days(first, last, ranges))
    }

    fn date_tag(&self, name: &Name, function: &str) -> Result<TagId> {
        match self.column(name)? {
            Column::Tag(tag, TagType::Date) => Ok(tag),
            other => {
                let message = format!("{function} needs a date; `{}` is {}", name.text, kind_of(other));
                Err(self.fault("wrong_type", name.span, message, None))
            }
        }
    }
}

/// Months and days on one side of one.
fn month_day_range(op: CompareOp, day: u16) -> (u16, u16) {
    match op {
        CompareOp::Equal | CompareOp::NotEqual => (day, day),
        CompareOp::Less => (0, day - 1),
        CompareOp::LessOrEqual => (0, day),
        CompareOp::Greater => (day + 1, u16::MAX),
        CompareOp::GreaterOrEqual => (day, u16::MAX),
    }
}

/// Months and days from one to another, over the year's end where they must.
fn month_day_ranges(low: u16, high: u16) -> Vec<(u16, u16)> {
    if low <= high { vec![(low, high)] } else { vec![(low, u16::MAX), (0, high)] }
}

/// A quantile's q as whole numbers.
pub(crate) fn quantile_fraction(q: Decimal) -> (u128, u128) {
    let scale = q.scale.min(18);
    (q.digits.unsigned_abs(), 10u128.pow(scale.into()))
}

/// Days since 1970-01-01.
pub fn day_number(date: Date) -> i64 {
    let span = date - Date::constant(1970, 1, 1);
    i64::from(span.get_days())
}

/// The date of a day number; clipped to the calendar.
pub fn date_of(day: i64) -> Date {
    let day = day.clamp(-4_371_587, 2_932_896);
    Date::constant(1970, 1, 1).checked_add(day.days()).unwrap_or(Date::MAX)
}

/// A type in words.
pub(crate) fn kind_of(column: Column) -> &'static str {
    match column {
        Column::OneId => "the OneID",
        Column::Identity(_) => "an identity",
        Column::Tag(_, TagType::Flag) => "a flag",
        Column::Tag(_, TagType::Category) => "a category",
        Column::Tag(_, TagType::Set) => "a set",
        Column::Tag(_, TagType::Number { .. }) => "a number",
        Column::Tag(_, TagType::Date) => "a date",
    }
}

fn example(name: &str, column: Column) -> String {
    match column {
        Column::OneId => format!("{name} = 17"),
        Column::Identity(_) => format!("{name} = 'M001'"),
        Column::Tag(_, TagType::Flag) => format!("{name}, NOT {name} or {name} = false"),
        Column::Tag(_, TagType::Category) => format!("{name} = 'a value' or {name} IN ('one', 'another')"),
        Column::Tag(_, TagType::Set) => format!("{name} = 'a value' or has_all({name}, 'one', 'another')"),
        Column::Tag(_, TagType::Number { scale: 0 }) => format!("{name} >= 30"),
        Column::Tag(_, TagType::Number { scale }) => format!("{name} >= {}", decimal_text(3050, scale)),
        Column::Tag(_, TagType::Date) => format!("{name} >= DATE '2026-11-01'"),
    }
}

/// An error about a part of a request that is not the predicate.
pub fn request_fault(code: &'static str, pointer: &str, message: String, hint: Option<String>) -> super::Error {
    super::Error::Request { code, pointer: pointer.into(), message, hint }
}
