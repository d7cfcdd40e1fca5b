//! The days of the forty questions: from when to when they are lived through, and what is kept at the end of each.
//! Knows days and two requests; knows nobody who lives.

use jiff::civil::{Date, date};
use serde_json::json;
use storage::DatedPolicy;

use crate::http_client::{Client, MAIN};

/// The first day; its state is kept.
pub const FIRST_DAY: Date = date(2026, 1, 1);
/// The day that is asked about.
pub const TODAY: Date = date(2026, 11, 1);
/// From this day on the state of each is kept.
pub const FIRST_KEPT: Date = date(2026, 5, 1);
/// From this day on the active members of each are frozen: 180 days before today.
pub const FIRST_FROZEN: Date = date(2026, 5, 5);

/// One that keeps them all.
pub fn policy() -> DatedPolicy {
    DatedPolicy { daily: 400, ..DatedPolicy::default() }
}

/// All days, up to today.
pub fn days() -> impl Iterator<Item = Date> {
    FIRST_DAY.series(jiff::Span::new().days(1)).take_while(|day| *day <= TODAY)
}

/// Keeps what is to be kept of a day, which is over.
pub fn keep(client: &mut Client, day: Date) {
    if (day == FIRST_DAY || day >= FIRST_KEPT) && day < TODAY {
        client.post(&format!("{MAIN}/snapshots"), &json!({"date": day.to_string()})).expect(200);
    }
    if (FIRST_FROZEN..TODAY).contains(&day) {
        client.post(&format!("{MAIN}/audiences/active_member/freeze"), &json!({})).expect(200);
    }
}
