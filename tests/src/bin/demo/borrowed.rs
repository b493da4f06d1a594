//! A cluster of the user's. What the demo makes there is noted before it is made, and taken away at the end; what was there stays.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use testbeds::{
    host::{
        process::output,
        say::{Step, line},
    },
    systems::{
        controlplane::build,
        helm::{Helm, chart},
        kubectl::Kubectl,
    },
};

use crate::home::SIMULATED;

/// The chart's release, and so its ServiceAccount's name.
const RELEASE: &str = "dirac-operator-demo";

/// A cluster that is not ours.
pub struct Borrowed {
    /// As the user.
    pub kubectl: Kubectl,
    /// The user's own rights, for the one context.
    pub user: PathBuf,
    state: PathBuf,
    helm: Helm,
    /// Files of the CRDs that the cluster lacked, by the CRDs' names.
    lacking: Vec<(String, PathBuf)>,
    namespace_made: bool,
    crds_made: bool,
}

impl Borrowed {
    /// Looks whether the demo may be there, and changes nothing.
    pub fn look(context: &str, state: &Path) -> Result<Self> {
        let program = build::kubectl()?;
        let helm = build::helm()?;
        let user = state.join("kubeconfig");
        let mut view = Command::new(&program);
        view.args(["config", "view", "--raw", "--minify", "--flatten", "--output=json", "--context", context]);
        let config = output(&mut view, "").context("kubectl config view")?;
        if !config.status.success() {
            let said = String::from_utf8_lossy(&config.stderr);
            bail!(
                "kubectl cannot use the context {context:?} ({}); `kubectl config get-contexts` lists yours",
                said.trim()
            );
        }
        fs::write(&user, &config.stdout)?;
        let kubectl = Kubectl::new(program, &user);
        let there = kubectl.run(&["get", "namespace", SIMULATED, "--ignore-not-found", "--output=name"])?;
        if !there.trim().is_empty() {
            bail!(
                "the cluster of the context {context:?} has a namespace {SIMULATED} already, which the demo would make and delete as a \
                 whole; take another cluster, or delete the namespace if an earlier demo left it"
            );
        }
        refuse_rivals(&kubectl, context)?;
        let known = kubectl.run(&["get", "crd", "--output=name"])?;
        let known: BTreeSet<&str> = known.lines().filter_map(|l| l.split_once('/').map(|(_, name)| name)).collect();
        let mut lacking = Vec::new();
        for entry in fs::read_dir(chart().join("files/crds"))? {
            let path = entry?.path();
            let name = format!("{}.diracgrid.org", path.file_stem().unwrap_or_default().to_string_lossy());
            if !known.contains(name.as_str()) {
                lacking.push((name, path));
            }
        }
        let helm = Helm::new(helm, &user);
        Ok(Self { kubectl, user, state: state.to_owned(), helm, lacking, namespace_made: false, crds_made: false })
    }

    /// Installs the chart for one namespace, and what CRDs the cluster lacks; the kubeconfig of its ServiceAccount.
    pub fn install(&mut self) -> Result<PathBuf> {
        let step = Step::start("installing the chart, for the namespace demo alone");
        // Noted before: who is interrupted just now does not know whether it was made. Made by another meanwhile, it is not ours.
        self.namespace_made = true;
        self.kubectl.run(&["create", "namespace", SIMULATED]).inspect_err(|error| {
            self.namespace_made = !format!("{error:#}").contains("AlreadyExists");
        })?;
        self.crds_made = true;
        for (name, file) in &self.lacking {
            self.kubectl.run(&["apply", "--server-side", "-f", &file.display().to_string()])?;
            self.kubectl.run(&["wait", "--for=condition=Established", "--timeout=300s", "crd", name])?;
        }
        let chart = chart().display().to_string();
        let namespaces = format!("watchNamespaces={{{SIMULATED}}}");
        let values = ["replicas=0", "crds.install=false", "aggregateRoles=false", &namespaces];
        let mut args = vec!["install", RELEASE, &chart, "--namespace", SIMULATED];
        values.iter().for_each(|value| args.extend(["--set", value]));
        self.helm.run(&args)?;
        step.done();
        let token = self.kubectl.run(&["create", "token", RELEASE, "--namespace", SIMULATED, "--duration=24h"])?;
        let mut config: Value = serde_json::from_slice(&fs::read(&self.user)?).context("kubectl's configuration")?;
        config["users"][0]["user"] = json!({"token": token.trim()});
        let file = self.state.join("operator.kubeconfig");
        fs::write(&file, config.to_string())?;
        Ok(file)
    }

    /// Takes away what [`Borrowed::install`] made, once the demo's objects are gone; what is left, and says what stays.
    pub async fn give_back(&mut self) -> Result<Vec<String>> {
        if !self.namespace_made {
            return Ok(Vec::new());
        }
        self.helm.run(&["uninstall", RELEASE, "--namespace", SIMULATED, "--ignore-not-found"])?;
        self.kubectl.run(&["delete", "namespace", SIMULATED, "--ignore-not-found", "--wait=false"])?;
        let mut left = String::new();
        for _ in 0..240 {
            left = self.kubectl.run(&["get", "namespace", SIMULATED, "--ignore-not-found", "--output=name"])?;
            if left.trim().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        if self.crds_made {
            for (name, _) in &self.lacking {
                // Somebody else may have made objects of it meanwhile, which would go with it.
                let used = self.kubectl.run(&["get", name, "--all-namespaces", "--output=name"]).unwrap_or_default();
                if used.trim().is_empty() {
                    self.kubectl.run(&["delete", "crd", name, "--ignore-not-found", "--timeout=60s"])?;
                } else {
                    line(&format!("the CRD {name} stays: somebody has made objects of it"));
                }
            }
        }
        if self.lacking.is_empty() {
            line("the CRDs stay as they are: the cluster had them before");
        }
        Ok(left.split_whitespace().map(str::to_owned).collect())
    }
}

/// An operator that looks after all namespaces would look after ours too, and each would undo what the other does.
fn refuse_rivals(kubectl: &Kubectl, context: &str) -> Result<()> {
    let all = ["get", "deployments", "--all-namespaces", "--selector=app.kubernetes.io/name=dirac-operator"];
    // Who may not list them can only try.
    let Ok(text) = kubectl.run(&[&all[..], &["--output=json"]].concat()) else { return Ok(()) };
    let list: Value = serde_json::from_str(&text).context("kubectl get deployments")?;
    for it in list["items"].as_array().into_iter().flatten() {
        let args = it["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
        if it["spec"]["replicas"] != 0 && !args.contains("--watch-namespace") {
            bail!(
                "the cluster of the context {context:?} has an operator that looks after all namespaces (deployment {} in {}); take \
                 another cluster",
                it["metadata"]["name"].as_str().unwrap_or_default(),
                it["metadata"]["namespace"].as_str().unwrap_or_default()
            );
        }
    }
    Ok(())
}
