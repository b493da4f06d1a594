use serde_json::{Value, json};

use super::*;
use crate::round::snapshot::{
    snapshot,
    tests::{queue, world},
};

/// A VM that runs and was made from image 1 and from no user-data.
fn running(w: &mut Value) {
    w["vms"][0]["status"] = json!({"launchedAt": "2026-11-24T11:59:00Z", "runningSince": "2026-11-24T11:59:30Z",
        "attempt": {"number": 1, "since": "2026-11-24T11:58:00Z", "imageId": "1", "userDataHash": fingerprint(None)}});
}
fn drift_of(change: impl FnOnce(&mut Value)) -> Option<Drift> {
    let world = world(|w| {
        running(w);
        change(w);
    });
    Wanted::of(&world).drift(&world.vms[0])
}
fn what(change: impl FnOnce(&mut Value)) -> String {
    drift_of(change).map(|drift| drift.what.to_string()).unwrap_or_default()
}
const BEGINS: &str = "it is not as pool cpu says any more: ";

#[test]
fn a_vm_that_is_as_its_pool_says_has_not_drifted() {
    assert_eq!(drift_of(|_| ()), None);
    assert_eq!(drift_of(|w| w["pools"][0]["spec"]["machine"]["flavors"] = json!(["c4", "c8"])), None);
    assert_eq!(drift_of(|w| w["pools"][0]["spec"]["machine"]["requirements"] = json!({"cores": {"min": 8}})), None);
    assert_eq!(
        drift_of(|w| w["pools"][0]["spec"]["matching"]["maxCpuTime"] = json!("2d")),
        None,
        "it holds for new VMs"
    );
}

#[test]
fn each_change_has_its_sentence() {
    let image = |w: &mut Value| w["clouds"][0]["offers"]["images"]["default"]["id"] = json!("2");
    assert_eq!(what(image), format!("{BEGINS}image default of cloud c is now 2, and it has 1"));
    let named = |w: &mut Value| w["pools"][0]["spec"]["machine"]["flavors"] = json!(["c4"]);
    assert_eq!(what(named), format!("{BEGINS}spec.machine takes the flavor c8 no more"));
    let bounds = |w: &mut Value| w["pools"][0]["spec"]["machine"]["requirements"] = json!({"cores": {"max": 4}});
    assert_eq!(what(bounds), format!("{BEGINS}spec.machine takes the flavor c8 no more"));
    let text = |w: &mut Value| w["pools"][0]["spec"]["machine"]["userData"] = json!("runcmd: [a]");
    assert_eq!(what(text), format!("{BEGINS}spec.machine.userData is another"));
    let vos = |w: &mut Value| w["pools"][0]["spec"]["vos"] = json!(["enmr"]);
    assert_eq!(what(vos), format!("{BEGINS}spec.vos has VO biomed no more"));
    let two = |w: &mut Value| {
        image(w);
        text(w);
    };
    assert!(what(two).ends_with("and it has 1; spec.machine.userData is another"), "{}", what(two));
}

#[test]
fn another_image_of_the_cloud_under_another_name_is_a_change_of_the_pool() {
    let other = |w: &mut Value, id: &str| {
        w["pools"][0]["spec"]["machine"]["image"] = json!("el9");
        w["clouds"][0]["offers"]["images"]["el9"] = json!({"id": id, "arch": null, "min_disk_gib": 0});
    };
    assert_eq!(what(|w| other(w, "7")), format!("{BEGINS}image el9 of cloud c is now 7, and it has 1"));
    assert_eq!(drift_of(|w| other(w, "1")), None, "it is the same image");
}

#[test]
fn a_vm_with_gpus_drifts_with_the_image_for_gpus_alone() {
    let cuda = |w: &mut Value, id: &str| {
        w["pools"][0]["spec"]["machine"]["gpuImage"] = json!("cuda");
        w["clouds"][0]["offers"]["images"]["cuda"] = json!({"id": id, "arch": null, "min_disk_gib": 0});
    };
    let has_gpu = |w: &mut Value| w["vms"][0]["spec"]["offering"]["gpus"] = json!(1);
    assert_eq!(drift_of(|w| cuda(w, "7")), None);
    let both = |id: &'static str| {
        move |w: &mut Value| {
            cuda(w, id);
            has_gpu(w);
        }
    };
    assert_eq!(what(both("7")), format!("{BEGINS}image cuda of cloud c is now 7, and it has 1"));
    assert_eq!(drift_of(both("1")), None);
}

#[test]
fn what_an_older_version_did_not_write_down_has_not_changed() {
    let changed = |w: &mut Value| {
        w["clouds"][0]["offers"]["images"]["default"]["id"] = json!("2");
        w["pools"][0]["spec"]["machine"]["userData"] = json!("runcmd: [a]");
    };
    assert!(drift_of(changed).is_some());
    for attempt in [json!({"number": 1, "since": "2026-11-24T11:58:00Z"}), Value::Null] {
        let before = |w: &mut Value| {
            changed(w);
            w["vms"][0]["status"]["attempt"] = attempt;
        };
        assert_eq!(drift_of(before), None);
    }
}

#[test]
fn what_is_not_known_now_has_not_changed() {
    assert_eq!(drift_of(|w| w["clouds"][0]["offers"] = Value::Null), None);
    assert_eq!(drift_of(|w| w["clouds"][0]["offers"]["images"] = json!({})), None);
    assert_eq!(drift_of(|w| w["clouds"] = json!([])), None);
    assert_eq!(drift_of(|w| w["pools"] = json!([])), None);
    let models = |w: &mut Value| {
        w["vms"][0]["spec"]["offering"]["gpus"] = json!(1);
        w["pools"][0]["spec"]["machine"]["requirements"] = json!({"gpus": {"min": 1, "models": ["A100"]}});
    };
    assert_eq!(drift_of(models), None, "nobody says which model it has");
    let known = |w: &mut Value| {
        models(w);
        w["clouds"][0]["offers"]["flavors"][0]["gpu"] =
            json!({"thousandths": 1000, "vendor": null, "model": "L4", "memory_mib": null});
    };
    assert!(drift_of(known).is_some());
    let memory = |w: &mut Value, mib: Value| {
        known(w);
        w["clouds"][0]["offers"]["flavors"][0]["gpu"]["memory_mib"] = mib;
        w["pools"][0]["spec"]["machine"]["requirements"] = json!({"gpus": {"memoryGiB": {"min": 20}}});
    };
    assert_eq!(drift_of(|w| memory(w, Value::Null)), None, "nobody says how much memory it has");
    assert_eq!(drift_of(|w| memory(w, json!(22_888))), None);
    assert!(drift_of(|w| memory(w, json!(16_384))).is_some());
}

/// This many VMs that run, all with an image that the cloud does not have any more.
fn many(n: usize, change: impl FnOnce(&mut Value)) -> World {
    world(|w| {
        running(w);
        let one = w["vms"][0].clone();
        w["vms"] = (0..n)
            .map(|i| {
                let mut vm = one.clone();
                (vm["metadata"]["name"], vm["metadata"]["uid"]) =
                    (json!(format!("cpu-{i:02}")), json!(format!("u{i}")));
                vm
            })
            .collect();
        w["clouds"][0]["offers"]["images"]["default"]["id"] = json!("2");
        w["pools"][0]["spec"]["scaling"]["max"] = json!(100);
        change(w);
    })
}
fn drains_of(world: &World) -> Vec<(String, broker::plan::Reason)> {
    let plan = broker::plan::plan(&snapshot(world, vec![queue(0)]));
    plan.drains.into_iter().map(|drain| (drain.vm, drain.why)).collect()
}

#[test]
fn drifted_vms_drain_within_the_budget_of_their_pool() {
    let with = |disruption: Value| drains_of(&many(20, |w| w["pools"][0]["spec"]["disruption"] = disruption)).len();
    assert_eq!(with(Value::Null), 2, "ten in a hundred");
    assert_eq!(with(json!({})), 2);
    assert_eq!(with(json!({"maxVMs": 5})), 5);
    assert_eq!(with(json!({"maxVMs": 0})), 0);
    assert_eq!(with(json!({"maxPercent": 25})), 5);
    assert!(drains_of(&many(20, |_| ())).iter().all(|(_, why)| *why == broker::plan::Reason::Drifted));
}

#[test]
fn drains_by_drift_begin_at_the_times_of_the_pool() {
    // It is noon on a Tuesday.
    let at = |schedule: Value| {
        drains_of(&many(20, |w| w["pools"][0]["spec"]["disruption"] = json!({"maxVMs": 5, "schedule": schedule}))).len()
    };
    assert_eq!(at(json!([])), 5);
    assert_eq!(at(json!([{"start": "11:00", "duration": "2h"}])), 5);
    assert_eq!(at(json!([{"start": "12:01", "duration": "23h58m"}])), 0);
    assert_eq!(at(json!([{"days": ["Mon"], "start": "22:00", "duration": "15h"}])), 5, "it goes on beyond midnight");
    assert_eq!(at(json!([{"days": ["Wed"], "start": "00:00", "duration": "1d"}])), 0);
    assert_eq!(at(json!([{"days": ["Sat"], "start": "00:00", "duration": "4d"}])), 5, "and into the next week");
    assert_eq!(
        at(json!([{"days": ["Wed"], "start": "00:00", "duration": "1h"}, {"start": "12:00", "duration": "1m"}])),
        5
    );
}

#[test]
fn a_vm_that_drains_by_drift_goes_on_and_works_on_when_the_manifest_goes_back() {
    let draining = |w: &mut Value, reason: &str| {
        w["vms"][7]["status"]["conditions"] = json!([{"type": "Draining", "status": "True", "reason": reason,
            "message": "m", "lastTransitionTime": "2026-11-24T11:59:30Z"}]);
    };
    let closed = json!({"schedule": [{"days": ["Wed"], "start": "00:00", "duration": "1h"}]});
    let goes_on = many(20, |w| {
        draining(w, "Drifted");
        w["pools"][0]["spec"]["disruption"] = closed.clone();
    });
    assert_eq!(drains_of(&goes_on), [("cpu-07".to_owned(), broker::plan::Reason::Drifted)]);
    let for_another_reason = many(20, |w| {
        draining(w, "PoolMax");
        w["pools"][0]["spec"]["disruption"] = closed;
    });
    assert_eq!(drains_of(&for_another_reason), []);
    let back = many(20, |w| {
        draining(w, "Drifted");
        w["clouds"][0]["offers"]["images"]["default"]["id"] = json!("1");
    });
    assert_eq!(drains_of(&back), []);
}
