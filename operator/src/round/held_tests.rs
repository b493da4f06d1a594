use broker::{
    cloud::{Purchase, Scope},
    experience::{FRESH, Lot},
    plan::{Plan, Reason, Snapshot, plan},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    super::snapshot::{
        snapshot,
        tests::{queue, world},
    },
    *,
};
use crate::known::cloud::Handle;

/// Seconds before the round.
fn ago(seconds: i64) -> Timestamp {
    world(|_| ()).now - SignedDuration::from_secs(seconds)
}
fn of(flavor: &str, zone: Option<&str>) -> Lot {
    Lot {
        cloud: "c".into(),
        zone: zone.map(Arc::from),
        flavor: flavor.into(),
        purchase: Purchase::OnDemand,
        image: "default (1)".into(),
    }
}
/// A world without VMs, on whose cloud this was learnt.
fn learnt(teach: impl FnOnce(&Handle), change: impl FnOnce(&mut Value)) -> World {
    let mut world = world(|w| {
        w["pools"][0]["spec"]["scaling"]["max"] = json!(20_000);
        w["clouds"][0]["headroom"][1]["classes"][0]["vms"]["limit"] = Value::Null;
        w["vms"] = json!([]);
        change(w);
    });
    let handle = Handle::default();
    handle.update(|f| f.offers = world.clouds[0].offers.clone());
    teach(&handle);
    world.clouds[0].bought = handle.learnt();
    world
}
fn taken(world: &World) -> Snapshot {
    snapshot(world, vec![queue(8_000)])
}
fn planned(world: &World) -> Plan {
    plan(&taken(world))
}
/// Ordered and made, so many times, and some of them asked.
fn works(handle: &Handle, granted: usize, asked: usize) {
    assert!(handle.may_order(&of("c8", None), ago(600)));
    (0..granted).for_each(|n| handle.granted(&n.to_string(), &of("c8", None), ago(600), ago(500)));
    (0..asked).for_each(|_| handle.asked(&of("c8", None), ago(400)));
}
/// An image that the cloud has beside the one of the pool.
fn another_image(w: &mut Value) {
    let cloud = &mut w["clouds"][0];
    cloud["object"]["spec"]["images"]["other"] = json!({"name": "any"});
    cloud["offers"]["images"]["other"] = cloud["offers"]["images"]["default"].clone();
}
/// The flavor in two zones.
fn two_zones(w: &mut Value) {
    let offer = w["clouds"][0]["offers"]["offers"][0].clone();
    let zoned = |zone: &str| {
        let mut offer = offer.clone();
        offer["zone"] = json!(zone);
        offer
    };
    w["clouds"][0]["offers"]["offers"] = json!([zoned("a"), zoned("b")]);
}

#[test]
fn a_cloud_of_which_nothing_is_known_is_tried_with_one_vm() {
    let world = learnt(|_| (), |_| ());
    assert_eq!((taken(&world).holds, planned(&world).launches.len() as u64), (vec![], FRESH));
}

#[test]
fn a_vm_that_is_planned_already_is_the_one_that_tries() {
    let one = world(|_| ()).vms[0].clone();
    let world = learnt(|_| (), |w| w["vms"] = json!([*one]));
    let plan = planned(&world);
    assert_eq!(plan.launches, []);
    let unmet = &plan.unmet[0];
    assert!(
        unmet.reason == Reason::Ramp && unmet.message.contains("at most 1 orders of VMs of flavor c8"),
        "{unmet:?}"
    );
}

#[test]
fn each_grant_doubles_what_may_be_ordered_until_as_many_boot_as_may_before_one_has_asked() {
    let launches = |granted, asked| planned(&learnt(|h| works(h, granted, asked), |_| ())).launches.len();
    assert_eq!([launches(1, 0), launches(2, 0), launches(3, 0), launches(4, 0)], [2, 4, 8, 8]);
    assert_eq!([launches(4, 1), launches(9, 1), launches(9, 3)], [16, 16, 64]);
}

#[test]
fn vms_that_boot_count_and_those_whose_vm_is_not_made_yet_count_as_orders() {
    let booting = |status: Value, up: bool| {
        let one = world(|_| ()).vms[0].clone();
        let world = learnt(
            |h| works(h, 2, 0),
            |w| {
                let mut vm = json!([*one]);
                vm[0]["status"] = status;
                (w["vms"], w["clouds"][0]["up"]) = (vm, if up { json!(["u"]) } else { json!([]) });
            },
        );
        planned(&world).launches.len()
    };
    let launched = json!({"launchedAt": "2026-11-24T11:59:10Z"});
    assert_eq!(booting(Value::Null, false), 3, "of four orders one is not answered");
    assert_eq!((booting(launched.clone(), false), booting(launched, true)), (4, 4));
}

#[test]
fn what_was_refused_is_left_alone_in_its_zone_and_bought_in_the_other() {
    let refused = |scope| {
        let world = learnt(|h| h.refused(&of("c8", Some("a")), scope, ago(2), ago(1)), two_zones);
        let plan = planned(&world);
        let unmet = plan.unmet.first().map(|u| u.reason);
        let zones: Vec<_> = plan.launches.iter().map(|l| l.offering.zone.clone().unwrap_or_default()).collect();
        (zones.join(" "), unmet)
    };
    assert_eq!(refused(Scope::Offer), ("b".to_owned(), Some(Reason::Ramp)));
    assert_eq!(refused(Scope::Zone), ("b".to_owned(), Some(Reason::Ramp)));
    assert_eq!(refused(Scope::Class), (String::new(), Some(Reason::NoCapacity)));
    assert_eq!(refused(Scope::Cloud), (String::new(), Some(Reason::NoCapacity)));
}

#[test]
fn a_refusal_of_a_class_of_which_the_quota_is_not_known_holds_for_each_of_its_offers() {
    let class = |w: &mut Value| {
        two_zones(w);
        w["clouds"][0]["headroom"][1]["classes"][0]["name"] = json!("another");
    };
    let world = learnt(|h| h.refused(&of("c8", Some("a")), Scope::Class, ago(2), ago(1)), class);
    let zones: Vec<_> = taken(&world).holds.iter().map(|h| (h.quota, h.zone.clone().flatten())).collect();
    assert_eq!(zones, [(None, Some("a".to_owned())), (None, Some("b".to_owned()))]);
    assert_eq!(planned(&world).launches, []);
}

#[test]
fn an_image_whose_vms_never_ask_is_left_alone_and_another_is_not() {
    let fails = |h: &Handle| {
        works(h, 9, 0);
        (0..5).for_each(|_| h.never_asked(&of("c8", None), ago(500), ago(60)));
    };
    let plan = planned(&learnt(fails, |_| ()));
    assert_eq!((plan.launches.len(), plan.unmet[0].reason), (0, Reason::VmsFail));
    assert!(plan.unmet[0].message.contains("the last 5 VMs of flavor c8 with image default never asked"));
    let replaced = learnt(fails, |w| w["clouds"][0]["offers"]["images"]["default"]["id"] = json!("2"));
    assert_eq!(planned(&replaced).launches.len(), 8, "the cloud has another image of this name now");
    let other = learnt(fails, |w| {
        another_image(w);
        w["pools"][0]["spec"]["machine"]["image"] = json!("other");
    });
    assert_eq!(planned(&other).launches.len(), 8);
}

#[test]
fn a_pool_with_a_bad_image_does_not_stop_another_pool() {
    let other = learnt(
        |h: &Handle| {
            works(h, 9, 0);
            (0..5).for_each(|_| h.never_asked(&of("c8", None), ago(500), ago(60)));
        },
        |w| {
            another_image(w);
            let mut pool = w["pools"][0].clone();
            (pool["metadata"]["name"], pool["spec"]["machine"]["image"]) = (json!("other"), json!("other"));
            w["pools"].as_array_mut().unwrap().push(pool);
        },
    );
    let pools: Vec<_> = planned(&other).launches.iter().map(|l| l.pool.to_string()).collect();
    assert_eq!(pools, ["other"; 8]);
}

#[test]
fn an_order_that_is_not_answered_is_on_its_way_in_each_zone_that_it_names() {
    let on_its_way = |status: Value| {
        let world = world(|w| {
            w["vms"][0]["spec"]["offering"] = json!({"flavor": "c8", "zone": "a", "cores": 8, "ramMiB": 16384,
                "otherZones": [{"zone": "b"}, {"zone": "c"}]});
            w["vms"][0]["status"] = status;
        });
        let flight = flight(&world, &world.clouds[0]);
        ["a", "b", "c"].map(|zone| {
            let lot = of("c8", Some(zone));
            (flight.of(&broker::experience::Reach::offer(&lot)).unanswered, flight.of_lot(&lot))
        })
    };
    assert_eq!(on_its_way(Value::Null), [(1, 1), (1, 1), (1, 1)], "as far as is known");
    let attempt = json!({"number": 1, "since": "2026-11-24T11:59:50Z", "imageId": "1", "otherZones": ["c"]});
    assert_eq!(on_its_way(json!({"attempt": attempt})), [(1, 1), (0, 0), (1, 1)]);
    let bought = json!({"flavor": "c8", "zone": "c"});
    let made = json!({"attempt": attempt, "launchedAt": "2026-11-24T11:59:55Z", "bought": bought});
    assert_eq!(on_its_way(made), [(0, 0), (0, 0), (0, 1)], "it is made in one of them");
}

#[test]
fn a_vm_that_boots_and_is_announced_to_go_is_not_on_its_way_any_more() {
    let booting = |conditions: Value| {
        let world = world(|w| {
            w["vms"][0]["status"] = json!({"launchedAt": "2026-11-24T11:59:55Z", "conditions": conditions});
        });
        let vm = &world.vms[0];
        let lot = Lots::of(&world).lot(vm, Some(&world.clouds[0]));
        flight(&world, &world.clouds[0]).of_lot(&lot)
    };
    let leaving = |status: &str| {
        json!([{"type": "Leaving", "status": status, "reason": "ReclaimAnnounced", "message": "soon",
            "lastTransitionTime": "2026-11-24T11:59:57Z"}])
    };
    assert_eq!((booting(json!([])), booting(leaving("False")), booting(leaving("True"))), (1, 1, 0));
}
