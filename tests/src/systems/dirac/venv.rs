//! DIRAC itself, from PyPI, in a virtual environment of the user's cache.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::host::{apt, cache, process::run, say::Step};

/// The version of DIRAC that tests run against.
pub const DIRAC: &str = "9.1.22";

/// What DIRAC's services need of Debian.
const PACKAGES: [&str; 11] = [
    "python3-venv",
    "python3-dev",
    "mariadb-server-core",
    "mariadb-client-core",
    "mariadb-client",
    "libmariadb-dev",
    "build-essential",
    "pkg-config",
    "swig",
    "libssl-dev",
    "openssl",
];

/// Debian's own, for which `python3-dev` has the headers; another that comes first on the PATH may lack them.
const PYTHON3: &str = "/usr/bin/python3";

/// What pilots import, as images are told to install it. DIRAC is installed without its own list, which has packages that need a grid's
/// libraries to build.
const PILOT: &str = include_str!("../../../../images/pilot/requirements.txt");
/// What services import beside that.
const SERVICES: [&str; 8] =
    ["sqlalchemy", "dominate", "apache-libcloud", "GitPython", "ldap3", "fabric", "paramiko", "tornado~=5.1.1"];

/// The environment's folder; made when it is not there (two minutes).
pub fn ensure() -> Result<PathBuf> {
    apt::ensure("DIRAC", &PACKAGES)?;
    // The cache holds what is complete only, but a virtual environment cannot be moved: it is made at its place, and a
    // folder of the cache says that it is whole.
    let place = cache::dir()?.join(format!("dirac-{DIRAC}-debian"));
    cache::built(&format!("dirac-{DIRAC}-debian.complete"), |_| {
        let step = Step::start(format!("installing DIRAC {DIRAC} from PyPI (two minutes, once)"));
        run("python3 -m venv", Command::new(PYTHON3).args(["-m", "venv", "--clear"]).arg(&place))?;
        let pip = || {
            let mut command = Command::new(place.join("bin/pip"));
            command.args(["install", "--quiet", "--disable-pip-version-check"]);
            command
        };
        run("pip install DIRAC", pip().args(["--no-deps", &format!("DIRAC=={DIRAC}")]))?;
        step.progress("its dependencies");
        let pilot = PILOT.lines().filter(|line| !line.starts_with('#'));
        run("pip install DIRAC's dependencies", pip().args(pilot).args(SERVICES))?;
        step.done();
        Ok(())
    })?;
    Ok(place)
}
