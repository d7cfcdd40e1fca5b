//! A clock that is set by hand, for those who live through months in a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::civil::Date;
use storage::Clock;

/// Shows noon (UTC) of the day that it was set to.
#[derive(Clone, Default)]
pub struct Hand(Arc<AtomicI64>);

impl Hand {
    pub fn at(day: Date) -> Hand {
        let hand = Hand::default();
        hand.set(day);
        hand
    }

    pub fn set(&self, day: Date) {
        let noon = day.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        self.0.store(noon.timestamp().as_second(), Ordering::Relaxed);
    }

    /// The clock that shows it.
    pub fn clock(&self) -> Clock {
        let seconds = self.0.clone();
        Clock::new(move || jiff::Timestamp::from_second(seconds.load(Ordering::Relaxed)).unwrap())
    }
}
