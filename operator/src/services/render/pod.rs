//! Pods: what all of them have, and what a pod of DIRAC's has.

use serde_json::{Value, json};

use super::{Installation, PULL};
use crate::services::names::{FRONT, MADE_FROM};

/// The user and group of DIRAC's and DiracX's images.
pub const DIRAC_USER: i64 = 1000;
/// Seconds that a pod has between its leaving the Service and its end: DIRAC's services end at once when they are told to, in the middle of
/// calls, and DISET's clients come back to an address that they have for a while.
const DRAIN_SECONDS: u32 = 10;
const GRACE_SECONDS: u32 = 40;

/// One container.
#[derive(Default)]
pub struct Container {
    pub name: &'static str,
    pub image: String,
    /// Instead of the image's entry point.
    pub command: Vec<String>,
    pub args: Vec<String>,
    /// Names and values: a text, or `{"secretKeyRef": …}`.
    pub env: Vec<(String, Value)>,
    /// Name and number.
    pub port: Option<(String, u16)>,
    /// Volume and path.
    pub mounts: Vec<(&'static str, &'static str)>,
    pub readiness: Option<Value>,
    /// By when it must have come up; else it is started anew.
    pub startup: Option<Value>,
    pub resources: Value,
    /// Whether the end of the pod waits until calls have gone elsewhere.
    pub drains: bool,
}

impl Container {
    pub fn value(&self) -> Value {
        let mut value = json!({
            "name": self.name,
            "image": self.image,
            "imagePullPolicy": PULL,
            "env": self.env.iter().map(|(name, value)| variable(name, value)).collect::<Vec<_>>(),
            "volumeMounts": self.mounts.iter().map(|(name, at)| json!({"name": name, "mountPath": at})).collect::<Vec<_>>(),
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
            "resources": if self.resources.is_null() { few() } else { self.resources.clone() },
        });
        if !self.command.is_empty() {
            value["command"] = json!(self.command);
        }
        if !self.args.is_empty() {
            value["args"] = json!(self.args);
        }
        if let Some((name, number)) = &self.port {
            value["ports"] = json!([{"name": name, "containerPort": number, "protocol": "TCP"}]);
        }
        if let Some(probe) = &self.readiness {
            value["readinessProbe"] = probe.clone();
        }
        if let Some(probe) = &self.startup {
            value["startupProbe"] = probe.clone();
        }
        if self.drains {
            value["lifecycle"] = json!({"preStop": {"exec": {"command": ["sleep", DRAIN_SECONDS.to_string()]}}});
        }
        value
    }
}

/// What a container may use where nothing is said.
fn few() -> Value {
    json!({"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "1Gi"}})
}

fn variable(name: &str, value: &Value) -> Value {
    match value {
        Value::String(text) => json!({"name": name, "value": text}),
        from => json!({"name": name, "valueFrom": from}),
    }
}

/// A text of the manifest in a variable: Kubernetes would put other variables, among them secrets, in the place of `$(NAME)`.
pub fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// A value of a Secret, for a variable.
pub fn of_secret(secret: &str, key: &str) -> Value {
    json!({"secretKeyRef": {"name": secret, "key": key}})
}

/// A template of pods.
pub struct Pod<'a> {
    pub installation: &'a Installation<'a>,
    pub part: &'a str,
    pub user: i64,
    pub init: Vec<Container>,
    pub containers: Vec<Container>,
    pub volumes: Vec<Value>,
    /// Whether it answers calls at the installation's host name.
    pub is_front: bool,
    /// Whether several run, which then lie on nodes of their own where there are enough.
    pub is_spread: bool,
    pub restarts: &'static str,
    /// What it was made from that does not stand in the template itself: versions of files that it mounts.
    pub made_from: String,
}

impl<'a> Pod<'a> {
    pub fn new(installation: &'a Installation<'a>, part: &'a str, user: i64) -> Self {
        Self {
            installation,
            part,
            user,
            init: Vec::new(),
            containers: Vec::new(),
            volumes: Vec::new(),
            is_front: false,
            is_spread: false,
            restarts: "Always",
            made_from: String::new(),
        }
    }

    pub fn template(&self) -> Value {
        let names = &self.installation.names;
        let mut labels = names.labels_of(self.part);
        if self.is_front {
            labels.insert(FRONT, "true".to_owned());
        }
        let mut spec = json!({
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "restartPolicy": self.restarts,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": self.user,
                "runAsGroup": self.user,
                "fsGroup": self.user,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": self.containers.iter().map(Container::value).collect::<Vec<_>>(),
            "volumes": self.volumes,
        });
        if !self.init.is_empty() {
            spec["initContainers"] = self.init.iter().map(Container::value).collect();
        }
        // The one host name leads to the Service also where no DNS knows it, and without a way through the load balancer.
        if let Some(address) = &self.installation.address {
            spec["hostAliases"] = json!([{"ip": address, "hostnames": [self.installation.spec.host]}]);
        }
        if self.is_spread {
            spec["affinity"] = json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 100,
                "podAffinityTerm": {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": names.selector(self.part)},
                },
            }]}});
        }
        let mut metadata = json!({"labels": labels});
        if !self.made_from.is_empty() {
            metadata["annotations"] = json!({MADE_FROM: self.made_from});
        }
        json!({"metadata": metadata, "spec": spec})
    }
}

/// A folder that lives as long as the pod.
pub fn empty(name: &str) -> Value {
    json!({"name": name, "emptyDir": {}})
}

/// Where a pod of DIRAC's has its files; the volumes are those of [`dirac_volumes`].
pub const DIRAC_MOUNTS: [(&str, &str); 5] = [
    ("settings", "/etc/dirac"),
    ("trusted", "/etc/dirac-authorities"),
    ("authorities", "/etc/grid-security/certificates"),
    ("dirac", "/opt/dirac"),
    ("tmp", "/tmp"),
];

/// Its configuration (`file` of the settings), its secrets, the host certificate, the authorities of users, and folders of its own.
pub fn dirac_volumes(installation: &Installation<'_>, file: &str) -> Vec<Value> {
    let names = &installation.names;
    let settings = json!({"name": "settings", "projected": {"defaultMode": 0o440, "sources": [
        {"configMap": {"name": names.of("settings"), "items": [
            {"key": file, "path": "dirac.cfg"},
            {"key": "Local.cfg", "path": "Local.cfg"},
            {"key": "components", "path": "components"},
        ]}},
        {"secret": {"name": names.of("keys"), "items": [{"key": "secrets.cfg", "path": "secrets.cfg"}]}},
        {"secret": {"name": installation.certificate, "items": [
            {"key": "tls.crt", "path": "host/tls.crt"},
            {"key": "tls.key", "path": "host/tls.key"},
            {"key": "ca.crt", "path": "ca.crt"},
        ]}},
    ]}});
    let trusted = match &installation.spec.authorities {
        Some(given) => json!({"name": "trusted", "configMap": {"name": given.config_map_ref.name}}),
        None => empty("trusted"),
    };
    vec![settings, trusted, empty("authorities"), empty("dirac"), empty("tmp")]
}

/// The variables of a pod of DIRAC's.
pub fn dirac_env() -> Vec<(String, Value)> {
    let plain = [
        ("DIRACSYSCONFIG", "/etc/dirac/dirac.cfg,/etc/dirac/secrets.cfg"),
        ("DIRAC_ROOT_PATH", "/opt/dirac"),
        ("X509_CERT_DIR", "/etc/grid-security/certificates"),
        ("DIRACX_CA_PATH", "/etc/dirac/ca.crt"),
        ("REQUESTS_CA_BUNDLE", "/etc/dirac/ca.crt"),
    ];
    plain.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}
