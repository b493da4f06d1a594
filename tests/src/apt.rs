//! Debian packages that a testbed needs, installed where they are missing.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{process::run, say::Step};

/// Installs those of `packages` that are missing. Needs Debian and root; otherwise the error holds the command to run.
pub fn ensure(what: &str, packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|p| !installed(p)).collect();
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
    // No daemon of a package starts by itself: the testbeds start their own, with their own configuration.
    let policy = Path::new("/usr/sbin/policy-rc.d");
    if !policy.exists() {
        std::fs::write(policy, "#!/bin/sh\nexit 101\n").context("cannot keep daemons from starting")?;
        run("chmod", Command::new("chmod").arg("755").arg(policy))?;
    }
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

fn installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f", "${Status}", package])
        .output()
        .is_ok_and(|o| o.status.success() && o.stdout.starts_with(b"install ok installed"))
}
