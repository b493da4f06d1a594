//! What is shut: nothing is ordered but one VM after each pause.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::{Closed, moment::lasts};

/// Since when it is shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shut {
    pub since: Timestamp,
    /// When the present pause began, and when it ends.
    pub pause: (Timestamp, Timestamp),
}

impl Shut {
    /// As it was before a restart; no pause lasts longer than `longest` seconds from now.
    pub fn again<K>(old: &Closed<K>, longest: u64, now: Timestamp) -> Self {
        Self { since: old.since.min(now), pause: old.pause(longest, now) }
    }

    /// The same, for whoever keeps it over a restart.
    pub fn closed<K>(self, what: K, in_a_row: u32, pauses: u32) -> Closed<K> {
        Closed { what, since: self.since, until: self.pause.1, in_a_row, pauses }
    }

    /// Whether its pause lasts.
    pub fn rests(self, now: Timestamp) -> bool {
        lasts(self.pause.0, self.pause.1, now)
    }
}
