//! `kubectl` as an administrator runs it, against a testbed's control plane.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{host::process::output, systems::controlplane::build::is_on_path};

/// `kubectl` with a kubeconfig of its own, whatever the environment says.
#[derive(Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// The program `program`, always called with `kubeconfig`.
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

    /// Names of everything that belongs to no namespace.
    pub fn cluster_wide(&self) -> Result<BTreeSet<String>> {
        let kinds = self.run(&["api-resources", "--namespaced=false", "--verbs=list", "--output=name"])?;
        let kinds = kinds.lines().filter(|kind| *kind != "componentstatuses").collect::<Vec<_>>().join(",");
        Ok(self.run(&["get", &kinds, "--output=name"])?.lines().map(str::to_owned).collect())
    }

    /// An object such as `cloud/lyon`.
    pub fn object(&self, namespace: &str, object: &str) -> Result<Value> {
        let text = self.run(&["get", object, "--namespace", namespace, "--output=json"])?;
        serde_json::from_str(&text).with_context(|| format!("{object} is not JSON"))
    }

    /// All objects of a kind, such as `pilotvms`.
    pub fn objects(&self, namespace: &str, kind: &str) -> Result<Vec<Value>> {
        let mut list = self.object(namespace, kind)?;
        Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    /// The conditions of an object such as `cloud/lyon`.
    pub fn conditions(&self, namespace: &str, object: &str) -> Result<Vec<Condition>> {
        let object = self.object(namespace, object)?;
        let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let word = |c: &Value, field: &str| c[field].as_str().unwrap_or_default().to_owned();
        let read = |c: &Value| Condition {
            kind: word(c, "type"),
            status: word(c, "status"),
            reason: word(c, "reason"),
            message: word(c, "message"),
        };
        Ok(conditions.iter().map(read).collect())
    }

    /// Status, reason and message of a condition; `-` for each when it is not there.
    pub fn says(&self, namespace: &str, object: &str, kind: &str) -> Result<(String, String, String)> {
        let found = self.conditions(namespace, object)?.into_iter().find(|c| c.kind == kind);
        let absent = || ["-"; 3].map(str::to_owned).into();
        Ok(found.map_or_else(absent, |c| (c.status, c.reason, c.message)))
    }

    /// Writes a Secret that says that the operator may use it; `field` is `data` or `stringData`.
    pub fn put_secret(&self, namespace: &str, name: &str, field: &str, values: &Value) -> Result<()> {
        self.apply(&secret(namespace, name, field, values)).map(|_| ())
    }

    /// Puts objects into this namespace with the statuses that they have, and with the namespace's pool `cpu` as their owner where they
    /// have one.
    pub fn put_with_statuses(&self, namespace: &str, objects: Vec<Value>) -> Result<()> {
        for mut object in objects {
            let status = object.as_object_mut().and_then(|fields| fields.remove("status"));
            object["metadata"]["namespace"] = json!(namespace);
            if let Some(uid) = object.pointer_mut("/metadata/ownerReferences/0/uid") {
                *uid = self.object(namespace, "pilotpool/cpu")?["metadata"]["uid"].clone();
            }
            self.run_with(&["create", "--validate=strict", "-f", "-"], &object.to_string())?;
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            if let Some(status) = status {
                self.patch_status(namespace, &word(&object["kind"]), &word(&object["metadata"]["name"]), &status)?;
            }
        }
        Ok(())
    }

    /// Changes the status of an object, as its controller does.
    pub fn patch_status(&self, namespace: &str, kind: &str, name: &str, status: &Value) -> Result<()> {
        let patch = json!({ "status": status }).to_string();
        let what = ["patch", kind, name, "--namespace", namespace, "--subresource=status"];
        self.run(&[&what[..], &["--type=merge", "--patch", &patch]].concat()).map(|_| ())
    }

    /// Runs `kubectl ARGS` and gives it `input` on its standard input.
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

/// A condition of an object, in the words of its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// For example `Ready`.
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The machine-readable reason.
    pub reason: String,
    /// The sentence for people.
    pub message: String,
}

/// The manifest of a Secret that says that the operator may use it.
pub fn secret(namespace: &str, name: &str, field: &str, values: &Value) -> String {
    let metadata = json!({"name": name, "namespace": namespace, "labels": {"diracgrid.org/credential": "true"}});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, field: values}).to_string()
}
