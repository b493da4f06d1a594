//! Worlds, and the conditions that they must show: no condition is green and wrong.

use std::sync::{Arc, atomic::Ordering};

use crds::{PilotVM, Reason};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::{cloud, demand, organization, pass::Pass, pool};
use crate::{
    api::watch::Objects,
    context::State,
    known::{
        brake::Standing,
        change::Change,
        frozen::{Frozen, What},
        installation::Round,
    },
    trouble::Trouble,
};

mod world;

pub use world::{World, key, object, twin, unmet, well};
use world::{answering, goes_before_orphans, goes_beside_another, listed_without, planned};

#[test]
fn every_world_shows_what_is_true_of_it() {
    const GONE: &str = "/metadata/deletionTimestamp";
    const LATER: &str = "2026-02-01T00:00:00Z";
    let gone = || json!("2026-01-02T00:00:00Z");
    let no_match = || vec![unmet("v", None, 49, "NoMatch", "no pool takes them: they need 16 processors")];
    let at_most = || vec![unmet("v", Some("p"), 7, "PoolMax", "pool p has its 3 VMs")];
    let held =
        || vec![unmet("v", Some("p"), 8, "Held", "no PilotVM is made while the pilots' rows are unknown: no answer")];
    let refuses = || vec![unmet("v", Some("p"), 8, "PilotVMsNotMade", "a PilotVM could not be made: denied")];
    let no_spare = |state: &State| {
        let why = (broker::plan::Reason::PilotVMsNotMade, "a PilotVM could not be made: denied".to_owned());
        planned(state, |round| drop(round.unmade.insert("p".to_owned(), why)));
    };
    let not_given_back = |state: &State| {
        planned(state, |round| drop(round.kept.insert("p".to_owned(), "no answer".to_owned())));
    };
    let lost = |state: &State| {
        let trouble = Trouble::new(Reason::Unreachable, "no answer");
        state.installations.get(&key("i")).update(|f| f.demand_unknown = Some(trouble));
    };
    let refused = |state: &State| {
        let error = broker::cloud::CloudError::Unauthorized("401".into());
        state.clouds.get(&key("c")).update(|f| f.refused = Some(error));
    };
    let whole = |state: &State| listed_without(state, &[]);
    let lacks = |state: &State| listed_without(state, &["p-1", "p-2"]);
    let many_lost = |state: &State| {
        listed_without(state, &["p-1", "p-2", "p-3", "p-4", "p-5", "p-6"]);
        let standing = Standing { doubtful: 6, is_frozen: true, ..Standing::default() };
        state.clouds.get(&key("c")).update(|f| f.frozen = vec![Frozen { what: What::Losses, standing, all: 40 }]);
    };
    let held_back = |state: &State| {
        let standing = Standing { doubtful: 7, is_frozen: true, ..Standing::default() };
        let change = Change { standing, all: 9, why: "pool p has more than 2 VMs (spec.scaling.max)".to_owned() };
        let frozen = [("p".to_owned(), change)].into();
        state.installations.get(&key("i")).update(|f| f.round = Some(Arc::new(Round { frozen, ..Round::default() })));
    };
    let said = json!({"conditions": [{"type": "Listed", "status": "False", "reason": "MissingFromLists", "message": "p-9 is missing",
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
    let left_out = |state: &State| {
        let offers = broker::cloud::Offers { left_out: vec!["m1: no disk".to_owned()], ..Default::default() };
        state.clouds.get(&key("c")).update(|f| f.offers = Some(Arc::new(offers)));
    };
    let openstack = json!({"siteRef": {"name": "s"}, "flavors": [{"name": "g", "gpus": {"count": 1}}], "openstack": {
        "authUrl": "https://keystone.example.org/v3", "region": "here", "configDrive": true, "rootVolumeGiB": 20,
        "project": {"id": "p"}, "auth": {"password": {"secretRef": {"name": "x"}}}}});
    let openstack = well().change("Cloud", "/spec", openstack);
    let external = json!({"external": {"matcher": "dips://dirac.org:9170/WorkloadManagement/Matcher",
        "pilotManager": "dips://dirac.org:9171/WorkloadManagement/PilotManager", "credentials": {"certificateSecretRef": {"name": "x"}, "group": "g"}}});
    let mut elsewhere = object("DiracInstallation", "i", external.clone());
    elsewhere["metadata"]["namespace"] = json!("a");
    elsewhere["metadata"]["creationTimestamp"] = json!("2025-01-01T00:00:00Z");
    let budget = json!({"amount": "5", "currency": "EUR", "period": "30d"});
    let with_budget = || well().change("VirtualOrganization", "/spec/budget", budget.clone());
    let queue = json!({"maxCpuTime": "24h", "ce": "ce.org", "queue": "long"});
    let mut pools = well().change("PilotPool", "/spec/matching", queue.clone());
    let mut second = twin("PilotPool", "a", LATER);
    second["spec"]["matching"] = queue;
    pools = pools.with(second);
    let table: Vec<(&str, World, &str, &str, &str, &str)> = vec![
        ("all is well", well(), "pool/p Ready", "True", "Ready", ""),
        ("all is well", well(), "pool/p DemandMet", "True", "Met", ""),
        ("all is well", well(), "vo/v DemandMet", "True", "Met", ""),
        ("all is well", well(), "cloud/c Ready", "True", "Ready", ""),
        ("all is well", well(), "installation/i Ready", "True", "Ready", ""),
        (
            "the installation is away",
            well().without("DiracInstallation"),
            "pool/p Ready",
            "False",
            "ReferenceMissing",
            "DiracInstallation \"i\"",
        ),
        (
            "the installation is away",
            well().without("DiracInstallation"),
            "pool/p DemandMet",
            "Unknown",
            "ReferenceMissing",
            "",
        ),
        (
            "the installation is away",
            well().without("DiracInstallation"),
            "vo/v DemandMet",
            "Unknown",
            "ReferenceMissing",
            "",
        ),
        (
            "the installation goes",
            well().change("DiracInstallation", GONE, gone()),
            "pool/p Ready",
            "False",
            "ReferenceMissing",
            "being deleted",
        ),
        (
            "the cloud goes",
            well().change("Cloud", GONE, gone()),
            "pool/p Ready",
            "False",
            "ReferenceMissing",
            "Cloud \"c\" is being deleted",
        ),
        ("the cloud goes", well().change("Cloud", GONE, gone()), "pool/p CloudUsable", "False", "NoUsableCloud", ""),
        (
            "the cloud goes",
            well().change("Cloud", GONE, gone()),
            "cloud/c Ready",
            "False",
            "Deleting",
            "until it is known which VMs",
        ),
        (
            "the cloud goes, and another lists the VMs that it lists",
            well().change("Cloud", GONE, gone()).knowing(goes_beside_another),
            "cloud/c Ready",
            "False",
            "Deleting",
            "deleted; waits for no VM",
        ),
        (
            "the cloud goes, and orphans are left there",
            well().change("Cloud", GONE, gone()).knowing(goes_before_orphans),
            "cloud/c Ready",
            "False",
            "Deleting",
            "waits for 2 VMs of ours that no other Cloud can delete",
        ),
        (
            "a pool keeps VMs",
            well().change(
                "PilotPool",
                "/spec/scaling",
                json!({"max": 3, "min": 1, "spare": 1, "borrow": "WhatIsFree"}),
            ),
            "pool/p Supported",
            "True",
            "Supported",
            "",
        ),
        ("a VO has a budget", with_budget(), "vo/v Supported", "True", "Supported", ""),
        ("a VO has a budget that nobody has counted yet", with_budget(), "vo/v Funded", "Unknown", "NotRead", ""),
        ("the cloud is away", well().without("Cloud"), "pool/p CloudUsable", "False", "NoUsableCloud", ""),
        ("the cloud is away", well().without("Cloud"), "pool/p DemandMet", "Unknown", "ReferenceMissing", ""),
        (
            "no VM is wanted",
            well().change("PilotPool", "/spec/scaling", json!({"max": 0})),
            "pool/p Ready",
            "False",
            "Draining",
            "max is 0",
        ),
        ("the pool goes", well().change("PilotPool", GONE, gone()), "pool/p Ready", "False", "Draining", "deleted"),
        (
            "a PilotVM cannot be read",
            well().with_unread(),
            "pool/p Readable",
            "False",
            "Malformed",
            "p-7: Missing field",
        ),
        ("a PilotVM cannot be read", well().with_unread(), "cloud/c Readable", "False", "Malformed", "1 PilotVMs"),
        ("nothing was listed", well(), "cloud/c Listed", "Unknown", "NotAsked", ""),
        (
            "a change is held back",
            well().knowing(held_back),
            "pool/p Frozen",
            "True",
            "MassChange",
            "7 of 9 VMs that run",
        ),
        (
            "a pool was scaled to 0, and a person is asked first",
            well().change("PilotPool", "/spec/scaling/max", json!(0)).knowing(held_back),
            "pool/p Ready",
            "False",
            "Draining",
            "stay until a person agrees: see the condition Frozen",
        ),
        (
            "a pool was scaled to 0",
            well().change("PilotPool", "/spec/scaling/max", json!(0)),
            "pool/p Ready",
            "False",
            "Draining",
            "go when their jobs are done",
        ),
        ("no change is held back", well(), "pool/p Frozen", "False", "NotFrozen", ""),
        ("the list is whole", well().knowing(whole), "cloud/c Listed", "True", "Listed", ""),
        ("the list is whole", well().knowing(whole), "cloud/c Frozen", "False", "NotFrozen", ""),
        (
            "the list lacks VMs",
            well().knowing(lacks),
            "cloud/c Listed",
            "False",
            "MissingFromLists",
            "2 of 40 VMs are missing from the provider's list, or their state in it is unknown, the first since 1970-01-01T00:00:00Z: p-1, p-2;",
        ),
        ("the list lacks VMs", well().knowing(lacks), "cloud/c Ready", "True", "Ready", ""),
        ("the list lacks VMs", well().knowing(lacks), "cloud/c Frozen", "False", "NotFrozen", ""),
        ("the list lacks many", well().knowing(many_lost), "cloud/c Frozen", "True", "MassLoss", "6 of 40 VMs"),
        (
            "the list lacks many",
            well().knowing(many_lost),
            "cloud/c Listed",
            "False",
            "MissingFromLists",
            "and 1 more;",
        ),
        (
            "VMs were missing when the operator started again",
            well().change("Cloud", "/status", said.clone()),
            "cloud/c Listed",
            "False",
            "MissingFromLists",
            "p-9",
        ),
        (
            "VMs that were missing are back",
            well().change("Cloud", "/status", said).knowing(whole),
            "cloud/c Listed",
            "True",
            "Listed",
            "",
        ),
        ("demand was never read", well().unread(), "pool/p DemandMet", "Unknown", "NotRead", ""),
        ("demand was never read", well().unread(), "vo/v DemandMet", "Unknown", "NotRead", ""),
        ("demand was never read", well().unread(), "installation/i Ready", "Unknown", "NotRead", ""),
        (
            "queues are odd",
            well().unreadable(2),
            "installation/i DemandRead",
            "True",
            "ReadInPart",
            "2 task queues cannot be read, and their jobs get no VM, for example task queue \"3\"",
        ),
        ("queues are odd", well().unreadable(1), "installation/i DemandMet", "Unknown", "ReadInPart", "1 task queue"),
        ("queues are odd", well().unreadable(1), "vo/v DemandMet", "Unknown", "ReadInPart", "its jobs get no VM"),
        (
            "queues are odd and no pool fits",
            well().unmet(no_match()).unreadable(1),
            "vo/v DemandMet",
            "False",
            "NoMatch",
            "49 waiting jobs",
        ),
        ("demand is lost", well().knowing(lost), "pool/p DemandMet", "Unknown", "DemandUnknown", "no answer"),
        ("demand is lost", well().knowing(lost), "installation/i DemandMet", "Unknown", "DemandUnknown", "no answer"),
        ("the pool is full", well().unmet(at_most()), "pool/p DemandMet", "False", "PoolMax", "7 waiting jobs"),
        (
            "no pool fits",
            well().unmet(no_match()),
            "vo/v DemandMet",
            "False",
            "NoMatch",
            "49 waiting jobs get no VM: no pool takes them",
        ),
        ("no pool fits", well().unmet(no_match()), "installation/i DemandMet", "False", "NoMatch", "16 processors"),
        ("no pool fits", well().unmet(no_match()), "pool/p DemandMet", "True", "Met", "given to the pool"),
        ("the rows are unknown", well().unmet(held()), "pool/p DemandMet", "False", "Held", "8 waiting jobs"),
        ("the rows are unknown", well().unmet(held()), "vo/v DemandMet", "False", "Held", "rows are unknown"),
        ("the rows are unknown", well().unmet(held()), "installation/i DemandMet", "False", "Held", ""),
        (
            "a webhook refuses",
            well().unmet(refuses()),
            "vo/v DemandMet",
            "False",
            "PilotVMsNotMade",
            "could not be made",
        ),
        (
            "a webhook refuses",
            well().unmet(refuses()),
            "pool/p DemandMet",
            "False",
            "PilotVMsNotMade",
            "could not be made",
        ),
        ("no spare VM is made", well().knowing(no_spare), "pool/p DemandMet", "False", "PilotVMsNotMade", "denied"),
        ("VMs are not given back", well().knowing(not_given_back), "pool/p DemandMet", "True", "Met", ""),
        (
            "a group has no VO",
            well().unclaimed(&["lonely"]),
            "installation/i DemandMet",
            "False",
            "GroupUnclaimed",
            "jobs of lonely get no VM",
        ),
        ("a group has no VO", well().unclaimed(&["lonely"]), "vo/v DemandMet", "True", "Met", ""),
        (
            "the credential is refused",
            well().knowing(refused),
            "cloud/c Reachable",
            "True",
            "Answers",
            "CredentialValid",
        ),
        ("the credential is refused", well().knowing(refused), "cloud/c Ready", "False", "Unauthorized", "401"),
        (
            "flavors are not sold",
            well().knowing(left_out),
            "cloud/c Resolved",
            "True",
            "Resolved",
            "not offered: m1: no disk",
        ),
        ("flavors are not sold", well().knowing(left_out), "cloud/c Ready", "True", "Ready", ""),
        ("all that OpenStack has is used", openstack, "cloud/c Supported", "True", "Supported", ""),
        (
            "a younger VO claims a group",
            well().with(twin("VirtualOrganization", "a", LATER)),
            "vo/v GroupsOwned",
            "True",
            "Owned",
            "",
        ),
        (
            "a younger VO claims a group",
            well().with(twin("VirtualOrganization", "a", LATER)),
            "vo/a GroupsOwned",
            "False",
            "GroupTaken",
            "\"v\"",
        ),
        (
            "two VOs have one name",
            well().with(twin("VirtualOrganization", "a", LATER)),
            "vo/a Resolved",
            "False",
            "DuplicateName",
            "\"v\" has the diracName \"biomed\"",
        ),
        (
            "two VOs have one name",
            well().with(twin("VirtualOrganization", "a", LATER)),
            "vo/v Ready",
            "True",
            "Ready",
            "",
        ),
        (
            "two sites have one name",
            well().with(twin("Site", "a", LATER)),
            "site/a Ready",
            "False",
            "DuplicateName",
            "CLOUD.A.org",
        ),
        ("two sites have one name", well().with(twin("Site", "a", LATER)), "site/s Ready", "True", "Ready", ""),
        ("two pools have one queue", pools, "pool/a Resolved", "False", "DuplicateName", "PilotPool \"p\""),
        (
            "two installations read one DIRAC",
            well().change("DiracInstallation", "/spec", external).with(elsewhere),
            "installation/i Resolved",
            "False",
            "DuplicateName",
            "\"a/i\"",
        ),
    ];
    for (name, world, what, status, reason, part) in table {
        let said = world.says(what);
        assert_eq!((said.0.as_str(), said.1.as_str()), (status, reason), "{name}: {what} says {:?}", said.2);
        assert!(said.2.contains(part), "{name}: {what} says {:?}", said.2);
    }
}

#[test]
fn jobs_that_a_full_pool_does_not_take_wait_for_it() {
    let unmet = vec![unmet("v", Some("p"), 7, "PoolMax", "pool p has its 3 VMs")];
    let state = well().unmet(unmet).state();
    let pass = Pass::of(&state, Timestamp::UNIX_EPOCH);
    let status = pool::status(&pass, &state.stores.pools.get(&key("p")).unwrap());
    assert_eq!((status.waiting_jobs, status.unmet.len()), (7, 1));
    let vo = organization::status(&pass, &state.stores.vos.get(&key("v")).unwrap());
    assert_eq!((vo.waiting_jobs, vo.unmet[0].jobs), (7, 7));
}

#[test]
fn numbers_that_were_not_read_since_the_start_stay_as_they_were() {
    let world = well().unread().change("PilotPool", "/status", json!({"waitingJobs": 12, "conditions": []}));
    let state = world.state();
    let pass = Pass::of(&state, Timestamp::UNIX_EPOCH);
    assert_eq!(pool::status(&pass, &state.stores.pools.get(&key("p")).unwrap()).waiting_jobs, 12);
    assert!(demand::known(pass.installation(&key("i"))).is_err());
}

#[test]
fn what_was_refused_before_the_start_stays_written_until_it_is_known_again() {
    let pause = json!({"since": "2026-11-24T12:00:00Z", "nextTry": "2026-11-24T12:10:00Z", "inARow": 3, "pauses": 1});
    let bought = |more: Value| {
        let mut entry = json!({"flavor": "c8", "purchase": "OnDemand", "image": "el9"});
        for part in [&pause, &more] {
            entry.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        }
        entry
    };
    let refusal = bought(json!({"reach": "Offering"}));
    let refusal =
        Value::Object(refusal.as_object().unwrap().clone().into_iter().filter(|(k, _)| k != "image").collect());
    let breaker = bought(json!({"cameTo": "JobsDied", "vo": "v", "jobs": "8 cores", "cloud": "c"}));
    let world = well()
        .change("Cloud", "/status", json!({"conditions": [], "refusals": [refusal], "silent": [bought(json!({}))]}))
        .change("PilotPool", "/status", json!({"conditions": [], "waitingJobs": 0, "breakers": [breaker]}));
    let state = world.state();
    let pass = Pass::of(&state, Timestamp::UNIX_EPOCH);
    let (cloud, pool) = (state.stores.clouds.get(&key("c")).unwrap(), state.stores.pools.get(&key("p")).unwrap());
    let says = || (json!(cloud::status(&pass, &cloud)), json!(pool::status(&pass, &pool)));
    let (of_cloud, of_pool) = says();
    assert_eq!((&of_cloud["refusals"], &of_cloud["silent"]), (&json!([refusal]), &json!([bought(json!({}))])));
    assert_eq!(of_pool["breakers"], json!([breaker]));
    state.clouds.get(&key("c")).remember(&cloud, "2026-11-24T12:05:00Z".parse().unwrap());
    assert_eq!(says(), (of_cloud, of_pool), "it is what is known now");
    state.lessons.with(|all| all.insert(key("i"), broker::experience::Lessons::default()));
    assert_eq!(says().1["breakers"], Value::Null, "nothing is open any more");
}

#[test]
fn a_pass_over_500_pools_looks_at_each_of_20_000_vms_once() {
    let mut world = well().without("PilotPool");
    for n in 0..500 {
        world = world.with(twin("PilotPool", &format!("p{n}"), "2026-01-01T00:00:00Z"));
    }
    let vm = |n: usize| {
        let mut vm = PilotVM::new(&format!("p{}-{n}", n % 500), crds::vm::PilotVMSpec::default());
        vm.metadata.namespace = Some("n".into());
        vm.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        vm.spec.pool_ref.name = format!("p{}", n % 500);
        vm
    };
    let mut state = world.state();
    state.stores.vms = Objects::of((0..20_000).map(vm));
    let pass = Pass::of(&state, Timestamp::UNIX_EPOCH);
    let pools = state.stores.pools.all();
    let vms: i64 = pools.iter().map(|p| pool::status(&pass, p).vms).sum();
    for object in state.stores.clouds.all() {
        cloud::status(&pass, &object);
    }
    assert_eq!(vms, 20_000);
    assert_eq!(state.stores.vms.looks.load(Ordering::Relaxed), 20_000, "each VM is looked at once");
    assert_eq!(state.stores.pools.looks.load(Ordering::Relaxed), 1_000, "each pool once for the pass, once to be told");
}

/// A CE and no queue: each flavor has a queue of its own.
#[test]
fn pools_that_share_a_ce_are_duplicates_only_where_they_share_a_queue() {
    let reason = |first: Value, second: Value| {
        let spec = |machine: &Value, matching: &Value| {
            json!({"siteRef": {"name": "s"}, "vos": ["v"], "clouds": [{"name": "c"}],
            "machine": machine, "matching": matching, "scaling": {"max": 3}})
        };
        let part = |said: &Value| {
            let queue =
                said["queue"].as_str().map(|queue| json!({"maxCpuTime": "24h", "ce": "ce.org", "queue": queue}));
            let mut machine = said.clone();
            machine.as_object_mut().unwrap().remove("queue");
            machine["image"] = json!("default");
            spec(&machine, &queue.unwrap_or(json!({"maxCpuTime": "24h", "ce": "ce.org"})))
        };
        let flavor = |name: &str, gpus: u64| json!({"name": name, "cores": 8, "ramMiB": 16384, "gpus": gpus});
        let status =
            json!({"conditions": [], "flavors": [flavor("m1", 0), flavor("m2", 0), flavor("m3", 0), flavor("g1", 1)]});
        let mut other = twin("PilotPool", "a", "2026-02-01T00:00:00Z");
        other["spec"] = part(&second);
        let offered = |state: &State| {
            answering(state);
            let flavor = |name: &str| broker::cloud::Flavor { name: name.into(), ..Default::default() };
            let flavors = ["m1", "m2", "m3", "g1"].map(flavor).to_vec();
            let offers = broker::cloud::Offers { flavors, ..Default::default() };
            state.clouds.get(&key("c")).update(|f| f.offers = Some(Arc::new(offers)));
        };
        let world = well().change("PilotPool", "/spec", part(&first)).change("Cloud", "/status", status).with(other);
        world.knowing(offered).says("pool/a Resolved").1
    };
    let flavors = |names: &[&str]| json!({"flavors": names});
    let gpus = |bound: &str, n: u64| json!({"requirements": {"gpus": {bound: n}}});
    let duplicate = "DuplicateName";
    assert_ne!(reason(flavors(&["m1"]), flavors(&["m2"])), duplicate);
    assert_eq!(reason(flavors(&["m1", "m2"]), flavors(&["m2", "m3"])), duplicate);
    assert_ne!(reason(gpus("max", 0), gpus("min", 1)), duplicate, "they may buy nothing that both take");
    assert_eq!(reason(gpus("max", 0), gpus("min", 0)), duplicate);
    assert_eq!(reason(gpus("max", 0), flavors(&["m1"])), duplicate);
    assert_eq!(reason(json!({"flavors": ["m1"], "queue": "m2"}), flavors(&["m2"])), duplicate);
    assert_ne!(
        reason(json!({"flavors": ["m1"], "queue": "long"}), json!({"flavors": ["m1"], "queue": "short"})),
        duplicate
    );
}
