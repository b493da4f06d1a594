use std::sync::Arc;

use super::*;
use crate::{
    api::Stores,
    known::{
        accounts::{Accounts, Seen},
        brake::Standing,
        change::Change,
        frozen::Frozen,
        installation::Round,
        missing::Lacking,
    },
    metrics::Metrics,
};

#[test]
fn an_empty_pool_has_no_vms_and_says_so() {
    let spec = serde_json::json!({"siteRef": {"name": "s"}, "vos": ["v"], "clouds": [{"name": "c"}],
        "machine": {"image": "default"}, "matching": {"maxCpuTime": "24h"}, "scaling": {"max": 3}});
    let mut pool = crds::PilotPool::new("p", serde_json::from_value(spec).unwrap());
    pool.metadata.namespace = Some("demo".into());
    let stores = Stores { pools: Objects::of([pool]), ..Stores::default() };
    let state = State { stores, ..State::default() };
    let text = Metrics::default().exposition(&[of_objects(&state, &Tally::default()), of_process()]);
    for line in [
        "dirac_operator_vms{namespace=\"demo\",pool=\"p\",phase=\"Running\"} 0",
        "dirac_operator_pool_max{namespace=\"demo\",pool=\"p\"} 3",
        "dirac_operator_ready{namespace=\"demo\",name=\"p\",kind=\"PilotPool\"} -1",
        "dirac_operator_build_info{version=",
        "process_resident_memory_bytes ",
        "process_cpu_seconds_total ",
        "dirac_operator_leader 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn objects_that_cannot_be_read_are_counted_by_kind_and_none_is_0() {
    let broken =
        serde_json::json!({"metadata": {"name": "cpu-1", "namespace": "demo"}, "spec": {"from": "the future"}});
    let stores = Stores { vms: Objects::default().and_unread([broken]), ..Stores::default() };
    let state = State { stores, ..State::default() };
    let text = Metrics::default().exposition(&[of_objects(&state, &Tally::default())]);
    assert!(text.contains("dirac_operator_malformed_objects{kind=\"PilotVM\"} 1"), "{text}");
    assert!(text.contains("dirac_operator_malformed_objects{kind=\"Cloud\"} 0"), "{text}");
}

#[test]
fn a_cloud_says_what_it_does_not_believe_once_it_was_listed() {
    let mut cloud = crds::Cloud::new("lyon", crds::cloud::CloudSpec::default());
    cloud.metadata.namespace = Some("demo".into());
    let key = Key::of(&cloud);
    let state = State { stores: Stores { clouds: Objects::of([cloud]), ..Stores::default() }, ..State::default() };
    let told = |state: &State| Metrics::default().exposition(&[of_objects(state, &Tally::default())]);
    assert!(!told(&state).contains("cloud_vms_missing{"), "what was not asked is not 0");
    state.clouds.get(&key).update(|f| {
        f.listing = Some(Default::default());
        let lost = [("uid".to_owned(), "cpu-1".to_owned())];
        f.missing = Arc::new(Lacking::of(lost, 5, &Lacking::default(), jiff::Timestamp::UNIX_EPOCH));
        f.orphans = 4;
        f.frozen = vec![Frozen { what: What::Orphans, standing: Standing::default(), all: 5 }];
    });
    let text = told(&state);
    for line in [
        "dirac_operator_cloud_vms_missing{namespace=\"demo\",cloud=\"lyon\"} 1",
        "dirac_operator_cloud_orphans{namespace=\"demo\",cloud=\"lyon\"} 4",
        "dirac_operator_cloud_frozen{namespace=\"demo\",cloud=\"lyon\",reason=\"OrphansNotAcknowledged\"} 1",
        "dirac_operator_cloud_frozen{namespace=\"demo\",cloud=\"lyon\",reason=\"MassLoss\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_pool_says_how_many_vms_have_drifted_and_whether_a_change_is_held_back() {
    let mut installation = crds::DiracInstallation::new("i", Default::default());
    installation.metadata.namespace = Some("demo".into());
    let key = Key::of(&installation);
    let stores = Stores { installations: Objects::of([installation]), ..Stores::default() };
    let state = State { stores, ..State::default() };
    let standing = Standing { doubtful: 7, is_frozen: true, ..Standing::default() };
    let round = Round {
        drifted: [("cpu".to_owned(), 3), ("gpu".to_owned(), 0)].into(),
        frozen: [("cpu".to_owned(), Change { standing, all: 9, why: String::new() })].into(),
        ..Round::default()
    };
    state.installations.get(&key).update(|f| f.round = Some(Arc::new(round)));
    let text = Metrics::default().exposition(&[of_objects(&state, &Tally::default())]);
    for line in [
        "dirac_operator_vms_drifted{namespace=\"demo\",pool=\"cpu\"} 3",
        "dirac_operator_vms_drifted{namespace=\"demo\",pool=\"gpu\"} 0",
        "dirac_operator_pool_frozen{namespace=\"demo\",pool=\"cpu\",reason=\"MassChange\"} 1",
        "dirac_operator_pool_frozen{namespace=\"demo\",pool=\"gpu\",reason=\"MassChange\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn every_metric_has_a_line_in_the_page() {
    let page = include_str!("../../../docs/metrics.md");
    let text = [include_str!("gauges.rs"), include_str!("../metrics.rs"), METERED].concat();
    let calls = text.split("register(\"").skip(1).chain(text.split("family(\"").skip(1));
    let names: Vec<&str> = calls.filter_map(|rest| rest.split('"').next()).filter(|n| !n.is_empty()).collect();
    assert!(names.len() > 25, "{names:?}");
    for name in names.into_iter().filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')) {
        assert!(page.contains(&format!("{name}`")) || page.contains(&format!("{name}_total`")), "{name}");
    }
    let cells = page.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    for listed in cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
        let name = listed.trim_end_matches("_total").trim_end_matches("_info");
        let is_told = text.contains(&format!("\"{name}\"")) || text.contains(&format!("{{PREFIX}}_{name}\""));
        assert!(is_told, "docs/metrics.md has {listed}, which no code tells");
    }
}

const METERED: &str = include_str!("../../../broker/src/cloud/metered.rs");

#[test]
fn a_vo_with_a_budget_says_how_it_stands_once_it_was_counted() {
    let spec = serde_json::json!({"installationRef": {"name": "i"}, "diracName": "v", "pilot": {"group": "g"},
        "budget": {"amount": "5", "currency": "EUR", "period": "1d"}});
    let mut vo = crds::VirtualOrganization::new("v", serde_json::from_value(spec).unwrap());
    vo.metadata.namespace = Some("demo".into());
    let key = Key::of(&vo);
    let stores = Stores { vos: Objects::of([vo]), ..Stores::default() };
    let state = State { stores, ..State::default() };
    let told = |state: &State| Metrics::default().exposition(&[of_objects(state, &Tally::default())]);
    assert!(!told(&state).contains("budget_left{"), "what was not counted is not 0");
    let mut accounts = Accounts::default();
    let (vos, now) = (state.stores.vos.all(), jiff::Timestamp::UNIX_EPOCH);
    accounts.round(&Seen { installation: "i", vms: &[], vos: &vos, pools: &[], clouds: &[], now });
    state.installations.get(&key.beside("i")).update(|f| f.accounts = Arc::new(accounts));
    let text = told(&state);
    for line in [
        "dirac_operator_budget_spent{namespace=\"demo\",vo=\"v\",unit=\"EUR\"} 0.0",
        "dirac_operator_budget_reserved{namespace=\"demo\",vo=\"v\",unit=\"EUR\"} 0.0",
        "dirac_operator_budget_left{namespace=\"demo\",vo=\"v\",unit=\"EUR\"} 5.0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
