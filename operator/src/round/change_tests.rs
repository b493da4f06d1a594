use std::time::Duration;

use broker::clock::moment;
use serde_json::{Value, json};

use super::*;
use crate::round::snapshot::{
    snapshot,
    tests::{queue, world},
};

/// A round of a pool of `max` VMs with `n` that run.
struct Rounds {
    value: Value,
    brakes: Brakes,
    now: Instant,
}

/// What came of a round: VMs that would be told to drain, and the sentence where the pool is frozen.
type Came = (usize, Option<String>);

impl Rounds {
    fn of(n: usize) -> Self {
        let world = world(|w| {
            let mut one = w["vms"][0].clone();
            one["status"] = json!({"launchedAt": "2026-11-24T11:59:00Z", "runningSince": "2026-11-24T11:59:30Z",
                "attempt": {"number": 1, "since": "2026-11-24T11:58:00Z", "imageId": "1"}});
            let vm = |i: usize| {
                let mut vm = one.clone();
                vm["metadata"]["name"] = json!(format!("cpu-{i:02}"));
                vm["metadata"]["uid"] = json!(format!("u{i}"));
                vm
            };
            w["vms"] = (0..n).map(vm).collect();
            w["pools"][0]["spec"]["scaling"]["max"] = json!(100);
        });
        Self { value: serde_json::to_value(world).unwrap(), brakes: Brakes::new(), now: moment() }
    }

    fn pool(&mut self) -> &mut Value {
        &mut self.value["pools"][0]
    }

    fn max(&mut self, max: usize) -> &mut Self {
        self.pool()["spec"]["scaling"]["max"] = json!(max);
        self
    }

    fn says(&mut self, number: &str) -> &mut Self {
        self.pool()["metadata"]["annotations"] = json!({ACKNOWLEDGE_CHANGE: number});
        self
    }

    fn drains(&mut self, vms: impl Iterator<Item = usize>, reason: &str) -> &mut Self {
        for i in vms {
            self.value["vms"][i]["status"]["conditions"] = json!([{"type": "Draining", "status": "True",
                "reason": reason, "message": "m", "lastTransitionTime": "2026-11-24T11:59:30Z"}]);
        }
        self
    }

    /// The whole plan of a round, which is twenty seconds after the one before.
    fn plan(&mut self) -> (Plan, Option<Change>) {
        let world: World = serde_json::from_value(self.value.clone()).unwrap();
        let taken = snapshot(&world, vec![queue(0)]);
        let mut plan = broker::plan::plan(&taken);
        let mut frozen = hold_back(&world, &taken, &mut plan, &mut self.brakes, self.now);
        self.now += Duration::from_secs(20);
        (plan, frozen.remove("cpu"))
    }

    fn round(&mut self) -> Came {
        let (plan, frozen) = self.plan();
        let key = crate::names::Key { namespace: "demo".into(), name: "cpu".into() };
        (plan.drains.len(), frozen.map(|change| change.message(&key)))
    }
}

#[test]
fn few_vms_and_up_to_half_of_them_drain_without_a_question() {
    assert_eq!(Rounds::of(5).max(0).round(), (5, None));
    assert_eq!(Rounds::of(20).max(10).round(), (10, None));
    assert_eq!(Rounds::of(20).max(20).round(), (0, None));
}

#[test]
fn a_limit_that_was_lowered_too_far_drains_nothing_and_says_how_to_let_go() {
    for (n, max, asks) in [(6, 0, 6), (20, 9, 11), (20, 0, 20)] {
        let (drains, said) = Rounds::of(n).max(max).round();
        let said = said.unwrap();
        assert_eq!(drains, 0);
        assert!(
            said.starts_with(&format!(
                "{asks} of {n} VMs that run would drain at once (for example cpu-00: pool cpu has more"
            )),
            "{said}"
        );
        assert!(said.ends_with(&format!("acknowledge-change={asks}")), "{said}");
    }
    let mut of_the_vo = Rounds::of(20);
    of_the_vo.value["vos"][0]["spec"]["limits"] = json!({"vms": 2});
    assert_eq!(of_the_vo.round().0, 0);
}

#[test]
fn a_person_who_names_the_number_lets_go_and_one_who_names_less_does_not() {
    let mut rounds = Rounds::of(20);
    assert!(rounds.max(5).round().1.is_some());
    assert!(rounds.says("14").round().1.is_some());
    assert_eq!(rounds.says("15").round(), (15, None));
    assert_eq!(rounds.round(), (15, None), "also while it is not written down yet");
    rounds.drains(0..15, "PoolMax");
    assert_eq!(rounds.round(), (15, None));
}

#[test]
fn the_answer_to_one_question_is_none_to_the_next() {
    let mut rounds = Rounds::of(20);
    rounds.max(10).round();
    assert!(rounds.says("20").round().1.is_none(), "nothing was asked");
    let (drains, said) = rounds.max(0).round();
    assert_eq!(drains, 0);
    assert!(said.unwrap().contains("diracgrid.org/acknowledge-change- && "), "it must be taken off first");
}

#[test]
fn an_annotation_is_an_answer_after_a_restart_where_the_status_says_that_a_person_was_asked() {
    let mut restarted = Rounds::of(20);
    assert!(restarted.max(0).says("20").round().1.is_some(), "it was there before");
    let mut asked = Rounds::of(20);
    asked.pool()["status"] = json!({"conditions": [{"type": "Frozen", "status": "True", "reason": "MassChange",
        "message": "m", "lastTransitionTime": "2026-11-24T11:59:30Z"}]});
    assert_eq!(asked.max(0).says("20").round(), (20, None));
}

#[test]
fn a_manifest_that_goes_back_ends_the_question() {
    let mut rounds = Rounds::of(20);
    assert!(rounds.max(0).round().1.is_some());
    assert_eq!(rounds.max(100).round(), (0, None));
    assert_eq!(rounds.max(12).round(), (8, None));
}

#[test]
fn what_drains_already_goes_on_while_the_rest_is_held_back() {
    let mut rounds = Rounds::of(20);
    rounds.max(15).drains(0..5, "PoolMax");
    assert_eq!(rounds.round(), (5, None));
    let (drains, said) = rounds.max(0).round();
    assert_eq!(drains, 5);
    assert!(said.unwrap().starts_with("15 of 20 VMs"));
}

#[test]
fn drift_is_held_back_where_the_budget_lets_most_of_a_pool_through_at_once() {
    let drifted = |disruption: Value| {
        let mut rounds = Rounds::of(20);
        rounds.value["clouds"][0]["offers"]["images"]["default"]["id"] = json!("2");
        rounds.pool()["spec"]["disruption"] = disruption;
        rounds
    };
    assert_eq!(drifted(Value::Null).round(), (2, None));
    assert_eq!(drifted(json!({"maxPercent": 50})).round(), (10, None));
    let mut all = drifted(json!({"maxPercent": 100}));
    let (drains, said) = all.round();
    assert_eq!(drains, 0);
    let said = said.unwrap();
    assert!(
        said.starts_with(
            "20 of 20 VMs that run would drain at once (for example cpu-00: it is not as pool cpu says any more"
        ),
        "{said}"
    );
    assert_eq!(all.says("20").round(), (20, None));
}

#[test]
fn drift_that_goes_at_the_pace_of_its_budget_is_never_asked_about() {
    let mut rounds = Rounds::of(12);
    rounds.value["clouds"][0]["offers"]["images"]["default"]["id"] = json!("2");
    for i in 0..12 {
        assert_eq!(rounds.round(), (1, None), "VM {i}");
        // It had no job: another with the new image is in its place.
        let old = rounds.plan().0.drains[0].vm.clone();
        let vms = rounds.value["vms"].as_array_mut().unwrap();
        let vm = vms.iter_mut().find(|vm| vm["metadata"]["name"] == json!(old)).unwrap();
        vm["metadata"]["name"] = json!(format!("new-{i:02}"));
        vm["status"]["attempt"]["imageId"] = json!("2");
        vms.sort_by_key(|vm| vm["metadata"]["name"].as_str().unwrap().to_owned());
    }
    assert_eq!(rounds.round(), (0, None));
}

#[test]
fn a_pool_that_serves_another_vo_keeps_its_vms_until_a_person_agrees() {
    let mut rounds = Rounds::of(20);
    rounds.pool()["spec"]["vos"] = json!(["enmr"]);
    rounds.pool()["spec"]["disruption"] = json!({"maxVMs": 20});
    let (drains, said) = rounds.round();
    assert_eq!(drains, 0);
    assert!(said.unwrap().contains("spec.vos has VO biomed no more"));
}

#[test]
fn a_downtime_is_an_explicit_act() {
    let mut rounds = Rounds::of(20);
    rounds.value["downtimes"] = json!([{"apiVersion": "diracgrid.org/v1alpha1", "kind": "Downtime",
        "metadata": {"name": "works", "namespace": "demo"},
        "spec": {"siteRef": {"name": "s"}, "start": "2026-11-24T13:00:00Z", "end": "2026-11-24T18:00:00Z"}}]);
    assert_eq!(rounds.round(), (20, None));
}

/// Without a person: nobody could delete these VMs later.
#[test]
fn before_the_end_of_the_clouds_credential_its_vms_drain_and_a_renewed_one_undoes_it() {
    let mut rounds = Rounds::of(20);
    let mut ends = |at: &str| {
        rounds.value["clouds"][0]["offers"]["credential_expires"] = json!(at);
        rounds.round()
    };
    assert_eq!(ends("2027-11-24T12:00:00Z"), (0, None));
    assert_eq!(ends("2026-11-24T13:00:00Z"), (20, None));
    assert_eq!(ends("2027-11-24T12:00:00Z"), (0, None), "it is renewed");
    rounds.value["clouds"][0]["offers"] = Value::Null;
    rounds.value["clouds"][0]["object"]["status"] = json!({"credentialExpires": "2026-11-24T13:00:00Z"});
    assert_eq!(rounds.round(), (20, None), "what was found before the start holds until it is asked again");
}

#[test]
fn vms_that_boot_go_and_a_pool_that_is_paused_is_not_asked_about() {
    let mut rounds = Rounds::of(20);
    for i in 0..4 {
        rounds.value["vms"][i]["status"] = json!({"launchedAt": "2026-11-24T11:59:00Z"});
    }
    let (plan, frozen) = rounds.max(0).plan();
    assert_eq!((plan.drains.len(), plan.surplus.len(), frozen.map(|change| change.all)), (0, 4, Some(16)));
    rounds.pool()["metadata"]["annotations"] = json!({"diracgrid.org/paused": "true"});
    assert_eq!(rounds.plan().1, None);
}

#[test]
fn the_brake_of_a_pool_that_is_gone_is_forgotten() {
    let mut rounds = Rounds::of(20);
    rounds.max(0).round();
    assert_eq!(rounds.brakes.len(), 1);
    rounds.pool()["metadata"]["deletionTimestamp"] = json!("2026-11-24T11:59:00Z");
    assert_eq!((rounds.round().1, rounds.brakes.len()), (None, 0));
}
