//! Times of the week at which something may begin.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const DAY: u64 = 86_400;
const WEEK: u64 = 7 * DAY;
/// The Monday before the epoch began so many seconds before it, which was on a Thursday.
const MONDAY: i64 = 3 * 86_400;

/// A time that comes once a week, in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Seconds from the beginning of Monday to its begin.
    from: u64,
    /// How many seconds it lasts.
    lasts: u64,
}

impl Window {
    /// It begins on this day, Monday being 0, so many minutes after midnight.
    pub fn new(day: u64, minutes: u64, lasts: u64) -> Self {
        Self { from: (day % 7 * DAY + minutes % 1_440 * 60) % WEEK, lasts }
    }

    /// Whether it is this time now. It may go on beyond midnight and beyond the end of the week.
    pub fn is_open(self, now: Timestamp) -> bool {
        let second = now.as_second().saturating_add(MONDAY).rem_euclid(WEEK.cast_signed()).unsigned_abs();
        (second + WEEK - self.from) % WEEK < self.lasts
    }
}

/// Whether one of these is open; without any it is always time.
pub fn is_time(windows: &[Window], now: Timestamp) -> bool {
    windows.is_empty() || windows.iter().any(|window| window.is_open(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;
    const SUNDAY: u64 = 6;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_is_open_from_its_begin_and_not_at_its_end() {
        // 2026-12-07 is a Monday.
        let window = Window::new(0, 6 * 60, 2 * HOUR);
        for (time, is_open) in [
            ("2026-12-07T05:59:59Z", false),
            ("2026-12-07T06:00:00Z", true),
            ("2026-12-07T07:59:59Z", true),
            ("2026-12-07T08:00:00Z", false),
            ("2026-12-08T06:30:00Z", false),
            ("2026-12-14T06:30:00Z", true),
        ] {
            assert_eq!(window.is_open(at(time)), is_open, "{time}");
        }
    }

    #[test]
    fn a_window_goes_on_beyond_midnight_and_beyond_the_end_of_the_week() {
        let window = Window::new(SUNDAY, 22 * 60, 6 * HOUR);
        for (time, is_open) in [
            ("2026-12-06T21:59:59Z", false),
            ("2026-12-06T22:00:00Z", true),
            ("2026-12-06T23:59:59Z", true),
            ("2026-12-07T00:00:00Z", true),
            ("2026-12-07T03:59:59Z", true),
            ("2026-12-07T04:00:00Z", false),
        ] {
            assert_eq!(window.is_open(at(time)), is_open, "{time}");
        }
    }

    #[test]
    fn a_window_of_a_week_is_always_open_and_one_of_no_time_never() {
        for day in 0..7 {
            assert!(Window::new(day, 1_439, WEEK).is_open(at("2026-12-07T00:00:00Z")));
            assert!(!Window::new(day, 0, 0).is_open(at("2026-12-07T00:00:00Z")));
        }
    }

    #[test]
    fn without_a_window_it_is_always_time_and_one_of_several_is_enough() {
        let (monday, now) = (Window::new(0, 0, HOUR), at("2026-12-07T00:30:00Z"));
        assert!(is_time(&[], now));
        assert!(is_time(&[Window::new(3, 0, HOUR), monday], now));
        assert!(!is_time(&[Window::new(3, 0, HOUR)], now));
    }

    #[test]
    fn a_clock_that_jumps_finds_the_window_of_the_time_that_it_shows() {
        let window = Window::new(0, 0, HOUR);
        for (time, is_open) in [
            ("1969-12-29T00:30:00Z", true),
            ("1969-12-29T01:00:00Z", false),
            ("2106-02-08T00:30:00Z", true),
            ("9999-12-27T00:30:00Z", true),
        ] {
            assert_eq!(window.is_open(at(time)), is_open, "{time}");
        }
    }
}
