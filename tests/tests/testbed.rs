//! Layer `crds`: `cargo xtask testbed` as a person uses it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use testbeds::systems::{controlplane::build, kubectl::Kubectl};

/// Ends what a failed test leaves.
struct Testbed(PathBuf);

impl Drop for Testbed {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}

/// Whether it succeeded, what it wrote to standard output, and to standard error.
type Said = (bool, String, String);

impl Testbed {
    fn run(&self, words: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_testbed"));
        let output = command.args(words).arg("--state").arg(&self.0).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    }

    fn holder(&self) -> i32 {
        let record: Value = serde_json::from_slice(&std::fs::read(self.0.join("controlplane.json")).unwrap()).unwrap();
        record["pid"].as_i64().unwrap().try_into().unwrap()
    }
}

/// Whether the holder still has its lock. The process may be a zombie by then: its last thread lets the lock go.
fn is_held(folder: &Path) -> bool {
    File::open(folder.join("controlplane.lock")).unwrap().try_lock().is_err()
}

fn namespaces(exported: &str) -> anyhow::Result<String> {
    let kubeconfig = exported.trim().strip_prefix("export KUBECONFIG=").expect("one line that a shell evaluates");
    Kubectl::new(build::kubectl().unwrap(), Path::new(kubeconfig)).run(&["get", "namespaces,pilotpools"])
}

#[test]
fn a_testbed_stays_until_it_is_taken_down() {
    let folder = tempfile::tempdir().unwrap();
    let testbed = Testbed(folder.path().to_owned());
    let (ok, _, said) = testbed.run(&["down"]);
    assert!(ok && said.contains("controlplane does not run"), "nothing to end is no error: {said}");

    let (ok, exported, said) = testbed.run(&["up", "controlplane"]);
    assert!(ok, "{said}");
    namespaces(&exported).unwrap();
    let first = testbed.holder();

    let (ok, again, said) = testbed.run(&["up", "controlplane"]);
    assert!(ok && said.contains("runs already") && again == exported, "{said}{again}");
    assert_eq!(testbed.holder(), first, "nothing was started");
    let (ok, again, said) = testbed.run(&["status"]);
    assert!(ok && said.contains("controlplane runs for") && said.contains("dirac does not run"), "{said}");
    assert_eq!(again, exported);

    // Killed: noticed, said, and no hindrance.
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    while is_held(folder.path()) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let (ok, exported, said) = testbed.run(&["up", "controlplane"]);
    assert!(ok && said.contains("gone without a word"), "{said}");
    namespaces(&exported).unwrap();
    assert_ne!(testbed.holder(), first);

    let (ok, _, said) = testbed.run(&["down"]);
    assert!(ok && said.contains("controlplane has ended after") && said.contains("dirac does not run"), "{said}");
    assert!(namespaces(&exported).is_err(), "the API server has ended");
    assert!(folder.path().join("controlplane/log/kube-apiserver.log").exists(), "its logs stay");
    let (ok, _, said) = testbed.run(&["down"]);
    assert!(ok && said.contains("controlplane does not run"), "{said}");
}

#[test]
fn wrong_words_and_folders_are_refused_with_what_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let testbed = Testbed(folder.path().to_owned());
    let (ok, _, said) = testbed.run(&["up", "mainframe"]);
    assert!(!ok && said.contains("mainframe") && said.contains("controlplane, dirac, openstack"), "{said}");
    let (ok, _, said) = testbed.run(&["sideways"]);
    assert!(!ok && said.contains("up, down, status"), "{said}");
    std::fs::create_dir(folder.path().join("controlplane")).unwrap();
    let (ok, _, said) = testbed.run(&["up", "controlplane"]);
    assert!(!ok && said.contains("no testbed made it"), "what is not ours is not removed: {said}");
}
