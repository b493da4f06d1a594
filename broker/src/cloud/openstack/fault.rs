//! What OpenStack's refusals mean: HTTP answers, and the fault texts of servers that ended in ERROR.

use std::time::Duration;

use jiff::Timestamp;
use openstack_sdk_core::api::ApiError;
use reqwest::{
    StatusCode,
    header::{DATE, HeaderMap, RETRY_AFTER},
};

use super::said::{not_understood, request_id, sentence};
use crate::cloud::{CloudError, Scope, quote::shortened};

/// A provider that wishes for a longer silence is not believed.
const LONGEST_SILENCE: Duration = Duration::from_secs(3_600);

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
/// Not Cinder's gigabytes: every flavor boots from a volume of one size.
const BY_SIZE: [&str; 8] = ["cores", " ram", "vcpu", "memory_mb", "disk_gb", "pci", "custom_", "vgpu"];

/// The meaning of an answer that is no success.
///
/// Statuses as in the API reference of Compute and, for 413 with `Retry-After`, as older Nova limits its rate.
pub fn of_answer(what: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CloudError {
    of_refusal(what, status, headers, &sentence(status, body))
}

/// The same, where the caller says what of the answer may be quoted.
pub fn of_refusal(what: &str, status: StatusCode, headers: &HeaderMap, quoted: &str) -> CloudError {
    let said = format!("{what}: {} {}{}", status.as_u16(), shortened(quoted), request_id(headers));
    let retry_after = retry_after(headers);
    match status {
        StatusCode::UNAUTHORIZED => CloudError::Unauthorized(said),
        StatusCode::FORBIDDEN if quoted.to_lowercase().contains("zero disk") => {
            CloudError::Invalid(format!("{said}; choose a flavor with a disk, or set spec.openstack.rootVolumeGiB"))
        }
        StatusCode::FORBIDDEN if quoted.to_lowercase().contains("interface on external network") => {
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
    let lower = text.to_lowercase();
    let text = shortened(text);
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
            CloudError::Transient(format!("{what}: the answer was not understood: {}", not_understood(&source)))
        }
        other => CloudError::Invalid(format!("{what}: {}", shortened(&other.to_string()))),
    }
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

/// A date of HTTP (RFC 9110 §5.6.7, the form that senders must use).
pub fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
