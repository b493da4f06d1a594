//! Layer `chart`: `cargo xtask demo` as a person meets it: it ends by itself or by a signal, at any time, and leaves nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use testbeds::{host::process::Process, systems::controlplane::ControlPlane};

const PATIENCE: Duration = Duration::from_secs(400);

/// A demo whose folder is made in a folder of the test's.
struct Demo {
    process: Process,
    temporary: TempDir,
    log: PathBuf,
}

impl Demo {
    fn start(args: &[&str], kubeconfig: Option<&Path>) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let log = temporary.path().join("said");
        let made = temporary.path().join("tmp");
        fs::create_dir(&made).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        command.args(args).env("TMPDIR", &made);
        if let Some(kubeconfig) = kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        Self { process: Process::spawn("demo", command, &log).unwrap(), temporary, log }
    }

    fn says(&mut self, text: &str) {
        self.process.wait_log(text, PATIENCE).unwrap();
    }

    fn signal(&self, signal: Signal) {
        // Only the demo itself: what it started is in groups of its own in any case.
        kill(Pid::from_raw(self.process.pid().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for its end; how it ended, and what it said.
    fn ends(&mut self) -> (ExitStatus, String) {
        let status = self.process.wait(PATIENCE).unwrap();
        let said = fs::read_to_string(&self.log).unwrap();
        (status.unwrap_or_else(|| panic!("the demo does not end:\n{said}")), said)
    }

    /// Nothing is in its folder, and no process has ever heard of it.
    fn left_nothing(&self) {
        let made = self.temporary.path().join("tmp");
        let left: Vec<_> = fs::read_dir(&made).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?}");
        let mut alive = processes_of(&made);
        for _ in 0..50 {
            if alive.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
            alive = processes_of(&made);
        }
        assert!(alive.is_empty(), "{alive:?}");
    }
}

/// Command lines that name the folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let lines = fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(folder)).collect()
}

#[test]
fn a_demo_that_is_interrupted_while_it_starts_leaves_nothing() {
    let mut demo = Demo::start(&[], None);
    demo.says("starting a Kubernetes control plane");
    std::thread::sleep(Duration::from_secs(1));
    demo.signal(Signal::SIGINT);
    let (status, said) = demo.ends();
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted: what was started has ended"), "{said}");
    demo.left_nothing();
}

#[test]
fn ctrl_c_in_the_live_part_cleans_up_and_is_no_failure() {
    let mut demo = Demo::start(&[], None);
    demo.says("jobs: ");
    demo.signal(Signal::SIGINT);
    let (status, said) = demo.ends();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("left                      nothing"), "{said}");
    demo.left_nothing();
}

#[tokio::test]
async fn a_demo_in_a_cluster_of_the_users_ends_by_itself_and_takes_away_what_it_made() {
    let state = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(state.path()).await.unwrap();
    let kubectl = plane.kubectl();
    kubectl.run(&["create", "namespace", "demo"]).unwrap();
    let mut demo = Demo::start(&["--context", "testbed"], Some(&plane.kubeconfig()));
    let (status, said) = demo.ends();
    assert!(!status.success() && said.contains("has a namespace demo already"), "{said}");
    demo.left_nothing();
    kubectl.run(&["delete", "namespace", "demo"]).unwrap();
    let everything = ["get", "namespaces,crds,clusterroles,clusterrolebindings", "--output=name"];
    let before = kubectl.run(&everything).unwrap();

    // A VM boots for forty seconds and a job runs for a minute: the shortest time in which one is served.
    let mut demo = Demo::start(&["--context", "testbed", "--for", "170s"], Some(&plane.kubeconfig()));
    let (status, said) = demo.ends();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("left                      nothing") && said.contains("new: cpu-"), "{said}");
    for what in ["jobs arrived", "jobs served", "VMs made", "cost"] {
        let sum = said.lines().find_map(|line| line.strip_prefix(what)?.trim().parse::<f64>().ok());
        assert!(sum.is_some_and(|sum| sum > 0.0), "{what}: {said}");
    }
    demo.left_nothing();
    assert_eq!(kubectl.run(&everything).unwrap(), before);

    // A signal between two steps of the start: what was made so far goes again.
    let mut demo = Demo::start(&["--context", "testbed"], Some(&plane.kubeconfig()));
    demo.says("installing the chart");
    demo.signal(Signal::SIGTERM);
    let (status, said) = demo.ends();
    assert_eq!(status.code(), Some(143), "{said}");
    demo.left_nothing();
    assert_eq!(kubectl.run(&everything).unwrap(), before);
}
