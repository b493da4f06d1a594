//! Of what refusals mean.

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
        r#"{"forbidden": {"code": 403, "message": "Quota exceeded for cores: Requested 8, but already used 4 of 4 cores"}}"#,
    );
    assert!(
        matches!(at_once, CloudError::Quota { message, scope: Scope::Offer } if message.contains("already used 4"))
    );
    let later = of_server("Quota exceeded for instances: Requested 1, but already used 2 of 2 instances");
    assert!(matches!(later, CloudError::Quota { scope: Scope::Cloud, .. }));
}

#[test]
fn quotas_of_ports_and_others_are_quotas_at_once_and_later() {
    let at_once =
        |text: &str| answer(403, None, &serde_json::json!({"forbidden": {"code": 403, "message": text}}).to_string());
    for text in ["Maximum number of ports exceeded", "Maximum number of metadata items exceeds 128"] {
        assert!(matches!(at_once(text), CloudError::Quota { scope: Scope::Cloud, .. }), "{text}");
    }
    assert!(matches!(of_server("Maximum number of ports exceeded"), CloudError::Quota { .. }));
    let diskless = at_once("Only volume-backed servers are allowed for flavors with zero disk. ");
    assert!(matches!(diskless, CloudError::Invalid(_)), "{diskless}");
}

#[test]
fn what_nova_refuses_is_not_repeated() {
    let body = r##"{"badRequest": {"code": 400, "message": "Invalid input for field/attribute user_data. Value: I2Nsb3Vk. 'I2Nsb3Vk' is too long"}}"##;
    let said = answer(400, None, body).to_string();
    assert!(said.contains("attribute user_data") && !said.contains("I2Nsb3Vk"), "{said}");
}

#[test]
fn a_403_without_a_quota_is_a_matter_of_rights() {
    let refused = answer(
        403,
        None,
        r#"{"forbidden": {"code": 403, "message": "Policy doesn't allow os_compute_api:servers:create"}}"#,
    );
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
fn a_page_for_people_is_not_quoted_and_a_long_sentence_is_cut_short() {
    let page = format!("<html>\n{}</html>", "very long ".repeat(1_000));
    assert_eq!(answer(502, None, &page).to_string(), "transient: make a server: 502 ");
    let long = serde_json::json!({"computeFault": {"code": 500, "message": "very long\n".repeat(1_000)}});
    let CloudError::Transient(text) = answer(500, None, &long.to_string()) else { panic!() };
    assert!(text.chars().count() < 250 && text.contains("very long very") && !text.contains('\n'), "{text}");
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
    let at_once =
        |text: &str| answer(403, None, &serde_json::json!({"forbidden": {"code": 403, "message": text}}).to_string());
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
    for volumes in [
        "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded for quota 'volumes'.",
        "Quota exceeded for gigabytes",
    ] {
        assert_eq!(scope(volumes), Scope::Cloud, "every flavor needs the same volume");
    }
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
