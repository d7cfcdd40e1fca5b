//! Dated states by policy: which days are kept, and what the clock says.
//! Knows the calendar; knows no files.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::{Date, ISOWeekDate};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// For how long dated states are kept, and how many of them. All zero: none is taken, and none removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatedPolicy {
    /// Every day, for so many days.
    pub daily: u32,
    /// The last of each week (Monday to Sunday), for so many weeks.
    pub weekly: u32,
    /// The last of each month, for so many months.
    pub monthly: u32,
}

impl Default for DatedPolicy {
    fn default() -> Self {
        DatedPolicy { daily: 30, weekly: 26, monthly: 60 }
    }
}

impl DatedPolicy {
    /// Whether it asks for anything.
    pub fn is_off(self) -> bool {
        self == DatedPolicy { daily: 0, weekly: 0, monthly: 0 }
    }

    /// Those of some days that it does without. A month's last is also kept while weeks are: the months' states are to
    /// be those of the months' ends, not of their last Sundays.
    pub fn dropped(self, dates: &BTreeSet<Date>, today: Date) -> BTreeSet<Date> {
        if self.is_off() {
            return BTreeSet::new();
        }
        let (mut of_week, mut of_month) = (BTreeMap::new(), BTreeMap::new());
        for date in dates {
            of_week.insert(week_of(*date), *date);
            of_month.insert((date.year(), date.month()), *date);
        }
        let first_day = before(today, i64::from(self.daily).days());
        let first_week_day = before(today, i64::from(self.weekly).weeks());
        let first_month_day = before(today, i64::from(self.monthly).months());
        let is_kept = |date: &Date| {
            let is_last_of_week = of_week[&week_of(*date)] == *date;
            let is_last_of_month = of_month[&(date.year(), date.month())] == *date;
            *date >= first_day
                || (*date >= first_week_day && is_last_of_week)
                || (*date >= first_month_day && is_last_of_month)
        };
        dates.iter().filter(|date| !is_kept(date)).copied().collect()
    }
}

fn week_of(date: Date) -> (i16, i8) {
    let week: ISOWeekDate = date.iso_week_date();
    (week.year(), week.week())
}

fn before(today: Date, span: jiff::Span) -> Date {
    today.checked_sub(span).unwrap_or(Date::MIN)
}

/// What the time is: the system's clock, unless somebody wants to live through months in a moment.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// The day that was asked for last: a zone is looked up once a day.
    day: Arc<Mutex<Option<Day>>>,
}

/// A day of a zone, and the moments from which and up to which it is that day.
struct Day {
    time_zone: String,
    date: Date,
    moments: Range<Timestamp>,
}

impl Day {
    /// The day of a moment; none where the calendar ends.
    fn of(at: Timestamp, time_zone: &str) -> Option<Day> {
        let zoned = at.to_zoned(zone(time_zone));
        let from = zoned.start_of_day().ok()?;
        let to = zoned.tomorrow().and_then(|next| next.start_of_day()).ok()?;
        Some(Day { time_zone: time_zone.into(), date: zoned.date(), moments: from.timestamp()..to.timestamp() })
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new(Timestamp::now)
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

impl Clock {
    /// A clock that shows what `now` says.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Clock {
        Clock { now: Arc::new(now), day: Arc::default() }
    }

    /// This moment.
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Today in a zone; a zone was checked when it was set.
    pub fn today(&self, time_zone: &str) -> Date {
        let at = self.now();
        let mut day = self.day.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(day) = day.as_ref().filter(|day| day.moments.contains(&at) && day.time_zone == time_zone) {
            return day.date;
        }
        *day = Day::of(at, time_zone);
        day.as_ref().map_or_else(|| date_in(at, time_zone), |day| day.date)
    }
}

/// The day of a moment in a zone.
pub(crate) fn date_in(at: Timestamp, time_zone: &str) -> Date {
    at.to_zoned(zone(time_zone)).date()
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lives through some days, taking one a day and removing what the policy does without.
    fn lived(policy: DatedPolicy, from: Date, to: Date) -> Vec<String> {
        let mut dates = BTreeSet::new();
        let mut today = from;
        while today <= to {
            dates.insert(before(today, 1.day()));
            for date in policy.dropped(&dates, today) {
                dates.remove(&date);
            }
            today = today.tomorrow().unwrap();
        }
        dates.iter().map(Date::to_string).collect()
    }

    #[test]
    fn a_day_ends_at_its_zones_midnight() {
        let now = Arc::new(Mutex::new("2026-10-31T15:59:59Z".parse::<Timestamp>().unwrap()));
        let shown = now.clone();
        let clock = Clock::new(move || *shown.lock().unwrap());
        let day = jiff::civil::date;
        for (at, zone, today) in [
            ("2026-10-31T15:59:59.999Z", "Asia/Shanghai", day(2026, 10, 31)),
            ("2026-10-31T16:00:00Z", "Asia/Shanghai", day(2026, 11, 1)),
            ("2026-10-31T16:00:00Z", "UTC", day(2026, 10, 31)),
            ("2026-11-01T15:59:59Z", "Asia/Shanghai", day(2026, 11, 1)),
            ("2026-10-31T10:00:00Z", "Asia/Shanghai", day(2026, 10, 31)),
            // A day of 25 hours.
            ("2026-11-01T04:00:00Z", "America/New_York", day(2026, 11, 1)),
            ("2026-11-02T04:59:59Z", "America/New_York", day(2026, 11, 1)),
            ("2026-11-02T05:00:00Z", "America/New_York", day(2026, 11, 2)),
        ] {
            *now.lock().unwrap() = at.parse().unwrap();
            assert_eq!((clock.today(zone), clock.today(zone)), (today, today), "{at} {zone}");
        }
    }

    #[test]
    fn days_become_weeks_and_weeks_months() {
        let day = jiff::civil::date;
        let policy = DatedPolicy { daily: 3, weekly: 3, monthly: 4 };
        let kept = lived(policy, day(2026, 1, 1), day(2026, 7, 15));
        let months = ["2026-03-31", "2026-04-30", "2026-05-31"];
        // Sundays, and the end of June while weeks are kept.
        let weeks = ["2026-06-28", "2026-06-30", "2026-07-05"];
        let days = ["2026-07-12", "2026-07-13", "2026-07-14"];
        assert_eq!(kept, [&months[..], &weeks[..], &days[..]].concat());
        assert_eq!(lived(DatedPolicy { weekly: 0, monthly: 0, ..policy }, day(2026, 1, 1), day(2026, 7, 15)), days);
        let all = lived(DatedPolicy { daily: 0, weekly: 0, monthly: 0 }, day(2026, 1, 1), day(2026, 1, 10));
        assert_eq!(all.len(), 10, "no policy takes nothing away");
    }

    #[test]
    fn a_year_keeps_about_a_hundred() {
        let kept = lived(DatedPolicy::default(), jiff::civil::date(2020, 1, 1), jiff::civil::date(2026, 7, 15));
        assert!((100..=118).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept[0], "2021-07-31");
    }
}
