//! Where a system's folder, record and lock are, and what they say of it.
//!
//! The holder keeps the lock as long as it lives, however it dies: the lock says whether it runs, never a process id, which may
//! be another's by now. The record beside it says the rest.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::system::{Running, System};

/// A system's place in the state folder.
pub struct Place {
    pub system: System,
    /// The system's own folder. Its logs are in `log` there.
    pub folder: PathBuf,
    base: PathBuf,
}

/// What a holder has written of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The holder's process id.
    pub pid: i32,
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// How to reach the system and what listens; `None` while it starts.
    pub ready: Option<Ready>,
}

/// A record's part on a system that is up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// Lines for a shell.
    pub reach: Vec<String>,
    /// Name, and host:port.
    pub listens: Vec<(String, String)>,
}

/// What a system's place says.
pub enum Found {
    /// Nothing runs.
    Nothing,
    /// The holder is gone and has not said so: it was killed.
    Stale(Record),
    /// Being started.
    Starting(Record),
    /// It is up.
    Up(Record, Ready),
}

impl Place {
    /// The place of `system` in the state folder.
    pub fn new(state: &Path, system: System) -> Self {
        Self { system, folder: state.join(system.name()), base: state.to_owned() }
    }

    /// The holder's own log: what it says while it starts the system.
    pub fn log(&self) -> PathBuf {
        self.beside("log")
    }

    /// Finds out what is in the place, and whether it runs.
    pub fn look(&self) -> Result<Found> {
        if !self.lock_file().exists() {
            return Ok(Found::Nothing);
        }
        let begun = Instant::now();
        loop {
            // Asked before the record is read: a holder that ends in between takes its record along.
            let held = self.take()?.is_none();
            match (held, self.record()?) {
                (false, None) => return Ok(Found::Nothing),
                (false, Some(record)) => return Ok(Found::Stale(record)),
                (true, Some(record)) => {
                    return Ok(match record.ready.clone() {
                        None => Found::Starting(record),
                        Some(ready) => Found::Up(record, ready),
                    });
                }
                (true, None) if begun.elapsed() > Duration::from_secs(5) => {
                    bail!(
                        "{} is locked and nothing says by whom; look for another `testbed`",
                        self.lock_file().display()
                    )
                }
                // Its record comes next.
                (true, None) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// The lock, held until it is dropped; `None` when another has it.
    pub fn take(&self) -> Result<Option<File>> {
        let path = self.lock_file();
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = open.with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("cannot lock {}", path.display())),
        }
    }

    /// Removes what an earlier run left, so that the system starts from nothing. A folder that no holder made is not touched.
    pub fn clear(&self) -> Result<()> {
        self.forget()?;
        if !self.folder.exists() {
            return Ok(());
        }
        if !self.log().exists() {
            bail!(
                "{} is there and no testbed made it; name another folder with --state, or remove it",
                self.folder.display()
            );
        }
        let mut tries = 0;
        // Processes of a holder that was killed may be writing there in their last moments.
        while let Err(error) = fs::remove_dir_all(&self.folder) {
            tries += 1;
            if tries > 20 {
                return Err(error).with_context(|| format!("cannot remove {}", self.folder.display()));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Writes the holder's record.
    pub fn write(&self, began: u64, running: Option<&Running>) -> Result<()> {
        let ready = running.map(|r| Ready { reach: r.reach.clone(), listens: r.listens.clone() });
        let record = Record { pid: std::process::id().try_into()?, began, ready };
        let new = self.beside("json.new");
        fs::write(&new, serde_json::to_vec_pretty(&record)?)?;
        fs::rename(&new, self.beside("json"))
            .with_context(|| format!("cannot write the record of {}", self.system.name()))
    }

    /// Removes the record: the system has ended, and somebody has been told.
    pub fn forget(&self) -> Result<()> {
        match fs::remove_file(self.beside("json")) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context("cannot remove a record"),
            _ => Ok(()),
        }
    }

    fn record(&self) -> Result<Option<Record>> {
        let path = self.beside("json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is not the record of a testbed", path.display()))
                .map(Some),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn lock_file(&self) -> PathBuf {
        self.beside("lock")
    }

    fn beside(&self, extension: &str) -> PathBuf {
        self.base.join(format!("{}.{extension}", self.system.name()))
    }
}

impl Record {
    /// How long the holder has lived, for people.
    pub fn age(&self) -> String {
        let seconds = now().saturating_sub(self.began);
        match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
            (0, 0, s) => format!("{s} s"),
            (0, m, s) => format!("{m} min {s:02} s"),
            (h, m, _) => format!("{h} h {m:02} min"),
        }
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// The state folder, made when it is not there: the given one, or `dirac-operator/testbed` in the user's.
pub fn state(given: Option<PathBuf>) -> Result<PathBuf> {
    let of_user = || {
        std::env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")))
            .map(|base| base.join("dirac-operator/testbed"))
    };
    let dir = given.or_else(of_user).context(
        "neither XDG_STATE_HOME nor HOME is set: there is no place for the testbed; name one with --state DIR",
    )?;
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    // Processes run in folders of their own: a relative path would mean another folder to each.
    dir.canonicalize().with_context(|| format!("cannot find {}", dir.display()))
}
