//! `kubectl` as an administrator runs it, against a testbed's control plane.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{controlplane::build::is_on_path, process::output};

/// `kubectl` with one kubeconfig.
#[derive(Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// `program` with `kubeconfig`.
    pub fn new(program: PathBuf, kubeconfig: &Path) -> Self {
        Self { program, kubeconfig: kubeconfig.to_owned() }
    }

    /// How a person calls it: by its name where the shell finds it, else by its place.
    pub fn word(&self) -> String {
        if is_on_path(&self.program) { "kubectl".to_owned() } else { self.program.display().to_string() }
    }

    /// Runs `kubectl ARGS`; standard output when it succeeds, an error with standard error when it does not.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        self.run_with(args, "")
    }

    /// `kubectl apply -f -` of `manifest`, validated strictly by the server.
    pub fn apply(&self, manifest: &str) -> Result<String> {
        self.run_with(&["apply", "--validate=strict", "-f", "-"], manifest)
    }

    /// Runs `kubectl ARGS` with `input`.
    pub fn run_with(&self, args: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", self.kubeconfig.with_file_name("kube-cache"));
        let output = output(command.args(args), input).with_context(|| format!("kubectl {}", args.join(" ")))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            bail!("kubectl {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim())
        }
    }
}
