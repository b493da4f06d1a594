//! A process of a testbed: in a group of its own, its output in a log, ended with everything it started.

use std::{
    fs::{self, OpenOptions},
    io::{Read, Seek, SeekFrom},
    net::TcpStream,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

/// A running process and its group.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// Ends the group when we die without a chance to: it reads a pipe whose other end only we hold.
    watchdog: Child,
}

impl Process {
    /// Starts `command` with its output appended to `log`. It leads a process group of its own.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder)?;
        }
        let out = OpenOptions::new().create(true).append(true).open(log)?;
        let program = command.get_program().to_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", program.display()))?;
        let watchdog = Command::new("sh")
            .args(["-c", "read -r _; kill -KILL -- -\"$1\" 2>/dev/null", "watchdog", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start a watchdog")?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned(), watchdog })
    }

    /// The process id, which is also the group's.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal to the group.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        killpg(self.group(), signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Asks the group to end, waits up to `patience`, and then ends it.
    pub fn terminate(&mut self, patience: Duration) {
        killpg(self.group(), Signal::SIGTERM).ok();
        let begun = Instant::now();
        while begun.elapsed() < patience && self.is_running() {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
    }

    /// Ends the group at once.
    pub fn kill(&mut self) {
        killpg(self.group(), Signal::SIGKILL).ok();
        self.child.wait().ok();
    }

    /// Waits for the process itself to end; its exit code, or `None` after `patience`.
    pub fn wait(&mut self, patience: Duration) -> Result<Option<std::process::ExitStatus>> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if begun.elapsed() > patience {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until something listens on `port` of 127.0.0.1; the process's end or the deadline is an error with its last words.
    pub fn wait_tcp(&mut self, port: u16, patience: Duration) -> Result<()> {
        self.wait_until(&format!("port {port}"), patience, || TcpStream::connect(("127.0.0.1", port)).is_ok())
    }

    /// Waits until the log has `text`.
    pub fn wait_log(&mut self, text: &str, patience: Duration) -> Result<()> {
        let log = self.log.clone();
        self.wait_until(&format!("{text:?} in its log"), patience, || {
            fs::read_to_string(&log).is_ok_and(|l| l.contains(text))
        })
    }

    /// Waits until `ready` holds.
    pub fn wait_until(&mut self, what: &str, patience: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let begun = Instant::now();
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "{} ended ({status}) before {what} was there; its last words in {}:\n{}",
                    self.name,
                    self.log.display(),
                    self.last_words()
                );
            }
            if begun.elapsed() > patience {
                bail!(
                    "{} has not brought {what} within {} s; its last words in {}:\n{}",
                    self.name,
                    patience.as_secs(),
                    self.log.display(),
                    self.last_words()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The last kilobytes of the log.
    pub fn last_words(&self) -> String {
        let tail = || -> std::io::Result<String> {
            let mut file = fs::File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(3_000)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        tail().unwrap_or_default()
    }

    fn group(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        self.watchdog.kill().ok();
        self.watchdog.wait().ok();
    }
}

/// Runs a command to its end; its output when it succeeds, an error with its last words when it does not.
pub fn run(what: &str, command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{what}: cannot start {:?}", command.get_program()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let all = format!("{text}{errors}");
    let from = all.char_indices().rev().nth(3_000).map_or(0, |(i, _)| i);
    bail!("{what}: {}\n{}", output.status, &all[from..])
}
