//! What must never be told, and the search for it in everything that the operator writes: logs, objects, metrics, user-data.
//!
//! What is found is named by where it comes from; its text is in no error.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::systems::{kubectl::Kubectl, openstack::PASSWORD, operator::Operator};

/// Fields of Secrets that are public: the name of a credential, and certificates.
const PUBLIC: [&str; 4] = ["id", "tls.crt", "ca.crt", "namespace"];
/// What begins every Fernet token of Keystone, and what stands above every private key.
const SHAPES: [(&str, &str); 2] = [("a token of Keystone", "gAAAAA"), ("a private key", "PRIVATE KEY")];
/// Stands above a proxy, which has the key below it. Objects may have one: Kubernetes publishes its own authority.
const CERTIFICATE: (&str, &str) = ("a certificate", "BEGIN CERTIFICATE");
/// Shorter texts are found by chance.
const SHORTEST: usize = 8;
/// Kinds of Kubernetes in which the operator writes; those of the operator itself are asked for by their group.
const WRITTEN: [&str; 3] = ["events", "configmaps", "leases.coordination.k8s.io"];

/// Every secret of a testbed, by a name that may be told.
#[derive(Default)]
pub struct Secrets(Vec<(String, String)>);

/// What the operator has written, beside the objects of the cluster.
#[derive(Default)]
pub struct Written<'a> {
    /// Paths of the logs of all processes.
    pub logs: &'a [PathBuf],
    /// Operators that run: their metrics are read.
    pub operators: &'a [&'a Operator],
    /// User-data of servers, as Nova has it.
    pub user_data: &'a [&'a str],
}

impl Secrets {
    /// Those that the cluster's Secrets hold now, the private keys in the files of these folders, tokens in these kubeconfigs, and
    /// the password of OpenStack's users.
    pub fn gather(kubectl: &Kubectl, folders: &[&Path], kubeconfigs: &[&Path]) -> Result<Self> {
        let mut all = Self::default();
        all.note("the password of OpenStack's users", PASSWORD);
        all.note_cluster(kubectl)?;
        for folder in folders {
            for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
                let path = entry?.path();
                if let Ok(text) = fs::read_to_string(&path) {
                    all.note_key(&path.display().to_string(), &text);
                }
            }
        }
        for path in kubeconfigs {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            let token = text.split("token: ").nth(1).and_then(|rest| rest.split(['}', '\n']).next());
            all.note("a token of a service account", token.unwrap_or_default().trim());
        }
        ensure!(all.0.len() > 3, "a testbed has more secrets than {}", all.0.len());
        Ok(all)
    }

    /// Adds what the cluster's Secrets hold now. Those of Helm hold the chart.
    pub fn note_cluster(&mut self, kubectl: &Kubectl) -> Result<()> {
        let text = kubectl.run(&["get", "secrets", "--all-namespaces", "--output=json"])?;
        let list: Value = serde_json::from_str(&text).context("the Secrets are no JSON")?;
        for secret in list["items"].as_array().into_iter().flatten() {
            if secret["type"].as_str().is_some_and(|kind| kind.starts_with("helm.sh/")) {
                continue;
            }
            let (namespace, name) = (&secret["metadata"]["namespace"], &secret["metadata"]["name"]);
            for (field, value) in secret["data"].as_object().into_iter().flatten() {
                let what = format!("{field} of the Secret {namespace}/{name}");
                let encoded = value.as_str().unwrap_or_default();
                let decoded = STANDARD.decode(encoded).with_context(|| format!("{what} is not base64"))?;
                if PUBLIC.contains(&field.as_str()) {
                    continue;
                }
                self.note(&what, encoded);
                match String::from_utf8(decoded) {
                    Ok(text) if text.contains("PRIVATE KEY") => self.note_key(&what, &text),
                    Ok(text) => self.note(&what, &text),
                    Err(_) => {}
                }
            }
        }
        Ok(())
    }

    /// The second line of each private key: the first has what all keys of its kind begin with, and text in JSON has no whole key.
    fn note_key(&mut self, what: &str, text: &str) {
        for block in text.split("-----BEGIN ").filter(|block| block.contains("PRIVATE KEY-----")) {
            self.note(&format!("the private key in {what}"), block.lines().nth(2).unwrap_or_default());
        }
    }

    fn note(&mut self, what: &str, text: &str) {
        if text.len() >= SHORTEST && !self.0.iter().any(|(_, known)| known == text) {
            self.0.push((what.to_owned(), text.to_owned()));
        }
    }

    /// The names of those that a text has.
    fn within<'a>(&'a self, text: &str, shapes: &[(&'a str, &str)]) -> Vec<&'a str> {
        let known = self.0.iter().filter(|(_, secret)| text.contains(secret)).map(|(what, _)| what.as_str());
        known.chain(shapes.iter().filter(|(_, shape)| text.contains(shape)).map(|(what, _)| *what)).collect()
    }

    /// An error that names each secret that is told, and where: in what the operator has written, or in an object of the cluster.
    pub async fn are_kept(&self, kubectl: &Kubectl, written: &Written<'_>) -> Result<()> {
        let with_certificates = [&SHAPES[..], &[CERTIFICATE]].concat();
        let mut told = Vec::new();
        let mut look = |place: &str, text: &str, shapes: &[(&'static str, &str)]| {
            told.extend(self.within(text, shapes).into_iter().map(|what| format!("{what} is in {place}")));
        };
        for log in written.logs {
            let bytes = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
            ensure!(!bytes.is_empty(), "the log {} is empty", log.display());
            look(&log.display().to_string(), &String::from_utf8_lossy(&bytes), &with_certificates);
        }
        for user_data in written.user_data {
            look("the user-data of a server", user_data, &with_certificates);
        }
        for operator in written.operators {
            look("an operator's metrics", &operator.metrics_text().await?, &with_certificates);
        }
        for kind in kinds(kubectl)? {
            look(&kind, &kubectl.run(&["get", &kind, "--all-namespaces", "--output=json"])?, &SHAPES);
        }
        ensure!(told.is_empty(), "secrets are told: {}", told.join("; "));
        Ok(())
    }
}

/// Kinds in which the operator writes.
fn kinds(kubectl: &Kubectl) -> Result<Vec<String>> {
    let ours = kubectl.run(&["api-resources", "--api-group=diracgrid.org", "--output=name"])?;
    let ours: Vec<String> = ours.lines().map(str::to_owned).collect();
    ensure!(
        ours.iter().any(|kind| kind.starts_with("pilotvms")),
        "the kinds of diracgrid.org are not served: {ours:?}"
    );
    Ok(ours.into_iter().chain(WRITTEN.map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN CERTIFICATE-----\nMIIC1\nMIIC2\nMIIC3\n-----END CERTIFICATE-----\n\
                       -----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\nbGludWVfdHdvX29mX2E\nYQ==\n-----END PRIVATE KEY-----\n";

    #[test]
    fn a_key_is_known_by_its_own_line_and_a_secret_by_its_text() {
        let mut secrets = Secrets::default();
        secrets.note_key("a proxy", KEY);
        secrets.note("a password", "open-sesame");
        secrets.note("a word", "short");
        let json = Value::String(KEY.to_owned()).to_string();
        assert_eq!(secrets.within(&json, &[]), ["the private key in a proxy"]);
        assert_eq!(secrets.within("user=a password=open-sesame short", &SHAPES), ["a password"]);
        assert_eq!(secrets.within("x-auth-token: gAAAAABl0", &SHAPES), ["a token of Keystone"]);
        assert!(secrets.within("MIGHAgEAMBMGByqGSM49", &SHAPES).is_empty(), "what all keys begin with tells nothing");
    }
}
