//! What EC2's refusals mean: error codes of the API, and the state reasons of instances.
//!
//! Codes as in the EC2 API Reference, "Error codes for the Amazon EC2 API", and in the "Common errors" of STS, SQS, SSM and Service Quotas.

use std::error::Error;

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::{SignedDuration, Timestamp};

use super::http::NoAnswer;
use crate::cloud::{CloudError, Scope, quote::shortened};

/// Two clocks that differ by less are not said: AWS takes a signature for five minutes.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(120);

/// What came of a call that did not succeed.
#[derive(Debug)]
pub struct Fault {
    /// The meaning.
    pub error: CloudError,
    /// The provider's code, where it gave one.
    pub code: Option<String>,
    /// Whether the provider answered at all.
    pub answered: bool,
    /// Whether the call may have been carried out all the same.
    pub in_doubt: bool,
}

/// The meaning of what the SDK says. `now` is our clock, which is held against the provider's.
pub fn of<E>(what: &str, error: SdkError<E, HttpResponse>, now: Timestamp) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let clocks = error.raw_response().and_then(|answer| clocks_differ(answer, now));
    match &error {
        SdkError::ServiceError(refused) => {
            let (meta, status) = (refused.err().meta(), refused.raw().status().as_u16());
            let code = meta.code().unwrap_or_default();
            let error = of_code(what, code, meta.message().unwrap_or_default(), status, clocks);
            let in_doubt = matches!(error, CloudError::Transient(_));
            Fault { error, code: meta.code().map(str::to_owned), answered: true, in_doubt }
        }
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) | SdkError::TimeoutError(_) => {
            let unsent = |error| Fault { error, code: None, answered: false, in_doubt: false };
            if let Some(none) = cause::<NoAnswer>(&error) {
                return Fault { in_doubt: none.reached, ..unsent(none.error.clone()) };
            }
            if let Some(refused) = sts_refusal(&error) {
                return unsent(refused);
            }
            let why = shortened(&deepest(&error));
            unsent(match matches!(error, SdkError::TimeoutError(_)) {
                true => CloudError::Transient(format!("{what}: {why}")),
                false => CloudError::Unauthorized(format!("{what}: there is no credential to sign it with: {why}")),
            })
        }
        _ => {
            let error = CloudError::Transient(format!("{what}: the answer was not understood"));
            Fault { error, code: None, answered: true, in_doubt: true }
        }
    }
}

/// The meaning of a code. `clocks`: how far the provider's clock is from ours, where that is far.
pub fn of_code(what: &str, code: &str, message: &str, status: u16, clocks: Option<SignedDuration>) -> CloudError {
    // What follows is long and can be read with the account's own rights only.
    let message = message.split("Encoded authorization failure message").next().unwrap_or_default().trim();
    let said = format!("{what}: {} {}", shortened(code), shortened(message));
    let said = said.trim().to_owned();
    let no_capacity = |scope| CloudError::NoCapacity { message: said.clone(), scope };
    let quota = |scope| CloudError::Quota { message: said.clone(), scope };
    match code {
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "EC2ThrottledException"
        | "SlowDown"
        | "BandwidthLimitExceeded" => CloudError::Throttled { message: said, retry_after: None },
        // Of a clock that is ahead EC2 says AuthFailure.
        "SignatureDoesNotMatch"
        | "RequestExpired"
        | "RequestInTheFuture"
        | "InvalidSignatureException"
        | "AuthFailure"
            if clocks.is_some() =>
        {
            let seconds = clocks.map_or(0, |d| d.as_secs().abs());
            CloudError::Unauthorized(format!(
                "{said}; the clock of the operator's machine is {seconds} s off the provider's: set it right"
            ))
        }
        "RequestExpired" | "ExpiredToken" | "ExpiredTokenException" => {
            CloudError::Unauthorized(format!("{said}; the credential has ended: renew the Secret"))
        }
        "AuthFailure"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "InvalidAccessKeyId" => {
            CloudError::Unauthorized(format!("{said}; the keys are wrong or no longer valid: renew the Secret"))
        }
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => CloudError::Unauthorized(format!(
            "{said}; the credential may not do this: add the action to its policy (docs/how-to/aws.md has the whole policy)"
        )),
        "OptInRequired" | "Blocked" | "InvalidIdentityToken" | "IDPRejectedClaim" | "NotAuthorized" => {
            CloudError::Unauthorized(said)
        }
        "InsufficientFreeAddressesInSubnet" => no_capacity(Scope::Zone),
        "InsufficientInstanceCapacity"
        | "InsufficientHostCapacity"
        | "InsufficientCapacity"
        | "InsufficientCapacityOnHost"
        | "UnfulfillableCapacity"
        | "SpotMaxPriceTooLow"
        | "Unsupported"
        | "UnsupportedOperation" => no_capacity(Scope::Offer),
        "VcpuLimitExceeded" | "MaxSpotInstanceCountExceeded" | "MaxSpotFleetRequestCountExceeded" => {
            quota(Scope::Class)
        }
        "PendingVerification" => quota(Scope::Cloud),
        "IdempotentParameterMismatch" | "IdempotentInstanceTerminated" => CloudError::Conflict(said),
        "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "Unavailable"
        | "RequestTimeout"
        | "ServerInternal" => CloudError::Transient(said),
        // Quotas of an account have names of their own: InstanceLimitExceeded, VolumeLimitExceeded, NetworkInterfaceLimitExceeded...
        _ if code.ends_with("LimitExceeded") => quota(Scope::Cloud),
        _ if code.ends_with(".NotFound") || code.ends_with("NotFoundException") => CloudError::NotFound(said),
        "IncorrectState" | "IncorrectInstanceState" | "IncorrectSpotRequestState" | "ResourceInUse" => {
            CloudError::Conflict(said)
        }
        _ if status >= 500 => CloudError::Transient(said),
        _ => CloudError::Invalid(said),
    }
}

/// Whether a service cannot be asked: others' EC2 has none, or the credential may not ask it.
pub fn is_no_service(fault: &Fault) -> bool {
    matches!(fault.error, CloudError::Invalid(_) | CloudError::NotFound(_) | CloudError::Unauthorized(_))
}

/// How far a refusal reaches, the widest last; nothing for what is none.
pub fn reach(error: &CloudError) -> Option<Scope> {
    match error {
        CloudError::NoCapacity { scope, .. } | CloudError::Quota { scope, .. } => Some(*scope),
        _ => None,
    }
}

/// The refusal of a role among the causes of an error.
fn sts_refusal(error: &(dyn Error + 'static)) -> Option<CloudError> {
    use aws_sdk_sts::{
        error::SdkError as StsError,
        operation::{assume_role::AssumeRoleError, assume_role_with_web_identity::AssumeRoleWithWebIdentityError},
    };
    let what = "enter the role";
    let of = |meta: &aws_smithy_types::error::ErrorMetadata| {
        of_code(what, meta.code().unwrap_or_default(), meta.message().unwrap_or_default(), 403, None)
    };
    let plain =
        cause::<StsError<AssumeRoleError, HttpResponse>>(error).and_then(|e| Some(of(e.as_service_error()?.meta())));
    plain.or_else(|| {
        let web = cause::<StsError<AssumeRoleWithWebIdentityError, HttpResponse>>(error)?;
        Some(of(web.as_service_error()?.meta()))
    })
}

/// The first cause of this type.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// The innermost cause, in words.
fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// How far the clock of whoever answered is from ours, where that is far.
fn clocks_differ(answer: &HttpResponse, now: Timestamp) -> Option<SignedDuration> {
    let date = answer.headers().get("date")?;
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    let off = now.duration_since(theirs);
    (off.abs() > CLOCKS_DIFFER).then_some(off)
}

/// The meaning of an instance's state reason, where it is a failure: `Server.InternalError`, `Client.VolumeLimitExceeded`...
pub fn of_reason(code: &str, message: &str) -> CloudError {
    let bare = code.split_once('.').map_or(code, |(_, code)| code);
    match of_code("the instance", bare, message, 500, None) {
        CloudError::NotFound(said) | CloudError::Conflict(said) => CloudError::Invalid(said),
        CloudError::Throttled { message, .. } => CloudError::Transient(message),
        error => error,
    }
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
