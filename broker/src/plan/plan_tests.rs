//! What the plan does, as sentences; and what it never does, as properties.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::demand::TaskQueue;

pub fn offering(flavor: &str, cores: u64, gpus: u64) -> Arc<Offering> {
    Arc::new(Offering {
        flavor: flavor.into(),
        cores,
        ram_mib: cores * 2048,
        gpus,
        price_micros: Some(cores * 10_000),
        quota: Some(0),
        ..Offering::default()
    })
}

pub fn queue(id: u64, group: &str, jobs: u64, tags: &[&str]) -> TaskQueue {
    let tags = tags.iter().map(|t| (*t).into()).collect();
    TaskQueue { id, owner_group: group.into(), jobs, cpu_time: 3_600, tags, ..TaskQueue::default() }
}

pub fn vo(name: &str) -> Vo {
    Vo { name: name.into(), groups: [format!("{name}_user")].into(), share: 1, ..Vo::default() }
}

pub fn pool(name: &str, vos: &[&str], flavors: &[&str], max: u64) -> Pool {
    let list = |l: &[&str]| l.iter().map(|x| (*x).into()).collect();
    Pool {
        name: name.into(),
        site: "CLOUD.Test.org".into(),
        ce: "ce".into(),
        vos: list(vos),
        clouds: vec!["here".into()],
        flavors: list(flavors),
        cpu_time: 86_400,
        max,
        ..Pool::default()
    }
}

pub fn cloud(name: &str, offerings: Vec<Arc<Offering>>) -> CloudState {
    CloudState { name: name.into(), offerings, ..CloudState::default() }
}

pub fn world(queues: Vec<TaskQueue>) -> Snapshot {
    Snapshot {
        queues,
        vos: vec![vo("biomed"), vo("enmr")],
        pools: vec![pool("cpu", &["biomed", "enmr"], &["c8"], 100)],
        clouds: vec![cloud("here", vec![offering("c8", 8, 0), offering("c2", 2, 0), offering("g1", 8, 1)])],
        quotas: vec![Quota { name: "cloud here".into(), ..Quota::default() }],
        ..Snapshot::default()
    }
}

pub fn vm(name: &str, life: Life) -> LiveVm {
    LiveVm {
        name: name.into(),
        pool: "cpu".into(),
        cloud: "here".into(),
        vo: "biomed".into(),
        offering: offering("c8", 8, 0),
        says: Arc::new(says(&pool("cpu", &[], &[], 0))),
        cpu_time: 86_400,
        life,
        counted: true,
        age_seconds: 60,
        ..LiveVm::default()
    }
}

pub fn boots() -> Life {
    Life::Booting { ready_in: 0 }
}

pub fn runs(cores: u64) -> Life {
    Life::Running { free: Free { cores, ram_mib: cores * 2048, gpus: 0, ..Free::default() }, soon: vec![] }
}

pub fn hold(flavor: &str, most: u64, reason: Reason) -> Hold {
    Hold { cloud: Some("here".into()), flavor: Some(flavor.into()), ..Hold::new(most, reason, "held for a while") }
}

#[test]
fn what_comes_to_nothing_in_a_pool_is_left_alone_there_and_bought_elsewhere() {
    let mut world = world(vec![queue(1, "biomed_user", 8, &[])]);
    world.holds = vec![Hold { pool: Some("cpu".into()), ..hold("c8", 0, Reason::VmsFail) }];
    let alone = plan(&world);
    assert_eq!(alone.launches, vec![]);
    assert_eq!((alone.unmet[0].reason, alone.unmet[0].pool.as_deref()), (Reason::VmsFail, Some("cpu")));
    world.pools.push(pool("other", &["biomed"], &["c8"], 100));
    assert_eq!(plan(&world).launches[0].pool.as_ref(), "other");
}

#[test]
fn a_vm_of_eight_cores_serves_eight_one_core_jobs() {
    let plan = plan(&world(vec![queue(1, "biomed_user", 17, &[])]));
    assert_eq!(plan.launches.iter().map(|l| l.jobs).collect::<Vec<_>>(), [8, 8, 1]);
    assert_eq!(plan.assigned["cpu"].new, 17);
}

#[test]
fn two_queues_that_match_the_same_pools_are_each_counted_once() {
    let mut world = world(vec![queue(1, "biomed_user", 8, &[]), queue(2, "biomed_user", 8, &[])]);
    world.pools.push(pool("cpu-too", &["biomed"], &["c8"], 100));
    assert_eq!(plan(&world).launches.len(), 2);
}

#[test]
fn a_booting_vm_counts_as_supply() {
    let mut world = world(vec![queue(1, "biomed_user", 8, &[])]);
    world.vms.push(vm("a", boots()));
    assert_eq!(plan(&world).launches, []);
    world.vms[0].life = Life::Ending;
    assert_eq!(plan(&world).launches.len(), 1);
}

#[test]
fn a_vm_of_one_vo_is_no_supply_for_another() {
    let mut world = world(vec![queue(1, "enmr_user", 8, &[])]);
    world.vms.push(vm("a", boots()));
    assert_eq!(plan(&world).launches.len(), 1);
}

#[test]
fn an_eight_core_job_needs_eight_free_cores_and_small_jobs_fill_what_is_left() {
    let mut world = world(vec![queue(1, "biomed_user", 1, &["8Processors", "MultiProcessor"])]);
    world.vms.push(vm("a", runs(7)));
    assert_eq!(plan(&world).launches.len(), 1);
    world.queues =
        vec![queue(1, "biomed_user", 2, &["4Processors", "MultiProcessor"]), queue(2, "biomed_user", 7, &[])];
    world.vms.clear();
    let plan = plan(&world);
    assert_eq!(plan.launches.len(), 2, "two of four cores fill one VM, seven more need another: {plan:?}");
}

#[test]
fn a_whole_node_job_gets_a_vm_of_its_own() {
    let mut world =
        world(vec![queue(1, "biomed_user", 2, &["WholeNode", "MultiProcessor"]), queue(2, "biomed_user", 1, &[])]);
    world.vms.push(vm("busy", runs(7)));
    let plan = plan(&world);
    assert_eq!(plan.launches.len(), 2, "the small job fits beside the busy one: {plan:?}");
}

#[test]
fn a_gpu_job_goes_to_the_pool_that_requires_the_tag_and_a_plain_one_never_does() {
    let mut world = world(vec![queue(1, "enmr_user", 1, &["GPU"]), queue(2, "enmr_user", 1, &[])]);
    let mut gpu = pool("gpu", &["enmr"], &["g1"], 4);
    gpu.tags = vec!["GPU".into()];
    gpu.required_tags = vec!["GPU".into()];
    world.pools.push(gpu);
    let plan = plan(&world);
    let made: BTreeMap<_, _> = plan.launches.iter().map(|l| (l.pool.as_ref(), l.offering.flavor.as_str())).collect();
    assert_eq!(made, BTreeMap::from([("cpu", "c8"), ("gpu", "g1")]));
}

#[test]
fn every_limit_binds_and_says_so() {
    type Change = fn(&mut Snapshot);
    let cases: [(Reason, Change); 5] = [
        (Reason::PoolMax, |w| w.pools[0].max = 1),
        (Reason::VoLimit, |w| w.vos[0].limits.cores = Some(15)),
        (Reason::CloudCeiling, |w| w.clouds[0].ceiling.vms = Some(1)),
        (Reason::CloudQuota, |w| w.quotas[0].left.ram_mib = Some(20_000)),
        (Reason::NoCapacity, |w| w.holds = vec![hold("c8", 1, Reason::NoCapacity)]),
    ];
    for (reason, change) in cases {
        let mut world = world(vec![queue(1, "biomed_user", 20, &[])]);
        change(&mut world);
        let plan = plan(&world);
        let made = 1;
        assert_eq!(plan.launches.len() as u64, made, "{reason}");
        assert_eq!((plan.unmet[0].reason, plan.unmet[0].jobs), (reason, 20 - 8 * made), "{:?}", plan.unmet);
    }
}

#[test]
fn a_refused_flavor_sends_the_demand_to_the_next() {
    let mut world = world(vec![queue(1, "biomed_user", 2, &[])]);
    world.pools[0].flavors = vec!["c8".into(), "c2".into()];
    world.holds = vec![hold("c8", 0, Reason::NoCapacity)];
    assert_eq!(plan(&world).launches[0].offering.flavor, "c2");
}

#[test]
fn demand_without_a_pool_says_what_is_in_the_way() {
    let mut world = world(vec![queue(1, "biomed_user", 3, &["SGX"]), queue(2, "strangers", 2, &[])]);
    let said = plan(&world);
    assert!(said.unmet[0].message.contains("SGX"), "{:?}", said.unmet);
    assert_eq!(said.unclaimed, BTreeMap::from([("strangers".to_owned(), 2)]));
    world.pools.clear();
    assert_eq!(plan(&world).unmet[0].reason, Reason::NoPool);
}

#[test]
fn vms_the_provider_has_not_counted_yet_use_up_its_headroom() {
    let mut world = world(vec![queue(1, "biomed_user", 30, &[])]);
    world.quotas[0].left.vms = Some(2);
    world.vms.push(LiveVm { counted: false, ..vm("a", boots()) });
    assert_eq!(plan(&world).launches.len(), 1);
}

#[test]
fn a_class_of_quota_that_is_used_up_leaves_the_others() {
    let mut world = world(vec![queue(1, "biomed_user", 30, &[])]);
    world.pools[0].flavors = vec!["c8".into(), "c2".into()];
    for offering in world.clouds[0].offerings.iter_mut().filter(|o| o.flavor == "c2") {
        Arc::make_mut(offering).quota = Some(1);
    }
    let class = |vms| Quota { name: "a class".into(), left: Limits { vms: Some(vms), ..Limits::default() } };
    world.quotas = vec![class(2), class(3)];
    let by_flavor =
        |w: &Snapshot, flavor: &str| plan(w).launches.iter().filter(|l| l.offering.flavor == flavor).count();
    assert_eq!((by_flavor(&world, "c8"), by_flavor(&world, "c2")), (2, 3));
    world.vms.push(LiveVm { counted: false, ..vm("a", Life::Ending) });
    assert_eq!((by_flavor(&world, "c8"), by_flavor(&world, "c2")), (1, 3), "a VM counts against its own class");
    world.quotas.truncate(1);
    assert!(by_flavor(&world, "c2") > 3, "a class of which nobody knows the bound has none");
}

#[test]
fn lowering_the_maximum_gives_back_what_boots_and_nothing_that_may_work() {
    let mut world = world(vec![]);
    world.pools[0].max = 0;
    world.vms = vec![vm("works", runs(0)), vm("boots", boots())];
    assert_eq!(plan(&world).surplus.iter().map(|s| s.vm.as_str()).collect::<Vec<_>>(), ["boots"]);
}

prop_compose! {
    fn any_queue()(id in 1_u64..500, group in 0..3_usize, jobs in 0_u64..60, tags in 0..5_usize, cpu in 0..2_usize) -> TaskQueue {
        let kinds: [&[&str]; 5] = [&[], &["GPU"], &["4Processors", "MultiProcessor"], &["WholeNode", "MultiProcessor"], &["SGX"]];
        let mut q = queue(id, ["biomed_user", "enmr_user", "strangers"][group], jobs, kinds[tags]);
        q.cpu_time = [3_600, 400_000][cpu];
        q
    }
}

prop_compose! {
    fn any_vm()(n in 0..1000, pool in 0..2_usize, vo in 0..2_usize, phase in 0..3_usize, free in 0_u64..9, counted: bool) -> LiveVm {
        LiveVm {
            name: format!("vm{n}"), pool: ["cpu", "gpu"][pool].into(), vo: ["biomed", "enmr"][vo].into(), counted,
            offering: [offering("c8", 8, 0), offering("g1", 8, 1)][pool].clone(),
            ..vm("", [boots(), runs(free), Life::Ending][phase].clone())
        }
    }
}

prop_compose! {
    pub fn any_world()(
        queues in prop::collection::vec(any_queue(), 0..12),
        vms in prop::collection::vec(any_vm(), 0..12),
        max in 0_u64..8, gpu_max in 0_u64..4, cores in prop::option::of(0_u64..80), ceiling in prop::option::of(0_u64..9),
        headroom in prop::option::of(0_u64..60), refused: bool, gpu_cores in 0_u64..4,
    ) -> Snapshot {
        let mut w = world(queues);
        w.pools[0].max = max;
        w.pools[0].flavors = vec!["c8".into(), "c2".into()];
        let mut gpu = pool("gpu", &["enmr"], &["g1"], gpu_max);
        gpu.tags = vec!["GPU".into()];
        // With cores kept for GPUs it takes plain jobs too.
        gpu.required_tags = if gpu_cores == 0 { vec!["GPU".into()] } else { vec![] };
        gpu.gpu_cores = gpu_cores;
        w.pools.push(gpu);
        w.vos[0].limits.cores = cores;
        w.clouds[0].ceiling.vms = ceiling;
        w.quotas[0].left.cores = headroom;
        if refused { w.holds = vec![hold("c8", 0, Reason::NoCapacity)]; }
        w.vms = vms;
        for vm in w.vms.iter_mut().filter(|vm| vm.pool == "gpu") {
            Arc::make_mut(&mut vm.offering).gpu_cores = gpu_cores;
        }
        w
    }
}

/// What the pilot of a launch says.
pub fn says_of(world: &Snapshot, launch: &Launch) -> Arc<Says> {
    let mut says = says(world.pools.iter().find(|p| *p.name == *launch.pool).unwrap());
    says.required_tags.extend(launch.pin.iter().map(|pin| pin.to_string()));
    Arc::new(says)
}

/// The world after the plan was carried out: its launches boot.
pub fn carried_out(world: &Snapshot, plan: &Plan) -> Snapshot {
    let mut after = world.clone();
    after.vms.extend(plan.launches.iter().enumerate().map(|(i, l)| LiveVm {
        name: format!("new{i}"),
        pool: l.pool.to_string(),
        cloud: l.cloud.to_string(),
        vo: l.vo.to_string(),
        offering: Arc::new(Offering {
            gpu_cores: world.pools.iter().find(|p| *p.name == *l.pool).unwrap().gpu_cores,
            ..(*l.offering).clone()
        }),
        says: says_of(world, l),
        cpu_time: l.cut.map_or(world.pools.iter().find(|p| *p.name == *l.pool).unwrap().cpu_time, |cut| cut.cpu_time),
        lease: l.lease.clone(),
        ..LiveVm::default()
    }));
    after
}

proptest! {
    #[test]
    fn every_job_is_counted_exactly_once(world in any_world()) {
        let plan = plan(&world);
        let waiting: u64 = world.queues.iter().map(|q| q.jobs).sum();
        let counted = plan.assigned.values().map(|a| a.all()).sum::<u64>() + plan.unmet.iter().map(|u| u.jobs).sum::<u64>() + plan.unclaimed.values().sum::<u64>();
        prop_assert_eq!(waiting, counted);
    }

    #[test]
    fn no_limit_is_passed_by_a_launch(world in any_world()) {
        let plan = plan(&world);
        let after = carried_out(&world, &plan);
        for pool in &world.pools {
            if plan.launches.iter().any(|l| *l.pool == *pool.name) {
                prop_assert!(after.vms.iter().filter(|v| v.pool == pool.name).count() as u64 <= pool.max);
            }
        }
        if let (Some(limit), true) = (world.vos[0].limits.cores, plan.launches.iter().any(|l| &*l.vo == "biomed")) {
            prop_assert!(after.vms.iter().filter(|v| v.vo == "biomed").map(|v| v.offering.cores).sum::<u64>() <= limit);
        }
        if !plan.launches.is_empty() {
            if let Some(limit) = world.clouds[0].ceiling.vms {
                prop_assert!(after.vms.len() as u64 <= limit);
            }
            if let Some(limit) = world.quotas[0].left.cores {
                prop_assert!(after.vms.iter().filter(|v| !v.counted).map(|v| v.offering.cores).sum::<u64>() <= limit);
            }
        }
    }

    #[test]
    fn the_order_of_the_queues_does_not_matter_and_the_same_world_gives_the_same_plan(world in any_world()) {
        let mut ids = std::collections::BTreeSet::new();
        let mut world = world;
        world.queues.retain(|q| ids.insert(q.id));
        let mut turned = world.clone();
        turned.queues.reverse();
        prop_assert_eq!(plan(&world), plan(&turned));
    }

    #[test]
    fn nothing_is_launched_without_demand_and_no_launch_is_idle(world in any_world()) {
        for launch in plan(&world).launches {
            prop_assert!(launch.jobs > 0);
        }
        let none = Snapshot { queues: vec![], ..world };
        prop_assert_eq!(plan(&none).launches, vec![]);
    }

    #[test]
    fn a_plan_carried_out_is_not_made_again(world in any_world()) {
        let first = plan(&world);
        let after = carried_out(&world, &first);
        prop_assert_eq!(plan(&after).launches, vec![]);
    }
}

#[test]
fn jobs_that_wait_for_any_cloud_are_of_a_pool_that_could_run_them() {
    // Pools that require tags come first where jobs are given to pools.
    let mut world = world(vec![queue(1, "biomed_user", 3, &[])]);
    let tags = vec!["GPU".to_owned()];
    let gpu = Pool { tags: tags.clone(), required_tags: tags, ..pool("gpu", &["biomed"], &["g1"], 9) };
    world.pools.insert(0, gpu);
    world.pools.iter_mut().for_each(|pool| pool.clouds.clear());
    let unmet = &plan(&world).unmet[0];
    assert_eq!((unmet.pool.as_deref(), unmet.reason), (Some("cpu"), Reason::NoOffering));
}
