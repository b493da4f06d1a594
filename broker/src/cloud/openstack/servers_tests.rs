//! Of the lists and of what a state means.

use std::sync::{Arc, Mutex};

use super::super::fake::{self, Said, Site, order};
use super::*;
use crate::cloud::Cloud;

fn server(status: &str, task: Option<&str>, fault: Option<&str>) -> Server {
    let json = serde_json::json!({
        "id": "1", "name": "n", "status": status, "OS-EXT-STS:task_state": task,
        "fault": fault.map(|message| serde_json::json!({"message": message, "code": 500})),
    });
    let mut value = json;
    if fault.is_none() {
        value.as_object_mut().unwrap().remove("fault");
    }
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_state_is_what_can_be_done_about_it() {
    let of = |status, task| state(&server(status, task, None), None);
    assert_eq!(of("BUILD", Some("spawning")), VmState::Building);
    assert_eq!(of("ACTIVE", None), VmState::Active);
    assert_eq!(of("ACTIVE", Some("deleting")), VmState::Deleting);
    assert_eq!(of("SHUTOFF", None), VmState::Halted);
    assert_eq!(of("PAUSED", None), VmState::Active);
}

#[test]
fn a_fault_that_comes_late_is_waited_for_and_no_longer() {
    let mute = server("ERROR", None, None);
    assert_eq!(state(&mute, Some(Duration::from_secs(1))), VmState::Building);
    assert!(matches!(state(&mute, Some(FAULT_COMES_WITHIN)), VmState::Failed(CloudError::Transient(_))));
    let spoken = server("ERROR", None, Some("No valid host was found."));
    assert!(matches!(state(&spoken, None), VmState::Failed(CloudError::NoCapacity(_))));
}

#[tokio::test]
async fn a_server_made_while_a_list_runs_waits_for_none_and_is_in_it() {
    let site = Site::open(|asked| {
        let list = asked.is("GET /compute/v2.1/servers/detail") && !asked.line.contains("dirac-pvm");
        list.then(|| Said::servers(&[fake::server("1", "a", "ACTIVE")]).after(Duration::from_millis(1_500)))
    })
    .await;
    let cloud = site.cloud();
    cloud.catalogue().await.unwrap();
    let begun = Instant::now();
    let (list, made) = tokio::join!(cloud.list("k"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let made = cloud.create(&order("b")).await.unwrap();
        assert!(begun.elapsed() < Duration::from_millis(1_400), "it did not wait for the list");
        made
    });
    let ids: Vec<_> = list.unwrap().into_iter().map(|vm| vm.id).collect();
    assert_eq!(ids, ["1".to_owned(), made.id]);
    let ids: Vec<_> = cloud.list("k").await.unwrap().into_iter().map(|vm| vm.id).collect();
    assert_eq!(ids, ["1"], "a whole list that began later knows better");
}

#[tokio::test]
async fn an_adopted_server_that_changes_do_not_tell_of_is_listed() {
    let there = Arc::new(Mutex::new(false));
    let seen = there.clone();
    let site = Site::open(move |asked| {
        if !asked.is("GET /compute/v2.1/servers/detail") {
            return None;
        }
        // A server that Nova's API has not handed to a cell yet: only lists by tag have it.
        let listed = *seen.lock().unwrap() && !asked.line.contains("changes-since");
        Some(if listed { Said::servers(&[fake::server("1", "a", "BUILD")]) } else { Said::servers(&[]) })
    })
    .await;
    let cloud = site.cloud();
    assert_eq!(cloud.list("k").await.unwrap(), []);
    *there.lock().unwrap() = true;
    assert_eq!(cloud.create(&order("a")).await.unwrap().id, "1");
    assert_eq!(cloud.list("k").await.unwrap().len(), 1);
    assert_eq!(site.asked("POST /compute"), 0);
}

#[test]
fn a_server_that_never_says_why_it_failed_stays_failed() {
    let known = Known::default();
    let mut mute = server("ERROR", None, None);
    mute.tags = tags::of(&fake::owner("a")).to_vec();
    let servers = BTreeMap::from([(mute.id.clone(), mute)]);
    assert_eq!(known.all(&servers)[0].state, VmState::Building);
    let long_ago = Instant::now().checked_sub(Duration::from_secs(3_600)).unwrap();
    known.mute.lock().unwrap().insert("1".to_owned(), long_ago);
    for _ in 0..2 {
        assert!(matches!(known.all(&servers)[0].state, VmState::Failed(_)));
    }
    assert_eq!(known.all(&BTreeMap::new()), []);
    assert!(known.mute.lock().unwrap().is_empty(), "it is forgotten when it is gone");
}
