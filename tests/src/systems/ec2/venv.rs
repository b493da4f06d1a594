//! moto and boto3, from PyPI, in a virtual environment of the user's cache.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    process::Command,
};

use anyhow::Result;

use crate::host::{apt, cache, process::run, say::Step};

/// The version of moto behind the stand-in.
pub const MOTO: &str = "5.2.5";
/// All of it with its versions. moto answers by the models of botocore, so these two are chosen together.
const REQUIREMENTS: &str = include_str!("files/requirements.txt");
/// Debian's own: another that comes first on the PATH may lack `venv`.
const PYTHON3: &str = "/usr/bin/python3";

/// The environment's folder; made when it is not there (under a minute).
pub fn ensure() -> Result<PathBuf> {
    apt::ensure("the EC2 testbed", &["python3-venv"])?;
    // A virtual environment cannot be moved: it is made at its place, and a folder of the cache says that it is whole.
    let mut versions = DefaultHasher::new();
    REQUIREMENTS.hash(&mut versions);
    let name = format!("moto-{MOTO}-{:016x}", versions.finish());
    let place = cache::dir()?.join(&name);
    cache::built(&format!("{name}.complete"), |_| {
        let step = Step::start(format!("installing moto {MOTO} from PyPI (under a minute, once)"));
        run("python3 -m venv", Command::new(PYTHON3).args(["-m", "venv", "--clear"]).arg(&place))?;
        let mut pip = Command::new(place.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps"]).args(REQUIREMENTS.lines());
        run("pip install moto", &mut pip)?;
        step.done();
        Ok(())
    })?;
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_said_once() {
        assert!(REQUIREMENTS.lines().any(|line| line == format!("moto=={MOTO}")));
        assert!(REQUIREMENTS.lines().all(|line| line.contains("==")), "every package has its version");
    }
}
