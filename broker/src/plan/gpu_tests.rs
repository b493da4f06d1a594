//! Which GPUs are bought, and that each of them has one job at a time.

use std::sync::Arc;

use super::{tests::*, *};

/// A flavor with one GPU of this model and memory, for this price in hundredths.
fn gpu(flavor: &str, model: &str, gib: u64, cents: u64) -> Arc<Offering> {
    Arc::new(Offering {
        gpu_model: Some(model.into()),
        gpu_vendor: Some("NVIDIA".into()),
        gpu_memory_mib: Some(gib * 1_024),
        price_micros: Some(cents * 10_000),
        ..(*offering(flavor, 8, 1)).clone()
    })
}

/// One pool of GPU VMs on two clouds, and this many jobs with the tag GPU.
fn world_of_gpus(jobs: u64, models: &[&str], here: Vec<Arc<Offering>>, there: Vec<Arc<Offering>>) -> Snapshot {
    let mut w = world(vec![queue(1, "biomed_user", jobs, &["GPU"])]);
    w.clouds = vec![cloud("here", here), cloud("there", there)];
    w.pools = vec![Pool {
        tags: vec!["GPU".into()],
        required_tags: vec!["GPU".into()],
        clouds: vec!["here".into(), "there".into()],
        requirements: Requirements {
            gpus: (Some(1), None),
            gpu_models: models.iter().map(|model| (*model).to_owned()).collect(),
            ..Requirements::default()
        },
        ..pool("gpu", &["biomed"], &[], 100)
    }];
    w
}

/// The flavors that are bought, in the order in which they are.
fn bought(w: &Snapshot) -> Vec<String> {
    plan(w).launches.iter().map(|launch| launch.offering.flavor.clone()).collect()
}

#[test]
fn where_costs_are_alike_the_model_that_is_named_first_is_bought_and_the_next_when_it_has_no_room() {
    let offers = |a100: u64| (vec![gpu("l4", "L4", 22, 100)], vec![gpu("a100", "NVIDIA A100-SXM4-80GB", 80, a100)]);
    let world = |a100: u64, models: &[&str]| {
        let (here, there) = offers(a100);
        world_of_gpus(3, models, here, there)
    };
    assert_eq!(bought(&world(100, &["A100", "L4"])), ["a100"; 3], "the model comes before the order of clouds");
    assert_eq!(bought(&world(100, &["L4", "A100"])), ["l4"; 3]);
    assert_eq!(bought(&world(120, &["A100", "L4"])), ["l4"; 3], "it costs clearly more");
    assert_eq!(bought(&world(100, &["A100"])), ["a100"; 3]);
    assert_eq!(bought(&world(100, &["H100"])), [""; 0]);

    let mut full = world(100, &["A100", "L4"]);
    full.clouds[1].ceiling.gpus = Some(1);
    assert_eq!(bought(&full), ["a100", "l4", "l4"], "the others follow when the first has no room");
}

#[test]
fn in_order_the_model_that_is_named_first_is_bought_whatever_it_costs_and_of_one_model_the_cheapest() {
    let here = vec![gpu("l4", "L4", 22, 100)];
    let there = vec![gpu("a-large", "A100", 80, 900), gpu("b-small", "A100", 80, 400)];
    let mut w = world_of_gpus(2, &["A100", "L4"], here, there);
    w.pools[0].strategy = Strategy::InOrder;
    assert_eq!(bought(&w), ["b-small"; 2]);
    w.clouds[1].ceiling.vms = Some(1);
    assert_eq!(bought(&w), ["b-small", "l4"]);
}

#[test]
fn memory_vendor_and_whole_gpus_are_bounds() {
    let mut w = world_of_gpus(1, &[], vec![gpu("t4", "T4", 15, 50), gpu("l4", "L4", 22, 100)], vec![]);
    w.pools[0].requirements.gpu_memory_gib = (Some(20), None);
    assert_eq!(bought(&w), ["l4"]);
    w.pools[0].requirements.gpu_memory_gib = (None, Some(16));
    assert_eq!(bought(&w), ["t4"]);
    w.pools[0].requirements.gpu_vendor = Some("AMD".into());
    assert_eq!(bought(&w), [""; 0]);

    let mut w = world_of_gpus(1, &[], vec![gpu("quarter", "A100", 20, 30), gpu("whole", "A100", 80, 100)], vec![]);
    Arc::make_mut(&mut w.clouds[0].offerings[0]).gpu_share = true;
    assert_eq!(bought(&w), ["whole"], "a part of a GPU is not given to jobs unless the pool says so");
    w.pools[0].requirements.gpu_shares = true;
    assert_eq!(bought(&w), ["quarter"]);
}

#[test]
fn a_second_job_is_never_given_to_a_gpu_that_is_busy() {
    let two = Arc::new(Offering { gpus: 2, ..(*gpu("two", "A100", 80, 100)).clone() });
    let mut w = world_of_gpus(3, &[], vec![two.clone()], vec![]);
    assert_eq!(bought(&w), ["two"; 2], "two jobs on two GPUs, and not eight on eight cores");
    let runs = |cores, gpus| LiveVm {
        pool: "gpu".into(),
        offering: two.clone(),
        says: Arc::new(says(&w.pools[0])),
        ..vm("a", Life::Running { free: Free { cores, ram_mib: 16_384, gpus, ..Free::default() }, soon: vec![] })
    };
    let (one_free, busy) = (runs(4, 1), runs(8, 0));
    w.vms = vec![one_free];
    let with_one = plan(&w);
    assert_eq!((with_one.assigned["gpu"].running, with_one.launches.len()), (1, 1));
    w.vms = vec![busy];
    let with_none = plan(&w);
    assert_eq!(
        (with_none.assigned["gpu"].running, with_none.launches.len()),
        (0, 2),
        "its cores are free, its GPUs not"
    );
}

#[test]
fn where_cores_are_kept_for_gpus_the_others_take_plain_jobs() {
    let mut w = world_of_gpus(1, &[], vec![gpu("g", "A100", 80, 100)], vec![]);
    w.queues.push(queue(2, "biomed_user", 6, &[]));
    assert_eq!(plan(&w).launches.len(), 1);
    assert_eq!(plan(&w).unmet.iter().map(|unmet| unmet.jobs).sum::<u64>(), 6, "the tag is required");
    w.pools[0].required_tags.clear();
    w.pools[0].gpu_cores = 2;
    let made = plan(&w);
    assert_eq!((made.launches.len(), made.launches[0].jobs, made.unmet.len()), (1, 7, 0), "six beside the one");
    w.queues[1].jobs = 7;
    assert_eq!(plan(&w).launches.len(), 2, "the two cores of a GPU are not theirs");
}

#[test]
fn a_hold_on_the_image_for_gpus_holds_nothing_else() {
    let mut w = world_of_gpus(1, &[], vec![gpu("g", "A100", 80, 100), offering("c8", 8, 0)], vec![]);
    w.queues.push(queue(2, "biomed_user", 1, &[]));
    w.pools[0] =
        Pool { required_tags: vec![], gpu_image: Some("cuda".into()), image: "el9".into(), ..w.pools[0].clone() };
    w.pools[0].requirements.gpus = (None, None);
    let held = |image: &str| Hold { image: Some(image.into()), ..Hold::new(0, Reason::VmsFail, "held for a while") };
    w.holds = vec![held("cuda")];
    assert_eq!(bought(&w), ["c8"]);
    w.holds = vec![held("el9")];
    assert_eq!(bought(&w), ["g"; 2]);
}
