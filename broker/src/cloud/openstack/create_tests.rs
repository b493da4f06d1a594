//! Of making exactly one server.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::fake::{self, Asked, PASSWORD, Said, Site, order, server};
use super::*;

const LIST: &str = "GET /compute/v2.1/servers/detail";
const POST: &str = "POST /compute/v2.1/servers";

fn refusal(status: u16, message: &str) -> Said {
    Said::json(status, &json!({"error": {"code": status, "message": message}}))
}

#[tokio::test]
async fn an_order_is_one_look_and_one_post_at_v2_1() {
    let site = Site::open(|_| None).await;
    let made = site.cloud().create(&order("a")).await.unwrap();
    assert_eq!((made.id.as_str(), made.state), ("made", VmState::Building));
    assert_eq!((site.asked(LIST), site.asked(POST)), (1, 1));
}

#[tokio::test]
async fn who_cannot_look_does_not_say_that_there_is_no_vm() {
    for status in [400, 403, 404, 409, 500] {
        let site = Site::open(move |asked| asked.is(LIST).then(|| refusal(status, "because"))).await;
        let outcome = site.cloud().create(&order("a")).await;
        assert!(
            matches!(&outcome, Err(CloudError::Transient(said)) if said.contains("because")),
            "{status}: {outcome:?}"
        );
        assert_eq!(site.asked(POST), 0);
    }
    let wrong = Site::open(|asked| asked.is("POST /v3").then(|| refusal(401, "The request you have made…"))).await;
    let outcome = wrong.cloud().create(&order("a")).await;
    assert!(matches!(outcome, Err(CloudError::Transient(_))), "an earlier password may have worked: {outcome:?}");
    let silent = Site::open(|asked| asked.is(LIST).then(|| refusal(429, "slow down").with("Retry-After", "7"))).await;
    let outcome = silent.cloud().create(&order("a")).await;
    assert!(matches!(outcome, Err(CloudError::Throttled { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_post_that_was_refused_made_nothing() {
    let refused = |status, text: &'static str| async move {
        let site = Site::open(move |asked| asked.is(POST).then(|| refusal(status, text))).await;
        let outcome = site.cloud().create(&order("a")).await;
        assert_eq!(site.asked(LIST), 1, "nobody looks for what was refused");
        outcome.unwrap_err()
    };
    assert!(matches!(refused(403, "Quota exceeded").await, CloudError::Quota(_)));
    assert!(matches!(refused(400, "no such image").await, CloudError::Invalid(_)));
    assert!(matches!(refused(404, "no such image").await, CloudError::Invalid(_)));
}

#[tokio::test]
async fn an_answer_to_the_post_that_nobody_can_read_is_looked_into() {
    let mut posted = false;
    let site = Site::open(move |asked| {
        if asked.is(POST) {
            posted = true;
            return Some(Said::new(202, "<html>accepted</html>"));
        }
        (asked.is(LIST) && posted).then(|| Said::servers(&[server("1", "a", "BUILD")]))
    })
    .await;
    assert_eq!(site.cloud().create(&order("a")).await.unwrap().id, "1");
}

#[tokio::test]
async fn a_look_ends_where_the_provider_asks_for_silence() {
    let mut posted = false;
    let site = Site::open(move |asked| {
        if asked.is(POST) {
            posted = true;
            return Some(Said::new(504, ""));
        }
        (asked.is(LIST) && posted).then(|| Said::new(429, "").with("Retry-After", "30"))
    })
    .await;
    let outcome = site.cloud().create(&order("a")).await;
    let expected = Some(Duration::from_secs(30));
    assert!(
        matches!(&outcome, Err(CloudError::Throttled { retry_after, .. }) if *retry_after == expected),
        "{outcome:?}"
    );
    assert_eq!(site.asked(LIST), 2, "once before, once after");
}

#[tokio::test]
async fn a_network_that_is_missing_or_ambiguous_is_named_and_nothing_is_bought() {
    let network = |id: &str| json!({"id": id, "status": "ACTIVE"});
    let of = |asked: &Asked, found: &[Value]| {
        let blue = asked.is("GET /network/v2.0/networks") && asked.line.contains("blue");
        blue.then(|| Said::json(200, &json!({"networks": found})))
    };
    for found in [vec![], vec![network("1"), network("2")]] {
        let site = Site::open(move |asked| of(asked, &found)).await;
        let mut config = site.config();
        config.networks.push(super::super::NameOrId::Name("blue".to_owned()));
        let cloud = OpenStackCloud::new(config).unwrap();
        let outcome = cloud.create(&order("a")).await;
        assert!(matches!(&outcome, Err(CloudError::Invalid(said)) if said.contains("\"blue\"")), "{outcome:?}");
        assert_eq!(site.asked(POST), 0);
    }
}

#[tokio::test]
async fn a_nova_without_microversions_is_refused_and_nothing_is_bought() {
    let site = Site::open(|asked| {
        // The header belongs to a legacy API here: it is not there.
        asked.is("GET /compute").then(|| Said::new(200, r#"{"servers": [], "flavors": [], "limits": {}}"#))
    })
    .await;
    let cloud = site.cloud();
    for outcome in [cloud.catalogue().await.map(drop), cloud.list("k").await.map(drop)] {
        assert!(matches!(&outcome, Err(CloudError::Invalid(said)) if said.contains("microversion")), "{outcome:?}");
    }
    let outcome = cloud.create(&order("a")).await.unwrap_err();
    assert!(outcome.to_string().contains("microversion"), "{outcome}");
    assert_eq!(site.asked(POST), 0);
}

#[tokio::test]
async fn the_legacy_endpoint_of_a_catalogue_is_not_used() {
    let site = Site::open(|_| None).await;
    let legacy = site.address.clone();
    let front = Site::open(move |asked| {
        let catalog = json!([
            {"type": "compute", "endpoints": [
                {"region_id": "here", "interface": "public", "url": format!("{legacy}/compute/v2")}]},
            {"type": "network", "endpoints": [
                {"region_id": "here", "interface": "public", "url": format!("{legacy}/network")}]}]);
        let token = json!({"token": {"project": {"id": "p-1"}, "user": {"id": "u-1"}, "catalog": catalog}});
        asked.is("POST /v3").then(|| Said::json(201, &token).with("X-Subject-Token", "t"))
    })
    .await;
    front.cloud().create(&order("a")).await.unwrap();
    assert_eq!((site.asked("GET /compute/v2/"), site.asked(POST)), (0, 1));
}

#[tokio::test]
async fn of_twins_the_others_are_deleted_and_the_kept_one_is_known() {
    let site = Site::open(|asked| {
        if asked.is("DELETE") {
            return Some(Said::new(204, ""));
        }
        let failed = json!({"fault": {"message": "No valid host was found."}});
        let mut oldest = server("1", "a", "ERROR");
        oldest["fault"] = failed["fault"].clone();
        let both = [oldest, server("2", "a", "ACTIVE")];
        asked.is(LIST).then(|| Said::servers(&both))
    })
    .await;
    assert_eq!(site.cloud().create(&order("a")).await.unwrap().id, "2", "the one that works");
    assert_eq!((site.asked("DELETE /compute/v2.1/servers/1"), site.asked("DELETE")), (1, 1));
}

#[test]
fn of_twins_the_oldest_that_works_is_kept() {
    let vm = |id: &str, second: i64, state: VmState| Vm {
        id: id.to_owned(),
        owner: fake::owner("a"),
        name: "n".to_owned(),
        state,
        provider_status: String::new(),
        created: Timestamp::from_second(second).unwrap(),
        flavor: None,
    };
    let failed = || VmState::Failed(CloudError::NoCapacity("full".to_owned()));
    let kept = |vms: &[Vm]| choose(vms.to_vec()).map(|(kept, twins)| (kept.id, twins.len()));
    let all = [vm("1", 1, failed()), vm("3", 3, VmState::Building), vm("2", 2, VmState::Active)];
    assert_eq!(kept(&all), Some(("2".to_owned(), 2)));
    assert_eq!(kept(&[vm("2", 2, failed()), vm("1", 1, failed())]), Some(("1".to_owned(), 1)));
    assert_eq!(kept(&[]), None);
}

#[tokio::test]
async fn no_error_holds_what_was_sent() {
    let site = Site::open(|asked| {
        let sent = asked.body.clone();
        let echo = format!("Invalid input for field/attribute server. Value: {sent}. Additional properties…");
        if asked.is("POST /v3/auth") {
            return None;
        }
        asked.is(POST).then(|| Said::json(400, &json!({"badRequest": {"message": echo}})))
    })
    .await;
    let error = site.cloud().create(&order("a")).await.unwrap_err().to_string();
    assert!(error.contains("field/attribute server") && !error.contains("user_data"), "{error}");
    let keystone = Site::open(|asked| asked.is("POST /v3").then(|| Said::new(400, asked.body.clone()))).await;
    let error = keystone.cloud().list("k").await.unwrap_err().to_string();
    assert!(!error.contains(PASSWORD) && error.contains("correct authUrl"), "{error}");
    let talkative = Site::open(|asked| {
        let text = format!("Wrong password {PASSWORD}");
        asked.is("POST /v3").then(|| refusal(401, &text))
    })
    .await;
    let error = talkative.cloud().list("k").await.unwrap_err().to_string();
    assert!(error.contains("Wrong password ") && !error.contains(PASSWORD), "{error}");
}
