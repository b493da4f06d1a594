//! Whether the API server keeps every field that this version writes. A CRD of an older version drops some without a word. Pure.

use std::collections::BTreeSet;

use crds::generate::fields;
use serde_json::Value;

/// The first fields, three at most, that `ours` has and `theirs` has not; both are OpenAPI schemas.
pub fn lacks(ours: &Value, theirs: &Value) -> Vec<String> {
    paths(ours).difference(&paths(theirs)).take(3).cloned().collect()
}

/// The schema of a kind of our group in what the API server tells of the group, in the form OpenAPI 3.
pub fn of_kind<'a>(told: &'a Value, kind: &str) -> Option<&'a Value> {
    let named = |schema: &&Value| schema["x-kubernetes-group-version-kind"][0]["kind"] == kind;
    told["components"]["schemas"].as_object()?.values().find(named)
}

fn paths(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    fields(schema, &mut |path, _, _| {
        // An object's own, which are of Kubernetes and not of this kind.
        let first = path.split(['.', '[']).next();
        if !matches!(first, Some("apiVersion" | "kind" | "metadata")) {
            found.insert(path.to_owned());
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_another_version_would_drop_is_named_and_what_it_has_beside_is_not() {
        let schema = |item: Value| {
            json!({"properties": {"kind": {}, "spec": {"properties": {"list": {"items": {"properties": item}}, "map": {"additionalProperties":
            {"properties": {"a": {}}}}}}}})
        };
        let ours = schema(json!({"old": {}, "new": {}}));
        assert_eq!(lacks(&ours, &schema(json!({"old": {}}))), ["spec.list[].new"]);
        assert_eq!(lacks(&ours, &schema(json!({"old": {}, "new": {}, "newer": {}}))), Vec::<String>::new());
        assert_eq!(lacks(&ours, &json!({})).len(), 3);
    }
}
