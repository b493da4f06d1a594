//! What may be quoted of an answer: the sentence of an OpenStack service, short and printable, and nothing else.
//!
//! Whoever may write a Cloud chooses Keystone's address, and through its catalogue every other. An error that quoted whatever answers
//! there would show its author what services inside the operator's network say. So a sentence is quoted only from a refusal that has the
//! shape of an OpenStack service's own, and an answer that is not understood is described by its place and not by its content.

use std::fmt;

use reqwest::{StatusCode, header::HeaderMap};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

/// Longest name of a fault.
const LONGEST_NAME: usize = 32;
/// Nova's and Cinder's names of a fault (`nova.api.openstack.wsgi.Fault`).
const FAULTS: [&str; 10] = [
    "badRequest",
    "unauthorized",
    "forbidden",
    "itemNotFound",
    "badMethod",
    "conflictingRequest",
    "overLimit",
    "notImplemented",
    "serviceUnavailable",
    "computeFault",
];

/// The sentence in the body of a refusal, where it has one of these shapes, with this status as its `code`; otherwise nothing:
///
/// * Keystone and its middleware: `{"error": {"code": 401, "title": "Unauthorized", "message": …}}`;
/// * Nova and Cinder: `{"forbidden": {"code": 403, "message": …}}`, with a name of [`FAULTS`];
/// * Neutron: `{"NeutronError": {"type": "OverQuota", "message": …, "detail": ""}}`, which has no code.
pub fn sentence(status: StatusCode, body: &[u8]) -> String {
    let Ok(Refusal(Some((name, said)))) = serde_json::from_slice::<Refusal>(body) else { return String::new() };
    let has_code = said.code.is_some_and(|code| code == status.as_u16());
    let is_one = match name.as_str() {
        "error" => has_code && said.title.is_some(),
        "NeutronError" => said.r#type.is_some(),
        name => has_code && FAULTS.contains(&name),
    };
    // Nova's validator repeats the value it refuses, which may be the whole order with its user-data.
    let whole = if is_one { said.message } else { String::new() };
    whole.split("Value:").next().unwrap_or_default().to_owned()
}

/// How a site's administrator finds the call in the logs.
pub fn request_id(headers: &HeaderMap) -> String {
    let id = ["x-openstack-request-id", "x-compute-request-id"]
        .into_iter()
        .find_map(|name| headers.get(name)?.to_str().ok());
    let is_plain = |id: &&str| id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    id.filter(is_plain).map(|id| format!(" ({id})")).unwrap_or_default()
}

/// Why an answer was not understood, without a word of it.
pub fn not_understood(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // Its field's name is ours.
    if text.starts_with("missing field") {
        return text;
    }
    let what = if error.is_data() { "it has another shape" } else { "it is not JSON" };
    format!("{what} at line {} column {}", error.line(), error.column())
}

/// A refusal: one name and what is below it.
struct Refusal(Option<(String, Said)>);

/// The inside of a refusal.
#[derive(Deserialize)]
struct Said {
    message: String,
    #[serde(default)]
    code: Option<u16>,
    #[serde(default)]
    title: Option<IgnoredAny>,
    #[serde(default)]
    r#type: Option<IgnoredAny>,
}

impl<'de> Deserialize<'de> for Refusal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Refusal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of one entry")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Refusal, A::Error> {
                let Some(name) = map.next_key::<String>()? else { return Ok(Refusal(None)) };
                if name.len() > LONGEST_NAME {
                    return Err(serde::de::Error::custom("no name of a fault"));
                }
                let said = map.next_value()?;
                if map.next_key::<IgnoredAny>()?.is_some() {
                    return Err(serde::de::Error::custom("more than one entry"));
                }
                Ok(Refusal(Some((name, said))))
            }
        }
        deserializer.deserialize_map(One)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> String {
        sentence(StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn each_service_says_its_refusal_in_its_own_shape() {
        for (status, body) in [
            (401, r#"{"error": {"code": 401, "message": "no", "title": "Unauthorized"}}"#),
            (403, r#"{"forbidden": {"code": 403, "message": "no"}}"#),
            (413, r#"{"overLimit": {"code": 413, "message": "no", "details": "later", "retryAfter": "3"}}"#),
            (500, r#"{"computeFault": {"code": 500, "message": "no"}}"#),
            (409, r#"{"NeutronError": {"type": "OverQuota", "message": "no", "detail": ""}}"#),
        ] {
            assert_eq!(said(status, body), "no", "{body}");
        }
    }

    #[test]
    fn what_another_service_answers_is_not_quoted() {
        for body in [
            // Kubernetes, Google's services, Elasticsearch, Vault, a REST service, a router.
            r#"{"kind": "Status", "message": "secrets is forbidden", "code": 403}"#,
            r#"{"error": {"code": 403, "message": "inside", "status": "PERMISSION_DENIED"}}"#,
            r#"{"error": {"type": "security_exception", "reason": "inside"}, "status": 403}"#,
            r#"{"errors": ["inside"]}"#,
            r#"{"message": "inside"}"#,
            r#"{"data": {"message": "inside", "code": 403}}"#,
            r#"{"forbidden": {"code": 200, "message": "inside"}}"#,
            r#"{"forbidden": {"message": "inside"}}"#,
            r#"{"forbidden": {"code": 403, "message": "inside"}, "more": 1}"#,
            r#"[{"message": "inside"}]"#,
            r#"{"forbidden": {"code": 403, "message": {"a": "inside"}}}"#,
            "<html>inside</html>",
            "",
        ] {
            assert_eq!(said(403, body), "", "{body}");
        }
    }

    #[test]
    fn an_answer_that_is_not_understood_is_not_quoted() {
        #[derive(Debug, Deserialize)]
        struct Made {
            #[serde(rename = "id")]
            _id: u32,
        }
        for body in [r#"{"id": "inside"}"#, "inside", r#""inside""#, r#"{"id": 1, inside"#] {
            let why = not_understood(&serde_json::from_str::<Made>(body).unwrap_err());
            assert!(!why.contains("inside") && why.contains("line 1"), "{body}: {why}");
        }
        let missing = not_understood(&serde_json::from_str::<Made>("{}").unwrap_err());
        assert!(missing.contains("missing field `id`"), "{missing}");
    }
}
