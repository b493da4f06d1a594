//! How long steps are announced: a line at the start, a line now and then, a line at the end with the time it took.

use std::{
    io::Write,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

/// A line to standard error. A terminal that is gone is no reason to stop: somebody has to clean up.
pub fn line(text: &str) {
    writeln!(std::io::stderr(), "{text}").ok();
}

/// A step under way; dropping it says nothing.
pub struct Step {
    name: String,
    started: Instant,
}

impl Step {
    /// Announces a step.
    pub fn start(name: impl Into<String>) -> Self {
        let name = name.into();
        line(&format!("==> {name}"));
        Self { name, started: Instant::now() }
    }

    /// Says that it goes on, and what it does just now.
    pub fn progress(&self, what: &str) {
        line(&format!("    {:>4} s  {what}", self.started.elapsed().as_secs()));
    }

    /// Announces the end.
    pub fn done(self) {
        line(&format!("==> {}: done after {:.1} s", self.name, self.started.elapsed().as_secs_f64()));
    }
}

/// Time between two words of a [`Ticker`].
const TICK: Duration = Duration::from_secs(20);

/// Says every twenty seconds that something still runs, until it is dropped.
pub struct Ticker {
    /// Its end tells the thread to stop.
    _alive: Sender<()>,
}

impl Ticker {
    /// Of what is called `what`.
    pub fn start(what: &str) -> Self {
        let (alive, end) = channel();
        let what = what.to_owned();
        thread::spawn(move || tick(&end, TICK, |elapsed| line(&format!("    {elapsed:>4} s  still runs: {what}"))));
        Self { _alive: alive }
    }
}

fn tick(end: &Receiver<()>, every: Duration, mut say: impl FnMut(u64)) {
    let begun = Instant::now();
    while end.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        say(begun.elapsed().as_secs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticker_speaks_until_what_it_speaks_of_ends() {
        let (alive, end) = channel();
        let mut alive = Some(alive);
        let mut said = 0;
        tick(&end, Duration::from_millis(1), |_| {
            said += 1;
            if said == 3 {
                alive.take();
            }
        });
        assert_eq!(said, 3);
    }
}
