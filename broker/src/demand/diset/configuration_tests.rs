//! How a Configuration server and a ResourceStatus are written to, at servers that answer as DIRAC's do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    configuration::{configuration, packed},
    stand_in::{Pki, client, pki},
    *,
};
use crate::configuration::{Cfg, Master, Refusal};

/// What was asked for, with its arguments.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

fn served(cfg: &Cfg) -> Value {
    use base64::{Engine, prelude::BASE64_STANDARD};
    json!({"__dCls": "b64", "obj": BASE64_STANDARD.encode(packed(cfg.to_string().as_bytes()))})
}

fn no(message: &str) -> Value {
    json!({"OK": false, "Errno": 0, "Message": message})
}

/// A Configuration server with this configuration, and what it was asked for.
async fn server(pki: &Pki, cfg: Cfg, is_master: bool) -> (Asked, ServiceUrl) {
    let asked = Asked::default();
    let theirs = asked.clone();
    let url = pki.service(move |method, arguments| {
        theirs.lock().ok()?.push((method.to_owned(), arguments.clone()));
        let value = match method {
            "writeEnabled" => json!(is_master),
            "getVersion" => json!("2026-11-30 10:00:00.000001"),
            "getCompressedData" => served(&cfg),
            "commitNewData" if is_master => json!(""),
            "commitNewData" => return Some(no("Configuration modification is not allowed in this server")),
            _ => return Some(no("Unknown method")),
        };
        Some(json!({"OK": true, "Value": value}))
    });
    (asked, url.await)
}

fn methods(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap().iter().map(|(method, _)| method.clone()).collect()
}

fn master(pki: &Pki, url: ServiceUrl) -> ConfigurationMaster {
    let settings = Settings { deadline: Duration::from_secs(20), ..Settings::default() };
    ConfigurationMaster::new(client(url, &pki.credentials(), settings))
}

#[tokio::test]
async fn a_server_that_only_copies_is_asked_for_the_master_and_what_is_committed_arrives_there() {
    let pki = pki();
    let mut cfg = Cfg::default();
    cfg.set("/Registry/DefaultGroup", "user");
    let (of_master, url) = server(&pki, cfg.clone(), true).await;
    let mut copy = cfg.clone();
    copy.set("/DIRAC/Configuration/MasterServer", &url.to_string());
    let (of_copy, url) = server(&pki, copy, false).await;
    let found = master(&pki, url);
    assert_eq!(found.read().await, Ok(cfg.clone()));
    assert_eq!(found.version().await.as_deref(), Ok("2026-11-30 10:00:00.000001"));
    cfg.set("/Registry/DefaultGroup", "another");
    found.commit(&cfg).await.unwrap();
    assert_eq!(methods(&of_copy), ["writeEnabled", "getCompressedData"], "the master is looked for once");
    assert_eq!(methods(&of_master), ["getCompressedData", "getVersion", "commitNewData"]);
    let sent = of_master.lock().unwrap()[2].1.clone();
    assert_eq!(configuration(&sent[0]), Ok(cfg));
}

#[tokio::test]
async fn where_nobody_says_who_the_master_is_the_server_says_that_it_takes_nothing() {
    let pki = pki();
    let (_, url) = server(&pki, Cfg::default(), false).await;
    let refused = master(&pki, url).commit(&Cfg::default()).await;
    assert_eq!(refused, Err(Refusal::NotMaster("Configuration modification is not allowed in this server".into())));
}

#[tokio::test]
async fn sites_without_a_status_are_entered_and_those_with_one_are_left() {
    let (pki, asked) = (pki(), Asked::default());
    let theirs = asked.clone();
    let url = pki.service(move |method, arguments| {
        theirs.lock().ok()?.push((method.to_owned(), arguments.clone()));
        let value = if method == "select" { json!([["LCG.Banned.fr", "Banned", "all"]]) } else { json!(1) };
        Some(json!({"OK": true, "Value": value}))
    });
    let status = ResourceStatus::new(client(url.await, &pki.credentials(), Settings::default()));
    let names = ["CLOUD.New.fr", "LCG.Banned.fr"].map(str::to_owned);
    let entered = status.enter(&BTreeSet::from(names.clone()), "VMs").await.unwrap();
    let [new, banned] = names;
    assert_eq!(entered, BTreeMap::from([(new, Entry::Made), (banned, Entry::Had("Banned".into()))]));
    assert_eq!(methods(&asked), ["select", "addIfNotThere"]);
    let row = asked.lock().unwrap()[1].1.clone();
    assert_eq!(
        (&row[0], &row[1]["Name"], &row[1]["Status"]),
        (&json!("SiteStatus"), &json!("CLOUD.New.fr"), &json!("Active"))
    );
}
