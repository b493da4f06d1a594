//! How long steps are announced: a line at the start, a line at the end with the time it took.

use std::time::Instant;

/// A step under way; dropping it says nothing.
pub struct Step {
    name: String,
    started: Instant,
}

impl Step {
    /// Announces a step.
    pub fn start(name: impl Into<String>) -> Self {
        let name = name.into();
        eprintln!("==> {name}");
        Self { name, started: Instant::now() }
    }

    /// Says that it goes on, and what it does just now.
    pub fn progress(&self, what: &str) {
        eprintln!("    {:>4} s  {what}", self.started.elapsed().as_secs());
    }

    /// Announces the end.
    pub fn done(self) {
        eprintln!("==> {}: done after {:.1} s", self.name, self.started.elapsed().as_secs_f64());
    }
}
