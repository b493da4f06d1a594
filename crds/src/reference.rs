//! References to other objects of the same namespace.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::rule::rules;

/// What the name of an object of ours looks like: a DNS label.
pub const DNS_LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// What the name of a Secret looks like: a DNS subdomain.
pub const DNS_SUBDOMAIN: &str = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$";

/// Another object of the same namespace. It may be created later: until it is there, the condition Resolved says what is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct LocalRef {
    /// Name (metadata.name) of the object, in the same namespace; a DNS label, for example `cppm-openstack`.
    #[schemars(length(min = 1, max = 63), regex(pattern = DNS_LABEL))]
    pub name: String,
}

/// A thing known by name or by id: exactly one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("has(self.name) || has(self.id)", "say which: give its name or its id"),
    ("!has(self.name) || !has(self.id)", "give its name or its id, not both: they might not agree"),
])))]
pub struct NamedOrId {
    /// Its name, which must be unique where it is looked up. A name follows when the site replaces the thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub name: Option<String>,
    /// Its id at the provider, which never means another thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub id: Option<String>,
}

/// A Secret of the same namespace that says that it may be used: by the label `diracgrid.org/credential: "true"` or the type
/// `diracgrid.org/credential`. Secrets are only ever named, never written into a manifest of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SecretRef {
    /// Name (metadata.name) of the Secret, in the same namespace. It may be created later, and changed at any time: the
    /// operator takes a new value up by itself. The Secret must carry the label `diracgrid.org/credential: "true"`
    /// (`kubectl label secret NAME diracgrid.org/credential=true`) or have the type `diracgrid.org/credential`.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
}

/// Makes a schema answer a secret that was written inline with a sentence instead of "unknown field".
///
/// The decoys `names` are fields of the schema only, and always refused; `reference`, if named, is then required by a rule
/// too, because a missing required field would hide the sentence.
pub fn refuse_inline(schema: &mut Schema, names: &[&str], reference: Option<&str>) {
    let secret = reference.unwrap_or("secretRef");
    let mut rules: Vec<Value> = match schema.remove("x-kubernetes-validations") {
        Some(Value::Array(rules)) => rules,
        _ => vec![],
    };
    let absent: Vec<String> = names.iter().map(|name| format!("!has(self.{name})")).collect();
    rules.push(json!({
        "rule": absent.join(" && "),
        "message": format!("a secret does not belong in this manifest: remove it, put it into a Secret and name that in {secret}"),
    }));
    if let Some(reference) = reference {
        if let Some(Value::Array(required)) = schema.get_mut("required") {
            required.retain(|field| field != reference);
        }
        rules.push(json!({
            "rule": format!("has(self.{reference})"),
            "message": format!("name the Secret that holds the credential in {reference}"),
        }));
    }
    schema.insert("x-kubernetes-validations".to_owned(), Value::Array(rules));
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for name in names {
            let description =
                format!("Never written here, always refused: it belongs in the Secret that {secret} names.");
            properties
                .insert((*name).to_owned(), json!({ "type": "string", "maxLength": 4096, "description": description }));
        }
    }
}
