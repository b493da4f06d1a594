//! What OpenStack's refusals mean: HTTP answers, and the fault texts of servers that ended in ERROR.

use std::time::Duration;

use jiff::Timestamp;
use openstack_sdk_core::api::ApiError;
use reqwest::{
    StatusCode,
    header::{DATE, HeaderMap, RETRY_AFTER},
};
use serde_json::Value;

use crate::{
    address,
    cloud::{CloudError, Scope},
};

/// Longest silence that is believed.
const LONGEST_SILENCE: Duration = Duration::from_secs(3_600);
/// Longest text of a provider that is handed on.
const LONGEST_TEXT: usize = 300;

/// What the fault texts of a cloud have in them that has no host for the flavor.
const NO_HOST: [&str; 6] = [
    "no valid host",
    "not enough",
    "insufficient",
    "exceeded maximum number of retries",
    "no hosts",
    "failed to allocate the network",
];
/// What they have in them where the network has no address left, for any flavor.
const NO_ADDRESS: [&str; 3] = ["no fixed ip addresses available", "no more ip addresses", "no more fixed ip"];
/// Quotas of which a smaller flavor takes less: Nova's own words, and those of placement's resource classes, which unified limits have.
const BY_SIZE: [&str; 9] = ["cores", " ram", "vcpu", "memory_mb", "disk_gb", "pci", "custom_", "vgpu", "gigabytes"];

/// The meaning of an answer that is no success.
///
/// Statuses as in the API reference of Compute and, for 413 with `Retry-After`, as older Nova limits its rate.
pub fn of_answer(what: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CloudError {
    of_refusal(what, status, headers, &text(body))
}

/// The same, where the caller says what of the answer may be quoted.
pub fn of_refusal(what: &str, status: StatusCode, headers: &HeaderMap, quoted: &str) -> CloudError {
    let said = format!("{what}: {} {}{}", status.as_u16(), shortened(quoted), request_id(headers));
    let retry_after = retry_after(headers);
    match status {
        StatusCode::UNAUTHORIZED => CloudError::Unauthorized(said),
        StatusCode::FORBIDDEN if said.to_lowercase().contains("zero disk") => {
            CloudError::Invalid(format!("{said}; choose a flavor with a disk"))
        }
        StatusCode::FORBIDDEN if said.to_lowercase().contains("interface on external network") => {
            CloudError::Invalid(format!("{said}; choose another network in spec.openstack.networks"))
        }
        StatusCode::FORBIDDEN if refuses_for_quota(quoted) => quota(said, quoted),
        StatusCode::FORBIDDEN => CloudError::Unauthorized(format!("{said}; the credential's roles do not allow it")),
        StatusCode::NOT_FOUND | StatusCode::GONE => CloudError::NotFound(said),
        StatusCode::CONFLICT => CloudError::Conflict(said),
        StatusCode::TOO_MANY_REQUESTS => CloudError::Throttled { message: said, retry_after },
        StatusCode::PAYLOAD_TOO_LARGE if retry_after.is_some() => CloudError::Throttled { message: said, retry_after },
        StatusCode::PAYLOAD_TOO_LARGE if speaks_of_quota(quoted) => quota(said, quoted),
        StatusCode::SERVICE_UNAVAILABLE if retry_after.is_some() => {
            CloudError::Throttled { message: said, retry_after }
        }
        StatusCode::NOT_ACCEPTABLE => CloudError::Invalid(format!(
            "{said}; microversion {} is needed, which Nova has since Rocky (2018)",
            super::wire::MICROVERSION
        )),
        _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => CloudError::Transient(said),
        _ => CloudError::Invalid(said),
    }
}

/// The meaning of a failed server's fault text.
pub fn of_server(text: &str) -> CloudError {
    let text = shortened(text);
    let lower = text.to_lowercase();
    let speaks_of = |words: &[&str]| words.iter().any(|words| lower.contains(words));
    if speaks_of_quota(&lower) {
        quota(text, &lower)
    } else if speaks_of(&NO_ADDRESS) {
        CloudError::NoCapacity { message: text, scope: Scope::Cloud }
    } else if speaks_of(&NO_HOST) {
        // "Exceeded maximum number of retries" is what is left to see when every host that was tried refused.
        CloudError::NoCapacity { message: text, scope: Scope::Offer }
    } else {
        CloudError::Transient(text)
    }
}

/// The meaning of what openstack_sdk's side of a call says.
pub fn of_sdk(what: &str, error: ApiError<CloudError>) -> CloudError {
    match error {
        ApiError::Client { source } => source,
        ApiError::Json { source } | ApiError::DataType { source, .. } => {
            CloudError::Transient(format!("{what}: the answer was not understood: {source}"))
        }
        other => CloudError::Invalid(format!("{what}: {}", shortened(&other.to_string()))),
    }
}

/// The meaning of a request that got no answer.
pub fn of_transport(what: &str, error: &reqwest::Error) -> CloudError {
    if let Some(refusal) = address::refusal(error) {
        return refusal.clone().into();
    }
    let mut why = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(deeper) = source {
        why = format!("{why}: {deeper}");
        source = deeper.source();
    }
    let said = format!("{error}{why}");
    // Not in the error itself: it has the address, and a host may be called so.
    if why.contains("certificate") {
        return CloudError::Invalid(format!(
            "{what}: {said}; where the site signs its certificates itself, give its CA in spec.openstack.caSecretRef"
        ));
    }
    CloudError::Transient(format!("{what}: {said}"))
}

/// Whether a text, of a refusal or of a failed server, means a quota.
fn speaks_of_quota(text: &str) -> bool {
    let lower = text.to_lowercase();
    ["quota", "limit exceeded", "over a limit", "over limit", "maximum number of ports", "maximum number of fixed ips"]
        .iter()
        .any(|words| lower.contains(words))
}

/// Whether a 403 means a quota. Each kind of quota has its own words there, and a matter of rights has none of these.
fn refuses_for_quota(text: &str) -> bool {
    let lower = text.to_lowercase();
    speaks_of_quota(text) || lower.contains("maximum number of") || lower.contains("exceed")
}

/// A quota that is used up, and for what: of cores and memory there may be enough for another flavor, of servers and ports not.
fn quota(message: String, text: &str) -> CloudError {
    let lower = text.to_lowercase();
    let scope = if BY_SIZE.iter().any(|word| lower.contains(word)) { Scope::Offer } else { Scope::Cloud };
    CloudError::Quota { message, scope }
}

/// The pause that was asked for. A date is held against the answer's own, for our clock may be another.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let asked = text(RETRY_AFTER)?;
    let pause = match asked.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Duration::try_from(http_date(asked)?.duration_since(http_date(text(DATE)?)?)).unwrap_or_default(),
    };
    Some(pause.min(LONGEST_SILENCE))
}

/// How a site's administrator finds the call in the logs.
fn request_id(headers: &HeaderMap) -> String {
    let id = ["x-openstack-request-id", "x-compute-request-id"]
        .into_iter()
        .find_map(|name| headers.get(name)?.to_str().ok());
    let is_plain = |id: &&str| id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    id.filter(is_plain).map(|id| format!(" ({id})")).unwrap_or_default()
}

/// A date of HTTP (RFC 9110 §5.6.7, the form that senders must use).
pub fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

/// The sentence in an error body. Services wrap it differently: `{"badRequest": {"message": …}}`, `{"error": {"message": …}}`,
/// `{"NeutronError": {"message": …}}`, `{"message": …}`, or a page for people.
fn text(body: &[u8]) -> String {
    let message = serde_json::from_slice::<Value>(body).ok().and_then(|value| {
        let direct = value.get("message").and_then(Value::as_str).map(str::to_owned);
        let nested = || {
            value
                .as_object()?
                .values()
                .find_map(|inner| inner.get("message").and_then(Value::as_str))
                .map(str::to_owned)
        };
        direct.or_else(nested)
    });
    // What is not an OpenStack service's own sentence may be anything: nobody who chooses an address is shown what a server there says.
    let whole = message.unwrap_or_default();
    // Nova's validator repeats the value it refuses, which may be the whole order with its user-data.
    whole.split("Value:").next().unwrap_or_default().to_owned()
}

/// At most so much of a provider's text, on one line.
pub fn shortened(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match flat.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &flat[..end]),
        None => flat,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, header: Option<&str>, body: &str) -> CloudError {
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        of_answer("make a server", StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
    }

    #[test]
    fn both_forms_of_a_quota_refusal_are_known() {
        let at_once = answer(
            403,
            None,
            r#"{"forbidden": {"message": "Quota exceeded for cores: Requested 8, but already used 4 of 4 cores"}}"#,
        );
        assert!(
            matches!(at_once, CloudError::Quota { message, scope: Scope::Offer } if message.contains("already used 4"))
        );
        let later = of_server("Quota exceeded for instances: Requested 1, but already used 2 of 2 instances");
        assert!(matches!(later, CloudError::Quota { scope: Scope::Cloud, .. }));
    }

    #[test]
    fn quotas_of_ports_and_others_are_quotas_at_once_and_later() {
        let at_once = |text: &str| answer(403, None, &serde_json::json!({"forbidden": {"message": text}}).to_string());
        for text in ["Maximum number of ports exceeded", "Maximum number of metadata items exceeds 128"] {
            assert!(matches!(at_once(text), CloudError::Quota { scope: Scope::Cloud, .. }), "{text}");
        }
        assert!(matches!(of_server("Maximum number of ports exceeded"), CloudError::Quota { .. }));
        let diskless = at_once("Only volume-backed servers are allowed for flavors with zero disk. ");
        assert!(matches!(diskless, CloudError::Invalid(_)), "{diskless}");
    }

    #[test]
    fn what_nova_refuses_is_not_repeated() {
        let body = r##"{"badRequest": {"message": "Invalid input for field/attribute user_data. Value: I2Nsb3Vk. 'I2Nsb3Vk' is too long"}}"##;
        let said = answer(400, None, body).to_string();
        assert!(said.contains("attribute user_data") && !said.contains("I2Nsb3Vk"), "{said}");
    }

    #[test]
    fn what_is_not_the_sentence_of_an_openstack_service_is_not_quoted() {
        for body in ["<html>router of the institute</html>", r#"{"kind": "Status"}"#, "redis: -ERR"] {
            assert_eq!(answer(400, None, body).to_string(), "invalid: make a server: 400 ", "{body}");
        }
    }

    #[test]
    fn a_403_without_a_quota_is_a_matter_of_rights() {
        let refused =
            answer(403, None, r#"{"forbidden": {"message": "Policy doesn't allow os_compute_api:servers:create"}}"#);
        assert!(matches!(refused, CloudError::Unauthorized(text) if text.contains("roles")));
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date_and_never_believed_beyond_an_hour() {
        let pause = |error| match error {
            CloudError::Throttled { retry_after, .. } => retry_after,
            other => panic!("{other}"),
        };
        assert_eq!(pause(answer(429, Some("17"), "")), Some(Duration::from_secs(17)));
        assert_eq!(pause(answer(429, None, "")), None);
        assert_eq!(pause(answer(413, Some("86400"), "")), Some(Duration::from_secs(3_600)));
        assert_eq!(pause(answer(429, Some("soon"), "")), None);
    }

    #[test]
    fn fault_texts_of_full_clouds_send_the_demand_elsewhere() {
        for text in [
            "No valid host was found. There are not enough hosts available.",
            "Build of instance 1 aborted: Failed to allocate the network(s), not rescheduling.",
            "No fixed IP addresses available for network: 2",
            "No more IP addresses available on network 2.",
            "Exceeded maximum number of retries. Exhausted all hosts available for retrying build failures",
        ] {
            assert!(matches!(of_server(text), CloudError::NoCapacity { .. }), "{text}");
        }
        assert!(matches!(of_server("Build of instance aborted: volume gone"), CloudError::Transient(_)));
    }

    #[test]
    fn a_page_for_people_is_cut_short_and_flattened() {
        let page = format!("<html>\n{}</html>", "very long ".repeat(1_000));
        let CloudError::Transient(text) = answer(502, None, &page) else { panic!() };
        assert!(text.chars().count() < 400 && !text.contains('\n'), "{text}");
    }

    #[test]
    fn an_old_nova_is_told_apart() {
        assert!(matches!(answer(406, None, "{}"), CloudError::Invalid(text) if text.contains("Rocky")));
    }

    #[test]
    fn a_date_is_held_against_the_answers_own() {
        let pause = |asked: &str, date: Option<&str>| {
            let mut headers = HeaderMap::from_iter([(RETRY_AFTER, asked.parse().unwrap())]);
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            retry_after(&headers)
        };
        let (nine, later) = ("Tue, 24 Nov 2026 09:00:00 GMT", "Tue, 24 Nov 2026 09:01:30 GMT");
        assert_eq!(pause(later, Some(nine)), Some(Duration::from_secs(90)));
        assert_eq!(pause(nine, Some(later)), Some(Duration::ZERO), "a time that is past");
        assert_eq!(pause(later, None), None);
    }

    #[test]
    fn unified_limits_are_quotas_and_an_external_network_is_a_wrong_order() {
        let at_once = |text: &str| answer(403, None, &serde_json::json!({"forbidden": {"message": text}}).to_string());
        let cores = at_once(
            "Project 0123 is over a limit for [Resource class:VCPU is over limit of 4 due to current usage 4 and delta 1]",
        );
        assert!(matches!(cores, CloudError::Quota { scope: Scope::Offer, .. }), "{cores}");
        let servers = at_once(
            "Project 0123 is over a limit for [Resource servers is over limit of 2 due to current usage 2 and delta 1]",
        );
        assert!(matches!(servers, CloudError::Quota { scope: Scope::Cloud, .. }), "{servers}");
        let external = at_once("It is not allowed to create an interface on external network 0123");
        assert!(matches!(external, CloudError::Invalid(_)), "{external}");
    }

    #[test]
    fn a_refusal_reaches_as_far_as_its_cause() {
        let scope = |text: &str| match of_server(text) {
            CloudError::NoCapacity { scope, .. } | CloudError::Quota { scope, .. } => scope,
            other => panic!("{other}"),
        };
        assert_eq!(scope("No valid host was found."), Scope::Offer);
        assert_eq!(scope("Quota exceeded for cores, ram: Requested 8, but already used 4 of 4 cores"), Scope::Offer);
        assert_eq!(scope("No fixed IP addresses available for network: 2"), Scope::Cloud);
        assert_eq!(scope("Quota exceeded for instances: Requested 1, but already used 2 of 2 instances"), Scope::Cloud);
        assert_eq!(scope("Maximum number of ports exceeded"), Scope::Cloud);
    }

    #[test]
    fn an_error_names_the_request_and_nothing_else_that_is_in_that_header() {
        let said = |id: &str| {
            let headers =
                HeaderMap::from_iter([(http::HeaderName::from_static("x-openstack-request-id"), id.parse().unwrap())]);
            of_answer("make a server", StatusCode::BAD_REQUEST, &headers, b"no").to_string()
        };
        assert!(said("req-0123-4567").ends_with("(req-0123-4567)"));
        assert!(!said("a secret that is echoed").contains("secret"));
    }
}
