//! The how-tos as their readers follow them: every command of docs/how-to that is not marked `not-run`, page by page, in a cluster with
//! the chart, the operator and examples/simulated.

use std::{collections::BTreeMap, env, fs, os::unix::fs::symlink, path::PathBuf, process::Command};

use anyhow::Result;
use testbeds::{
    host::{process::run, root},
    pages::{Block, blocks},
    systems::{
        controlplane::{ControlPlane, build},
        operator::{NAMESPACE, Operator},
    },
};

use super::QUICK;

/// The namespace of examples/simulated, which all pages use.
const DEMO: &str = "demo";
/// What the pages take for granted: a release that looks after it. No node runs here, so no pod does.
const VALUES: &str = "replicas=0,watchNamespaces={demo}";
/// The page that ends everything.
const LAST: &str = "uninstall.md";
/// Blocks that no test runs, by page: a pod is asked, or another cluster, an account at AWS or a site of EGI would be needed.
const NOT_RUN: [(&str, usize); 6] = [
    ("add-a-vo.md", 1),
    ("aws.md", 3),
    ("egi-fedcloud.md", 3),
    ("move-to-a-rebuilt-cluster.md", 1),
    ("restrict-namespaces.md", 1),
    ("upgrade.md", 1),
];

/// The blocks of every page, that of the last page at the end.
fn pages() -> Vec<Block> {
    let folder = root().join("docs/how-to");
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort_by_key(|name| (name == LAST, name.clone()));
    let read = |name: &String| blocks(name, &fs::read_to_string(folder.join(name)).unwrap()).unwrap();
    names.iter().flat_map(read).collect()
}

/// A folder like the repository, so that nothing is written into it, with the programs that a reader has.
struct Desk {
    folder: PathBuf,
    kubeconfig: PathBuf,
    path: String,
}

impl Desk {
    fn new(folder: PathBuf, kubeconfig: PathBuf) -> Self {
        let programs = folder.join("bin");
        fs::create_dir_all(&programs).unwrap();
        symlink(build::kubectl().unwrap(), programs.join("kubectl")).unwrap();
        symlink(build::helm().unwrap(), programs.join("helm")).unwrap();
        for part in ["charts", "examples"] {
            symlink(root().join(part), folder.join(part)).unwrap();
        }
        let path = format!("{}:{}", programs.display(), env::var("PATH").unwrap());
        Self { folder, kubeconfig, path }
    }

    /// Runs a command as a shell does. What it says stands in the error.
    fn run(&self, command: &str) -> Result<String> {
        let mut shell = Command::new("bash");
        shell.args(["-o", "pipefail", "-ec", command]).current_dir(&self.folder);
        run(command, shell.env("PATH", &self.path).env("KUBECONFIG", &self.kubeconfig))
    }
}

#[test]
fn no_block_is_left_out_silently() {
    let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
    for block in pages().into_iter().filter(|block| !block.runs) {
        *left_out.entry(block.page).or_default() += 1;
    }
    assert_eq!(left_out, NOT_RUN.map(|(page, blocks)| (page.to_owned(), blocks)).into());
}

#[tokio::test]
async fn the_commands_of_the_how_tos_run() {
    let state = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(&state.path().join("controlplane")).await.unwrap();
    plane.kubectl().run(&["create", "namespace", DEMO]).unwrap();
    Operator::install_chart(&plane, VALUES).unwrap();
    let watched = [NAMESPACE, DEMO].map(|namespace| format!("--watch-namespace={namespace}"));
    let args: Vec<&str> = QUICK.into_iter().chain(watched.iter().map(String::as_str)).collect();
    let log = state.path().join("operator.log");
    let _operator = Operator::start_installed(&plane, &log, &args).await.unwrap();

    let desk = Desk::new(state.path().join("desk"), plane.kubeconfig());
    let (mut page, mut commands, mut failed) = (String::new(), 0, Vec::new());
    for block in pages().into_iter().filter(|block| block.runs) {
        // Each page begins with the examples as they are.
        if page != block.page {
            desk.run("kubectl apply --filename examples/simulated").unwrap();
            page.clone_from(&block.page);
        }
        for command in &block.commands {
            eprintln!("{}:{}: {command}", block.page, block.line);
            commands += 1;
            failed.extend(desk.run(command).err().map(|e| format!("{}:{}: {e:#}", block.page, block.line)));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(commands > 30, "the pages were read: {commands}");
    let left = plane.kubectl().run(&["get", "crds", "--output=name"]).unwrap();
    assert!(!left.contains("diracgrid.org"), "what the last page leaves: {left}");
}
