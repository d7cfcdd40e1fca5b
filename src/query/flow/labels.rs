//! Labels of a flow: which rows and columns there are, in which order, and the predicate of each.
//! Knows codes of two views and what they stand for; nothing of how members were counted.

use std::collections::BTreeMap;

use queryparser::ast::{
    CompareOp, Decimal, Literal, LiteralValue, Name, Operand, Predicate, PredicateKind, Scalar, Span,
};
use storage::{TagType, ValueId};

use super::{Cells, Flow, Kind, Request, Side, UNKNOWN};
use crate::query::bind::date_of;
use crate::query::cell::Cell;
use crate::query::distribution::{Unit, bin_label};
use crate::query::error::{Error, Result};
use crate::query::number::decimal_text;

/// What a row or column stands for, the same in both views.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Text(String),
    Flag(bool),
    Bin(usize),
    Unknown,
    Other,
    Absent,
}

impl Key {
    fn kind(&self) -> Kind {
        match self {
            Key::Text(_) | Key::Flag(_) | Key::Bin(_) => Kind::Value,
            Key::Unknown => Kind::Unknown,
            Key::Other => Kind::Other,
            Key::Absent => Kind::Absent,
        }
    }
}

/// What the labels are made from.
pub(super) struct Labels<'a> {
    pub(super) sides: [Side<'a>; 2],
    pub(super) request: &'a Request<'a>,
    pub(super) edges: Option<&'a [i64]>,
    pub(super) absent: [u32; 2],
}

impl Labels<'_> {
    /// The answer, from the counts by code.
    ///
    /// # Errors
    /// [`Error::TooLarge`], damage of the store.
    pub(super) fn flow(&self, cells_max: u64, cells: &Cells) -> Result<Flow> {
        let mut by_key: BTreeMap<(Key, Key), u64> = BTreeMap::new();
        let mut totals: [BTreeMap<Key, u64>; 2] = Default::default();
        let mut keys: [BTreeMap<u32, Key>; 2] = Default::default();
        for ((then, now), n) in cells {
            for (side, code) in [*then, *now].into_iter().enumerate() {
                if !keys[side].contains_key(&code) {
                    keys[side].insert(code, self.key(side, code)?);
                }
            }
            let (row, column) = (keys[0][then].clone(), keys[1][now].clone());
            *totals[0].entry(row.clone()).or_default() += n;
            *totals[1].entry(column.clone()).or_default() += n;
            *by_key.entry((row, column)).or_default() += n;
        }
        let values = self.values(&totals);
        let [rows, columns] = [0, 1].map(|side| self.axis(side, &values, &totals[side]));
        let asked = rows.len() as u64 * columns.len() as u64;
        if asked > cells_max {
            return Err(Error::TooLarge { what: "cells", asked, max: cells_max });
        }
        let count = |row: &Key, column: &Key| by_key.get(&(row.clone(), column.clone())).copied().unwrap_or(0);
        let total = |side: usize, key: &Key| totals[side].get(key).copied().unwrap_or(0);
        Ok(Flow {
            from: self.state_name(0),
            to: self.state_name(1),
            counts: rows.iter().map(|row| columns.iter().map(|column| count(row, column)).collect()).collect(),
            row_totals: rows.iter().map(|key| total(0, key)).collect(),
            column_totals: columns.iter().map(|key| total(1, key)).collect(),
            row_where: rows.iter().map(|key| self.text(0, key)).collect(),
            column_where: columns.iter().map(|key| self.text(1, key)).collect(),
            row_kinds: rows.iter().map(Key::kind).collect(),
            column_kinds: columns.iter().map(Key::kind).collect(),
            rows: rows.iter().map(|key| self.label(key)).collect(),
            columns: columns.iter().map(|key| self.label(key)).collect(),
        })
    }

    /// Values of either side: bins in their order, others by how many have or had them.
    fn values(&self, totals: &[BTreeMap<Key, u64>; 2]) -> Vec<Key> {
        if let Some(edges) = self.edges {
            return (0..edges.len().saturating_sub(1)).map(Key::Bin).collect();
        }
        let mut sums: BTreeMap<&Key, u64> = BTreeMap::new();
        for (key, n) in totals.iter().flatten().filter(|(key, _)| key.kind() == Kind::Value) {
            *sums.entry(key).or_default() += n;
        }
        let mut values: Vec<(&Key, u64)> = sums.into_iter().collect();
        values.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        values.into_iter().map(|(key, _)| key.clone()).collect()
    }

    /// The values, unknown always, the others where anyone is, and absent where it can be.
    fn axis(&self, side: usize, values: &[Key], totals: &BTreeMap<Key, u64>) -> Vec<Key> {
        let mut keys = values.to_vec();
        keys.push(Key::Unknown);
        keys.extend(totals.contains_key(&Key::Other).then_some(Key::Other));
        let can_be_absent = side == 0 && self.sides[0].name.is_some();
        keys.extend((can_be_absent || totals.contains_key(&Key::Absent)).then_some(Key::Absent));
        keys
    }

    fn key(&self, side: usize, code: u32) -> Result<Key> {
        Ok(match (code, self.edges, self.request.axis.tag_type) {
            (UNKNOWN, ..) => Key::Unknown,
            (code, ..) if code == self.absent[side] => Key::Absent,
            (code, Some(edges), _) if code as usize >= edges.len().max(1) => Key::Other,
            (code, Some(_), _) => Key::Bin(code as usize - 1),
            (code, None, TagType::Flag) => Key::Flag(code == 2),
            (code, None, _) => {
                let values = self.sides[side].view.tag(self.request.axis.tag).values();
                Key::Text(values.text(ValueId(code - 1))?.to_string())
            }
        })
    }

    fn label(&self, key: &Key) -> Cell<'static> {
        match key {
            Key::Text(text) => Cell::Text(text.clone().into()),
            Key::Flag(value) => Cell::Bool(*value),
            Key::Bin(at) => {
                let unit = Unit { tag_type: self.request.axis.tag_type };
                self.edges.map_or(Cell::Null, |edges| bin_label(&unit, edges, *at))
            }
            Key::Unknown | Key::Other | Key::Absent => Cell::Null,
        }
    }

    fn state_name(&self, side: usize) -> Option<String> {
        self.sides[side].name.map(|name| match &name.value {
            LiteralValue::Text(text) => text.clone(),
            LiteralValue::Date(date) => date.to_string(),
            _ => String::new(),
        })
    }

    /// The predicate of a row or column, to be joined to others by AND as it stands.
    fn text(&self, side: usize, key: &Key) -> String {
        let held = self.predicate(key);
        let predicate = match (self.sides[side].name, key) {
            (Some(state), Key::Absent) => not(was(state, held)),
            (Some(state), _) => was(state, held),
            (None, _) => held,
        };
        let text = queryparser::predicate_text(&predicate);
        if matches!(predicate.kind, PredicateKind::Or(_)) { format!("({text})") } else { text }
    }

    fn predicate(&self, key: &Key) -> Predicate {
        let name = Name { text: self.request.tag.into(), span: Span::default() };
        let operand = Operand::Name(name.clone());
        let compare = |op, value| {
            let scalar = Scalar::Literal(Literal { value, span: Span::default() });
            plain(PredicateKind::Compare { operand: operand.clone(), op, scalar })
        };
        match key {
            Key::Text(text) => compare(CompareOp::Equal, LiteralValue::Text(text.clone())),
            Key::Flag(true) => plain(PredicateKind::Flag(name)),
            Key::Flag(false) => compare(CompareOp::Equal, LiteralValue::Bool(false)),
            Key::Unknown => plain(PredicateKind::IsNull { operand, negated: false }),
            Key::Absent => plain(PredicateKind::Constant(true)),
            Key::Bin(at) => {
                let edges = self.edges.unwrap_or(&[]);
                let is_last = at + 2 == edges.len();
                let below = if is_last { CompareOp::LessOrEqual } else { CompareOp::Less };
                plain(PredicateKind::And(vec![
                    compare(CompareOp::GreaterOrEqual, self.literal(edges[*at])),
                    compare(below, self.literal(edges[at + 1])),
                ]))
            }
            Key::Other => {
                let edges = self.edges.unwrap_or(&[]);
                let (first, last) = (edges.first().copied().unwrap_or(0), edges.last().copied().unwrap_or(0));
                plain(PredicateKind::Or(vec![
                    compare(CompareOp::Less, self.literal(first)),
                    compare(CompareOp::Greater, self.literal(last)),
                ]))
            }
        }
    }

    fn literal(&self, value: i64) -> LiteralValue {
        match self.request.axis.tag_type {
            TagType::Number { scale } => {
                let decimal = Decimal::parse(&decimal_text(value.into(), scale));
                LiteralValue::Number(decimal.unwrap_or(Decimal { digits: value.into(), scale }))
            }
            _ => LiteralValue::Date(date_of(value)),
        }
    }
}

fn plain(kind: PredicateKind) -> Predicate {
    Predicate { kind, span: Span::default() }
}

fn not(predicate: Predicate) -> Predicate {
    plain(PredicateKind::Not(Box::new(predicate)))
}

fn was(state: &Literal, predicate: Predicate) -> Predicate {
    plain(PredicateKind::Was { state: state.clone(), predicate: Box::new(predicate) })
}
