//! Behaviours as a plan has them: which rows of an event count, and what a profile's rows must come to.
//! Knows columns of rows and tests of values; knows no names.

use storage::{EventId, PropertyId};

use super::ColumnTest;
use crate::query::number::{ExactRange, WideRange};

/// A column of an event's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowColumn {
    /// The day in the space's zone.
    Day,
    /// The second.
    At,
    /// A property.
    Property(PropertyId),
}

/// Which rows: a condition over one row.
#[derive(Debug, Clone, PartialEq)]
pub enum RowTest {
    /// All of them.
    All,
    /// None of them.
    Nothing,
    /// All of; two or more.
    And(Vec<RowTest>),
    /// Any of; two or more.
    Or(Vec<RowTest>),
    /// All that are not in it.
    Not(Box<RowTest>),
    /// The column is known and its value passes.
    Column(RowColumn, ColumnTest),
}

/// Rows of one event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRows {
    /// Of which event.
    pub event: EventId,
    /// Which of them.
    pub test: RowTest,
}

/// What the rows of a profile must come to; asked only of profiles that have any.
#[derive(Debug, PartialEq)]
pub enum Amount {
    /// How many there are.
    Count(ColumnTest),
    /// How many different known values a column has.
    Distinct(RowColumn, ColumnTest),
    /// The least known value; of none, it does not pass.
    Least(RowColumn, ColumnTest),
    /// The greatest known value; of none, it does not pass.
    Most(RowColumn, ColumnTest),
    /// The value of the first row; unknown does not pass.
    First(RowColumn, ColumnTest),
    /// The value of the last row; unknown does not pass.
    Last(RowColumn, ColumnTest),
    /// The sum of the known values, in units of the column.
    Sum(RowColumn, Vec<WideRange>),
    /// The mean of the known values, in units of the column; of none, it does not pass.
    Mean(RowColumn, Vec<ExactRange>),
}

/// Profiles with rows that come to something.
#[derive(Debug, PartialEq)]
pub struct Behaviour {
    /// Which rows.
    pub rows: EventRows,
    /// What they must come to.
    pub amount: Amount,
    /// Instead: profiles with such rows that do not come to it.
    pub negated: bool,
}

/// Profiles with a row of each step, each strictly later than the one before.
#[derive(Debug, PartialEq)]
pub struct InOrder {
    /// Two or more.
    pub steps: Vec<EventRows>,
    /// Longest time from the first to the last, in seconds.
    pub within_s: Option<i64>,
}

impl Behaviour {
    /// Whether any row at all is enough.
    pub fn is_any(&self) -> bool {
        !self.negated
            && matches!(&self.amount, Amount::Count(ColumnTest::Range(range)) if range.low <= 1 && range.high > 1 << 32)
    }
}

impl EventRows {
    /// Bytes that they hold on the heap, about.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of::<EventRows>() + self.test.heap_bytes()
    }
}

impl RowTest {
    fn heap_bytes(&self) -> usize {
        match self {
            RowTest::All | RowTest::Nothing => 0,
            RowTest::And(tests) | RowTest::Or(tests) => {
                tests.iter().map(|test| size_of::<RowTest>() + test.heap_bytes()).sum()
            }
            RowTest::Not(inner) => size_of::<RowTest>() + inner.heap_bytes(),
            RowTest::Column(_, test) => test.heap_bytes(),
        }
    }

    /// All of; flattened.
    pub fn and(tests: Vec<RowTest>) -> RowTest {
        let mut flat = Vec::with_capacity(tests.len());
        for test in tests {
            match test {
                RowTest::All => {}
                RowTest::Nothing => return RowTest::Nothing,
                RowTest::And(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => RowTest::All,
            1 => flat.remove(0),
            _ => RowTest::And(flat),
        }
    }

    /// Any of; flattened.
    pub fn or(tests: Vec<RowTest>) -> RowTest {
        let mut flat = Vec::with_capacity(tests.len());
        for test in tests {
            match test {
                RowTest::Nothing => {}
                RowTest::All => return RowTest::All,
                RowTest::Or(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => RowTest::Nothing,
            1 => flat.remove(0),
            _ => RowTest::Or(flat),
        }
    }

    /// All others.
    #[allow(clippy::should_implement_trait)]
    pub fn not(test: RowTest) -> RowTest {
        match test {
            RowTest::All => RowTest::Nothing,
            RowTest::Nothing => RowTest::All,
            RowTest::Not(inner) => *inner,
            other => RowTest::Not(Box::new(other)),
        }
    }
}

impl Amount {
    /// Bytes that it holds on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Amount::Count(test)
            | Amount::Distinct(_, test)
            | Amount::Least(_, test)
            | Amount::Most(_, test)
            | Amount::First(_, test)
            | Amount::Last(_, test) => test.heap_bytes(),
            Amount::Sum(_, ranges) => size_of_val(&ranges[..]),
            Amount::Mean(_, ranges) => size_of_val(&ranges[..]),
        }
    }

    /// Whether nothing at all comes to it: no rows are a count and a sum of 0, and no value of anything else.
    pub fn is_zero_enough(&self) -> bool {
        match self {
            Amount::Count(test) | Amount::Distinct(_, test) => test.passes(0),
            Amount::Sum(_, ranges) => ranges.iter().any(|range| range.contains(0)),
            Amount::Least(..) | Amount::Most(..) | Amount::First(..) | Amount::Last(..) | Amount::Mean(..) => false,
        }
    }
}
