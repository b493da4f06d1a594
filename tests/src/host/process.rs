//! A process of a testbed: in a group of its own, its output in a log, ended with everything it started.

mod run;

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

pub use run::{check_interrupted, go_on, interrupt, output, run, run_undisturbed};

/// A running process and its group.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    _watchdog: Watchdog,
}

/// Ends a group when we die without a chance to: it reads a pipe whose other end only we hold.
struct Watchdog(Child);

impl Watchdog {
    fn of(group: u32) -> std::io::Result<Self> {
        let mut command = Command::new("sh");
        command
            .args(["-c", "read -r _; kill -s KILL -- -\"$1\" 2>/dev/null", "watchdog", &group.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        Ok(Self(command.spawn()?))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Process {
    /// Starts `command` with its output appended to `log`. It leads a process group of its own.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        check_interrupted().with_context(|| format!("starting {name}"))?;
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
        let watchdog = Watchdog::of(child.id()).context("cannot start a watchdog")?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned(), _watchdog: watchdog })
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
            check_interrupted().with_context(|| format!("waiting for {what} of {}", self.name))?;
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
    }
}

#[cfg(test)]
mod tests {
    use std::env;

    use nix::{sys::signal::kill, unistd::Pid};

    use super::*;

    const VICTIM: &str = "TESTBEDS_PROCESS_VICTIM";

    fn lives(pid: i32) -> bool {
        // A zombie whose parent has not looked yet is dead enough.
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    fn dies(pid: i32) -> bool {
        let begun = Instant::now();
        while lives(pid) && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(20));
        }
        !lives(pid)
    }

    /// A shell that writes the process id of its own child to its log.
    fn family(log: &Path) -> Result<(Process, i32)> {
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 600 & echo child $!.; wait"]);
        let mut process = Process::spawn("family", shell, log)?;
        process.wait_log(".", Duration::from_secs(10))?;
        let text = fs::read_to_string(log)?;
        let child = text.trim().trim_start_matches("child ").trim_end_matches('.').parse()?;
        Ok((process, child))
    }

    #[test]
    fn what_is_dropped_ends_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let (process, child) = family(&folder.path().join("log")).unwrap();
        assert!(lives(child));
        drop(process);
        assert!(dies(child));
    }

    #[test]
    fn nothing_outlives_a_test_that_is_killed() {
        // This test runs itself once more as the victim, and kills that.
        if let Some(log) = env::var_os(VICTIM) {
            let _kept = family(Path::new(&log)).unwrap();
            std::thread::sleep(Duration::from_secs(600));
        }
        let folder = tempfile::tempdir().unwrap();
        let (inner, outer) = (folder.path().join("inner"), folder.path().join("outer"));
        let mut victim = Command::new(env::current_exe().unwrap());
        let (_, here) = module_path!().split_once("::").unwrap();
        let own_name = format!("{here}::nothing_outlives_a_test_that_is_killed");
        victim.args(["--exact", &own_name]).env(VICTIM, &inner);
        let mut victim = Process::spawn("victim", victim, &outer).unwrap();
        victim
            .wait_until("its child", Duration::from_secs(20), || {
                fs::read_to_string(&inner).is_ok_and(|t| t.contains('.'))
            })
            .unwrap();
        let text = fs::read_to_string(&inner).unwrap();
        let child: i32 = text.trim().trim_start_matches("child ").trim_end_matches('.').parse().unwrap();
        assert!(lives(child));
        kill(Pid::from_raw(i32::try_from(victim.pid()).unwrap()), Signal::SIGKILL).unwrap();
        assert!(dies(child), "the grandchild {child} outlived its testbed");
    }

    #[test]
    fn what_ends_early_is_an_error_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo no room; exit 3"]);
        let mut process = Process::spawn("shell", shell, &folder.path().join("log")).unwrap();
        let error = process.wait_tcp(1, Duration::from_secs(10)).unwrap_err().to_string();
        assert!(error.contains("shell ended (exit status: 3) before port 1") && error.contains("no room"), "{error}");
    }
}
