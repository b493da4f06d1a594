//! `kubectl` as an administrator runs it, against a testbed's control plane.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

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
        let mut child = Command::new(&self.program)
            .env("KUBECONFIG", &self.kubeconfig)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).ok();
        }
        let output = child.wait_with_output()?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            bail!("kubectl {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim())
        }
    }
}
