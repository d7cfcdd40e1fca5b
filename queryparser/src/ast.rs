//! The one tree that both spellings become: predicates over profiles, conditions over events, statements.
//! Knows no schema and no bitmaps: names are only names here, each with the place where it was written.
//!
//! ```text
//!   Statement ── Select ── items, Predicate?, group, having, order, limit
//!   Predicate ── And/Or(n-ary, flattened) · Not · leaf clauses
//!   leaf      ── Operand (what is looked at) × operator × Scalar (what it is held against)
//! ```

use jiff::civil::{Date, DateTime};

/// A place in the question. In text: byte offset and byte length. In a tree: `start` is a node of the
/// [`crate::Source`]'s path table. Only the source it came from can say where that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Byte offset, or path-table node.
    pub start: u32,
    /// Length in bytes; 0 in trees.
    pub len: u32,
}

/// A name as written, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name itself, unquoted. Unquoted identifiers of the text are folded to lower case, as SQL does.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// An exact decimal number: `digits / 10^scale`, without trailing zeros after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// All digits, signed.
    pub digits: i128,
    /// Digits after the point.
    pub scale: u8,
}

/// A value written in a question.
#[derive(Debug, Clone, PartialEq)]
pub enum LiteralValue {
    /// `TRUE`, `FALSE`.
    Bool(bool),
    /// `31`, `-5.25`.
    Number(Decimal),
    /// `'Shanghai'`.
    Text(String),
    /// `DATE '2026-11-01'`.
    Date(Date),
    /// `TIMESTAMP '2026-11-01 09:00:00'` without offset: in the space's time zone.
    LocalTimestamp(DateTime),
    /// `TIMESTAMP '2026-11-01T09:00:00+08:00'`: whole seconds since 1970-01-01T00:00:00Z.
    Instant(i64),
    /// A day relative to the question's as-of date: `CURRENT_DATE - INTERVAL '90' DAY`.
    RelativeDate(Vec<Interval>),
}

/// A literal with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Literal {
    /// What it says.
    pub value: LiteralValue,
    /// Where it stands.
    pub span: Span,
}

/// A calendar unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// One calendar day (86,400 s inside `followed_by`).
    Day,
    /// Seven days.
    Week,
    /// A calendar month, its end clipped as PostgreSQL does.
    Month,
    /// Twelve calendar months.
    Year,
}

/// A signed calendar distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interval {
    /// How many; negative looks back.
    pub count: i32,
    /// Of what.
    pub unit: Unit,
}

/// `=`, `<>`, `<`, `<=`, `>`, `>=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum CompareOp {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A predicate over profiles, or (inside an event's WHERE) a condition over one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    /// What it says.
    pub kind: PredicateKind,
    /// Where it stands: the whole clause.
    pub span: Span,
}

/// What a predicate says. `And` and `Or` are n-ary and flattened: a child of `And` is never an `And`.
#[derive(Debug, Clone, PartialEq)]
pub enum PredicateKind {
    /// `TRUE` (everyone) or `FALSE` (nobody); an empty `and` group is `TRUE`, an empty `or` group too.
    Constant(bool),
    /// All of; two or more children.
    And(Vec<Predicate>),
    /// Any of; two or more children.
    Or(Vec<Predicate>),
    /// Everyone else.
    Not(Box<Predicate>),
    /// A flag tag alone: `subscribed`.
    Flag(Name),
    /// `operand op scalar`.
    Compare {
        /// What is looked at.
        operand: Operand,
        /// How.
        op: CompareOp,
        /// What it is held against.
        scalar: Scalar,
    },
    /// `operand [NOT] BETWEEN low AND high`, both ends included.
    Between {
        /// What is looked at.
        operand: Operand,
        /// `NOT BETWEEN`.
        negated: bool,
        /// Lower end.
        low: Scalar,
        /// Upper end.
        high: Scalar,
    },
    /// `operand [NOT] IN (…)`.
    In {
        /// What is looked at.
        operand: Operand,
        /// `NOT IN`.
        negated: bool,
        /// The values, in the order written; may be empty only in trees.
        list: Vec<Literal>,
    },
    /// `operand [NOT] LIKE|ILIKE 'pattern' [ESCAPE 'c']`.
    Like {
        /// What is looked at.
        operand: Operand,
        /// `NOT LIKE`.
        negated: bool,
        /// `ILIKE`.
        fold_case: bool,
        /// With `%` and `_`.
        pattern: Literal,
        /// The escape character; backslash unless said, `None` for `ESCAPE ''`.
        escape: Option<char>,
    },
    /// `operand IS [NOT] NULL`.
    IsNull {
        /// What is looked at.
        operand: Operand,
        /// `IS NOT NULL`.
        negated: bool,
    },
    /// `has_all(tag, …)`.
    HasAll {
        /// The set tag.
        tag: Name,
        /// The values.
        list: Vec<Literal>,
    },
    /// `has_none(tag, …)`.
    HasNone {
        /// The set tag.
        tag: Name,
        /// The values.
        list: Vec<Literal>,
    },
    /// `EXISTS (SELECT 1 FROM event [WHERE …])`; `NOT EXISTS` is `Not(Exists)`.
    Exists(EventFilter),
    /// `followed_by((SELECT 1 FROM …), …, [INTERVAL '14' DAY])`.
    FollowedBy {
        /// Two or more steps, each strictly later than the one before.
        steps: Vec<EventFilter>,
        /// All within this of the first; `None`: no limit. Only days and weeks.
        within: Option<Interval>,
    },
    /// `one_id IN (SELECT one_id FROM profiles [WHERE …] ORDER BY tag [DESC] LIMIT n)`.
    Top(Box<Top>),
    /// `one_id IN (SELECT one_id FROM profiles [WHERE …])`: of profiles the predicate itself; of events, whose they are.
    Among(Box<Predicate>),
    /// `in_audience('vip')`.
    InAudience(Name),
    /// `in_snapshot('vip', DATE '2026-11-01')`.
    InSnapshot {
        /// The audience.
        audience: Name,
        /// The day of the snapshot.
        on: Literal,
    },
    /// `was(DATE '2026-10-31' | 'name', predicate)`.
    Was {
        /// A date or the name of a store snapshot (as `Text`).
        state: Literal,
        /// What held then.
        predicate: Box<Predicate>,
    },
    /// `in_bitmap('<base64 of a portable Roaring bitmap>')`; kept as written.
    InBitmap(Literal),
}

/// What a clause looks at.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A tag, an id type, `one_id`; inside an event's WHERE a property, `day` or `at`.
    Name(Name),
    /// `month_day(tag)`: held against `'MM-DD'` texts.
    MonthDay(Name),
    /// `bucket('salt', n)`: 0 to n-1.
    Bucket {
        /// Salt.
        salt: Literal,
        /// Number of buckets.
        of: u32,
        /// The whole call.
        span: Span,
    },
    /// `(SELECT count(*) FROM event WHERE …)` of the profile at hand.
    EventAggregate(Box<EventAggregate>),
}

/// What a clause is held against.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A value.
    Literal(Literal),
    /// `(SELECT quantile(spend, 0.8) FROM profiles WHERE …)`: one number for the whole question.
    ProfileAggregate(Box<ProfileAggregate>),
}

/// Events of one kind that satisfy a condition.
#[derive(Debug, Clone, PartialEq)]
pub struct EventFilter {
    /// The event.
    pub event: Name,
    /// Over one event's properties, `day` and `at`.
    pub condition: Option<Box<Predicate>>,
    /// The whole subquery.
    pub span: Span,
}

/// `(SELECT function(of) FROM event WHERE …)`.
#[derive(Debug, Clone, PartialEq)]
pub struct EventAggregate {
    /// What is computed.
    pub function: EventFunction,
    /// Of which property (`day` too); `None` for `count(*)`.
    pub of: Option<Name>,
    /// Over which events.
    pub filter: EventFilter,
}

/// Aggregates of a profile's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum EventFunction {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    CountDistinct,
    First,
    Last,
}

/// `(SELECT function FROM profiles WHERE …)`.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileAggregate {
    /// What is computed.
    pub aggregate: Aggregate,
    /// Over whom; `None`: everyone.
    pub filter: Option<Box<Predicate>>,
    /// The whole subquery.
    pub span: Span,
}

/// An aggregate over many profiles (or, in `FROM event`, many events).
#[derive(Debug, Clone, PartialEq)]
pub enum Aggregate {
    /// `count(*)`.
    CountAll,
    /// `count(DISTINCT tag)`.
    CountDistinct(Name),
    /// `sum(tag)`.
    Sum(Name),
    /// `avg(tag)`.
    Avg(Name),
    /// `min(tag)`.
    Min(Name),
    /// `max(tag)`.
    Max(Name),
    /// `quantile(tag, q)`, 0 ≤ q ≤ 1: nearest rank.
    Quantile(Name, Decimal),
}

/// The first `n` profiles in the order of a tag; unknown last, ties to the lower OneID.
#[derive(Debug, Clone, PartialEq)]
pub struct Top {
    /// The tag to order by.
    pub by: Name,
    /// Highest first.
    pub descending: bool,
    /// How many.
    pub n: u64,
    /// Among whom; `None`: everyone.
    pub filter: Option<Predicate>,
    /// The whole clause.
    pub span: Span,
}

/// A whole statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `SELECT …`.
    Select(Select),
    /// `EXPLAIN SELECT …`.
    Explain(Select),
}

/// `SELECT items FROM from [WHERE] [GROUP BY] [HAVING] [ORDER BY] [LIMIT]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// One or more.
    pub items: Vec<SelectItem>,
    /// `profiles` or an event.
    pub from: Name,
    /// The WHERE.
    pub filter: Option<Predicate>,
    /// No, one or two names.
    pub group_by: Vec<Name>,
    /// Over the groups.
    pub having: Option<Having>,
    /// In order of weight.
    pub order_by: Vec<OrderBy>,
    /// At most so many rows.
    pub limit: Option<u64>,
}

impl Select {
    /// Every aggregate that it speaks of.
    pub fn aggregates(&self) -> Vec<&Aggregate> {
        let mut all = Vec::new();
        let expressions = self.items.iter().map(|i| &i.expression).chain(self.order_by.iter().map(|o| &o.expression));
        all.extend(expressions.filter_map(|expression| match expression {
            SelectExpression::Aggregate(aggregate) => Some(aggregate),
            SelectExpression::Column(_) => None,
        }));
        self.having.iter().for_each(|having| having.push_aggregates(&mut all));
        all
    }
}

impl Having {
    fn push_aggregates<'a>(&'a self, all: &mut Vec<&'a Aggregate>) {
        match self {
            Having::And(inner) | Having::Or(inner) => inner.iter().for_each(|having| having.push_aggregates(all)),
            Having::Not(inner) => inner.push_aggregates(all),
            Having::Compare { aggregate, .. } => all.push(aggregate),
        }
    }
}

/// One column of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectItem {
    /// What it shows.
    pub expression: SelectExpression,
    /// `AS name`.
    pub alias: Option<Name>,
    /// Where it stands.
    pub span: Span,
}

/// A column or an aggregate.
#[derive(Debug, Clone, PartialEq)]
pub enum SelectExpression {
    /// A tag, an id type, `one_id`; of an event a property, `day`.
    Column(Name),
    /// `count(*)`, `sum(spend)` …
    Aggregate(Aggregate),
}

/// A condition over groups.
#[derive(Debug, Clone, PartialEq)]
pub enum Having {
    /// All of.
    And(Vec<Having>),
    /// Any of.
    Or(Vec<Having>),
    /// Not.
    Not(Box<Having>),
    /// `count(*) > 500`.
    Compare {
        /// Left side.
        aggregate: Aggregate,
        /// How.
        op: CompareOp,
        /// Right side.
        value: Literal,
        /// The whole comparison.
        span: Span,
    },
}

/// One ORDER BY key: an item's alias, a column, an aggregate, or the place of an item (`ORDER BY 2`, resolved here).
#[derive(Debug, Clone, PartialEq)]
pub struct OrderBy {
    /// What to order by.
    pub expression: SelectExpression,
    /// Highest first.
    pub descending: bool,
    /// Where it stands.
    pub span: Span,
}
