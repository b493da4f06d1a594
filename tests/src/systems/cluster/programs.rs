//! Builds what is in `go/`, once, into the user's cache: CoreDNS with the plugins that are needed here, and the program that gives volumes
//! and addresses.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
};

use anyhow::{Context, Result};

use crate::{
    host::{cache, process::run, say::Step},
    systems::controlplane::build::{go, go_there},
};

/// The version of CoreDNS.
const COREDNS: &str = "1.15.0";
/// The programs, each a folder of the module.
const PROGRAMS: [&str; 2] = ["coredns", "provider"];
const FILES: [(&str, &str); 6] = [
    ("go.mod", include_str!("go/go.mod")),
    ("go.sum", include_str!("go/go.sum")),
    ("coredns/main.go", include_str!("go/coredns/main.go")),
    ("provider/main.go", include_str!("go/provider/main.go")),
    ("provider/volumes.go", include_str!("go/provider/volumes.go")),
    ("provider/addresses.go", include_str!("go/provider/addresses.go")),
];

/// The folder with `coredns` and `provider`; built when it is not in the cache.
pub(super) fn built() -> Result<PathBuf> {
    let mut sources = DefaultHasher::new();
    FILES.hash(&mut sources);
    cache::built(&format!("coredns-{COREDNS}-{:016x}", sources.finish()), |out| {
        go_there()?;
        let step = Step::start(format!(
            "building CoreDNS {COREDNS} and a provider of volumes from Go modules (2 minutes on two cores, once)"
        ));
        let module = tempfile::tempdir()?;
        for (name, text) in FILES {
            let file = module.path().join(name);
            fs::create_dir_all(file.parent().context("a file without a folder")?)?;
            fs::write(file, text)?;
        }
        for program in PROGRAMS {
            step.progress(&format!("go build {program}"));
            let mut command = go(module.path());
            command.args(["build", "-trimpath", "-ldflags=-s -w", "-o"]).arg(out.join(program));
            run(&format!("go build {program}"), command.arg(format!("./{program}")))?;
        }
        step.done();
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_coredns_is_the_one_that_is_built() {
        assert!(FILES[0].1.lines().any(|line| line.trim() == format!("github.com/coredns/coredns v{COREDNS}")));
    }
}
