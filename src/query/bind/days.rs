//! The greatest or least day of rows, said by windows of days.
//! Knows rows and amounts; knows no names.

use storage::column::NUMBER_MAX;

use crate::query::number::Range;
use crate::query::plan::{Amount, ColumnTest, EventRows, RowColumn, RowTest};

/// The greatest (least) day in a range, said by windows: some row in it, and none beyond its end.
pub(super) struct Days {
    pub(super) having: EventRows,
    pub(super) lacking: Option<EventRows>,
}

/// What an amount says of the greatest or least day, as windows; `None` where it says something else. The first and the
/// last row are not meant: where a zone's clock was put back over midnight a later row is of an earlier day.
pub(super) fn as_days(rows: &EventRows, amount: &Amount) -> Option<Days> {
    let (days, is_last) = match amount {
        Amount::Most(RowColumn::Day, ColumnTest::Range(days)) => (*days, true),
        Amount::Least(RowColumn::Day, ColumnTest::Range(days)) => (*days, false),
        _ => return None,
    };
    if days.low > days.high {
        return None;
    }
    let within = |window: Range| {
        let window = RowTest::Column(RowColumn::Day, ColumnTest::Range(window));
        EventRows { event: rows.event, test: RowTest::and(vec![window, rows.test.clone()]) }
    };
    let before = (days.low > -NUMBER_MAX).then(|| Range { low: i64::MIN, high: days.low - 1 });
    let after = (days.high < NUMBER_MAX).then(|| Range { low: days.high + 1, high: i64::MAX });
    let (near, beyond) = if is_last { (before, after) } else { (after, before) };
    let having = match (near, &rows.test) {
        // Without a near end whoever has rows at all has some within, or beyond.
        (None, _) => rows.clone(),
        // Rows beyond are lacking, so that it is the same whether they are looked at; of all rows the owners are kept by
        // their first and last days.
        (Some(_), RowTest::All) if is_last => within(Range { high: i64::MAX, ..days }),
        (Some(_), RowTest::All) => within(Range { low: i64::MIN, ..days }),
        (Some(_), _) => within(days),
    };
    Some(Days { having, lacking: beyond.map(within) })
}
