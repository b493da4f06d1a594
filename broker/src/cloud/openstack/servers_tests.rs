//! Of the lists and of what a state means.

use std::sync::{Arc, Mutex};

use super::super::fake::{self, Said, Site, order};
use super::{state::FAULT_COMES_WITHIN, *};
use crate::cloud::{Cloud, End, Wanted};

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
    assert_eq!(of("SHUTOFF", None), VmState::Ended(End::PoweredOff));
    assert_eq!(of("PAUSED", None), VmState::Active);
    assert_eq!(of("UNKNOWN", None), VmState::Unknown);
}

#[test]
fn a_fault_that_comes_late_is_waited_for_and_no_longer() {
    let mute = server("ERROR", None, None);
    assert_eq!(state(&mute, Some(Duration::from_secs(1))), VmState::Building);
    assert!(matches!(state(&mute, Some(FAULT_COMES_WITHIN)), VmState::Ended(End::Failed(CloudError::Transient(_)))));
    let spoken = server("ERROR", None, Some("No valid host was found."));
    assert!(matches!(state(&spoken, None), VmState::Ended(End::Failed(CloudError::NoCapacity { .. }))));
}

#[tokio::test]
async fn a_server_made_while_a_list_runs_waits_for_none_and_is_in_it() {
    let mut asked_for = 0;
    let site = Site::open(move |asked| {
        if asked.is("GET /compute/v2.1/servers/made") {
            asked_for += 1;
            let made = serde_json::json!({"server": fake::server("made", "b", "BUILD")});
            return (asked_for == 1).then(|| Said::json(200, &made));
        }
        let list = asked.is("GET /compute/v2.1/servers/detail") && !asked.line.contains("dirac-pvm");
        list.then(|| Said::servers(&[fake::server("1", "a", "ACTIVE")]).after(Duration::from_millis(1_500)))
    })
    .await;
    let cloud = site.cloud();
    cloud.offers(&Wanted::default()).await.unwrap();
    let begun = moment();
    let (list, made) = tokio::join!(cloud.list("k"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let made = cloud.create(&order("b")).await.unwrap();
        assert!(begun.elapsed() < Duration::from_millis(1_400), "it did not wait for the list");
        made
    });
    let ids: Vec<_> = list.unwrap().into_iter().map(|vm| vm.id).collect();
    assert_eq!(ids, ["1".to_owned(), made.id]);
    let ids: Vec<_> = cloud.list("k").await.unwrap().into_iter().map(|vm| vm.id).collect();
    assert_eq!(ids, ["1"], "Nova says that there is no such server");
}

#[tokio::test]
async fn an_adopted_server_that_changes_do_not_tell_of_is_listed() {
    let there = Arc::new(Mutex::new(false));
    let seen = there.clone();
    let site = Site::open(move |asked| {
        if asked.is("GET /compute/v2.1/servers/1") {
            return Some(Said::json(200, &serde_json::json!({"server": fake::server("1", "a", "BUILD")})));
        }
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
    let mut mute = server("ERROR", None, None);
    mute.tags = tags::of(&fake::owner("a")).to_vec();
    let mut listed = Listed::default();
    listed.hear(mute.clone());
    let state = |listed: &Listed| listed.vms(&Clock::system(), &BTreeSet::new())[0].state.clone();
    assert_eq!(state(&listed), VmState::Building, "it was not asked yet");
    listed.servers.get_mut("1").unwrap().mute_since = moment().checked_sub(FAULT_COMES_WITHIN);
    for _ in 0..2 {
        assert!(matches!(state(&listed), VmState::Ended(End::Failed(_))));
        listed.hear(mute.clone());
    }
}

/// A Nova whose lists and servers a test changes.
#[derive(Clone, Default)]
struct Nova {
    listed: Arc<Mutex<Vec<serde_json::Value>>>,
    /// The answer for a server by its id: its body, or a status. Others are not there.
    single: Arc<Mutex<BTreeMap<String, Result<serde_json::Value, u16>>>>,
}

impl Nova {
    async fn open(&self) -> Site {
        let nova = self.clone();
        Site::open(move |asked| {
            if asked.is("GET /compute/v2.1/servers/detail") {
                let changes = asked.line.contains("changes-since");
                let all = nova.listed.lock().unwrap().clone();
                return Some(Said::servers(if changes { &[] } else { &all }));
            }
            let id = asked.line.strip_prefix("GET /compute/v2.1/servers/")?.trim_end_matches('?');
            match nova.single.lock().unwrap().get(id)? {
                Ok(server) => Some(Said::json(200, &serde_json::json!({"server": server}))),
                Err(status) => Some(Said::json(*status, &serde_json::json!({"computeFault": {"message": "down"}}))),
            }
        })
        .await
    }

    fn lists(&self, servers: &[serde_json::Value]) {
        *self.listed.lock().unwrap() = servers.to_vec();
    }

    fn says(&self, id: &str, answer: Result<serde_json::Value, u16>) {
        self.single.lock().unwrap().insert(id.to_owned(), answer);
    }
}

/// Has the next list be a whole one.
async fn age(cloud: &super::super::OpenStackCloud) {
    cloud.known.listed.lock().await.whole_at = None;
}

async fn states(cloud: &impl Cloud) -> Vec<(String, VmState)> {
    cloud.list("k").await.unwrap().into_iter().map(|vm| (vm.id, vm.state)).collect()
}

#[tokio::test]
async fn servers_that_a_list_lacks_are_unknown_until_nova_says_that_there_are_none() {
    let nova = Nova::default();
    let site = nova.open().await;
    let cloud = site.cloud();
    let (a, b) = (fake::server("1", "a", "ACTIVE"), fake::server("2", "b", "ACTIVE"));
    nova.lists(&[a.clone(), b.clone()]);
    assert_eq!(states(&cloud).await.len(), 2);
    // A cell is down: the whole list is empty, and its servers answer with an error.
    nova.lists(&[]);
    nova.says("1", Err(500));
    nova.says("2", Err(500));
    age(&cloud).await;
    for _ in 0..3 {
        let unknown = |id: &str| (id.to_owned(), VmState::Unknown);
        assert_eq!(states(&cloud).await, [unknown("1"), unknown("2")]);
    }
    assert!(cloud.get("1").await.is_err(), "nobody knows");
    // The cell is back; the lists of changes say nothing of it.
    nova.says("1", Ok(a));
    assert_eq!(states(&cloud).await[0].1, VmState::Active);
    nova.single.lock().unwrap().remove("2");
    assert_eq!(states(&cloud).await, [("1".to_owned(), VmState::Active)]);
    assert_eq!(cloud.get("2").await, Ok(None));
}

#[tokio::test]
async fn a_server_that_was_never_listed_and_is_there_when_asked_for_is_listed_from_then_on() {
    let nova = Nova::default();
    let site = nova.open().await;
    // The first list of this operator, made while a cell is down.
    let cloud = site.cloud();
    assert!(states(&cloud).await.is_empty());
    nova.says("1", Ok(fake::server("1", "a", "ACTIVE")));
    assert!(cloud.get("1").await.unwrap().is_some());
    let there = [("1".to_owned(), VmState::Active)];
    assert_eq!(states(&cloud).await, there, "the lists of changes say nothing of it");
    assert_eq!(states(&cloud).await, there);
    nova.single.lock().unwrap().remove("1");
    assert_eq!(cloud.get("1").await, Ok(None));
    assert!(states(&cloud).await.is_empty());
}

#[tokio::test]
async fn only_a_404_of_nova_itself_proves_that_a_server_is_gone() {
    for (status, body) in [(404, "<html>no such page</html>"), (502, ""), (500, ""), (403, ""), (200, "{}")] {
        let site =
            Site::open(move |asked| asked.is("GET /compute/v2.1/servers/1").then(|| Said::new(status, body))).await;
        let outcome = site.cloud().get("1").await;
        assert!(outcome.is_err(), "{status}: {outcome:?}");
    }
    let nova = Nova::default();
    let site = nova.open().await;
    assert_eq!(site.cloud().get("1").await, Ok(None));
    nova.says("1", Ok(fake::server("1", "a", "UNKNOWN")));
    assert_eq!(site.cloud().get("1").await.unwrap().unwrap().state, VmState::Unknown);
    let mut theirs = fake::server("1", "a", "ACTIVE");
    theirs["tags"] = serde_json::json!(["somebody"]);
    nova.says("1", Ok(theirs));
    assert!(matches!(site.cloud().get("1").await, Err(CloudError::Invalid(_))));
}

#[tokio::test]
async fn one_server_that_is_not_up_turns_no_list_into_a_whole_one() {
    let nova = Nova::default();
    let site = nova.open().await;
    let mut failed = fake::server("1", "a", "ERROR");
    failed["fault"] = serde_json::json!({"message": "No valid host was found."});
    nova.lists(&[failed, fake::server("2", "b", "SHUTOFF"), fake::server("3", "c", "BUILD")]);
    nova.says("3", Ok(fake::server("3", "c", "ACTIVE")));
    let cloud = site.cloud();
    for _ in 0..4 {
        assert_eq!(states(&cloud).await.len(), 3);
    }
    assert_eq!(site.asked("GET /compute/v2.1/servers/detail?changes-since"), 3);
    assert_eq!(site.asked("GET /compute/v2.1/servers/3"), 1, "the one in motion was asked until it was up");
    assert_eq!(site.asked("GET /compute/v2.1/servers/1") + site.asked("GET /compute/v2.1/servers/2"), 0);
}

#[tokio::test]
async fn two_hundred_servers_that_do_not_say_why_they_failed_cost_twenty_questions_a_list_and_each_is_asked_once() {
    let nova = Nova::default();
    let site = nova.open().await;
    let id = |n: usize| format!("{n:03}");
    nova.lists(&(0..200).map(|n| fake::server(&id(n), &id(n), "ERROR")).collect::<Vec<_>>());
    for n in 0..200 {
        let mut failed = fake::server(&id(n), &id(n), "ERROR");
        failed["fault"] = serde_json::json!({"message": "No valid host was found."});
        nova.says(&id(n), Ok(failed));
    }
    let rate = std::num::NonZeroU32::new(1_000).unwrap();
    let cloud = site.cloud_with(crate::cloud::Rate { per_second: rate, burst: rate }, Clock::system());
    for round in 1..=12 {
        age(&cloud).await;
        let failed =
            states(&cloud).await.into_iter().filter(|(_, state)| matches!(state, VmState::Ended(End::Failed(_))));
        assert_eq!(failed.count(), (round * 20).min(200), "a fault that is known is kept");
    }
    assert_eq!(site.asked("GET /compute/v2.1/servers/") - site.asked("GET /compute/v2.1/servers/detail"), 200);
}
