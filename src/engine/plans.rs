//! Plans of questions that were asked of the same data before: neither read nor bound again.
//! Knows questions and what their plans hang on; how they are run is `query`'s.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::Date;
use queryparser::Parsed;
use queryparser::ast::Predicate;
use serde_json::Value;

use super::ask::{Where, parse, plan_of};
use super::{Question, Result, Space};
use crate::query::audiences::{asks_states, used_by};
use crate::query::bind::Warning;
use crate::query::{Context, Node};

/// Bytes that all plans may take, about; beyond it all are dropped.
const BYTES_MAX: usize = 32 << 20;
/// Bytes that one of them may take, about.
const PLAN_BYTES_MAX: usize = 1 << 20;
/// Longest question that is remembered, in bytes of its text or tree.
const ASKED_BYTES_MAX: usize = 1 << 14;
/// Bytes of a question and its predicate for each of its text, about.
const BYTES_A_LETTER: usize = 32;
/// Bytes of a rule tree for each of its values, as text.
const VALUE_BYTES: usize = 8;

/// A predicate and what it is bound to.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) parsed: Parsed<Predicate>,
    pub(super) plan: Node,
    warnings: Vec<Warning>,
}

impl Planned {
    /// Whether it hangs on nothing but the data, the day and the request: not on definitions, snapshots or other states.
    fn is_of_data_alone(&self) -> bool {
        used_by(&self.parsed.ast).is_empty() && !asks_states(&self.parsed.ast)
    }
}

/// How long a question is, in bytes of text.
fn letters(asked: &Where) -> usize {
    fn of_value(value: &Value) -> usize {
        VALUE_BYTES
            + match value {
                Value::String(text) => text.len(),
                Value::Array(values) => values.iter().map(of_value).sum(),
                Value::Object(entries) => entries.iter().map(|(key, value)| key.len() + of_value(value)).sum(),
                Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            }
    }
    match asked {
        Where::Text(text) => text.len(),
        Where::Tree(tree) => of_value(tree),
    }
}

/// Plans of one data version, by what was asked and by the day that it was asked of.
#[derive(Debug, Default)]
pub(super) struct Plans(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    data_version: u64,
    plans: HashMap<Where, Entry, ahash::RandomState>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    as_of: Date,
    planned: Arc<Planned>,
    bytes: usize,
}

impl Plans {
    fn get(&self, data_version: u64, as_of: Date, asked: &Where) -> Option<Arc<Planned>> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = memory.plans.get(asked).filter(|entry| entry.as_of == as_of)?;
        (memory.data_version == data_version).then(|| entry.planned.clone())
    }

    fn put(&self, data_version: u64, as_of: Date, asked: &Where, planned: &Arc<Planned>) {
        let bytes = planned.plan.heap_bytes() + letters(asked) * BYTES_A_LETTER;
        if bytes > PLAN_BYTES_MAX {
            return;
        }
        let (asked, entry) = (asked.clone(), Entry { as_of, planned: planned.clone(), bytes });
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Of an older version than is remembered: nobody will ask that again.
        if data_version < memory.data_version {
            return;
        }
        let is_new = data_version > memory.data_version || memory.bytes + bytes > BYTES_MAX;
        let dropped = is_new.then(|| std::mem::replace(&mut *memory, Memory { data_version, ..Memory::default() }));
        memory.bytes += bytes;
        let before = memory.plans.insert(asked, entry);
        memory.bytes -= before.map_or(0, |before| before.bytes);
        // What is dropped is so when others need not wait for it.
        drop(memory);
        drop(dropped);
    }
}

impl Space {
    /// The plan of an audience or base; none of everyone. Warnings are added to those there are.
    pub(super) fn planned(
        &self,
        ctx: &Context<'_>,
        question: &Question,
        asked: Option<&Where>,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<Arc<Planned>>> {
        let Some(asked) = asked else { return Ok(None) };
        let data_version = ctx.view.data_version();
        let is_remembered = question.state.is_none() && letters(asked) <= ASKED_BYTES_MAX;
        let known = is_remembered.then(|| self.plans.get(data_version, ctx.as_of, asked)).flatten();
        let planned = match known {
            Some(planned) => planned,
            None => {
                let parsed = parse(asked, ctx)?;
                let mut warnings = Vec::new();
                let plan = plan_of(ctx, Some(&parsed), &mut warnings)?;
                let planned = Arc::new(Planned { parsed, plan, warnings });
                if is_remembered && planned.is_of_data_alone() {
                    self.plans.put(data_version, ctx.as_of, asked, &planned);
                }
                planned
            }
        };
        warnings.extend(planned.warnings.iter().cloned());
        Ok(Some(planned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(text: &str) -> Arc<Planned> {
        let parsed = queryparser::parse_predicate(text, &queryparser::Limits::default()).unwrap();
        Arc::new(Planned { parsed, plan: Node::Everyone, warnings: Vec::new() })
    }

    #[test]
    fn a_plan_is_of_its_data_and_its_day() {
        let plans = Plans::default();
        let asked = |text: &str| Where::Text(text.into());
        let day = |day| jiff::civil::date(2026, 11, day);
        let is_known = |version, on, text| plans.get(version, day(on), &asked(text)).is_some();
        plans.put(5, day(1), &asked("a"), &planned("a"));
        assert!(is_known(5, 1, "a"));
        assert!(!is_known(5, 2, "a") && !is_known(6, 1, "a") && !is_known(4, 1, "a") && !is_known(5, 1, "b"));
        plans.put(4, day(1), &asked("b"), &planned("b"));
        assert!(is_known(5, 1, "a") && !is_known(4, 1, "b"), "an older version is not what is remembered");
        plans.put(6, day(1), &asked("b"), &planned("b"));
        assert!(is_known(6, 1, "b") && !is_known(6, 1, "a") && !is_known(5, 1, "a"));
    }

    #[test]
    fn what_hangs_on_more_than_the_data_is_bound_anew() {
        for text in ["in_audience('a')", "NOT (b AND in_snapshot('a', DATE '2026-11-01'))", "was('then', b)"] {
            assert!(!planned(text).is_of_data_alone(), "{text}");
        }
        assert!(planned("b AND spend >= (SELECT quantile(spend, 0.8) FROM profiles)").is_of_data_alone());
    }

    #[test]
    fn plans_take_no_more_than_their_bytes() {
        let plans = Plans::default();
        let day = jiff::civil::date(2026, 11, 1);
        let text = |n: usize| format!("city = '{n:0>20000}'");
        for n in 0..200 {
            plans.put(1, day, &Where::Text(text(n)), &planned(&text(n)));
            assert!(plans.0.lock().unwrap().bytes <= BYTES_MAX);
        }
        assert!(plans.get(1, day, &Where::Text(text(199))).is_some());
        assert!(plans.0.lock().unwrap().plans.len() > 30);
        let before = plans.0.lock().unwrap().bytes;
        plans.put(1, jiff::civil::date(2026, 11, 2), &Where::Text(text(199)), &planned(&text(199)));
        assert_eq!(plans.0.lock().unwrap().bytes, before, "another day's instead");
        let days = crate::query::plan::ColumnTest::of_month_days(-4_000_000, 5_000_000, &[(630, 630)]);
        let kind = crate::query::plan::LeafKind::Column { tag: storage::TagId(0), test: days };
        let large = Planned { plan: Node::leaf(kind, 1), ..Arc::into_inner(planned("a")).unwrap() };
        plans.put(1, day, &Where::Text("a".into()), &Arc::new(large));
        assert!(plans.get(1, day, &Where::Text("a".into())).is_none(), "too large by itself");
    }
}
