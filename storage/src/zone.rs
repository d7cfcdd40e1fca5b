//! Days of a time zone: which calendar day a moment falls on, and when a day begins.
//! Knows the zone's rules; knows no rows.
//!
//! Moments come in bulk and mostly close together, so the stretch of constant offset that the last one fell into is
//! kept: within it a day is a division.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

const DAY_SECONDS: i64 = 86_400;

/// Turns moments into days of one zone.
#[derive(Debug, Clone)]
pub struct DayClock {
    zone: TimeZone,
    /// Seconds from the first to before the last in which clocks are `offset` ahead of UTC.
    first: i64,
    end: i64,
    offset: i64,
}

impl DayClock {
    /// Of a zone of the IANA database; of one that is not in it, UTC.
    pub fn new(zone: &str) -> DayClock {
        DayClock { zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC), first: 0, end: 0, offset: 0 }
    }

    /// The zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Days since 1970-01-01 of the calendar day that a moment (seconds since 1970-01-01T00:00:00Z) falls on.
    pub fn day_of(&mut self, at: i64) -> i32 {
        if at < self.first || at >= self.end {
            self.find_offset(at);
        }
        (at + self.offset).div_euclid(DAY_SECONDS) as i32
    }

    fn find_offset(&mut self, at: i64) {
        let moment = Timestamp::from_second(at).unwrap_or_default();
        self.offset = self.zone.to_offset(moment).seconds().into();
        // A change within the last second counts from the next: `preceding` is strictly before.
        let after = moment + 1.second();
        let before = self.zone.preceding(after).next().map(|change| change.timestamp().as_second());
        let next = self.zone.following(moment).next().map(|change| change.timestamp().as_second());
        (self.first, self.end) = (before.unwrap_or(i64::MIN), next.unwrap_or(i64::MAX));
    }

    /// The moment that clocks show, the earlier of two; where they leap over it, as much after the leap as it lies within.
    pub fn second_of(&self, local: DateTime) -> i64 {
        self.zone.to_ambiguous_timestamp(local).compatible().map_or(0, |moment| moment.as_second())
    }

    /// The first moment of a day, in seconds since 1970-01-01T00:00:00Z.
    pub fn start_of(&self, date: Date) -> i64 {
        let start = self.zone.to_zoned(date.to_datetime(jiff::civil::Time::midnight()));
        start.map_or(0, |start| start.timestamp().as_second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar_through_every_change_of_the_clocks() {
        for name in ["UTC", "Asia/Shanghai", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Pacific/Apia"]
        {
            let zone = TimeZone::get(name).unwrap();
            let mut clock = DayClock::new(name);
            let mut check = |at: i64| {
                let civil = Timestamp::from_second(at).unwrap().to_zoned(zone.clone()).date();
                let wanted = (civil - jiff::civil::date(1970, 1, 1)).get_days();
                assert_eq!(clock.day_of(at), wanted, "{name} {at}");
            };
            // Every 47 minutes of five years, in both directions, and around each change to the second.
            let from = 1_293_840_000;
            (0..60_000).for_each(|n| check(from + n * 2_820));
            (0..60_000).rev().step_by(7).for_each(|n| check(from + n * 2_820));
            for change in zone.following(Timestamp::from_second(from).unwrap()).take(8) {
                (-2..=2).for_each(|s| check(change.timestamp().as_second() + s));
            }
        }
    }

    #[test]
    fn a_day_begins_at_its_first_moment() {
        let clock = DayClock::new("America/New_York");
        let day = |month, day| clock.start_of(jiff::civil::date(2026, month, day));
        assert_eq!(day(3, 9) - day(3, 8), 23 * 3600);
        assert_eq!(day(11, 2) - day(11, 1), 25 * 3600);
        assert_eq!(day(6, 2) - day(6, 1), 24 * 3600);
    }
}
