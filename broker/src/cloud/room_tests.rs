//! Of room for answers.

use serde_json::{Value, json};

use super::*;
use crate::{
    clock::Clock,
    cloud::{
        Cloud, Rate, Wanted,
        openstack::fake::{Said, Site, server},
    },
};

/// As large as a list may be.
const LIST: usize = 8 << 20;

/// Room for an answer of this many bytes.
async fn take(room: &Room, bytes: usize) -> Option<Held> {
    let mut held = Held::default();
    room.fit(&mut held, bytes).await.then_some(held)
}

#[tokio::test(start_paused = true)]
async fn sixty_four_clouds_of_one_tenant_have_the_room_of_one_tenant_and_another_tenant_waits_for_none_of_them() {
    let budget = Budget::default();
    let hostile: Vec<Room> = (0..64).map(|_| budget.room("hostile")).collect();
    let mut held = Vec::new();
    for room in &hostile {
        held.extend(timeout(Duration::from_millis(1), take(room, LIST)).await.ok().flatten());
    }
    assert_eq!(held.len(), 1, "of 64 answers of 8 MiB one is held");
    let began = Instant::now();
    assert!(take(&budget.room("honest"), LIST).await.is_some());
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_is_usual_has_the_clouds_own_room_even_where_its_tenant_has_none_left() {
    let budget = Budget::default();
    let (hostile, honest) = (budget.room("a"), budget.room("a"));
    let _held = take(&hostile, LIST).await.unwrap();
    let began = Instant::now();
    let _first = take(&honest, OWN).await.unwrap();
    assert!(take(&honest, SMALL).await.is_some(), "a small answer needs no room");
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(take(&honest, LIST).await.is_none(), "a large one waits for the room of its tenant, and not for ever");
    assert_eq!(began.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn all_tenants_together_have_no_more_than_all_and_who_waits_is_next_when_room_is_given_back() {
    let budget = Arc::new(Budget::default());
    let mut held = Vec::new();
    for n in 0..ALL / LIST {
        held.push(take(&budget.room(&n.to_string()), LIST).await.unwrap());
    }
    let late = budget.room("late");
    let (waits, ()) = tokio::join!(take(&late, LIST), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        held.pop();
    });
    assert!(waits.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_unknown_length_grows_into_the_clouds_own_room_and_then_into_that_of_all() {
    let room = Budget::default().room("a");
    let mut held = Held::default();
    assert!(room.grow(&mut held, SMALL + 1, LIST).await && held.bytes() == OWN && held.until().is_none());
    assert!(room.grow(&mut held, OWN + 1, LIST).await && held.bytes() == LIST && held.until().is_some());
    assert_eq!(room.own.available_permits(), OWN, "what it had of its own it gave back");
    drop(held);
    assert_eq!((room.tenant.answers.available_permits(), room.all.answers.available_permits()), (TENANT, ALL));
}

/// A site whose list of servers is a blank of this many bytes with nothing in it.
async fn wordy(bytes: usize) -> Site {
    Site::open(move |asked| {
        let page = [br#"{"servers": []"#, vec![b' '; bytes].as_slice(), b"}"].concat();
        let page = Said::new(200, page).with("OpenStack-API-Version", "compute 2.61");
        asked.is("GET /compute/v2.1/servers/detail").then_some(page)
    })
    .await
}

#[tokio::test]
async fn a_cloud_with_a_long_list_waits_for_its_tenants_room_and_is_listed_when_there_is_some() {
    let (budget, site, small) = (Budget::default(), wordy(4 << 20).await, wordy(0).await);
    let taken = take(&budget.room("a"), LIST).await.unwrap();
    let cloud = site.cloud().within(budget.room("a"));
    let mut list = std::pin::pin!(cloud.list("k"));
    assert!(timeout(Duration::from_millis(300), &mut list).await.is_err(), "it waits");
    assert_eq!(small.cloud().within(budget.room("a")).list("k").await.unwrap().len(), 0);
    assert_eq!(
        site.cloud().within(budget.room("b")).list("k").await.unwrap().len(),
        0,
        "another tenant waits for none"
    );
    drop(taken);
    assert_eq!(list.await.unwrap().len(), 0);
    let part = budget.room("a").tenant;
    assert_eq!(part.answers.available_permits(), TENANT, "the room was given back when the answer was taken apart");
}

#[test]
fn what_one_tenants_clouds_have_others_remember_is_bounded_together_and_each_may_have_a_little() {
    let budget = Budget::default();
    let rooms: Vec<Room> = (0..64).map(|_| budget.room("hostile")).collect();
    let mut kept: Vec<Kept> = rooms.iter().map(|_| Kept::default()).collect();
    let granted = rooms.iter().zip(&mut kept).map(|(room, kept)| room.keep(kept, 5 << 20)).filter(|is| *is).count();
    assert_eq!(granted, 6, "of 64 clouds with 5 MiB each");
    let (honest, other) = (budget.room("hostile"), budget.room("honest"));
    assert!(honest.keep(&mut Kept::default(), OWN_KEPT) && !honest.keep(&mut Kept::default(), 5 << 20));
    assert!(other.keep(&mut Kept::default(), 15 << 20));
    assert!(rooms[0].keep(&mut kept[0], 1 << 20), "it has less now");
    assert!(honest.keep(&mut Kept::default(), 4 << 20), "and others may have the rest");
}

/// As much text as a server may have, on as many servers as a page may have.
fn heavy_page(n: usize) -> Said {
    let text = "é".repeat(255);
    let servers: Vec<Value> = (0..1_000)
        .map(|i| {
            let mut server = server(&format!("{n}-{i}"), &format!("{n}-{i}"), "ACTIVE");
            for field in ["name", "OS-EXT-STS:task_state", "OS-EXT-AZ:availability_zone"] {
                server[field] = json!(text);
            }
            server["fault"] = json!({"message": text});
            server["flavor"] = json!({"original_name": text});
            server
        })
        .collect();
    Said::json(200, &json!({"servers": servers, "servers_links": [{"rel": "next", "href": "x"}]}))
}

#[tokio::test]
async fn servers_without_end_are_not_remembered_whether_in_one_list_or_in_many() {
    let mut n = 0;
    let site = Site::open(move |asked| {
        n += 1;
        asked.is("GET /compute/v2.1/servers/detail").then(|| heavy_page(n))
    })
    .await;
    let said = site.cloud().list("k").await.unwrap_err().to_string();
    assert!(said.contains("not remembered (32 MiB)"), "{said}");
    assert!(site.asked("GET /compute/v2.1/servers/detail") < 20);

    // Each list is whole and has other servers than the one before.
    let mut n = 0;
    let site = Site::open(move |asked| {
        let is_list = asked.is("GET /compute/v2.1/servers/detail");
        n += usize::from(is_list && !asked.line.contains("marker="));
        let page = if asked.line.contains("marker=") { Said::servers(&[]) } else { heavy_page(n) };
        let broken = || Said::json(500, &json!({}));
        if asked.is("GET /compute/v2.1/servers/") { Some(if is_list { page } else { broken() }) } else { None }
    })
    .await;
    let many = std::num::NonZeroU32::MIN.saturating_add(999);
    let cloud = site.cloud_with(Rate { per_second: many, burst: many }, Clock::system());
    let mut lists = 0;
    while let Ok(all) = cloud.list("k").await {
        lists += 1;
        assert!(all.len() <= 20_000 && lists < 20, "{} servers after {lists} lists", all.len());
    }
    assert!(lists > 2, "what is usual is remembered");
}

#[tokio::test]
async fn flavors_without_end_are_not_remembered() {
    let mut n = 0;
    let site = Site::open(move |asked| {
        n += 1;
        let flavor = |i: usize| {
            json!({"id": format!("{n}-{i}"), "name": format!("{n}-{i}-{}", "é".repeat(300)), "vcpus": 1, "ram": 1, "disk": 1})
        };
        let page: Vec<Value> = (0..1_000).map(flavor).collect();
        asked.is("GET /compute/v2.1/flavors/detail").then(|| Said::json(200, &json!({"flavors": page})))
    })
    .await;
    let said = site.cloud().offers(&Wanted::default()).await.unwrap_err().to_string();
    assert!(said.contains("not remembered"), "{said}");
}

#[test]
fn a_tenant_without_clouds_is_forgotten() {
    let budget = Budget::default();
    drop(budget.room("gone"));
    let _room = budget.room("there");
    assert_eq!(budget.tenants.lock().unwrap().len(), 1);
}
