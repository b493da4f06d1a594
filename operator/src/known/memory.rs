//! What is remembered of single PilotVMs between two looks, and stands nowhere else. Losing it costs repetition, never a VM.

use broker::cloud::Attempt;
use jiff::Timestamp;

use super::Shared;

/// What an object asks for: its generation, whether it is being deleted, whether it is let go.
pub type Wish = (Option<i64>, bool, bool);

/// What is remembered of one PilotVM.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// Failed attempts of the present step.
    pub attempts: u32,
    /// No further attempt before this moment, whatever wakes the PilotVM, unless the object asks for another step.
    pub pause: Option<(Timestamp, Wish)>,
    /// Version of the object after our last write: an older one from the watch is not looked at.
    pub written: Option<String>,
    /// When the VM was last made or deleted by us: only a list asked for later knows.
    pub touched: Option<Timestamp>,
    /// When the deletion of the VM was accepted.
    pub delete_asked: Option<Timestamp>,
    /// Why the round gave it back.
    pub surplus: Option<String>,
    /// Whether its row was closed.
    pub row_closed: bool,
    /// The last attempt at its VM; `repeated` while it is in doubt.
    pub attempt: Option<Attempt>,
    /// When its row was last written.
    pub row_written: Option<Timestamp>,
    /// When the demand was read for which it was made, until its VM is first ordered.
    pub planned: Option<Timestamp>,
}

/// What is remembered, by UID.
#[derive(Debug, Default)]
pub struct Memory(Shared<String, Remembered>);

impl Memory {
    /// A copy.
    pub fn of(&self, uid: &str) -> Remembered {
        self.0.with(|map| map.get(uid).cloned().unwrap_or_default())
    }

    /// Remembers something.
    pub fn note(&self, uid: &str, change: impl FnOnce(&mut Remembered)) {
        self.0.with(|map| change(map.entry(uid.to_owned()).or_default()));
    }

    /// Forgets a PilotVM that is gone.
    pub fn forget(&self, uid: &str) {
        self.0.with(|map| {
            map.remove(uid);
        });
    }
}

impl Remembered {
    /// Whether this version of the object is older than our last write.
    pub fn is_stale(&self, version: Option<&str>) -> bool {
        let number = |v: &str| v.parse::<u64>().ok();
        match (self.written.as_deref().and_then(number), version.and_then(number)) {
            (Some(written), Some(seen)) => seen < written,
            _ => false,
        }
    }

    /// The pause after so many failures: 1 s, doubled up to a minute.
    pub fn next_pause(&self) -> std::time::Duration {
        std::time::Duration::from_secs(1_u64 << self.attempts.min(6)).min(std::time::Duration::from_secs(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_older_than_our_last_write_is_stale() {
        let remembered = Remembered { written: Some("10".into()), ..Remembered::default() };
        assert!(remembered.is_stale(Some("9")));
        assert!(!remembered.is_stale(Some("10")));
        assert!(!Remembered::default().is_stale(Some("9")));
    }

    #[test]
    fn pauses_grow_to_a_minute() {
        let pause = |attempts| Remembered { attempts, ..Remembered::default() }.next_pause().as_secs();
        assert_eq!((pause(0), pause(3), pause(50)), (1, 8, 60));
    }
}
