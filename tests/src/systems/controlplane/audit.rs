//! What service accounts asked of the API server, from its audit log: the truth about which rights are used, and which are missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result};
use serde::Deserialize;

/// Requests of service accounts are noted, without their bodies: nothing secret is in the log. The controllers' own are left out.
pub(super) const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: None, userGroups: ['system:serviceaccounts:kube-system']}
  - {level: Metadata, userGroups: ['system:serviceaccounts']}
  - {level: None}
";

/// One kind of request: what `kubectl auth can-i` would be asked about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// Such as `patch`.
    pub verb: String,
    /// With its group and subresource, such as `pilotpools.diracgrid.org/status`.
    pub resource: String,
    /// Empty when it was asked of all namespaces.
    pub namespace: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    verb: String,
    user: User,
    object_ref: Option<Object>,
    response_status: Option<Status>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    resource: Option<String>,
    api_group: Option<String>,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    code: Option<u16>,
}

/// The kinds of requests that a user made, each with the HTTP codes of the answers.
pub(super) fn requests(log: &Path, user: &str) -> Result<BTreeMap<Request, BTreeSet<u16>>> {
    let text = fs::read_to_string(log).with_context(|| format!("cannot read the audit log {}", log.display()))?;
    let mut found: BTreeMap<Request, BTreeSet<u16>> = BTreeMap::new();
    // The last line may be half written.
    for entry in text.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok()) {
        let Some(object) = entry.object_ref.filter(|_| entry.user.username == user) else { continue };
        let Some(mut resource) = object.resource else { continue };
        if let Some(group) = object.api_group {
            resource = format!("{resource}.{group}");
        }
        if let Some(subresource) = object.subresource {
            resource = format!("{resource}/{subresource}");
        }
        // Reading the object `namespaces/x` counts as a request in the namespace x; its name says what matters.
        let namespace = match resource.as_str() {
            "namespaces" => object.name,
            _ => object.namespace,
        };
        let request = Request { verb: entry.verb, resource, namespace: namespace.unwrap_or_default() };
        found.entry(request).or_default().extend(entry.response_status.and_then(|s| s.code));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_a_verb_a_resource_and_a_namespace() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = r#"{"verb":"patch","user":{"username":"u"},"objectRef":{"resource":"clouds","namespace":"n","name":"c","apiGroup":"g","subresource":"status"},"responseStatus":{"code":403}}"#;
        fs::write(file.path(), format!("{line}\n{}\n{{\"verb\":", line.replace("\"u\"", "\"other\""))).unwrap();
        let found = requests(file.path(), "u").unwrap();
        let wanted = Request { verb: "patch".into(), resource: "clouds.g/status".into(), namespace: "n".into() };
        assert_eq!(found, BTreeMap::from([(wanted, BTreeSet::from([403]))]));
    }
}
