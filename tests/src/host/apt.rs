//! Debian packages that a testbed needs, installed where they are missing.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::host::{
    cache,
    process::{run, run_undisturbed},
    say::Step,
};

/// Debian's own way to keep a package from starting its daemon: the testbeds start their own, with their own configuration.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// In our policy: one that a run which was killed left behind is ours to take away, the machine's own is not.
const MARK: &str = "# Made by dirac-operator's testbeds while they install packages; remove it when none runs.";
/// Where dpkg notes what it has begun and not ended.
const JOURNAL: &str = "/var/lib/dpkg/updates";

/// Installs those of `packages` that are missing. Needs Debian and root; otherwise the error holds the command to run.
pub fn ensure(what: &str, packages: &[&str]) -> Result<()> {
    let missing = || -> Vec<&str> { packages.iter().copied().filter(|p| !installed(p)).collect() };
    if missing().is_empty() {
        return Ok(());
    }
    let _lock = alone()?;
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    if !Path::new("/etc/debian_version").exists() {
        bail!("{what} needs Debian's packages, and this is not Debian; on Debian: {line}");
    }
    if !nix::unistd::geteuid().is_root() {
        bail!("{what} needs packages that only root can install; as root: {line}");
    }
    let _quiet = NoDaemons::begin(Path::new(POLICY))?;
    heal()?;
    let step = Step::start(format!("{what}: installing {} Debian packages (some minutes)", missing.len()));
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-o", "DPkg::Lock::Timeout=900"]).args(args);
        command
    };
    run_undisturbed("apt-get update", &mut apt(&["update"]))?;
    let mut args = vec!["-y", "-o", "Dpkg::Options::=--force-unsafe-io", "--no-install-recommends", "install"];
    args.extend(&missing);
    run_undisturbed(&line, &mut apt(&args))?;
    step.done();
    Ok(())
}

/// The files of a package that must not be installed on this machine, for it would change how the machine boots, or is large: in the cache.
pub fn unpacked(package: &str) -> Result<PathBuf> {
    cache::built(&format!("debian-{package}"), |folder| {
        let _lock = alone()?;
        let work = tempfile::tempdir()?;
        let apt = |args: &[&str]| run("apt-get", Command::new("apt-get").current_dir(work.path()).arg("-q").args(args));
        apt(&["update"])?;
        apt(&["download", package])?;
        let archive = fs::read_dir(work.path())?.next().context("apt-get download left no file")??.path();
        run("dpkg-deb", Command::new("dpkg-deb").arg("--extract").args([archive.as_path(), folder])).map(drop)
    })
}

/// Waits until no other testbed works with apt.
fn alone() -> Result<File> {
    let lock = File::create(cache::dir()?.join("apt.lock")).context("cannot make a lock in the cache")?;
    lock.lock().context("cannot wait for another testbed that installs packages")?;
    Ok(lock)
}

/// Ends what an installation that was cut off left half done, before which apt refuses everything.
fn heal() -> Result<()> {
    let begun = fs::read_dir(JOURNAL).is_ok_and(|mut entries| entries.next().is_some());
    if !begun && run("dpkg --audit", Command::new("dpkg").arg("--audit"))?.trim().is_empty() {
        return Ok(());
    }
    let step = Step::start("ending an installation of Debian packages that was cut off");
    let mut dpkg = Command::new("dpkg");
    dpkg.env("DEBIAN_FRONTEND", "noninteractive").args(["--force-confdef", "--force-confold", "--configure", "-a"]);
    run_undisturbed("dpkg --configure -a", &mut dpkg)?;
    step.done();
    Ok(())
}

/// While this lives, no package starts its daemon.
struct NoDaemons<'a>(&'a Path);

impl<'a> NoDaemons<'a> {
    /// `None` where the machine has such a policy of its own.
    fn begin(policy: &'a Path) -> Result<Option<Self>> {
        if fs::read_to_string(policy).map_or_else(|_| policy.exists(), |text| !text.contains(MARK)) {
            return Ok(None);
        }
        fs::write(policy, format!("#!/bin/sh\n{MARK}\nexit 101\n")).context("cannot keep daemons from starting")?;
        let it = Self(policy);
        fs::set_permissions(policy, fs::Permissions::from_mode(0o755))?;
        Ok(Some(it))
    }
}

impl Drop for NoDaemons<'_> {
    fn drop(&mut self) {
        fs::remove_file(self.0).ok();
    }
}

fn installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f", "${Status}", package])
        .output()
        .is_ok_and(|o| o.status.success() && o.stdout.starts_with(b"install ok installed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_a_killed_run_left_is_ours_and_the_machines_own_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("policy-rc.d");
        std::mem::forget(NoDaemons::begin(&policy).unwrap().unwrap());
        assert!(policy.exists(), "the run was killed");
        drop(NoDaemons::begin(&policy).unwrap().unwrap());
        assert!(!policy.exists());
        fs::write(&policy, "#!/bin/sh\nexit 101\n").unwrap();
        assert!(NoDaemons::begin(&policy).unwrap().is_none());
        assert!(policy.exists());
    }
}
