//! Plans shown: the order in which a question is run, what was expected of each step and what it came to.
//! Knows plans and schema names; runs each step once more to count and time it.

use std::time::Instant;

use serde::Serialize;
use storage::field::{FieldId, TRUE};
use storage::ids::{KNOWN, PAGE_PROFILES};
use storage::schema::Schema;
use storage::{TagId, TagType, View};

use super::bind::date_of;
use super::context::Context;
use super::error::Result;
use super::exec::owners_kept;
use super::number::{Range, decimal_text};
use super::plan::{Amount, ColumnTest, EventRows, Leaf, LeafKind, Node, RowColumn, RowTest};
use super::totals::count;

/// One step of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// What is done: `and`, `or`, `not`, `shared` (found once for several places), `bitmap`, `ids`, `values`, `column`, `lists`, `bucket`, `owners` (of events, as kept by value and day), `behaviour`, `in_order`, `everyone`, `nobody`.
    pub step: &'static str,
    /// Of what.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub of: String,
    /// At most how many members were expected.
    pub estimate: u64,
    /// How many there are, counted alone.
    pub actual: u64,
    /// Bytes of bitmaps and columns that the step's leaves may touch.
    pub bytes: u64,
    /// Time of counting it alone, in nanoseconds.
    pub elapsed_ns: u64,
    /// What it is made of, in the order in which it is run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Step>,
}

/// Shows a plan with actual counts and times.
///
/// # Errors
/// The budget's, or damage of the store.
pub fn explain(ctx: &Context<'_>, plan: &Node) -> Result<Step> {
    let children = match plan {
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().map(|n| explain(ctx, n)).collect::<Result<Vec<_>>>()?,
        Node::Not(node) => vec![explain(ctx, node)?],
        Node::Shared(_, node) => vec![explain(ctx, node)?],
        _ => Vec::new(),
    };
    let start = Instant::now();
    let actual = count(ctx, plan)?;
    let elapsed_ns = start.elapsed().as_nanos() as u64;
    let (step, of, own_bytes) = match plan {
        Node::Everyone => ("everyone", String::new(), 0),
        Node::Nobody => ("nobody", String::new(), 0),
        Node::And(_) => ("and", String::new(), 0),
        Node::Or(_) => ("or", String::new(), 0),
        Node::Not(_) => ("not", String::new(), 0),
        Node::Shared(number, _) => ("shared", format!("{}", number + 1), 0),
        Node::Leaf(leaf) => describe(ctx.view, leaf)?,
    };
    let bytes = own_bytes + children.iter().map(|c| c.bytes).sum::<u64>();
    Ok(Step { step, of, estimate: plan.estimate(ctx.everyone()), actual, bytes, elapsed_ns, children })
}

impl Step {
    /// The steps as indented lines, for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.push_lines(0, &mut lines);
        lines
    }

    fn push_lines(&self, depth: usize, lines: &mut Vec<String>) {
        let of = if self.of.is_empty() { String::new() } else { format!(" {}", self.of) };
        lines.push(format!(
            "{:indent$}{}{of}  (expected ≤ {}, found {}, {:.1} µs, {} bytes)",
            "",
            self.step,
            self.estimate,
            self.actual,
            self.elapsed_ns as f64 / 1e3,
            self.bytes,
            indent = depth * 2
        ));
        self.children.iter().for_each(|child| child.push_lines(depth + 1, lines));
    }
}

fn describe(view: &View, leaf: &Leaf) -> Result<(&'static str, String, u64)> {
    let schema = view.schema();
    Ok(match &leaf.kind {
        LeafKind::Bitmap { field, value } => {
            let of = match field {
                FieldId::Live => "live profiles".into(),
                FieldId::IdType(id_type) => format!("{} known", schema.id_types[id_type.0 as usize]),
                FieldId::Tag(tag) => {
                    let declared = &schema.tags[tag.0 as usize];
                    match (declared.tag_type, *value) {
                        (_, KNOWN) => format!("{} known", declared.name),
                        (TagType::Flag, value) => format!("{} = {}", declared.name, value == TRUE),
                        (_, value) => format!("{} = '{}'", declared.name, view.tag(*tag).values().text(value)?),
                    }
                }
            };
            ("bitmap", of, bitmap_bytes(view, *field, *value)?)
        }
        LeafKind::Ids(set) => ("ids", format!("{} OneIDs", set.count()), set.count() * 2),
        LeafKind::Values { tag, values, .. } => {
            let bytes = view.tag(*tag).bytes();
            let mut of_bitmaps = 0;
            for value in values.iter().filter(|value| storage::field::Field::is_indexed(**value)) {
                of_bitmaps += bitmap_bytes(view, FieldId::Tag(*tag), *value)?;
            }
            let of = format!("{} in {} values", schema.tags[tag.0 as usize].name, values.len());
            ("values", of, of_bitmaps.min(bytes.forward_disk + bytes.memory))
        }
        LeafKind::Column { tag, test } => {
            let declared = &schema.tags[tag.0 as usize];
            let of = format!("{} {}", declared.name, test_text(test, declared.tag_type));
            ("column", of, column_bytes(view, *tag, test)?)
        }
        LeafKind::Lists { tag, values } => {
            let bytes = view.tag(*tag).bytes();
            let of = format!("{} in {} values", schema.tags[tag.0 as usize].name, values.len());
            ("lists", of, bytes.forward_disk + bytes.memory)
        }
        LeafKind::Behaviour(behaviour) => {
            let event = &schema.events[behaviour.rows.event.0 as usize].name;
            match if behaviour.is_any() { owners_kept(view, &behaviour.rows)? } else { None } {
                Some(kept) => ("owners", format!("{event}{}", looked_at(schema, &behaviour.rows)), kept.bytes),
                None => {
                    let of = format!("{event} {}", amount_word(&behaviour.amount));
                    ("behaviour", of, row_bytes(view, &behaviour.rows))
                }
            }
        }
        LeafKind::InOrder(in_order) => {
            let names = in_order.steps.iter().map(|step| schema.events[step.event.0 as usize].name.as_str());
            let bytes = in_order.steps.iter().map(|step| row_bytes(view, step)).sum();
            ("in_order", names.collect::<Vec<_>>().join(", then "), bytes)
        }
        LeafKind::Bucket { of, low, high, .. } => ("bucket", format!("{low} to {high} of {of}"), 0),
    })
}

/// By which column owners are told.
fn looked_at(schema: &Schema, rows: &EventRows) -> String {
    match &rows.test {
        RowTest::Column(RowColumn::Day, _) => " by day".into(),
        RowTest::Column(RowColumn::Property(property), _) => {
            format!(" by {}", schema.events[rows.event.0 as usize].properties[property.0 as usize].name)
        }
        RowTest::Or(_) => " by several values".into(),
        _ => String::new(),
    }
}

fn amount_word(amount: &Amount) -> &'static str {
    match amount {
        Amount::Count(_) => "counted",
        Amount::Distinct(..) => "counted by different values",
        Amount::Least(..) => "by least value",
        Amount::Most(..) => "by greatest value",
        Amount::First(..) => "by the first",
        Amount::Last(..) => "by the last",
        Amount::Sum(..) => "summed",
        Amount::Mean(..) => "averaged",
    }
}

/// Bytes of an event's rows.
fn row_bytes(view: &View, rows: &EventRows) -> u64 {
    let bytes = view.event(rows.event).bytes();
    bytes.rows_disk + bytes.memory
}

/// Bytes of the pages of a column that a test must look at: those that its bounds neither pass nor leave out.
fn column_bytes(view: &View, tag: TagId, test: &ColumnTest) -> Result<u64> {
    let mut bytes = 0;
    for stripe in 0..view.stripe_count() {
        let column = view.tag(tag).stripe(stripe).column()?;
        let pages = (0..column.page_count()).map(|at| column.page(at));
        let looked_at = pages.filter(|page| match (test, test.code_range(page)) {
            (_, None) => false,
            (ColumnTest::Range(_), Some((low, high))) => low > 1 || high < page.max_code,
            (_, Some(_)) => true,
        });
        bytes += looked_at.map(|page| u64::from(PAGE_PROFILES) * page.codes.width() as u64).sum::<u64>();
    }
    Ok(bytes)
}

fn bitmap_bytes(view: &View, field: FieldId, value: storage::ValueId) -> Result<u64> {
    let mut bytes = 0;
    for stripe in 0..view.stripe_count() {
        let containers = view.field(field).stripe(stripe).bitmaps()?.value(value).containers;
        bytes += containers.iter().map(|container| container.bytes() as u64).sum::<u64>();
    }
    Ok(bytes)
}

fn test_text(test: &ColumnTest, tag_type: TagType) -> String {
    let spell = |value: i64| match tag_type {
        TagType::Number { scale } => decimal_text(value.into(), scale),
        _ => date_of(value).to_string(),
    };
    match test {
        ColumnTest::Range(Range { low: i64::MIN, high }) => format!("<= {}", spell(*high)),
        ColumnTest::Range(Range { low, high: i64::MAX }) => format!(">= {}", spell(*low)),
        ColumnTest::Range(Range { low, high }) => format!("between {} and {}", spell(*low), spell(*high)),
        ColumnTest::Any(values) => format!("in {} values", values.len()),
        ColumnTest::Values(values) if tag_type == TagType::Date => format!("on any of {} days", values.count()),
        ColumnTest::Values(values) => format!("in {} values", values.count()),
    }
}
