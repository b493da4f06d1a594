//! What asks the demo to end: one listener from the first moment to the last, so that no signal is lost between two steps.

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that are heard.
pub struct Signals([(Cut, Signal); 3]);

/// The signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Ctrl-C.
    Interrupt,
    Terminate,
    /// The terminal is gone.
    Hangup,
}

impl Signals {
    /// From now on none of them ends the process by itself.
    pub fn listen() -> Result<Self> {
        let on = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self([
            (Cut::Interrupt, on(SignalKind::interrupt())?),
            (Cut::Terminate, on(SignalKind::terminate())?),
            (Cut::Hangup, on(SignalKind::hangup())?),
        ]))
    }

    /// Waits for the next.
    pub async fn next(&mut self) -> Cut {
        let [(a, first), (b, second), (c, third)] = &mut self.0;
        tokio::select! {
            _ = first.recv() => *a,
            _ = second.recv() => *b,
            _ = third.recv() => *c,
        }
    }
}

impl Cut {
    /// The exit code of who was cut short: 128 and the signal's number, as a shell has it.
    pub fn code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
            Self::Hangup => 129,
        }
    }
}
