//! Asking: a request's `where`, `base`, day and time become a context; each question runs in it.
//! Knows requests and answers; the numbers are `query`'s.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use jiff::civil::Date;
use queryparser::ast::{Name, Predicate, Span, Statement};
use queryparser::{Parsed, nearest};
use serde::{Deserialize, Serialize};
use storage::View;

use super::audiences::Lookup;
use super::behaviour::named_event;
use super::{Result, Space};
use crate::query::bind::{Warning, day_number, request_fault};
use crate::query::breakdown::{Breakdown, breakdown};
use crate::query::cell::Cell;
use crate::query::count::{CountAnswer, count_answer};
use crate::query::crosstab::{Crosstab, crosstab};
use crate::query::distribution::{
    Bins, Distribution, Order, Request as TagRequest, Sides, distribution, only_distribution,
};
use crate::query::explain::{Step, explain};
use crate::query::groups::Axis;
use crate::query::happened::latest_events;
use crate::query::penetration::of_property;
use crate::query::people::{Listing, Portrait, list, portrait};
use crate::query::sample::{Sample, TAGS_MAX};
use crate::query::select::{Table, ordering, select};
use crate::query::{self, Binder, Budget, Column, Context, Node};

/// Values that a distribution shows of each tag unless said.
const TOP_DEFAULT: usize = 100;

/// An audience as asked: text, or a rule tree; left out, everyone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged)]
pub enum Where {
    /// What stands after WHERE.
    Text(String),
    /// A rule tree.
    Tree(serde_json::Value),
}

/// What every question takes.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The audience; everyone unless said.
    pub audience: Option<Where>,
    /// What shares and indexes are measured against; everyone unless said.
    pub base: Option<Where>,
    /// What CURRENT_DATE means; today in the space's zone unless said.
    pub as_of: Option<Date>,
    /// A date or the name of a store snapshot: the whole question is asked of that state.
    pub state: Option<String>,
    /// Longest time; never more than the engine's limit.
    pub timeout_ms: Option<u64>,
    /// Set when nobody waits for the answer any more.
    pub cancelled: Arc<AtomicBool>,
}

impl Question {
    /// Its time from a moment on, as it asks for but no longer than it may. Of an earlier state, which may have had to be
    /// opened first, from now on.
    pub(super) fn budget(&self, start: Instant, elapsed_ms_max: u64) -> Budget<'_> {
        let start = if self.state.is_some() { Instant::now() } else { start };
        let elapsed_ms = self.timeout_ms.map_or(elapsed_ms_max, |ms| ms.min(elapsed_ms_max));
        Budget::new(start, elapsed_ms, &self.cancelled)
    }
}

/// An answer with what every answer carries.
#[derive(Debug, Clone, Serialize)]
pub struct Answer<T> {
    /// The answer itself.
    #[serde(flatten)]
    pub value: T,
    /// The data version that it has seen.
    pub data_version: u64,
    /// Time inside the engine, in microseconds.
    pub took_us: u64,
    /// What the asker should know.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "serialize_warnings")]
    pub warnings: Vec<Warning>,
}

fn serialize_warnings<S: serde::Serializer>(warnings: &[Warning], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(warnings.iter().map(|w| {
        let at = match &w.at {
            queryparser::At::Text { line, column, length } => {
                serde_json::json!({"line": line, "column": column, "length": length})
            }
            queryparser::At::Tree { pointer } => serde_json::json!({"pointer": pointer}),
        };
        serde_json::json!({"code": w.code, "message": w.message, "at": at})
    }))
}

/// What is asked of distributions.
#[derive(Debug, Clone, Default)]
pub struct DistributionRequest {
    /// Tags by name.
    pub tags: Vec<String>,
    /// At most so many values a tag.
    pub top: Option<usize>,
    /// In which order.
    pub order: Order,
    /// For numbers and dates.
    pub bins: Option<Bins>,
    /// First and last day of the events whose properties are asked for.
    pub window: Option<(Date, Date)>,
}

/// Distributions by tag.
#[derive(Debug, Clone, Serialize)]
pub struct DistributionAnswer {
    /// In the order asked for.
    #[serde(serialize_with = "serialize_pairs")]
    pub tags: Vec<(String, Distribution)>,
    /// Members of the audience.
    pub count: u64,
    /// Members of the base.
    pub base_count: u64,
}

impl DistributionAnswer {
    fn new(sides: &Sides, tags: Vec<(String, Distribution)>) -> DistributionAnswer {
        DistributionAnswer { tags, count: sides.audience_count(), base_count: sides.base_count() }
    }
}

fn serialize_pairs<S: serde::Serializer>(pairs: &[(String, Distribution)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, part)| (name, part)))
}

/// What is asked of a crosstab.
#[derive(Debug, Clone)]
pub struct CrosstabRequest {
    /// Tag of the rows.
    pub rows: String,
    /// Tag of the columns.
    pub columns: String,
}

/// What is asked of a members list.
#[derive(Debug, Clone, Default)]
pub struct MembersRequest {
    /// Id types; all unless said, or unless `columns` names the OneID or an id type itself.
    pub ids: Option<Vec<String>>,
    /// Tags, id types and `one_id`.
    pub columns: Vec<String>,
    /// At most so many.
    pub limit: Option<u64>,
    /// OneID of the last row seen.
    pub after: Option<u32>,
    /// A random choice of so many.
    pub sample: Option<u64>,
    /// Another choice for another seed.
    pub seed: u64,
    /// Tags whose mix the choice has as the whole has it.
    pub stratify: Vec<String>,
    /// Only of this data version, so that pages of a list are of one.
    pub data_version: Option<u64>,
    /// `age DESC`.
    pub order_by: Option<String>,
    /// So many of each one's latest events, newest first, in a column `events`; none unless said.
    pub events: usize,
}

/// A plan, shown.
#[derive(Debug, Clone, Serialize)]
pub struct PlanAnswer {
    /// Its steps.
    pub plan: Step,
    /// The audience as canonical text.
    pub text: String,
    /// And as canonical tree.
    pub tree: serde_json::Value,
}

pub(super) struct Asked<'a> {
    pub(super) ctx: &'a Context<'a>,
    pub(super) audience: &'a Node,
    pub(super) base: &'a Node,
    pub(super) predicate: Option<&'a Parsed<Predicate>>,
    pub(super) warnings: Vec<Warning>,
}

impl Asked<'_> {
    /// The plan of one more audience, which stands at a place of the request.
    pub(super) fn bound(&mut self, audience: &Where, pointer: &str) -> Result<Node> {
        let placed = |error: super::Error| match error {
            super::Error::Query(error) => super::Error::Query(at_field(error, pointer)),
            other => other,
        };
        let parsed = parse(audience, self.ctx).map_err(placed)?;
        plan_of(self.ctx, Some(&parsed), &mut self.warnings).map_err(placed)
    }
}

impl Space {
    /// Counts an audience; with `with_breakdown` each clause too.
    ///
    /// # Errors
    /// The question's faults, its limits, or damage.
    pub fn count(&self, question: &Question, with_breakdown: bool) -> Result<Answer<CountAnswer>> {
        self.ask(question, |asked| {
            let Some(parsed) = asked.predicate.filter(|_| with_breakdown) else {
                let counted = query::totals::count(asked.ctx, asked.audience)?;
                let clauses = with_breakdown.then(Vec::new);
                return Ok(CountAnswer { clauses, ..count_answer(asked.ctx, asked.audience, counted, asked.base)? });
            };
            let Breakdown { count, clauses } = breakdown(&mut Binder::new(asked.ctx, &parsed.source), &parsed.ast)?;
            let answer = count_answer(asked.ctx, asked.audience, count, asked.base)?;
            Ok(CountAnswer { clauses: Some(clauses), ..answer })
        })
    }

    /// Distributions of an audience.
    ///
    /// # Errors
    /// As [`Space::count`]; tags that do not exist.
    pub fn distribution(
        &self,
        question: &Question,
        request: &DistributionRequest,
    ) -> Result<Answer<DistributionAnswer>> {
        self.ask(question, |asked| {
            let top = request.top.unwrap_or(TOP_DEFAULT);
            let wanted = |name: &str, pointer: &str| -> Result<TagRequest<'_>> {
                let Axis { tag, .. } = named_tag(asked.ctx.view, name, pointer)?;
                Ok(TagRequest { tag, top, order: request.order, bins: request.bins.as_ref() })
            };
            if let [name] = &request.tags[..]
                && !name.contains('.')
            {
                let sides = (asked.audience, asked.base);
                let (sides, found) = only_distribution(asked.ctx, sides, &wanted(name, "/tags/0")?)?;
                return Ok(DistributionAnswer::new(&sides, vec![(name.clone(), found)]));
            }
            let sides = Sides::new(asked.ctx, asked.audience, asked.base)?;
            let mut tags = Vec::with_capacity(request.tags.len());
            for (at, name) in request.tags.iter().enumerate() {
                let pointer = format!("/tags/{at}");
                if let Some((event, property)) = name.split_once('.') {
                    let event = named_event(asked.ctx.view, event, &pointer)?;
                    let days = request.window.map(|(from, to)| (day_number(from), day_number(to)));
                    let part = of_property(asked.ctx, &sides, event, property, days, top, request.order);
                    tags.push((name.clone(), part.map_err(|error| at_field(error, &pointer))?));
                    continue;
                }
                tags.push((name.clone(), distribution(asked.ctx, &sides, &wanted(name, &pointer)?)?));
            }
            Ok(DistributionAnswer::new(&sides, tags))
        })
    }

    /// An audience by two tags.
    ///
    /// # Errors
    /// As [`Space::count`]; tags that do not exist.
    pub fn crosstab(&self, question: &Question, request: &CrosstabRequest) -> Result<Answer<Crosstab>> {
        self.ask(question, |asked| {
            let rows = named_tag(asked.ctx.view, &request.rows, "/rows")?;
            let columns = named_tag(asked.ctx.view, &request.columns, "/columns")?;
            Ok(crosstab(asked.ctx, asked.audience, rows, columns)?)
        })
    }

    /// Shows how an audience is found.
    ///
    /// # Errors
    /// As [`Space::count`].
    pub fn plan(&self, question: &Question) -> Result<Answer<PlanAnswer>> {
        self.ask(question, |asked| {
            let everyone = serde_json::json!({"combinator": "and", "rules": []});
            let (text, tree) = asked.predicate.map_or(("TRUE".into(), everyone), |parsed| {
                (queryparser::predicate_text(&parsed.ast), queryparser::predicate_tree(&parsed.ast))
            });
            Ok(PlanAnswer { plan: explain(asked.ctx, asked.audience)?, text, tree })
        })
    }

    /// Runs a statement; EXPLAIN gives the plan as rows.
    ///
    /// # Errors
    /// As [`Space::count`].
    pub fn query(&self, sql: &str, question: &Question) -> Result<Answer<Table>> {
        let start = Instant::now();
        let mut warnings = Vec::new();
        let view = self.view_for(question, &mut warnings)?;
        let budget = question.budget(start, self.shared.limits.elapsed_ms_max);
        self.in_context(&view, question, &budget, |ctx| {
            let parsed = queryparser::parse_statement(sql, &ctx.limits.parse).map_err(query::Error::from)?;
            let mut binder = Binder::new(ctx, &parsed.source);
            let table = match &parsed.ast {
                Statement::Select(statement) => select(&mut binder, statement)?,
                Statement::Explain(statement) => {
                    let plan = statement.filter.as_ref().map_or(Ok(Node::Everyone), |filter| binder.plan(filter))?;
                    let lines = explain(ctx, &plan)?.lines().into_iter();
                    let rows = lines.map(|line| vec![Cell::Text(line.into())]).collect();
                    Table { columns: vec!["plan".into()], rows }
                }
            };
            warnings.extend(binder.into_warnings());
            Ok(answer(table, &view, start, warnings))
        })
    }

    /// Lists members: `head` is called once with the columns' names, then `each` with every row.
    ///
    /// # Errors
    /// As [`Space::count`]; columns that do not exist; what `each` gives.
    pub fn members(
        &self,
        question: &Question,
        request: &MembersRequest,
        head: impl FnOnce(&[String], u64) -> query::Result<()>,
        mut each: impl FnMut(u32, &[Cell<'_>]) -> query::Result<()>,
    ) -> Result<()> {
        self.ask_within(question, self.shared.limits.list_elapsed_ms_max, |asked| {
            let (names, columns) = member_columns(asked.ctx.view, request)?;
            let listing = Listing {
                order_by: request.order_by.as_deref().map(|text| order_by(asked.ctx, text)).transpose()?.flatten(),
                after: request.after,
                limit: request.limit,
                sample: sample(asked.ctx, request)?,
            };
            check_version(asked.ctx, request)?;
            let ctx = asked.ctx;
            if request.events == 0 {
                head(&names, ctx.view.data_version())?;
                return Ok(list(ctx, asked.audience, &columns, &listing, each)?);
            }
            let names = [&names[..], &["events".to_string()]].concat();
            head(&names, ctx.view.data_version())?;
            let with_events = |one_id: u32, cells: &[Cell<'_>]| {
                let events = latest_events(ctx, storage::OneId(one_id), request.events)?;
                let spelled = Cell::Json(serde_json::to_string(&events).unwrap_or_default());
                let row: Vec<Cell<'_>> = cells.iter().cloned().chain([spelled]).collect();
                each(one_id, &row)
            };
            Ok(list(ctx, asked.audience, &columns, &listing, with_events)?)
        })?;
        Ok(())
    }

    /// The OneIDs of an audience's members, ascending.
    ///
    /// # Errors
    /// As [`Space::count`].
    pub fn member_ids(&self, question: &Question) -> Result<Answer<Vec<u32>>> {
        self.ask(question, |asked| Ok(query::totals::collect(asked.ctx, asked.audience, 0, u64::MAX)?))
    }

    /// The members of an audience as a bitmap of OneIDs.
    ///
    /// # Errors
    /// As [`Space::count`].
    pub fn member_bitmap(&self, question: &Question) -> Result<Answer<roaring::RoaringBitmap>> {
        self.ask(question, |asked| {
            let ids = query::totals::collect(asked.ctx, asked.audience, 0, u64::MAX)?;
            Ok(roaring::RoaringBitmap::from_sorted_iter(ids).unwrap_or_default())
        })
    }

    /// Those of them whom a request lists, and the data version that it has seen.
    ///
    /// # Errors
    /// As [`Space::members`].
    pub fn listed_bitmap(
        &self,
        question: &Question,
        request: &MembersRequest,
    ) -> Result<(roaring::RoaringBitmap, u64)> {
        let is_part = request.limit.is_some() || request.after.is_some() || request.sample.is_some();
        if is_part || request.data_version.is_some() || !request.stratify.is_empty() {
            // Which members, not which columns: the order of a bitmap is its own.
            let only = MembersRequest { ids: Some(Vec::new()), columns: Vec::new(), ..request.clone() };
            let (mut ids, mut version) = (Vec::new(), 0);
            let head = |_: &[String], data_version| {
                version = data_version;
                Ok(())
            };
            let each = |one_id: u32, _: &[Cell<'_>]| {
                ids.push(one_id);
                Ok(())
            };
            self.members(question, &only, head, each)?;
            return Ok((ids.into_iter().collect(), version));
        }
        let answer = self.member_bitmap(question)?;
        Ok((answer.value, answer.data_version))
    }

    /// Everything known of one person.
    ///
    /// # Errors
    /// [`super::Error::UnknownProfile`], an unknown id type, or damage.
    pub fn portrait(&self, id_type: &str, id: &str) -> Result<Answer<Portrait>> {
        let start = Instant::now();
        let one_id = self.find(id_type, id)?;
        let view = self.store.view();
        let question = Question::default();
        let budget = question.budget(start, self.shared.limits.elapsed_ms_max);
        let value = self.in_context(&view, &question, &budget, |ctx| Ok(portrait(ctx, one_id)?))?;
        Ok(answer(value, &view, start, Vec::new()))
    }

    pub(super) fn in_context<T>(
        &self,
        view: &View,
        question: &Question,
        budget: &Budget<'_>,
        run: impl FnOnce(&Context<'_>) -> Result<T>,
    ) -> Result<T> {
        // Definitions are those of the present, whatever state is asked.
        let present = question.state.is_some().then(|| self.store.view());
        let lookup = self.lookup(present.as_ref().map_or(view, |present| present));
        self.in_context_of(view, &lookup, None, question, budget, run)
    }

    /// As above, by other definitions, and only of those who are asked about.
    pub(super) fn in_context_of<T>(
        &self,
        view: &View,
        lookup: &Lookup<'_>,
        among: Option<&Node>,
        question: &Question,
        budget: &Budget<'_>,
        run: impl FnOnce(&Context<'_>) -> Result<T>,
    ) -> Result<T> {
        let limits = &self.shared.limits;
        let as_of = question.as_of.unwrap_or_else(|| self.store.today());
        // What is remembered is of the present: people can be erased from an earlier state, whose version stays.
        let earlier = question.state.is_some().then(query::Remembered::default);
        let remembered = earlier.as_ref().unwrap_or(&self.remembered);
        let threads = &self.shared.threads;
        let states = &self.store;
        run(&Context { view, as_of, limits, budget, remembered, threads, audiences: lookup, states, among })
    }

    pub(super) fn ask<T>(
        &self,
        question: &Question,
        run: impl FnOnce(&mut Asked<'_>) -> Result<T>,
    ) -> Result<Answer<T>> {
        self.ask_within(question, self.shared.limits.elapsed_ms_max, run)
    }

    fn ask_within<T>(
        &self,
        question: &Question,
        elapsed_ms_max: u64,
        run: impl FnOnce(&mut Asked<'_>) -> Result<T>,
    ) -> Result<Answer<T>> {
        let start = Instant::now();
        let mut warnings = Vec::new();
        let view = self.view_for(question, &mut warnings)?;
        let budget = question.budget(start, elapsed_ms_max);
        self.in_context(&view, question, &budget, |ctx| {
            let audience = self.planned(ctx, question, question.audience.as_ref(), &mut warnings)?;
            let base = self.planned(ctx, question, question.base.as_ref(), &mut warnings)?;
            let everyone = Node::Everyone;
            let mut asked = Asked {
                ctx,
                audience: audience.as_ref().map_or(&everyone, |planned| &planned.plan),
                base: base.as_ref().map_or(&everyone, |planned| &planned.plan),
                predicate: audience.as_ref().map(|planned| &planned.parsed),
                warnings,
            };
            let value = run(&mut asked)?;
            Ok(answer(value, &view, start, asked.warnings))
        })
    }
}

pub(super) fn answer<T>(value: T, view: &View, start: Instant, warnings: Vec<Warning>) -> Answer<T> {
    Answer { value, data_version: view.data_version(), took_us: start.elapsed().as_micros() as u64, warnings }
}

pub(super) fn parse(asked: &Where, ctx: &Context<'_>) -> Result<Parsed<Predicate>> {
    parse_limited(asked, ctx.limits)
}

pub(super) fn parse_limited(asked: &Where, limits: &query::Limits) -> Result<Parsed<Predicate>> {
    let parsed = match asked {
        Where::Text(text) => queryparser::parse_predicate(text, &limits.parse),
        Where::Tree(tree) => queryparser::parse_tree(tree, &limits.parse),
    };
    Ok(parsed.map_err(query::Error::from)?)
}

/// A fault of a name or condition that is a field of the request, at that field; of a tree, at the place within it.
pub(super) fn at_field(error: query::Error, pointer: &str) -> query::Error {
    match error {
        query::Error::Question(fault) => {
            let within = match &fault.at {
                queryparser::At::Tree { pointer } => pointer.as_str(),
                queryparser::At::Text { .. } => "",
            };
            request_fault(fault.code, &format!("{pointer}{within}"), fault.message, fault.hint)
        }
        other => other,
    }
}

pub(super) fn plan_of(
    ctx: &Context<'_>,
    parsed: Option<&Parsed<Predicate>>,
    warnings: &mut Vec<Warning>,
) -> Result<Node> {
    let Some(parsed) = parsed else { return Ok(Node::Everyone) };
    let mut binder = Binder::new(ctx, &parsed.source);
    let node = binder.plan(&parsed.ast)?;
    warnings.extend(binder.into_warnings());
    Ok(node)
}

pub(super) fn named_tag(view: &View, name: &str, pointer: &str) -> Result<Axis> {
    match view.schema().tag(name) {
        Some((tag, declared)) => Ok(Axis { tag, tag_type: declared.tag_type }),
        None => {
            let hint = nearest(name, view.schema().tags.iter().map(|t| t.name.as_str()));
            let hint = hint.map(|near| format!("did you mean `{near}`?"));
            Err(request_fault("unknown_tag", pointer, format!("there is no tag `{name}`"), hint).into())
        }
    }
}

fn member_columns(view: &View, request: &MembersRequest) -> Result<(Vec<String>, Vec<Column>)> {
    let schema = view.schema();
    let column = |name: &str, pointer: String| -> Result<Column> {
        if name == "one_id" {
            return Ok(Column::OneId);
        }
        if let Some(id_type) = schema.id_type(name) {
            return Ok(Column::Identity(id_type));
        }
        let axis = named_tag(view, name, &pointer)?;
        Ok(Column::Tag(axis.tag, axis.tag_type))
    };
    let mut named = Vec::new();
    for (at, name) in request.columns.iter().enumerate() {
        named.push((name.clone(), column(name, format!("/columns/{at}"))?));
    }
    let names_ids = named.iter().any(|(_, c)| matches!(c, Column::OneId | Column::Identity(_)));
    let mut ids = Vec::new();
    match &request.ids {
        Some(asked) => {
            ids.push(("one_id".to_string(), Column::OneId));
            for (at, name) in asked.iter().enumerate() {
                match column(name, format!("/ids/{at}"))? {
                    Column::Tag(..) => {
                        let message = format!("`{name}` is a tag; `ids` names id types");
                        return Err(request_fault("wrong_type", &format!("/ids/{at}"), message, None).into());
                    }
                    Column::OneId => {}
                    identity => ids.push((name.clone(), identity)),
                }
            }
        }
        None if !names_ids => {
            ids.push(("one_id".to_string(), Column::OneId));
            for name in &schema.id_types {
                ids.push((name.clone(), column(name, String::new())?));
            }
        }
        None => {}
    }
    let all: Vec<(String, Column)> = ids.into_iter().chain(named).collect();
    Ok(all.into_iter().unzip())
}

/// The random choice that a request asks for.
fn sample(ctx: &Context<'_>, request: &MembersRequest) -> Result<Option<Sample>> {
    let fault = |code, pointer: &str, message: String| Err(request_fault(code, pointer, message, None).into());
    let tags = &request.stratify;
    let Some(count) = request.sample else {
        return match tags.is_empty() {
            true => Ok(None),
            false => fault("missing_key", "/stratify", "the mix is that of a `sample`, which is missing".into()),
        };
    };
    if tags.len() > TAGS_MAX {
        return fault("too_many_tags", "/stratify", format!("a sample keeps the mix of at most {TAGS_MAX} tags"));
    }
    let mut strata = Vec::with_capacity(tags.len());
    for (name, at) in tags.iter().zip(0..) {
        let pointer = format!("/stratify/{at}");
        let axis = named_tag(ctx.view, name, &pointer)?;
        if !axis.is_single() {
            let message = format!("`{name}` is a set: people have several of its values, and strata do not overlap");
            return fault("wrong_type", &pointer, message);
        }
        strata.push(axis);
    }
    Ok(Some(Sample { count, seed: request.seed, strata }))
}

/// Whether the data is still what the pages before were of.
fn check_version(ctx: &Context<'_>, request: &MembersRequest) -> Result<()> {
    let present = ctx.view.data_version();
    match request.data_version {
        Some(wanted) if wanted != present => {
            let message = format!("the data is at version {present}, no longer at {wanted}");
            let hint = Some("begin the list anew, or ask a named store snapshot in `state`".into());
            Err(request_fault("data_version_gone", "/data_version", message, hint).into())
        }
        _ => Ok(()),
    }
}

/// `age DESC`: one number or date; `one_id` is the order that there is anyway.
fn order_by(ctx: &Context<'_>, text: &str) -> Result<Option<(storage::TagId, bool)>> {
    let fault = |code, message: String, hint| request_fault(code, "/order_by", message, hint);
    let parsed = queryparser::parse_order_by(text, &ctx.limits.parse);
    let parsed = parsed.map_err(|d| fault(d.code, d.message, d.hint))?;
    let [order] = &parsed.ast[..] else {
        let message = "a list of people is ordered by one number or date; ties go to the lower one_id".into();
        return Err(fault("unsupported", message, None).into());
    };
    let binder = Binder::new(ctx, &parsed.source);
    let statement = queryparser::ast::Select {
        items: Vec::new(),
        from: Name { text: "profiles".into(), span: Span::default() },
        filter: None,
        group_by: Vec::new(),
        having: None,
        order_by: Vec::new(),
        limit: None,
    };
    match ordering(&binder, &statement, order) {
        Err(query::Error::Question(d)) => Err(fault(d.code, d.message, d.hint).into()),
        other => Ok(other?),
    }
}
