//! The holder: owns one system, in a session of its own, until it is told to end.

use std::{fs::File, net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result, bail};
use nix::unistd::setsid;
use testbeds::host::process::interrupt;
use tokio::signal::unix::{SignalKind, signal};

use crate::place::{Place, now};

/// Starts the system at the one place, writes how to reach it, and keeps it until SIGTERM.
pub async fn hold(places: &[Place], at: Ipv4Addr) -> Result<()> {
    let [place] = places else { bail!("a holder holds one system") };
    // It fails where this is a session's leader already, which is as well.
    setsid().ok();
    let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let lock = take(place).await?;
    let began = now();
    place.write(began, None)?;
    let (system, folder) = (place.system, place.folder.clone());
    // A task of its own: a start that blocks would not let us hear the signal.
    let mut start = tokio::spawn(async move { system.start(&folder, at).await });
    let running = tokio::select! {
        started = &mut start => started.context("the start was cut off").flatten(),
        _ = term.recv() => {
            eprintln!("told to end while {} was starting", place.system.name());
            // What it runs is ended and the rest refused, so that it comes to its end; packages are let finish.
            interrupt();
            drop(start.await);
            place.forget()?;
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
