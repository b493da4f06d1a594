//! Debian packages that a testbed needs, installed where they are missing.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{cache, process::run, say::Step};

/// Debian's own way to keep a package from starting its daemon: the testbeds start their own, with their own configuration.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs those of `packages` that are missing. Needs Debian and root; otherwise the error holds the command to run.
pub fn ensure(what: &str, packages: &[&str]) -> Result<()> {
    let missing = || -> Vec<&str> { packages.iter().copied().filter(|p| !installed(p)).collect() };
    if missing().is_empty() {
        return Ok(());
    }
    let lock = File::create(cache::dir()?.join("apt.lock")).context("cannot make a lock in the cache")?;
    lock.lock().context("cannot wait for another testbed that installs packages")?;
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    if !Path::new("/etc/debian_version").exists() {
        bail!("{what} needs Debian's packages, and this is no Debian; on Debian: {line}");
    }
    if !nix::unistd::geteuid().is_root() {
        bail!("{what} needs packages that only root can install; as root: {line}");
    }
    let _quiet = NoDaemons::begin()?;
    let step = Step::start(format!("{what}: installing {} Debian packages (some minutes)", missing.len()));
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-o", "DPkg::Lock::Timeout=900"]).args(args);
        command
    };
    run("apt-get update", &mut apt(&["update"]))?;
    let mut args = vec!["-y", "-o", "Dpkg::Options::=--force-unsafe-io", "--no-install-recommends", "install"];
    args.extend(&missing);
    run(&line, &mut apt(&args))?;
    step.done();
    Ok(())
}

/// While this lives, no package starts its daemon.
struct NoDaemons;

impl NoDaemons {
    /// `None` where the machine has such a policy of its own.
    fn begin() -> Result<Option<Self>> {
        if Path::new(POLICY).exists() {
            return Ok(None);
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").context("cannot keep daemons from starting")?;
        let it = Self;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        Ok(Some(it))
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        fs::remove_file(POLICY).ok();
    }
}

fn installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f", "${Status}", package])
        .output()
        .is_ok_and(|o| o.status.success() && o.stdout.starts_with(b"install ok installed"))
}
