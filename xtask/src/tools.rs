//! Running cargo and the programs of the `testbeds` package.

use std::{
    env,
    io::{self, BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::SystemTime,
};

use crate::{
    say::Step,
    times::{Figure, to_build},
};

/// The workspace's root: the folder above this package.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs `command`; its failure is an error that names it.
pub fn run(what: &str, command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{what}: {status}")),
        Err(e) => Err(format!("{what}: cannot start {:?}: {e}", command.get_program())),
    }
}

/// Like [`run`], with `name` before each line of the output.
pub fn run_prefixed(name: &str, what: &str, command: &mut Command) -> Result<(), String> {
    let failed = |e: io::Error| format!("{what}: {e}");
    let (lines, end) = io::pipe().map_err(failed)?;
    command.stdout(end.try_clone().map_err(failed)?).stderr(end);
    let mut child = command.spawn().map_err(failed)?;
    // The command holds the other end of the pipe too, which would never end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for line in BufReader::new(lines).split(b'\n') {
        eprintln!("{name:>9} | {}", String::from_utf8_lossy(&line.map_err(failed)?));
    }
    match child.wait().map_err(failed)? {
        status if status.success() => Ok(()),
        status => Err(format!("{what}: {status}")),
    }
}

/// Whether the shell finds a program of this name.
pub fn on_path(name: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

/// Says what must be there before anything can be built, and how to get it.
pub fn require_compiler() -> Result<(), String> {
    if on_path("cc") {
        Ok(())
    } else {
        Err("there is no C compiler (cc) on the PATH; on Debian: apt-get install build-essential".to_owned())
    }
}

/// Builds the operator and the programs, then becomes the program `name`: Ctrl-C is the program's to handle.
pub fn run_program(name: &str, args: &[String]) -> Result<(), String> {
    let (begun, figure) = (SystemTime::now(), Figure::of(name));
    if name == "demo" {
        let missing = to_build(args.iter().any(|arg| arg == "--real"));
        if !missing.is_empty() {
            eprintln!(
                "Once, on this machine, these are built and kept (times on two cores), after this project itself (3 minutes):"
            );
            missing.iter().for_each(|part| eprintln!("  {part}"));
        }
    }
    build(&["build", "--package", "operator", "--package", "testbeds", "--bins"])?;
    let mut command = built("debug", name)?;
    if let (Some(file), Ok(begun)) = (figure.file(), begun.duration_since(SystemTime::UNIX_EPOCH)) {
        // Until there is something to see: only the program knows when that is.
        command.env("DIRAC_OPERATOR_BEGUN", begun.as_millis().to_string()).env("DIRAC_OPERATOR_NOTE_TIME", file);
    }
    Err(format!("{name}: {}", command.args(args).exec()))
}

/// The program `name` that was built with this profile. `cargo run` would build it again, and silently, with the
/// features of its own package alone.
fn built(profile: &str, name: &str) -> Result<Command, String> {
    Ok(Command::new(targets()?.join(profile).join(name)))
}

/// The folder in which cargo builds.
pub fn targets() -> Result<PathBuf, String> {
    let own = env::current_exe().map_err(|e| format!("where are we? {e}"))?;
    let targets = own.ancestors().nth(2).ok_or_else(|| format!("{} is in no target folder", own.display()))?;
    Ok(targets.to_owned())
}

/// The figures: the operator is measured as it is shipped, optimised.
pub fn run_bench(args: &[String]) -> Result<(), String> {
    build(&["build", "--release", "--package", "operator", "--package", "testbeds", "--bins"])?;
    Err(format!("bench: {}", built("release", "bench")?.args(args).exec()))
}

/// The simulator, optimised: a day of twenty thousand VMs is millions of events. It refuses wrong arguments itself.
pub fn run_simulator(args: &[String]) -> Result<(), String> {
    build(&["build", "--release", "--package", "simulator", "--bins"])?;
    Err(format!("simulate: {}", built("release", "simulate")?.args(args).exec()))
}

/// Builds with cargo's own progress.
pub fn build(args: &[&str]) -> Result<(), String> {
    build_with("building dirac-operator (the first time takes some minutes)", cargo().args(args))
}

/// The same with a command of its own, and a step of that name.
pub fn build_with(name: &str, command: &mut Command) -> Result<(), String> {
    require_compiler()?;
    let step = Step::start(name);
    let outcome = run("cargo build", command);
    step.end(outcome.is_ok());
    outcome
}

/// Every generated file: the CRDs of the chart, and the pages of docs/ that are made of them and of other tables.
pub fn generate() -> Result<(), String> {
    let (out, docs) = (root().join("charts/dirac-operator/files/crds"), root().join("docs"));
    let mut program = cargo();
    program.args(["run", "--quiet", "--package", "crds", "--", "--out"]).arg(&out).arg("--docs").arg(&docs);
    run("cargo run --package crds", &mut program)?;
    // The operator has no library that a program could ask for its flags: a test of its own writes their page.
    let mut flags = cargo();
    flags.env("DIRAC_OPERATOR_WRITE_PAGES", "1").args([
        "test",
        "--quiet",
        "--package",
        "operator",
        "the_page_of_flags",
    ]);
    run("cargo test --package operator", flags.stdout(Stdio::null()))?;
    println!("wrote the CRDs into {} and the reference into {}; commit what changed", out.display(), docs.display());
    Ok(())
}

/// What a command takes.
pub struct Words {
    /// Words without dashes: what may be the first; what may be the later ones. Empty: none.
    pub places: &'static [&'static [&'static str]],
    /// Options with a value.
    pub valued: &'static [&'static str],
    /// Options without.
    pub plain: &'static [&'static str],
}

impl Words {
    /// Refuses what the command would refuse after a build of minutes.
    pub fn check(&self, command: &str, args: &[String]) -> Result<(), String> {
        let mut args = args.iter();
        let mut place = 0;
        while let Some(arg) = args.next() {
            let (name, value) = arg.split_once('=').map_or((arg.as_str(), None), |(name, value)| (name, Some(value)));
            if self.valued.contains(&name) {
                if value.is_none() && args.next().is_none() {
                    return Err(format!("cargo xtask {command}: {name} needs a value"));
                }
            } else if !arg.starts_with('-') && !self.places.is_empty() {
                let fitting = self.places[place.min(self.places.len() - 1)];
                if !fitting.contains(&arg.as_str()) {
                    return Err(format!(
                        "cargo xtask {command} does not know {arg:?}; here goes one of {}",
                        fitting.join(", ")
                    ));
                }
                place += 1;
            } else if !self.plain.contains(&arg.as_str()) {
                let known: Vec<&str> = self.valued.iter().chain(self.plain).copied().collect();
                let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
                return Err(format!("cargo xtask {command} does not know {arg:?}; it takes {known}"));
            }
        }
        if place == 0 && !self.places.is_empty() {
            return Err(format!("cargo xtask {command} needs one of {}", self.places[0].join(", ")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_would_refuse_is_refused_before_it_is_built() {
        let words = Words { places: &[&["up", "down"], &["dirac"]], valued: &["--state"], plain: &["--all"] };
        let check =
            |line: &str| words.check("testbed", &line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        for good in ["up", "up dirac dirac", "--state x up", "down --state=x --all"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, said) in [
            ("", "needs one of up, down"),
            ("dirac", "one of up, down"),
            ("up x", "one of dirac"),
            ("up --x", "--state, --all"),
        ] {
            assert!(check(bad).unwrap_err().contains(said), "{bad}");
        }
        assert!(check("up --state").unwrap_err().contains("needs a value"));
        let none = Words { places: &[], valued: &[], plain: &[] };
        assert!(none.check("bench", &["foo".to_owned()]).unwrap_err().contains("takes nothing"));
    }
}
