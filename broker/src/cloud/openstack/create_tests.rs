//! Of making exactly one server.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use serde_json::{Value, json};

use super::super::fake::{Asked, PASSWORD, Said, Site, order, server};
use super::*;
use crate::{
    clock::Clock,
    cloud::{Cloud, Pace, Purchase, Rate, Scope, Wanted},
};

const LIST: &str = "GET /compute/v2.1/servers/detail";
const POST: &str = "POST /compute/v2.1/servers";

fn refusal(status: u16, message: &str) -> Said {
    Said::json(status, &json!({"badRequest": {"code": status, "message": message}}))
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
    assert!(matches!(
        refused(403, "Quota exceeded for instances").await,
        CloudError::Quota { scope: Scope::Cloud, .. }
    ));
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
async fn a_look_ends_where_the_provider_asks_for_silence_and_the_doubt_stays() {
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
    assert!(matches!(&outcome, Err(CloudError::Unclear { .. })), "{outcome:?}");
    assert_eq!(site.asked(LIST), 2, "once before, once after");
}

/// The same order, sent again.
fn again(order: &Order) -> Order {
    let mut again = order.clone();
    again.attempt.repeated = true;
    again
}

#[tokio::test]
async fn an_attempt_in_doubt_is_never_sent_again_and_its_late_server_is_adopted() {
    let late = Arc::new(AtomicI64::new(0));
    let there = late.clone();
    let site = Site::open(move |asked| {
        if asked.is(POST) {
            return Some(Said::new(504, ""));
        }
        let now = there.load(Ordering::SeqCst) > 0 && asked.is(LIST);
        now.then(|| Said::servers(&[server("late", "a", "BUILD")]))
    })
    .await;
    let passed = Arc::new(AtomicI64::new(0));
    let (hand, begun) = (passed.clone(), Timestamp::now());
    let clock = Clock::driven(move || begun + jiff::SignedDuration::from_secs(hand.load(Ordering::SeqCst)));
    let cloud = site.cloud_with(Rate::default(), clock);
    let mut first = order("a");
    first.attempt.since = begun;
    let Err(CloudError::Unclear { until, .. }) = cloud.create(&first).await else { panic!() };
    assert_eq!(until, begun + jiff::SignedDuration::from_secs(180));
    for seconds in [10, 100, 179] {
        passed.store(seconds, Ordering::SeqCst);
        let outcome = cloud.create(&again(&first)).await;
        assert!(matches!(outcome, Err(CloudError::Unclear { .. })), "{seconds} s: {outcome:?}");
    }
    passed.store(180, Ordering::SeqCst);
    let outcome = cloud.create(&again(&first)).await;
    assert!(matches!(&outcome, Err(CloudError::Transient(said)) if said.contains("attempt 1")), "{outcome:?}");
    assert_eq!(site.asked(POST), 1);
    late.store(1, Ordering::SeqCst);
    assert_eq!(cloud.create(&again(&first)).await.unwrap().id, "late");
    assert_eq!(site.asked(POST), 1);
}

#[tokio::test]
async fn an_attempt_of_a_process_that_died_is_only_looked_for() {
    let site = Site::open(|_| None).await;
    let outcome = site.cloud().create(&again(&order("a"))).await;
    assert!(matches!(outcome, Err(CloudError::Unclear { .. })), "{outcome:?}");
    assert_eq!(site.asked(POST), 0);
    let blind = Site::open(|asked| asked.is(LIST).then(|| refusal(403, "because"))).await;
    let mut old = again(&order("a"));
    old.attempt.since = Timestamp::UNIX_EPOCH;
    let outcome = blind.cloud().create(&old).await;
    assert!(matches!(outcome, Err(CloudError::Unclear { .. })), "whoever cannot look ends no doubt: {outcome:?}");
}

#[tokio::test]
async fn an_order_that_nobody_received_is_no_doubt() {
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let front = Site::open(move |asked| {
        let nobody = format!("http://{closed}/compute");
        let catalog = json!([{"type": "compute", "endpoints": [
            {"region_id": "here", "interface": "public", "url": nobody}]}]);
        let token = json!({"token": {"project": {"id": "p-1"}, "user": {"id": "u-1"}, "catalog": catalog}});
        asked.is("POST /v3").then(|| Said::json(201, &token).with("X-Subject-Token", "t"))
    })
    .await;
    let cloud = front.cloud();
    let outcome = post(&cloud, minimal(), Timestamp::now()).await;
    assert!(matches!(outcome, Err(CloudError::Transient(_))), "{outcome:?}");
}

fn minimal() -> create::Request<'static> {
    let server = create::ServerBuilder::default()
        .name("n")
        .flavor_ref("f")
        .networks(create::ServerNetworks::F2(create::NetworksStringEnum::Auto))
        .build()
        .unwrap();
    create::RequestBuilder::default().server(server).build().unwrap()
}

#[tokio::test]
async fn what_nova_cannot_choose_between_is_a_wrong_order() {
    let two = "Multiple security groups found matching 'default'. Use an ID to be more specific.";
    let site = Site::open(move |asked| asked.is(POST).then(|| refusal(409, two))).await;
    let outcome = site.cloud().create(&order("a")).await;
    assert!(matches!(&outcome, Err(CloudError::Invalid(said)) if said.contains("securityGroups")), "{outcome:?}");
}

#[tokio::test]
async fn the_order_of_an_owner_whose_user_data_changed_is_the_same_order() {
    let site = Site::open(|asked| asked.is(LIST).then(|| Said::servers(&[server("1", "a", "ACTIVE")]))).await;
    let mut other = order("a");
    other.user_data = "#cloud-config\nruncmd: [other]".into();
    assert_eq!(site.cloud().create(&other).await.unwrap().id, "1");
    assert_eq!(site.asked(POST), 0);
}

#[tokio::test]
async fn a_flavor_is_bought_as_spot_only_where_the_cloud_object_says_that_it_is() {
    let site = Site::open(|_| None).await;
    let mut spot = order("a");
    spot.choices[0].purchase = Purchase::Spot;
    let outcome = site.cloud().create(&spot).await;
    assert!(matches!(&outcome, Err(CloudError::Invalid(said)) if said.contains("Spot")), "{outcome:?}");
    let mut config = site.config();
    config.spot.insert(spot.choices[0].flavor.clone());
    let cloud = site.cloud_of(config);
    let made = cloud.create(&spot).await.unwrap();
    assert_eq!(made.bought.map(|bought| bought.purchase), Some(Purchase::Spot));
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
        let cloud = OpenStackCloud::new(config, Arc::new(Pace::new(Rate::default())), Clock::system()).unwrap();
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
    for outcome in [cloud.offers(&Wanted::default()).await.map(drop), cloud.list("k").await.map(drop)] {
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

#[tokio::test]
async fn no_error_holds_what_was_sent() {
    let site = Site::open(|asked| {
        let sent = asked.body.clone();
        let echo = format!("Invalid input for field/attribute server. Value: {sent}. Additional properties…");
        if asked.is("POST /v3/auth") {
            return None;
        }
        asked.is(POST).then(|| Said::json(400, &json!({"badRequest": {"code": 400, "message": echo}})))
    })
    .await;
    let error = site.cloud().create(&order("a")).await.unwrap_err().to_string();
    assert!(error.contains("field/attribute server") && !error.contains("user_data"), "{error}");
    let keystone = Site::open(|asked| asked.is("POST /v3").then(|| Said::new(400, asked.body.clone()))).await;
    let error = keystone.cloud().list("k").await.unwrap_err().to_string();
    assert!(!error.contains(PASSWORD) && error.contains("correct authUrl"), "{error}");
    let talkative = Site::open(|asked| {
        let text = format!("Wrong password {PASSWORD}");
        let body = json!({"error": {"code": 401, "title": "Unauthorized", "message": text}});
        asked.is("POST /v3").then(|| Said::json(401, &body))
    })
    .await;
    let error = talkative.cloud().list("k").await.unwrap_err().to_string();
    assert!(error.contains("Wrong password ") && !error.contains(PASSWORD), "{error}");
}
