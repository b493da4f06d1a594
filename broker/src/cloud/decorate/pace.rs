//! The pace of what is sent to a provider: below a rate, and silent for as long as the provider asked for silence.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::{sync::watch, time::Instant};

use crate::cloud::{CloudError, Disposition};

/// How fast a provider may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second in the long run.
    pub per_second: NonZeroU32,
    /// Requests at once after a pause.
    pub burst: NonZeroU32,
}

impl Default for Rate {
    fn default() -> Self {
        let (per_second, burst) = (NonZeroU32::MIN.saturating_add(9), NonZeroU32::MIN.saturating_add(19));
        Self { per_second, burst }
    }
}

/// A pace that all who send to one provider keep together.
pub struct Pace {
    limiter: DefaultDirectRateLimiter,
    /// Nothing is sent before this moment: the provider said so.
    silent_until: watch::Sender<Instant>,
}

impl Pace {
    /// A pace of this rate.
    pub fn new(rate: Rate) -> Self {
        let limiter = RateLimiter::direct(Quota::per_second(rate.per_second).allow_burst(rate.burst));
        Self { limiter, silent_until: watch::Sender::new(Instant::now()) }
    }

    /// Waits until something may be sent.
    pub async fn turn(&self) {
        self.silence().await;
        loop {
            self.limiter.until_ready().await;
            // Whoever waited at the limiter may have been told to be silent meanwhile, and queues again when that is over.
            if !self.silence().await {
                return;
            }
        }
    }

    /// Remembers for how long the provider wants silence, where an error says so.
    pub fn heed(&self, error: &CloudError) {
        if let CloudError::Throttled { .. } = error
            && let Disposition::RetryAfter(pause) = error.disposition()
        {
            let until = Instant::now() + pause;
            self.silent_until.send_if_modified(|old| {
                let later = until > *old;
                if later {
                    *old = until;
                }
                later
            });
        }
    }

    /// Waits until the silence is over; whether there was one.
    async fn silence(&self) -> bool {
        let mut was = false;
        loop {
            let until = *self.silent_until.borrow();
            if until <= Instant::now() {
                return was;
            }
            was = true;
            tokio::time::sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    #[tokio::test]
    async fn whoever_queues_at_the_limiter_hears_of_a_silence_too() {
        let one = NonZeroU32::MIN;
        let pace = Arc::new(Pace::new(Rate { per_second: one.saturating_add(9), burst: one }));
        pace.turn().await;
        let begun = Instant::now();
        let queued = tokio::spawn({
            let pace = pace.clone();
            async move { pace.turn().await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        pace.heed(&CloudError::Throttled { message: String::new(), retry_after: Some(Duration::from_millis(600)) });
        pace.heed(&CloudError::Transient("says nothing of silence".to_owned()));
        queued.await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
    }
}
