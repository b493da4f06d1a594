//! `helm` as an administrator runs it, against a testbed's control plane.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::host::{process::run, root};

/// `helm` with a kubeconfig of its own, whatever the environment says.
pub struct Helm {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Helm {
    /// The program `program`, always called with `kubeconfig`.
    pub fn new(program: PathBuf, kubeconfig: &Path) -> Self {
        Self { program, kubeconfig: kubeconfig.to_owned() }
    }

    /// Runs `helm ARGS`; standard output when it succeeds.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", self.kubeconfig.with_file_name("kube-cache"));
        for kind in ["CACHE", "CONFIG", "DATA"] {
            command.env(
                format!("HELM_{kind}_HOME"),
                self.kubeconfig.with_file_name(format!("helm-{kind}").to_lowercase()),
            );
        }
        run(&format!("helm {}", args.join(" ")), command.args(args))
    }
}

/// The chart's folder.
pub fn chart() -> PathBuf {
    root().join("charts/dirac-operator")
}
