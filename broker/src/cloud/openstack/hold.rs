//! How long something that was refused is not tried again: longer each time, until it works.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);

/// A pause that doubles from one refusal to the next.
#[derive(Default)]
pub struct Hold {
    length: Duration,
    until: Option<Instant>,
}

impl Hold {
    /// Whether it lasts.
    pub fn is_on(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Begins a pause twice as long as the last, and says when it ends. Refusals of calls that went out before it began do not
    /// make it longer.
    pub fn grow(&mut self, now: Instant) -> Instant {
        if let Some(until) = self.until.filter(|until| now < *until) {
            return until;
        }
        self.length = (self.length * 2).clamp(FIRST, LONGEST);
        let until = now + self.length;
        self.until = Some(until);
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_ten_minutes_and_once_however_many_were_refused() {
        let (mut hold, mut now) = (Hold::default(), crate::clock::moment());
        assert!(!hold.is_on(now));
        let mut lengths = Vec::new();
        for _ in 0..8 {
            let until = hold.grow(now);
            assert_eq!(hold.grow(now + Duration::from_secs(1)), until);
            assert!(hold.is_on(now));
            lengths.push((until - now).as_secs());
            now = until;
            assert!(!hold.is_on(now));
        }
        assert_eq!(lengths, [10, 20, 40, 80, 160, 320, 600, 600]);
    }
}
