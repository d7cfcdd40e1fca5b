//! Days, clocks and moments: what a clock on the wall shows at a moment, and the moment that a shown time means.
//! Knows of zones only the offset at a moment; how clocks are put on and back is worked out from that.

use std::fmt;

use jiff::civil::{Date, DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Seconds of a day without changes of the clock.
pub const DAY_S: i64 = 86_400;

/// Days since 1970-01-01, counted on the calendar.
pub fn day_number(date: Date) -> i64 {
    let (year, month) = (i64::from(date.year()), i64::from(date.month()));
    // Howard Hinnant's days_from_civil.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(date.day()) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Seconds from 1970-01-01T00:00:00 to what a clock shows, counted on that clock.
pub fn clock_number(shown: DateTime) -> i64 {
    let (hour, minute, second) = (i64::from(shown.hour()), i64::from(shown.minute()), i64::from(shown.second()));
    day_number(shown.date()) * DAY_S + hour * 3600 + minute * 60 + second
}

/// What a clock shows so many seconds after it showed 1970-01-01T00:00:00.
pub fn clock_shows(number: i64) -> DateTime {
    date(1970, 1, 1).at(0, 0, 0, 0).checked_add(SignedDuration::from_secs(number)).unwrap()
}

/// A time zone.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Zone(TimeZone::UTC)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("?"))
    }
}

impl Zone {
    /// A zone of the IANA database.
    pub fn named(name: &str) -> Zone {
        Zone(TimeZone::get(name).unwrap())
    }

    /// Seconds that its clocks are ahead of UTC at a moment.
    fn offset_s(&self, at: i64) -> i64 {
        self.0.to_offset(Timestamp::from_second(at).unwrap()).seconds().into()
    }

    /// What its clocks show at a moment.
    pub fn shows(&self, at: i64) -> DateTime {
        clock_shows(at + self.offset_s(at))
    }

    /// A moment as its clocks show it, and how far they are ahead of UTC, to the minute: `2026-01-31T10:30:00+08:00`.
    pub fn written(&self, at: i64) -> String {
        let offset_s = self.offset_s(at);
        let minutes = (offset_s.abs() + 30) / 60;
        let sign = if offset_s < 0 && minutes > 0 { '-' } else { '+' };
        let shown = self.shows(at).strftime("%Y-%m-%dT%H:%M:%S").to_string();
        format!("{shown}{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }

    /// The date of a moment.
    pub fn day(&self, at: i64) -> Date {
        self.shows(at).date()
    }

    /// The moment at which its clocks show this. Where they show it twice, the first; where they jump over it, the
    /// moment that it would be had they not jumped.
    pub fn moment(&self, shown: DateTime) -> i64 {
        let number = clock_number(shown);
        // A day to either side is beyond any change that could concern it, and no two changes are so near.
        let (before, after) = (self.offset_s(number - DAY_S), self.offset_s(number + DAY_S));
        let shows = |at: &i64| self.shows(*at) == shown;
        [number - before, number - after].into_iter().filter(shows).min().unwrap_or(number - before)
    }
}
