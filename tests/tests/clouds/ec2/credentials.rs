//! Whose rights: wrong, ended, too weak, of a role; a clock that is off; too many requests.

use broker::cloud::{
    Cloud, CloudError, Wanted,
    ec2::{Config, Credential, Role},
};
use jiff::Timestamp;

use crate::clouds::{
    amazon::{Amazon, config, driver, wanted},
    bed::Bed,
};

fn keys(bed: &Amazon, id: &str, secret: &str) -> Config {
    let credential =
        Credential::Keys { id: id.to_owned(), secret: secret.to_owned().into(), session_token: None, expires: None };
    Config { credential, ..config(&bed.it) }
}

async fn refused(config: Config, words: &str) {
    let error = driver(config).list("c").await.unwrap_err();
    assert!(matches!(&error, CloudError::Unauthorized(said) if said.contains(words)), "{words}: {error:?}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

pub async fn wrong_ended_and_weak_credentials_are_told_apart(bed: &Amazon) {
    let (id, _) = bed.it.keys();
    refused(keys(bed, &id, "hunter2-is-wrong-and-has-forty-characters"), "keys are wrong").await;
    refused(keys(bed, "AKIAUNKNOWNUNKNOWN00", "hunter2"), "keys are wrong").await;

    let cloud = bed.driver();
    bed.it.deny("ec2:RunInstances").await.unwrap();
    let outcome = cloud.create(&bed.order("weak", "uid-1")).await;
    assert!(matches!(&outcome, Err(CloudError::Unauthorized(said)) if said.contains("may not do this")), "{outcome:?}");
    bed.relent().await;

    // A clock that is an hour off: the provider takes no signature, and says what time it is. The next call is signed with that.
    let off = driver(config(&bed.it));
    for hours in [1.0, -1.0] {
        bed.it.clock(hours * 3_600.0).await.unwrap();
        let error = off.list("c").await.unwrap_err();
        assert!(matches!(&error, CloudError::Unauthorized(said) if said.contains("s off the provider's")), "{error:?}");
        off.list("c").await.expect("what is off is corrected");
    }
    bed.it.clock(0.0).await.unwrap();

    let ends: Timestamp = "2026-12-24T18:00:00Z".parse().unwrap();
    let mut known = config(&bed.it);
    if let Credential::Keys { expires, .. } = &mut known.credential {
        *expires = Some(ends);
    }
    assert_eq!(driver(known).offers(&wanted()).await.unwrap().credential_expires, Some(ends));
}

pub async fn a_role_is_entered_and_entered_again_when_it_ends(bed: &Amazon) {
    let (role, token_file) = (bed.it.role_arn(), bed.it.web_identity_token());
    let web = Config {
        credential: Credential::WebIdentity { role: role.clone(), token_file: token_file.clone() },
        ..config(&bed.it)
    };
    let by_role = Config { role: Some(Role { arn: role, external_id: None }), ..config(&bed.it) };
    for config in [web.clone(), by_role] {
        let cloud = driver(config);
        assert_eq!(cloud.list("roles").await.unwrap(), []);
        let account = cloud.offers(&Wanted::default()).await.unwrap().project;
        assert_eq!(account.as_deref(), Some(bed.it.account().as_str()));
    }
    let elsewhere = "arn:aws:iam::123456789012:role/not-ours".to_owned();
    refused(Config { credential: Credential::WebIdentity { role: elsewhere, token_file }, ..web }, "enter the role")
        .await;
}

pub async fn too_many_requests_are_said_and_slow_us_down(bed: &Amazon) {
    let cloud = driver(config(&bed.it));
    cloud.list("busy").await.unwrap();
    bed.it.rate("DescribeInstances", 1, 0.1).await.unwrap();
    let mut throttled = None;
    for _ in 0..5 {
        throttled = cloud.list("busy").await.err().or(throttled);
    }
    bed.it.relent().await.unwrap();
    assert!(matches!(throttled, Some(CloudError::Throttled { .. })), "{throttled:?}");
}
