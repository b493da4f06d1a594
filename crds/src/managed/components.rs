//! Which of DIRAC's components run, how many of each, and what each may use.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Which DIRAC components run: a profile, and what differs from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Components {
    /// `workload`: what is needed to submit, match, run and watch jobs. `full`: also data, transformations, productions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "workload", "enum" = ["workload", "full"]))]
    pub profile: Option<String>,
    /// Components that differ from the profile, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub overrides: Vec<ComponentOverride>,
}

/// One component that differs from the profile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentOverride {
    /// System and component, for example `WorkloadManagement/Matcher`.
    #[schemars(length(max = 128), regex(pattern = "^[A-Za-z]+/[A-Za-z]+$"))]
    pub name: String,
    /// Whether it runs. Absent: what the profile says; naming a component here runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Number of instances. Executors and agents that must run alone run once, whatever is written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub replicas: Option<i64>,
    /// CPU and memory of each instance, as for any container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// An amount as Kubernetes writes it: a whole number, or a text with a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Amount {
    /// In the basic unit: cores, or bytes.
    Number(i64),
    /// With a unit, for example `500m` or `512Mi`.
    Text(String),
}

/// CPU and memory of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// What is set aside for it, for example `{cpu: 500m, memory: 512Mi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities")]
    pub requests: BTreeMap<String, Amount>,
    /// The most that it may use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities")]
    pub limits: BTreeMap<String, Amount>,
}

fn quantities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "x-kubernetes-int-or-string": true,
            "maxLength": 32,
            "description": "An amount with a Kubernetes unit, for example `500m`, `2` or `512Mi`.",
        },
    })
}
