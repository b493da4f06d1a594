//! The custom resource definitions as YAML, one file a kind.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::rule::rules;
use crate::{Cloud, DiracInstallation, Downtime, PilotPool, PilotVM, Site, VirtualOrganization};

/// Every kind's definition, as a Kubernetes API server wants it.
///
/// An error names the kind whose schema cannot be made.
pub fn definitions() -> Result<Vec<CustomResourceDefinition>, String> {
    [
        (DiracInstallation::crd(), 63),
        (VirtualOrganization::crd(), 63),
        (Site::crd(), 63),
        (Cloud::crd(), 63),
        (PilotPool::crd(), 50),
        (PilotVM::crd(), 63),
        (Downtime::crd(), 63),
    ]
    .into_iter()
    .map(|(crd, longest_name)| finish(crd, longest_name))
    .collect()
}

/// Tells of every field of an OpenAPI schema, each before those below it: its path (`a.b`, `list[].c`, `map.*.d`), its own schema, and
/// whether it is required.
pub fn fields<'a>(schema: &'a Value, tell: &mut impl FnMut(&str, &'a Value, bool)) {
    below("", schema, tell);
}

fn below<'a>(path: &str, schema: &'a Value, tell: &mut impl FnMut(&str, &'a Value, bool)) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let is_required = schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name.as_str()));
        tell(&path, field, is_required);
        below(&path, field, tell);
    }
    for (word, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
        if schema[word].is_object() {
            below(&format!("{path}{mark}"), &schema[word], tell);
        }
    }
}

/// What the derive cannot say: that names are labels, and a schema without what only confuses.
fn finish(mut crd: CustomResourceDefinition, longest_name: usize) -> Result<CustomResourceDefinition, String> {
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) else { continue };
        let mut value = serde_json::to_value(&*schema).map_err(|e| format!("{}: {e}", crd.spec.names.kind))?;
        tidy(&mut value);
        value["x-kubernetes-validations"] = rules(&[(
            &format!("size(self.metadata.name) <= {longest_name} && !self.metadata.name.contains('.')"),
            &format!(
                "other objects are named after this one: choose a name of at most {longest_name} letters, digits and hyphens, without dots"
            ),
        )]);
        describe(&mut value, "spec", "What is wanted.");
        describe(&mut value, "status", "What the operator knows; only the operator writes it.");
        *schema = serde_json::from_value(value).map_err(|e| format!("{}: {e}", crd.spec.names.kind))?;
    }
    Ok(crd)
}

fn describe(schema: &mut Value, field: &str, text: &str) {
    if let Some(property) = schema.pointer_mut(&format!("/properties/{field}")).and_then(Value::as_object_mut) {
        property.entry("description").or_insert_with(|| text.into());
    }
}

/// An explicit null means "absent", not a value that rules would meet; lines of a description are wrapped by its reader.
fn tidy(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    schema.remove("nullable");
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.split("\n\n").map(|p| p.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(tidy);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(inner) {
            tidy(inner);
        }
    }
}

/// Writes `1000000` where the schema's type, which knows only floating point, would write `1000000.0`.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|f| number.is_f64() && f.fract() == 0.0 && f.abs() < 1e15) {
                *value = Value::from(float as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

/// File name and content of each definition; an error says which could not be written.
pub fn files() -> Result<Vec<(String, String)>, String> {
    definitions()?
        .into_iter()
        .map(|crd| {
            let name = format!("{}.yaml", crd.spec.names.plural);
            let mut value = serde_json::to_value(&crd).map_err(|e| format!("{name}: {e}"))?;
            whole_numbers(&mut value);
            let yaml = serde_saphyr::to_string(&value).map_err(|e| format!("{name}: {e}"))?;
            Ok((name, format!("# Generated by `cargo xtask generate` from the types in crds/. Do not edit.\n{yaml}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_has_the_definitions_of_these_types() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/dirac-operator/files/crds");
        for (name, yaml) in files().unwrap() {
            let kept = std::fs::read_to_string(format!("{dir}/{name}")).unwrap_or_default();
            assert!(kept == yaml, "{name} in the chart is stale: run `cargo xtask generate`");
            assert!(!yaml.contains("{{"), "{name} would be taken for a template by Helm");
        }
    }

    /// Every field of `schema`, with its path.
    fn fields(path: &str, schema: &Value, found: &mut Vec<(String, Value)>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            found.push((path.clone(), property.clone()));
            fields(&path, property, found);
            fields(&format!("{path}[]"), &property["items"], found);
            fields(&format!("{path}{{}}"), &property["additionalProperties"], found);
        }
    }

    fn all_fields() -> Vec<(String, Value)> {
        let mut found = vec![];
        for crd in definitions().unwrap() {
            let value = serde_json::to_value(&crd).unwrap();
            let schema = &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            fields(&crd.spec.names.kind, schema, &mut found);
        }
        found
    }

    #[test]
    fn every_field_has_a_description() {
        let silent: Vec<_> = all_fields()
            .into_iter()
            .filter(|(_, field)| field["description"].as_str().is_none_or(|d| d.len() < 4 || !d.ends_with(['.', ')'])))
            .map(|(path, _)| path)
            .collect();
        assert!(silent.is_empty(), "kubectl explain would say nothing, or half a sentence, about {silent:?}");
    }

    #[test]
    fn everything_in_a_spec_is_bounded() {
        let unbounded: Vec<_> = all_fields()
            .into_iter()
            .filter(|(path, _)| path.contains(".spec"))
            .filter(|(_, field)| match field["type"].as_str() {
                Some("string") => field["maxLength"].is_null() && field["enum"].is_null(),
                Some("array") => {
                    let item = &field["items"];
                    let long = item["type"] == "string" && item["maxLength"].is_null() && item["enum"].is_null();
                    field["maxItems"].is_null() || long
                }
                Some("integer" | "number") => field["maximum"].is_null() || field["minimum"].is_null(),
                Some("object") => !field["additionalProperties"].is_null() && field["maxProperties"].is_null(),
                _ => false,
            })
            .map(|(path, _)| path)
            .collect();
        assert!(unbounded.is_empty(), "no bound on {unbounded:?}: a manifest of absurd size would be accepted");
    }

    #[test]
    fn every_rule_has_a_sentence_and_no_field_is_nullable() {
        for (path, field) in all_fields() {
            for rule in field["x-kubernetes-validations"].as_array().into_iter().flatten() {
                assert!(rule["message"].as_str().is_some_and(|m| m.len() > 20), "{path}: {rule}");
            }
            assert!(field["nullable"].is_null(), "{path}: an explicit null means absent");
            assert!(
                !field["format"].as_str().is_some_and(|f| f.starts_with("uint")),
                "{path}: Kubernetes knows no {}",
                field["format"]
            );
        }
    }
}
