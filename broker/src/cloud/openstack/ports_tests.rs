//! Of ports that servers leave behind.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    super::fake::{Said, Site, server},
    *,
};
use crate::cloud::Cloud;

const PORTS: &str = "GET /network/v2.0/ports";
const DELETE: &str = "DELETE /network/v2.0/ports";

fn port(id: &str, server: &str) -> Value {
    json!({"id": id, "device_id": server, "device_owner": "compute:nova", "name": "", "project_id": "p-1", "tenant_id": "p-1"})
}

/// A site whose Nova knows the server `there` and no other, and whose Neutron answers with these ports and takes their deletion.
async fn with(ports: Vec<Value>) -> Site {
    Site::open(move |asked| {
        if asked.is("GET /compute/v2.1/servers/there") {
            return Some(Said::json(200, &json!({"server": server("there", "a", "ACTIVE")})));
        }
        if asked.is("DELETE") {
            return Some(Said::new(204, ""));
        }
        asked.is(PORTS).then(|| Said::json(200, &json!({ "ports": ports })))
    })
    .await
}

fn later() -> Instant {
    moment() + AFTER
}

#[tokio::test]
async fn a_port_of_a_server_that_is_gone_is_taken_away_and_no_other() {
    let mut named = port("named", "gone");
    named["name"] = json!("of a person");
    let mut routers = port("router", "gone");
    routers["device_owner"] = json!("network:router_interface");
    let mut others = port("others", "gone");
    others["tenant_id"] = json!("p-2");
    let site =
        with(vec![port("left", "gone"), port("kept", "there"), port("strange", "never-ours"), named, routers, others])
            .await;
    let cloud = site.cloud();
    for id in ["gone", "there"] {
        cloud.delete(id).await.unwrap();
    }
    cloud.left.sweep(&cloud.session, moment()).await;
    assert_eq!(site.asked(PORTS), 0, "Nova has its time");
    cloud.left.sweep(&cloud.session, later()).await;
    assert_eq!((site.asked(PORTS), site.asked(&format!("{DELETE}/left")), site.asked(DELETE)), (1, 1, 1));
    cloud.left.sweep(&cloud.session, later()).await;
    assert_eq!(site.asked(PORTS), 2, "the server that is still there is looked at again");
}

#[tokio::test]
async fn the_ports_of_many_servers_are_one_question() {
    let site = with(Vec::new()).await;
    let cloud = site.cloud();
    (0..120).for_each(|n| cloud.left.went(&format!("gone-{n}")));
    cloud.left.went("gone-119");
    cloud.left.sweep(&cloud.session, later()).await;
    assert_eq!(site.asked(PORTS), 3);
    assert_eq!(site.asked(&format!("{PORTS}?device_id=gone-0&device_id=gone-1&")), 1);
    cloud.left.sweep(&cloud.session, later()).await;
    assert_eq!(site.asked(PORTS), 3, "nothing is asked twice");
}

#[tokio::test]
async fn a_server_that_is_found_gone_is_looked_at_too_and_a_sweep_that_fails_is_made_again() {
    let works = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let now = works.clone();
    let site = Site::open(move |asked| {
        let works = now.load(std::sync::atomic::Ordering::SeqCst);
        if asked.is(DELETE) {
            return Some(Said::new(204, ""));
        }
        asked.is(PORTS).then(|| {
            if works { Said::json(200, &json!({"ports": [port("left", "gone")]})) } else { Said::new(500, "") }
        })
    })
    .await;
    let cloud = site.cloud();
    assert_eq!(cloud.get("gone").await, Ok(None));
    cloud.left.sweep(&cloud.session, later()).await;
    works.store(true, std::sync::atomic::Ordering::SeqCst);
    cloud.left.sweep(&cloud.session, later() + AFTER).await;
    assert_eq!((site.asked(PORTS), site.asked(DELETE)), (2, 1));
}

#[tokio::test]
async fn a_neutron_that_shows_no_ports_keeps_nothing_else_from_being_known() {
    let site = Site::open(|asked| asked.is(PORTS).then(|| Said::new(403, ""))).await;
    let cloud = site.cloud();
    cloud.left.servers().push_back((moment() - AFTER, "gone".to_owned()));
    assert!(cloud.headroom().await.is_ok());
    assert_eq!(site.asked(PORTS), 1);
}
