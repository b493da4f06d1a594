use broker::{experience::Waits, pilot::stamp, plan::JobClass};
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{Stores, watch::Objects},
    context::State,
    known::installation::Facts,
};

/// A pool with one VM that boots, on a cloud with one flavor of eight cores; changed by `change`.
pub fn world(change: impl FnOnce(&mut Value)) -> World {
    let mut value: Value = serde_json::from_str(include_str!("world.json")).unwrap();
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

/// A task queue of the VO with this number of jobs of one core.
pub fn queue(jobs: u64) -> TaskQueue {
    TaskQueue { id: 1, owner_group: "biomed_user".into(), jobs, cpu_time: 3600, ..TaskQueue::default() }
}

fn taken(change: impl FnOnce(&mut Value)) -> Snapshot {
    snapshot(&world(change), vec![queue(3)])
}

#[test]
fn a_world_is_written_as_it_was_read() {
    let text = include_str!("world.json");
    let written = serde_json::to_string_pretty(&world(|_| ())).unwrap();
    assert_eq!(written, text.trim_end());
}

#[test]
fn a_world_says_what_the_plan_asks() {
    let s = taken(|_| ());
    assert_eq!((s.vos.len(), s.pools.len(), s.clouds.len(), s.vms.len()), (1, 1, 1, 1));
    assert_eq!((s.pools[0].clouds.as_slice(), s.pools[0].max), (&["c".to_owned()][..], 10));
    assert_eq!((s.clouds[0].offerings[0].cores, s.quotas[0].left.vms), (8, Some(40)));
    assert_eq!((&s.vms[0].life, s.vms[0].age_seconds), (&Life::Booting { ready_in: 0 }, 60));
}

#[test]
fn a_vm_of_which_the_list_says_that_it_has_stopped_is_no_supply() {
    let life = |uid: &str| taken(|w| w["clouds"][0]["stopped"] = json!([uid])).vms[0].life.clone();
    assert_eq!((life("u"), life("another")), (Life::Ending, Life::Booting { ready_in: 0 }));
}

#[test]
fn a_cloud_that_cannot_be_used_or_goes_or_is_paused_is_left_out() {
    assert!(taken(|w| w["clouds"][0]["usable"] = json!(false)).clouds.is_empty());
    let at = json!("2026-11-24T00:00:00Z");
    assert!(taken(|w| w["clouds"][0]["object"]["metadata"]["deletionTimestamp"] = at).clouds.is_empty());
    let paused = json!({"diracgrid.org/paused": "true"});
    assert!(taken(|w| w["clouds"][0]["object"]["metadata"]["annotations"] = paused).clouds.is_empty());
}

#[test]
fn a_pool_that_is_deleted_makes_no_vms_and_its_vms_still_count() {
    let s = taken(|w| w["pools"][0]["metadata"]["deletionTimestamp"] = json!("2026-11-24T00:00:00Z"));
    assert_eq!((s.pools.len(), s.vms.len()), (0, 1));
}

#[test]
fn a_pool_whose_template_cannot_be_rendered_is_left_out() {
    assert!(taken(|w| w["unusableTemplates"] = json!(["cpu"])).pools.is_empty());
    let mut pool = (*world(|_| ()).pools[0]).clone();
    pool.spec.machine.user_data = Some("{{ nothing".to_owned());
    let stores = Stores { pools: Objects::of([pool]), ..Stores::default() };
    let key = Key { namespace: "demo".into(), name: "i".into() };
    let seen = World::of(&State { stores, ..State::default() }, &key, &Facts::default(), jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(seen.unusable_templates.into_iter().collect::<Vec<_>>(), ["cpu"]);
}

#[test]
fn a_vm_is_counted_by_the_quota_when_the_quota_was_read_after_its_launch() {
    let launched = |at: &'static str| move |w: &mut Value| w["vms"][0]["status"] = json!({"launchedAt": at});
    assert!(!taken(|_| ()).vms[0].counted);
    assert!(taken(launched("2026-11-24T11:58:00Z")).vms[0].counted);
    assert!(!taken(launched("2026-11-24T11:59:50Z")).vms[0].counted);
}

#[test]
fn each_offer_counts_against_its_own_class_of_quota_and_so_do_its_vms() {
    let s = taken(|w| {
        let cloud = &mut w["clouds"][0];
        let (offer, flavor) = (cloud["offers"]["offers"][0].clone(), cloud["offers"]["flavors"][0].clone());
        let class = cloud["headroom"][1]["classes"][0].clone();
        let mut with = |name: &str, class_name: &str| {
            let (mut offer, mut flavor) = (offer.clone(), flavor.clone());
            (offer["flavor"], offer["quota_class"], flavor["name"]) = (json!(name), json!(class_name), json!(name));
            cloud["offers"]["offers"].as_array_mut().unwrap().push(offer);
            cloud["offers"]["flavors"].as_array_mut().unwrap().push(flavor);
        };
        with("g1", "gpu");
        with("x1", "of which nothing is said");
        let mut gpu = class;
        (gpu["name"], gpu["vms"]["limit"]) = (json!("gpu"), json!(11));
        cloud["headroom"][1]["classes"].as_array_mut().unwrap().push(gpu);
        let mut vm = w["vms"][0].clone();
        (vm["metadata"]["name"], vm["spec"]["offering"]["flavor"]) = (json!("gpu-1"), json!("g1"));
        w["vms"].as_array_mut().unwrap().push(vm);
    });
    let classes: Vec<_> = s.clouds[0].offerings.iter().map(|o| (o.flavor.as_str(), o.quota)).collect();
    assert_eq!(classes, [("c8", Some(0)), ("g1", Some(1)), ("x1", None)]);
    assert_eq!(s.quotas.iter().map(|q| q.left.vms).collect::<Vec<_>>(), [Some(40), Some(1)]);
    assert_eq!(s.vms.iter().map(|vm| vm.offering.quota).collect::<Vec<_>>(), [Some(0), Some(1)]);
}

#[test]
fn the_older_vo_comes_first() {
    let s = taken(|w| {
        let mut younger = w["vos"][0].clone();
        younger["metadata"]["name"] = json!("a-young-one");
        younger["metadata"]["creationTimestamp"] = json!("2026-11-24T11:00:00Z");
        w["vos"].as_array_mut().unwrap().push(younger);
    });
    assert_eq!(s.vos.iter().map(|vo| vo.name.as_str()).collect::<Vec<_>>(), ["biomed", "a-young-one"]);
}

#[test]
fn the_order_in_which_objects_were_read_changes_nothing() {
    let two = |turned: bool| {
        move |w: &mut Value| {
            let mut other = w["vms"][0].clone();
            other["metadata"]["name"] = json!("cpu-0");
            let vms = w["vms"].as_array_mut().unwrap();
            vms.insert(usize::from(!turned), other);
        }
    };
    assert_eq!(taken(two(true)), taken(two(false)));
}

#[test]
fn a_pool_that_says_nothing_of_gpus_gets_flavors_without() {
    let said = |machine: Value| {
        let s = taken(|w| w["pools"][0]["spec"]["machine"]["requirements"] = machine);
        s.pools[0].requirements.gpus
    };
    assert_eq!(said(json!({"cores": {"min": 4}})), (None, Some(0)));
    assert_eq!(said(json!({"gpus": {"min": 1}})), (Some(1), None));
}

#[test]
fn the_bounds_of_a_pool_on_gpus_and_what_flavors_have_are_said_in_the_same_words() {
    let s = taken(|w| {
        w["pools"][0]["spec"]["machine"]["requirements"] = json!({"gpus": {"min": 1, "models": ["A100", "L4"],
            "vendor": "NVIDIA", "memoryGiB": {"min": 20}, "allowShares": true}});
        w["clouds"][0]["offers"]["flavors"][0]["gpu"] =
            json!({"thousandths": 250, "shared": false, "vendor": null, "model": "L4", "memory_mib": 6_144});
    });
    let asked = &s.pools[0].requirements;
    assert_eq!((asked.gpu_models.join(" "), asked.gpu_vendor.as_deref()), ("A100 L4".to_owned(), Some("NVIDIA")));
    assert_eq!((asked.gpu_memory_gib, asked.gpu_shares), ((Some(20), None), true));
    let has = &s.clouds[0].offerings[0];
    assert_eq!((has.gpus, has.gpu_model.as_deref(), has.gpu_vendor.as_deref()), (1, Some("L4"), Some("NVIDIA")));
    assert_eq!((has.gpu_memory_mib, has.gpu_share), (Some(6_144), true));
}

#[test]
fn a_pool_that_offers_the_tag_gpu_requires_it_unless_it_keeps_cores_for_each_gpu() {
    let pool = |matching: Value| {
        let s = taken(|w| {
            w["pools"][0]["spec"]["matching"].as_object_mut().unwrap().extend(matching.as_object().unwrap().clone());
        });
        (s.pools[0].required_tags.clone(), s.pools[0].gpu_cores)
    };
    let of = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    assert_eq!(pool(json!({"tags": ["SGX", "GPU"]})), (of(&["GPU"]), 0));
    assert_eq!(pool(json!({"tags": ["SGX", "GPU"], "requiredTags": ["SGX", "GPU"]})), (of(&["SGX", "GPU"]), 0));
    assert_eq!(pool(json!({"tags": ["GPU"], "coresPerGPU": 4})), (of(&[]), 4));
    assert_eq!(pool(json!({"tags": ["SGX"]})), (of(&[]), 0));
}

#[test]
fn a_cloud_without_the_image_for_gpus_is_none_of_the_pools() {
    let image = |w: &mut Value| w["pools"][0]["spec"]["machine"]["gpuImage"] = json!("cuda");
    let named = |w: &mut Value| w["clouds"][0]["object"]["spec"]["images"]["cuda"] = json!({"name": "CUDA"});
    let both = |found: bool| {
        let s = taken(|w| {
            image(w);
            named(w);
            if found {
                w["clouds"][0]["offers"]["images"]["cuda"] = json!({"id": "9", "arch": null, "min_disk_gib": 0});
            }
        });
        (s.pools[0].clouds.len(), s.pools[0].gpu_image.clone())
    };
    assert_eq!(both(false), (0, Some("cuda".to_owned())));
    assert_eq!(both(true), (1, Some("cuda".to_owned())));
}

/// A second cloud, with an OpenStack and this project.
fn two_clouds(w: &mut Value, projects: [&str; 2]) {
    let openstack =
        json!({"authUrl": "https://keystone.example.org/v3", "region": "R", "auth": {}, "network": {"name": "n"}});
    let mut other = w["clouds"][0].clone();
    other["object"]["metadata"]["name"] = json!("d");
    w["clouds"].as_array_mut().unwrap().push(other);
    for (i, project) in projects.into_iter().enumerate() {
        let object = &mut w["clouds"][i]["object"];
        object["spec"]["openstack"] = openstack.clone();
        object["spec"].as_object_mut().unwrap().remove("simulated");
        object["status"] = json!({"project": project, "conditions": []});
    }
}

#[test]
fn two_clouds_in_one_project_share_its_quota() {
    assert_eq!(taken(|w| two_clouds(w, ["p", "p"])).quotas.len(), 1);
    assert_eq!(taken(|w| two_clouds(w, ["p", "q"])).quotas.len(), 2);
}

#[test]
fn what_a_pool_says_of_its_scaling_is_in_the_snapshot() {
    let pool = |scaling: Value| {
        let s = taken(|w| {
            let said = w["pools"][0]["spec"]["scaling"].as_object_mut().unwrap();
            said.extend(scaling.as_object().unwrap().clone());
        });
        s.pools.into_iter().next().unwrap()
    };
    let said = pool(json!({"min": 2, "spare": 3, "maxWait": "30m", "borrow": "WhatIsFree"}));
    assert_eq!((said.max, said.min, said.spare, said.max_wait, said.borrows), (10, 2, 3, Some(1_800), true));
    let silent = pool(json!({}));
    assert_eq!((silent.min, silent.spare, silent.max_wait, silent.borrows), (0, 0, None, false));
    assert!(!pool(json!({"max": 0, "borrow": "WhatIsFree"})).borrows, "max: 0 drains the pool");
}

#[test]
fn a_pool_says_what_is_bought_first() {
    use broker::plan::Strategy;
    let strategy = |word: &str| taken(|w| w["pools"][0]["spec"]["strategy"] = json!(word)).pools[0].strategy;
    assert_eq!((strategy("Cheapest"), strategy("InOrder")), (Strategy::Cheapest, Strategy::InOrder));
}

#[test]
fn the_limits_of_the_site_and_of_the_installation_are_in_the_snapshot() {
    let s = taken(|w| {
        w["sites"][0]["spec"]["limits"] = json!({"cores": 800});
        w["installations"][0]["spec"]["limits"] = json!({"vms": 7, "ramGiB": 2});
    });
    assert_eq!(s.pools[0].site_limits.cores, Some(800));
    assert_eq!((s.limits.vms, s.limits.ram_mib), (Some(7), Some(2_048)));
}

#[test]
fn what_another_installation_holds_leaves_less_and_is_not_ours() {
    let world = |w: &mut Value| {
        let mut other = w["vms"][0].clone();
        other["metadata"]["name"] = json!("other-1");
        other["spec"]["installationRef"]["name"] = json!("j");
        w["vms"].as_array_mut().unwrap().push(other);
        w["clouds"][0]["object"]["spec"]["ceiling"] = json!({"vms": 3});
    };
    let s = taken(world);
    assert_eq!(s.vms.iter().map(|vm| vm.name.as_str()).collect::<Vec<_>>(), ["cpu-1"]);
    assert_eq!((s.clouds[0].others.vms, s.clouds[0].others.cores), (1, 8));
    assert_eq!(s.quotas[0].left.vms, Some(39), "its provider has not counted it yet");
    let counted = taken(|w| {
        world(w);
        w["vms"][1]["status"] = json!({"launchedAt": "2026-11-24T11:58:00Z"});
    });
    assert_eq!(counted.quotas[0].left.vms, Some(40));
    let many = Snapshot { queues: vec![queue(100)], ..s };
    assert_eq!(broker::plan::plan(&many).launches.len(), 1, "of three VMs one is theirs and one boots");
}

#[test]
fn what_a_vo_used_and_may_spend_is_in_the_snapshot() {
    use broker::experience::Unit;
    let with = |budget: Value, figures: Value| {
        taken(|w| {
            w["vos"][0]["spec"]["budget"] = budget;
            w["figures"] = figures;
        })
    };
    let money = json!({"amount": "5", "currency": "EUR", "period": "30d", "withoutPrice": "Free"});
    let figures = json!({"used": {"biomed": {"vms": 0, "cores": 7, "ram_mib": 9, "gpus": 1}}, "left": {"biomed": 1_250_000}, "lives": {"cpu": 5_400}});
    let s = with(money.clone(), figures);
    let budget = s.vos[0].budget.clone().unwrap();
    assert_eq!((budget.unit, budget.left, budget.period), (Unit::Money("EUR".into()), 1_250_000, 30 * 86_400));
    assert!(budget.unpriced_is_free);
    assert_eq!((s.vos[0].used.cores, s.pools[0].life_seconds), (7, 5_400));
    assert_eq!(s.clouds[0].currency.as_deref(), Some("EUR"), "that of the budgets, where the cloud says none");
    let unknown = with(money, json!({}));
    assert_eq!(unknown.vos[0].budget.as_ref().unwrap().left, 0, "what was not counted yet is not spent");
    assert_eq!(
        unknown.pools[0].life_seconds,
        86_400 + 20 * 60 + 5 * 60,
        "no VM has ended: it boots, runs a job and waits"
    );
    let hours = with(json!({"coreHours": 10, "period": "1d"}), json!({}));
    assert_eq!(
        (hours.vos[0].budget.as_ref().unwrap().unit.clone(), hours.clouds[0].currency.clone()),
        (Unit::CoreHours, None)
    );
}

#[test]
fn a_vm_with_free_cores_that_took_no_job_while_none_waited_is_supply_when_its_pilot_asks() {
    let reference = stamp::reference("u");
    let life = |waiting: &[Waits]| {
        let taken = taken(|w| {
            w["waiting"] = json!(waiting);
            w["vms"][0]["status"] = json!({"runningSince": "2026-11-24T11:00:00Z"});
            w["vms"][0]["spec"]["forJobs"] = json!([{"jobs": 1}]);
            w["rows"]["jobs"][&reference] = json!({
                "running": [{"job": 1, "since": "2026-11-24T11:41:00Z", "status": "Running"}],
                "took": 1, "changed": "2026-11-24T11:41:00Z"
            });
        });
        match &taken.vms[0].life {
            Life::Running { free, soon } => (free.cores, soon.iter().map(|s| s.in_seconds).collect::<Vec<_>>()),
            other => panic!("{other:?}"),
        }
    };
    let waits = |site: Option<&str>, since: &str| Waits {
        vo: "biomed".into(),
        class: JobClass { sites: site.map(str::to_owned).into_iter().collect(), ..JobClass::default() },
        since: format!("2026-11-24T{since}Z").parse().unwrap(),
    };
    // It asked at 11:54:45 and at 11:59:26, and asks at 12:04:47.
    assert_eq!(life(&[]), (0, vec![287]), "the first that waits");
    assert_eq!(life(&[waits(None, "11:59:30")]), (0, vec![287]));
    assert_eq!(life(&[waits(None, "11:59:00")]), (7, vec![]), "what it took half a minute ago may not be seen yet");
    assert_eq!(life(&[waits(None, "11:54:00")]), (0, vec![]), "it should have been taken");
    assert_eq!(life(&[waits(Some("CLOUD.Else.fr"), "11:54:00")]), (0, vec![287]), "that one could not run here");
}

#[test]
fn what_is_sold_as_spot_is_an_offering_of_its_own_with_what_was_taken_back_of_it() {
    let mut world = world(|w| {
        let offers = w["clouds"][0]["offers"]["offers"].as_array_mut().unwrap();
        let mut spot = offers[0].clone();
        (spot["purchase"], spot["price_micros"]) = (json!("Spot"), json!(30_000));
        offers.push(spot);
        w["clouds"][0]["object"]["spec"]["prices"] = json!([{"flavor": "c8", "perHour": "0.10"}]);
        w["pools"][0]["spec"]["machine"]["purchase"] = json!(["Spot", "OnDemand"]);
        w["vms"][0]["spec"]["offering"]["purchase"] = json!("Spot");
        w["vms"][0]["status"] = json!({"launchedAt": "2026-11-24T11:58:00Z"});
    });
    let handle = crate::known::cloud::Handle::default();
    let lot = |purchase| broker::experience::Lot {
        cloud: "c".into(),
        zone: None,
        flavor: "c8".into(),
        purchase,
        image: "any".into(),
    };
    handle.lived(&lot(Purchase::Spot), 3_600, true, world.now);
    world.clouds[0].bought = handle.learnt();
    let s = snapshot(&world, vec![queue(3)]);
    let said: Vec<_> =
        s.clouds[0].offerings.iter().map(|o| (o.purchase, o.price_micros, o.measured.reclaims)).collect();
    assert_eq!(said, [(Purchase::OnDemand, Some(100_000), None), (Purchase::Spot, Some(30_000), Some(48))]);
    assert_eq!(s.pools[0].purchase, [Purchase::Spot, Purchase::OnDemand]);
    assert_eq!(s.vms[0].offering.purchase, Purchase::Spot);
}

#[test]
fn jobs_that_were_planned_for_a_vm_that_is_announced_to_go_get_another_one_in_the_next_round() {
    let launches = |conditions: Value| {
        let world = world(|w| {
            w["vms"][0]["status"] = json!({"launchedAt": "2026-11-24T11:59:30Z", "conditions": conditions});
        });
        broker::plan::plan(&snapshot(&world, vec![queue(3)])).launches.len()
    };
    let leaving = |reason: &str| json!([{"type": "Leaving", "status": "True", "reason": reason, "message": "soon", "lastTransitionTime": "2026-11-24T11:59:40Z"}]);
    assert_eq!(launches(json!([])), 0, "the VM that boots has room for them");
    for reason in ["ReclaimAnnounced", "RebalanceAnnounced", "MaintenanceAnnounced"] {
        assert_eq!(launches(leaving(reason)), 1, "{reason}");
    }
}

/// The world's VM is wished in zone a and bought in zone b; as Spot.
fn bought_elsewhere(w: &mut Value) {
    w["vms"][0]["spec"]["offering"] = json!({"flavor": "c8", "zone": "a", "purchase": "Spot", "cores": 8, "ramMiB": 16384, "perHour": "0.10",
        "otherZones": [{"zone": "b", "perHour": "0.11"}, {"zone": "c", "perHour": "0.12"}]});
    w["vms"][0]["status"] = json!({"launchedAt": "2026-11-24T11:58:00Z", "bought": {"flavor": "c8", "zone": "b", "purchase": "Spot", "perHour": "0.11"}});
    let offer = |zone: &str| json!({"flavor": "c8", "zone": zone, "purchase": "Spot", "price_micros": 100_000, "quota_class": "project"});
    w["clouds"][0]["offers"]["offers"] = json!([offer("a"), offer("b")]);
    w["clouds"][0]["asksForAll"] = json!(true);
}

#[test]
fn a_vm_that_was_bought_in_another_zone_counts_there() {
    let s = taken(bought_elsewhere);
    let offering = &s.vms[0].offering;
    assert_eq!((offering.zone.as_deref(), offering.price_micros, offering.quota), (Some("b"), Some(110_000), Some(0)));
    assert!(s.clouds[0].asks_for_all);
    let unbought = taken(|w| {
        bought_elsewhere(w);
        w["vms"][0]["status"] = Value::Null;
    });
    let offering = &unbought.vms[0].offering;
    assert_eq!((offering.zone.as_deref(), offering.price_micros), (Some("a"), Some(100_000)));
}
