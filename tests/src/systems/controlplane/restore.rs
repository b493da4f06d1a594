//! etcd set back to an earlier moment, as an administrator does after a disaster.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::ControlPlane;

/// For a process that is asked to end.
const ORDERLY: Duration = Duration::from_secs(10);

impl ControlPlane {
    /// Keeps etcd's data as they are, under a name. etcd is held still meanwhile, for some milliseconds.
    pub fn snapshot(&self, name: &str) -> Result<()> {
        self.processes[2].signal(Signal::SIGSTOP)?;
        let copied = copy(&self.state.join("etcd"), &self.state.join("snapshots").join(name));
        self.processes[2].signal(Signal::SIGCONT)?;
        copied.with_context(|| format!("cannot keep etcd's data as {name}"))
    }

    /// Ends the control plane and starts it with etcd's data of that moment; everything since is forgotten. It listens where it did, and
    /// tokens and certificates hold. It returns when the API server is ready, after some ten seconds.
    pub fn restore(&mut self, name: &str) -> Result<()> {
        for process in &mut self.processes {
            process.terminate(ORDERLY);
        }
        self.processes.clear();
        let data = self.state.join("etcd");
        fs::remove_dir_all(&data).context("cannot take away etcd's data")?;
        copy(&self.state.join("snapshots").join(name), &data)
            .with_context(|| format!("there is no snapshot {name}"))?;
        self.start_processes()
    }
}

/// A folder with all that is in it, at a place where nothing is yet.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    // etcd warns of a data folder that others may read.
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    Ok(())
}
