//! Sums and differences of moments that cannot fail: what would lie beyond the calendar lies at its end.

use jiff::Timestamp;

/// The moment this many seconds later.
pub fn after(at: Timestamp, seconds: u64) -> Timestamp {
    let milliseconds = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
    Timestamp::from_millisecond(at.as_millisecond().saturating_add(milliseconds)).unwrap_or(Timestamp::MAX)
}

/// Seconds from `from` to `to`; 0 where `to` is the earlier one.
pub fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    let milliseconds = to.as_millisecond().saturating_sub(from.as_millisecond());
    u64::try_from(milliseconds).unwrap_or(0) / 1_000
}

/// A clock may go back by this without anything being concluded from it.
const SLIP: u64 = 60;

/// Whether a pause that began at `since` lasts. One that begins in the future was noted by a clock that was wrong, and is none.
pub fn lasts(since: Timestamp, until: Timestamp, now: Timestamp) -> bool {
    now < until && since <= after(now, SLIP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_lies_beyond_the_calendar() {
        assert_eq!(after(Timestamp::MAX, 1), Timestamp::MAX);
        assert_eq!(after(Timestamp::UNIX_EPOCH, u64::MAX), Timestamp::MAX);
        assert_eq!(seconds(Timestamp::MAX, Timestamp::MIN), 0);
        assert_eq!(seconds(Timestamp::UNIX_EPOCH, after(Timestamp::UNIX_EPOCH, 7)), 7);
    }

    #[test]
    fn a_pause_that_a_wrong_clock_noted_in_the_future_is_none() {
        let at = |seconds| after(Timestamp::UNIX_EPOCH, seconds);
        assert!(lasts(at(10_000), at(10_100), at(10_050)) && lasts(at(10_000), at(10_100), at(9_990)));
        assert!(!lasts(at(10_000), at(10_100), at(10_100)));
        assert!(!lasts(at(10_000), at(10_100), at(1_000)), "the clock was set back by hours");
    }
}
