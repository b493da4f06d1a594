//! The broker's clock. Nothing else in the broker asks what time it is.
//!
//! Wall time is for what is written down or was written down by another process: it can be set back or forward. Pauses and time-outs
//! are measured with [`tokio::time::Instant`], which only goes forward, and which a test can pause.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use tokio::time::Instant;

/// A clock: the system's, or one that a test drives.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// A clock whose wall time is whatever `wall` says.
    pub fn driven(wall: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(wall))
    }

    /// Wall time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The present moment, for pauses and time-outs.
pub fn moment() -> Instant {
    Instant::now()
}
