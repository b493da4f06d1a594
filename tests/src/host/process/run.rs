//! Commands that are run to their end, each in a process group of its own: a Ctrl-C at the terminal is for us to handle, and must
//! not end the very commands that clean up.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Seek, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, Output},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::host::say::Ticker;

/// What runs just now and may be ended, and whether nothing new may start.
static RUNNING: Mutex<Running> = Mutex::new(Running { interrupted: false, groups: BTreeSet::new() });

struct Running {
    interrupted: bool,
    groups: BTreeSet<u32>,
}

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the commands that run, and until [`go_on`] whoever wants to start or to wait for one is refused: what is being started
/// in other threads comes to its end. An installation of packages is let finish: half of one is worse than a wait.
pub fn interrupt() {
    let mut running = running();
    running.interrupted = true;
    for group in &running.groups {
        killpg(pid(*group), Signal::SIGKILL).ok();
    }
}

/// Commands may start again: those that clean up.
pub fn go_on() {
    running().interrupted = false;
}

/// An error when [`interrupt`] was called.
pub fn check_interrupted() -> io::Result<()> {
    if running().interrupted { Err(interrupted()) } else { Ok(()) }
}

fn interrupted() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "interrupted")
}

fn pid(of: u32) -> Pid {
    Pid::from_raw(i32::try_from(of).unwrap_or(i32::MAX))
}

/// Runs a command to its end; its output when it succeeds, an error with its last words when it does not. It says now and then that
/// it still runs.
pub fn run(what: &str, command: &mut Command) -> Result<String> {
    finish(what, Group::start(command, "").and_then(|it| it.watched().and_then(|(it, dog)| it.end(what, Some(dog)))))
}

/// Like [`run`], for what must not be cut off in the middle: neither an interruption nor our own end ends it.
pub fn run_undisturbed(what: &str, command: &mut Command) -> Result<String> {
    let output = check_interrupted().and_then(|()| {
        let (child, out, errors) = spawn(command, "")?;
        let _ticker = Ticker::start(what);
        collect(child, out, errors)
    });
    finish(what, output)
}

/// The output of a short command that reads `input`.
pub fn output(command: &mut Command, input: &str) -> io::Result<Output> {
    Group::start(command, input)?.end("", None)
}

fn finish(what: &str, output: io::Result<Output>) -> Result<String> {
    let output = output.with_context(|| format!("{what}: cannot run it"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    check_interrupted().with_context(|| what.to_owned())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let all = format!("{text}{errors}");
    let from = all.char_indices().rev().nth(3_000).map_or(0, |(i, _)| i);
    bail!("{what}: {}\n{}", output.status, &all[from..])
}

/// Input and output are files without a name, not pipes: nothing blocks, and the command may outlive us.
fn spawn(command: &mut Command, input: &str) -> io::Result<(Child, File, File)> {
    let (mut given, out, errors) = (tempfile::tempfile()?, tempfile::tempfile()?, tempfile::tempfile()?);
    given.write_all(input.as_bytes())?;
    given.rewind()?;
    let child = command
        .stdin(given)
        .stdout(out.try_clone()?)
        .stderr(errors.try_clone()?)
        .process_group(0)
        .spawn()
        .map_err(|e| io::Error::new(e.kind(), format!("cannot start {}: {e}", command.get_program().display())))?;
    Ok((child, out, errors))
}

fn collect(mut child: Child, mut out: File, mut errors: File) -> io::Result<Output> {
    let status = child.wait()?;
    let text = |file: &mut File| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    Ok(Output { status, stdout: text(&mut out)?, stderr: text(&mut errors)? })
}

/// A command under way that an interruption ends.
struct Group {
    child: Child,
    out: File,
    errors: File,
}

impl Group {
    fn start(command: &mut Command, input: &str) -> io::Result<Self> {
        // The lock is held until it is noted, so that an interruption misses nobody.
        let mut running = running();
        if running.interrupted {
            return Err(interrupted());
        }
        let (child, out, errors) = spawn(command, input)?;
        running.groups.insert(child.id());
        Ok(Self { child, out, errors })
    }

    /// With a watchdog: what takes minutes ends when we die without a chance to end it.
    fn watched(self) -> io::Result<(Self, super::Watchdog)> {
        let dog = super::Watchdog::of(self.child.id())?;
        Ok((self, dog))
    }

    fn end(self, what: &str, _dog: Option<super::Watchdog>) -> io::Result<Output> {
        let _ticker = (!what.is_empty()).then(|| Ticker::start(what));
        let id = self.child.id();
        let output = collect(self.child, self.out, self.errors);
        running().groups.remove(&id);
        output
    }
}
