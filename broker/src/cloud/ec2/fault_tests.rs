//! Of what EC2's codes mean.

use super::*;

fn of(code: &str) -> CloudError {
    of_code("make an instance", code, "as AWS says", 400, None)
}

#[test]
fn every_refusal_of_capacity_or_quota_has_its_reach() {
    for (code, scope) in [
        ("InsufficientInstanceCapacity", Scope::Offer),
        ("SpotMaxPriceTooLow", Scope::Offer),
        ("Unsupported", Scope::Offer),
        ("UnfulfillableCapacity", Scope::Offer),
        ("InsufficientFreeAddressesInSubnet", Scope::Zone),
        ("VcpuLimitExceeded", Scope::Class),
        ("MaxSpotInstanceCountExceeded", Scope::Class),
        ("InstanceLimitExceeded", Scope::Cloud),
        ("NetworkInterfaceLimitExceeded", Scope::Cloud),
        ("PendingVerification", Scope::Cloud),
    ] {
        assert_eq!(reach(&of(code)), Some(scope), "{code}");
    }
    // It comes with the status 500, and is a refusal all the same.
    let full = of_code("make an instance", "InsufficientInstanceCapacity", "", 500, None);
    assert_eq!(reach(&full), Some(Scope::Offer));
}

#[test]
fn credentials_that_are_wrong_ended_or_too_weak_are_told_apart() {
    let said = |code: &str| match of(code) {
        CloudError::Unauthorized(said) => said,
        other => panic!("{code}: {other:?}"),
    };
    assert!(said("AuthFailure").contains("keys are wrong"));
    assert!(said("InvalidClientTokenId").contains("keys are wrong"));
    assert!(said("ExpiredToken").contains("has ended"));
    assert!(said("RequestExpired").contains("has ended"));
    assert!(said("UnauthorizedOperation").contains("may not do this"));
    assert!(said("AccessDeniedException").contains("may not do this"));
    let hour = SignedDuration::from_secs(-3_600);
    let clock = of_code("list instances", "SignatureDoesNotMatch", "", 403, Some(hour));
    assert!(matches!(&clock, CloudError::Unauthorized(said) if said.contains("3600 s off")), "{clock:?}");
}

#[test]
fn an_encoded_message_is_not_repeated() {
    let long = "You are not authorized to perform this operation. Encoded authorization failure message: AbCdEf123";
    let error = of_code("make an instance", "UnauthorizedOperation", long, 403, None).to_string();
    assert!(error.contains("You are not authorized") && !error.contains("AbCdEf"), "{error}");
}

#[test]
fn whatever_else_is_throttled_missing_wrong_or_broken_is_so() {
    assert!(matches!(of("RequestLimitExceeded"), CloudError::Throttled { retry_after: None, .. }));
    assert!(matches!(of("InvalidInstanceID.NotFound"), CloudError::NotFound(_)));
    assert!(matches!(of("InvalidLaunchTemplateName.NotFoundException"), CloudError::NotFound(_)));
    assert!(matches!(of("IdempotentParameterMismatch"), CloudError::Conflict(_)));
    assert!(matches!(of("InvalidParameterValue"), CloudError::Invalid(_)));
    for code in ["InternalError", "Unavailable", "ServiceUnavailable"] {
        assert!(matches!(of(code), CloudError::Transient(_)), "{code}");
    }
    assert!(matches!(of_code("x", "SomethingNew", "", 503, None), CloudError::Transient(_)));
}
