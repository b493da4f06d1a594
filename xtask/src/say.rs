//! How steps are announced: one line when a step starts, one when it ends, with the time it took.

use std::time::{Duration, Instant};

/// A step under way.
pub struct Step {
    name: String,
    started: Instant,
}

impl Step {
    /// Announces a step.
    pub fn start(name: &str) -> Self {
        eprintln!("==> {name}");
        Self { name: name.to_owned(), started: Instant::now() }
    }

    /// Announces its end and gives the time it took.
    pub fn end(self, ok: bool) -> Duration {
        let took = self.started.elapsed();
        eprintln!("==> {} {} after {}", self.name, if ok { "done" } else { "FAILED" }, human(took));
        took
    }
}

/// A duration for people: `7.3 s`, `4 min 05 s`.
pub fn human(d: Duration) -> String {
    let s = d.as_secs();
    if s < 60 { format!("{:.1} s", d.as_secs_f64()) } else { format!("{} min {:02} s", s / 60, s % 60) }
}
