//! What is tried with one VM at a time, in the words in which it outlives a restart. Pure.

use jiff::Timestamp;

use super::moment::after;

/// Something that was refused, or whose VMs came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed<K> {
    /// What.
    pub what: K,
    /// Since when.
    pub since: Timestamp,
    /// When one VM tries.
    pub until: Timestamp,
    /// How many refusals, or VMs that came to nothing, one after the other.
    pub in_a_row: u32,
    /// What decides how long the next pause is: pauses so far, less what was made good.
    pub pauses: u32,
}

impl<K> Closed<K> {
    /// When the present pause began and when it ends. Whoever wrote it down may have had another clock, or was a person: no pause lasts
    /// longer than `longest` seconds from now.
    pub(super) fn pause(&self, longest: u64, now: Timestamp) -> (Timestamp, Timestamp) {
        (self.since.min(now), self.until.min(after(now, longest)))
    }
}
