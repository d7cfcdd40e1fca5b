//! Frozen audiences in questions: `in_snapshot('vip', DATE '2026-11-01')`.
//! Knows how a snapshot is found and what is wrong where there is none; who freezes them is the provider's matter.
//!
//! A snapshot is of the present catalogue, whatever state is asked: inside of `was`, and of a whole question of an
//! earlier state, it is cut down to those who lived then, as any set of OneIDs is.

use jiff::civil::Date;
use queryparser::ast::{Literal, LiteralValue, Name, Predicate, PredicateKind};

use super::bind::Binder;
use super::error::Result;
use super::plan::Node;

/// Most days that an error names.
const DAYS_SHOWN: usize = 5;

/// The snapshots that a predicate uses itself: audience and day, as they stand there.
pub fn snapshots_used_by(predicate: &Predicate) -> Vec<(&Name, &Literal)> {
    fn visit<'p>(predicate: &'p Predicate, found: &mut Vec<(&'p Name, &'p Literal)>) {
        if let PredicateKind::InSnapshot { audience, on } = &predicate.kind {
            found.push((audience, on));
        }
        queryparser::children(predicate).into_iter().for_each(|child| visit(child, found));
    }
    let mut found = Vec::new();
    visit(predicate, &mut found);
    found
}

impl Binder<'_> {
    /// Who was frozen as an audience's members on a day, of those who live in the question's view.
    ///
    /// # Errors
    /// An unknown audience, with the nearest name; a day without a snapshot, with the nearest ones; damage of the store.
    pub(super) fn in_snapshot(&mut self, audience: &Name, on: &Literal) -> Result<Node> {
        let date = match &on.value {
            LiteralValue::Date(date) => *date,
            LiteralValue::RelativeDate(intervals) => self.relative(intervals, on.span)?,
            _ => return Err(self.fault("wrong_type", on.span, "a snapshot is named by its day".into(), None)),
        };
        let audiences = self.ctx.audiences;
        if let Some(set) = audiences.frozen(&audience.text, date)? {
            return Ok(Node::ids(match self.ctx.among {
                Some(among) => set.intersect(among.id_set()),
                None => set.among_live(self.ctx.view)?,
            }));
        }
        if audiences.find(&audience.text)?.is_none() {
            return Err(self.unknown_audience(audience));
        }
        let message = format!("audience `{}` has no snapshot of {date}", audience.text);
        Err(self.fault(
            "unknown_snapshot",
            on.span,
            message,
            Some(days_hint(&audiences.frozen_days(&audience.text), date)),
        ))
    }
}

/// Which days there are around one; `days` ascend.
pub fn days_hint(days: &[Date], date: Date) -> String {
    if days.is_empty() {
        return "it was never frozen: POST …/freeze does it".into();
    }
    let at = days.partition_point(|day| *day < date);
    let from = at.saturating_sub(DAYS_SHOWN.div_ceil(2)).min(days.len().saturating_sub(DAYS_SHOWN));
    let near: Vec<String> = days[from..].iter().take(DAYS_SHOWN).map(Date::to_string).collect();
    let more =
        if days.len() > near.len() { format!(" (and {} others)", days.len() - near.len()) } else { String::new() };
    format!("there are snapshots of {}{more}", near.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_days_that_are_near() {
        let days: Vec<Date> = (1..=9).map(|day| jiff::civil::date(2026, 11, day)).collect();
        let hint = |day| days_hint(&days, jiff::civil::date(2026, day, 1));
        assert!(hint(12).ends_with("2026-11-05, 2026-11-06, 2026-11-07, 2026-11-08, 2026-11-09 (and 4 others)"));
        assert!(hint(1).contains("of 2026-11-01, 2026-11-02, "), "{}", hint(1));
        assert_eq!(days_hint(&days[..1], days[3]), "there are snapshots of 2026-11-01");
        assert!(days_hint(&[], days[0]).contains("never frozen"));
    }
}
