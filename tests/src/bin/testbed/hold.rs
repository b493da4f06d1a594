//! The holder: owns one system, in a session of its own, until it is told to end.

use std::{fs::File, time::Duration};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, setsid},
};
use tokio::signal::unix::{SignalKind, signal};

use crate::place::{Place, now};

/// Starts the system at the one place, writes how to reach it, and keeps it until SIGTERM.
pub async fn hold(places: &[Place]) -> Result<()> {
    let [place] = places else { bail!("a holder holds one system") };
    // It fails where this is a session's leader already, which is as well.
    setsid().ok();
    let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let lock = take(place).await?;
    let began = now();
    place.write(began, None)?;
    let (system, folder) = (place.system, place.folder.clone());
    // A task of its own: a start that blocks would not let us hear the signal.
    let start = tokio::spawn(async move { system.start(&folder).await });
    let running = tokio::select! {
        started = start => started.context("the start was cut off").flatten(),
        _ = term.recv() => {
            eprintln!("told to end while {} was starting", place.system.name());
            place.forget()?;
            // The start goes on in a thread that nobody waits for. Watchdogs end its processes once we are gone; what it is
            // building is in our own group.
            kill(Pid::from_raw(0), Signal::SIGKILL)?;
            std::process::exit(0);
        }
    };
    let running = match running {
        Ok(running) => running,
        Err(error) => {
            place.forget()?;
            return Err(error);
        }
    };
    place.write(began, Some(&running))?;
    term.recv().await;
    drop(running);
    place.forget()?;
    drop(lock);
    eprintln!("{} has ended", place.system.name());
    Ok(())
}

async fn take(place: &Place) -> Result<File> {
    for _ in 0..40 {
        if let Some(lock) = place.take()? {
            return Ok(lock);
        }
        // Who only looks whether there is a holder has the lock for a moment.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("{} is held by another", place.system.name())
}
