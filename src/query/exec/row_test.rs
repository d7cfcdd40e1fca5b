//! Conditions over rows of events, resolved against the columns that they lie in; and the window of days that they imply.
//! Knows columns and tests of values; knows no profiles.

use storage::column::ColumnView;
use storage::segment::SegmentView;

use crate::query::kernels::PageBits;
use crate::query::number::Range;
use crate::query::plan::{ColumnTest, EventRows, RowColumn, RowTest};

use super::pages::ALL;

/// A condition, resolved.
pub(super) enum RunTest<'a> {
    All,
    Nothing,
    And(Vec<RunTest<'a>>),
    Or(Vec<RunTest<'a>>),
    Not(Box<RunTest<'a>>),
    Column(ColumnView<'a>, &'a ColumnTest),
    /// As a column, with a test of its own: days that are kept.
    Own(ColumnView<'a>, ColumnTest),
}

/// A condition that only rows of some days pass: the days, and what is asked besides.
pub(super) struct Window<'a> {
    pub(super) days: Range,
    pub(super) rest: Vec<&'a RowTest>,
}

impl<'a> Window<'a> {
    /// The window of a condition, where it has one and looks at nothing that rows by day lack.
    pub(super) fn of(test: &'a RowTest, kept: Option<Range>) -> Option<Window<'a>> {
        let all = match test {
            RowTest::And(tests) => &tests[..],
            other => std::slice::from_ref(other),
        };
        let (mut days, mut rest) = (kept, Vec::new());
        for test in all {
            match test {
                RowTest::Column(RowColumn::Day, ColumnTest::Range(range)) => {
                    let before = days.unwrap_or(Range::ALL);
                    days = Some(Range { low: before.low.max(range.low), high: before.high.min(range.high) });
                }
                RowTest::All => {}
                other => rest.push(other),
            }
        }
        (!rest.iter().any(|test| looks_at_seconds(test))).then_some(Window { days: days?, rest })
    }
}

/// The days that a condition leaves, where it says so.
pub(crate) fn window_of(rows: &EventRows) -> Option<Range> {
    Window::of(&rows.test, None).map(|window| window.days)
}

fn looks_at_seconds(test: &RowTest) -> bool {
    match test {
        RowTest::All | RowTest::Nothing => false,
        RowTest::And(tests) | RowTest::Or(tests) => tests.iter().any(looks_at_seconds),
        RowTest::Not(test) => looks_at_seconds(test),
        RowTest::Column(column, _) => *column == RowColumn::At,
    }
}

pub(super) fn column_of<'a>(view: &SegmentView<'a>, column: RowColumn) -> ColumnView<'a> {
    match column {
        RowColumn::Day => view.day(),
        RowColumn::At => view.at(),
        RowColumn::Property(property) => view.property(property),
    }
}

/// Resolves a condition against rows.
pub(super) fn resolve<'a>(view: &SegmentView<'a>, test: &'a RowTest) -> RunTest<'a> {
    match test {
        RowTest::All => RunTest::All,
        RowTest::Nothing => RunTest::Nothing,
        RowTest::And(tests) => all_of(view, tests.iter(), None),
        RowTest::Or(tests) => RunTest::Or(tests.iter().map(|test| resolve(view, test)).collect()),
        RowTest::Not(test) => RunTest::Not(Box::new(resolve(view, test))),
        RowTest::Column(column, test) => RunTest::Column(column_of(view, *column), test),
    }
}

/// Resolves conditions of which all must hold, and days that are kept.
pub(super) fn all_of<'a>(
    view: &SegmentView<'a>,
    tests: impl Iterator<Item = &'a RowTest>,
    kept: Option<Range>,
) -> RunTest<'a> {
    let kept = kept.map(|days| RunTest::Own(view.day(), ColumnTest::Range(days)));
    let mut all: Vec<RunTest<'a>> = kept.into_iter().collect();
    for test in tests {
        match resolve(view, test) {
            RunTest::All => {}
            RunTest::Nothing => return RunTest::Nothing,
            other => all.push(other),
        }
    }
    match all.len() {
        0 => RunTest::All,
        1 => all.remove(0),
        _ => RunTest::And(all),
    }
}

impl RunTest<'_> {
    /// Marks the rows of a page that pass.
    pub(super) fn mark(&self, page: usize, out: &mut PageBits) {
        match self {
            RunTest::All => out.fill(u64::MAX),
            RunTest::Nothing => out.fill(0),
            RunTest::Column(column, test) => test.mark(&column.page(page), out),
            RunTest::Own(column, test) => test.mark(&column.page(page), out),
            RunTest::Not(inner) => {
                inner.mark(page, out);
                out.iter_mut().for_each(|word| *word = !*word);
            }
            RunTest::And(tests) => {
                let mut more = ALL;
                for (at, test) in tests.iter().enumerate() {
                    if at == 0 {
                        test.mark(page, out);
                        continue;
                    }
                    if out.iter().all(|word| *word == 0) {
                        return;
                    }
                    test.mark(page, &mut more);
                    out.iter_mut().zip(&more).for_each(|(word, more)| *word &= more);
                }
            }
            RunTest::Or(tests) => {
                let mut more = ALL;
                out.fill(0);
                for test in tests {
                    test.mark(page, &mut more);
                    out.iter_mut().zip(&more).for_each(|(word, more)| *word |= more);
                }
            }
        }
    }
}
