//! What OpenStack's refusals mean: HTTP answers, and the fault texts of servers that ended in ERROR.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use openstack_sdk_core::api::ApiError;
use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use serde_json::Value;

use crate::cloud::CloudError;

/// Longest silence that is believed.
const LONGEST_SILENCE: Duration = Duration::from_secs(3_600);
/// Longest text of a provider that is handed on.
const LONGEST_TEXT: usize = 300;

/// What the fault texts of a cloud without room have in them: hosts, or addresses on the network.
const FULL: [&str; 9] = [
    "no valid host",
    "not enough",
    "insufficient",
    "exceeded maximum number of retries",
    "no hosts",
    "no fixed ip addresses available",
    "failed to allocate the network",
    "no more ip addresses",
    "no more fixed ip",
];

/// The meaning of an answer that is no success.
///
/// Statuses as in the API reference of Compute and, for 413 with `Retry-After`, as older Nova limits its rate.
pub fn of_answer(what: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CloudError {
    of_refusal(what, status, headers, &text(body))
}

/// The same, where the caller says what of the answer may be quoted.
pub fn of_refusal(what: &str, status: StatusCode, headers: &HeaderMap, quoted: &str) -> CloudError {
    let said = format!("{what}: {} {}", status.as_u16(), shortened(quoted));
    let retry_after = retry_after(headers, Timestamp::now());
    match status {
        StatusCode::UNAUTHORIZED => CloudError::Unauthorized(said),
        StatusCode::FORBIDDEN if said.to_lowercase().contains("zero disk") => {
            CloudError::Invalid(format!("{said}; choose a flavor with a disk"))
        }
        StatusCode::FORBIDDEN if refuses_for_quota(quoted) => CloudError::Quota(said),
        StatusCode::FORBIDDEN => CloudError::Unauthorized(format!("{said}; the credential's roles do not allow it")),
        StatusCode::NOT_FOUND | StatusCode::GONE => CloudError::NotFound(said),
        StatusCode::CONFLICT => CloudError::Conflict(said),
        StatusCode::TOO_MANY_REQUESTS => CloudError::Throttled { message: said, retry_after },
        StatusCode::PAYLOAD_TOO_LARGE if retry_after.is_some() => CloudError::Throttled { message: said, retry_after },
        StatusCode::PAYLOAD_TOO_LARGE if speaks_of_quota(quoted) => CloudError::Quota(said),
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
    if speaks_of_quota(&lower) {
        CloudError::Quota(text)
    } else if FULL.iter().any(|words| lower.contains(words)) {
        // "Exceeded maximum number of retries" is what is left to see when every host that was tried refused.
        CloudError::NoCapacity(text)
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
    ["quota", "limit exceeded", "maximum number of ports", "maximum number of fixed ips"]
        .iter()
        .any(|words| lower.contains(words))
}

/// Whether a 403 means a quota. Each kind of quota has its own words there, and a matter of rights has none of these.
fn refuses_for_quota(text: &str) -> bool {
    let lower = text.to_lowercase();
    speaks_of_quota(text) || lower.contains("maximum number of") || lower.contains("exceed")
}

fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Duration::try_from(http_date(text)?.duration_since(now).max(SignedDuration::ZERO)).ok()?,
    };
    Some(pause.min(LONGEST_SILENCE))
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
    let whole = message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
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
        assert!(matches!(at_once, CloudError::Quota(text) if text.contains("already used 4")));
        let later = of_server("Quota exceeded for instances: Requested 1, but already used 2 of 2 instances");
        assert!(matches!(later, CloudError::Quota(_)));
    }

    #[test]
    fn quotas_of_ports_and_others_are_quotas_at_once_and_later() {
        let at_once = |text: &str| answer(403, None, &serde_json::json!({"forbidden": {"message": text}}).to_string());
        for text in ["Maximum number of ports exceeded", "Maximum number of metadata items exceeds 128"] {
            assert!(matches!(at_once(text), CloudError::Quota(_)), "{text}");
        }
        assert!(matches!(of_server("Maximum number of ports exceeded"), CloudError::Quota(_)));
        let diskless = at_once("Only volume-backed servers are allowed for flavors with zero disk. ");
        assert!(matches!(diskless, CloudError::Invalid(_)), "{diskless}");
    }

    #[test]
    fn what_nova_refuses_is_not_repeated() {
        for body in [
            r##"{"badRequest": {"message": "Invalid input for field/attribute user_data. Value: I2Nsb3Vk. 'I2Nsb3Vk' is too long"}}"##,
            "Invalid input for field/attribute user_data. Value: I2Nsb3Vk",
        ] {
            let said = answer(400, None, body).to_string();
            assert!(said.contains("attribute user_data") && !said.contains("I2Nsb3Vk"), "{said}");
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
        assert_eq!(pause(answer(503, Some("Wed, 21 Oct 2015 07:28:00 GMT"), "")), Some(Duration::ZERO));
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
            assert!(matches!(of_server(text), CloudError::NoCapacity(_)), "{text}");
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
}
