//! What jobs take of a VM, by the tags that DIRAC makes of what they ask for.

use super::*;

fn need(tags: &[&str]) -> Need {
    Need::of(&JobClass { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), ..JobClass::default() })
}
fn vm(cores: u64, ram_mib: u64, gpus: u64) -> Free {
    Free { cores, ram_mib, gpus, ..Free::default() }
}
/// How many such jobs a whole VM with these cores takes.
fn on(cores: u64, tags: &[&str]) -> u64 {
    let all = vm(cores, 1 << 20, 0);
    need(tags).slots(all, all)
}

#[test]
fn a_number_of_processors_is_read_as_dirac_writes_it() {
    let cases = [
        ("8Processors", Some(8)),
        ("1024processors", Some(1_024)),
        ("08Processors", None),
        ("0Processors", None),
        ("Processors", None),
        ("8Processors too", None),
        ("MultiProcessor", None),
    ];
    for (tag, cores) in cases {
        assert_eq!(processors(tag), cores, "{tag}");
        assert_eq!(is_of_size(tag), cores.is_some() || tag == "MultiProcessor", "{tag}");
    }
    assert!(is_of_size("WholeNode") && !is_of_size("GPU"));
}

#[test]
fn jobs_run_side_by_side_as_far_as_cores_memory_and_gpus_go() {
    assert_eq!((on(8, &[]), on(8, &["4Processors"]), on(8, &["5Processors"]), on(4, &["5Processors"])), (8, 2, 1, 0));
    let gib = |ram_mib, tags: &[&str]| Need { ram_mib, ..need(tags) };
    let all = vm(8, 16_384, 2);
    assert_eq!((gib(4_096, &[]).slots(all, all), gib(16_384, &[]).slots(all, all)), (4, 1));
    assert_eq!(gib(16_385, &[]).slots(all, all), 0);
    assert_eq!(need(&["GPU"]).slots(all, all), 2);
    assert_eq!(need(&["GPU"]).slots(all, vm(8, 16_384, 0)), 0, "others have its GPUs");
    assert_eq!(need(&["GPU"]).slots(vm(8, 16_384, 0), vm(8, 16_384, 0)), 8, "nobody says that it has any");
}

#[test]
fn what_has_room_for_a_job_has_its_cores_and_its_memory() {
    let two = Need { ram_mib: 100, ..need(&["2Processors", "GPU"]) };
    assert!(two.may_fit(vm(2, 100, 0)) && !two.may_fit(vm(1, 100, 9)) && !two.may_fit(vm(2, 99, 9)));
    assert_eq!(vm(8, 100, 1).or(vm(2, 400, 3)), vm(8, 400, 3));
}

#[test]
fn a_job_for_the_whole_vm_has_room_only_where_no_other_job_runs() {
    let all = vm(8, 16_384, 0);
    assert_eq!((need(&["WholeNode"]).slots(all, all), need(&["WholeNode"]).slots(all, vm(7, 14_336, 0))), (1, 0));
    assert_eq!((need(&["WholeNode"]).times(all, 1), need(&["WholeNode"]).times(all, 0)), (all, Free::default()));
}

#[test]
fn a_vm_of_one_core_offers_no_multi_processor_and_beyond_1024_cores_dirac_makes_no_tag_of_their_number() {
    assert_eq!((on(1, &["MultiProcessor"]), on(2, &["MultiProcessor"])), (0, 2));
    assert_eq!((on(1_024, &["2Processors"]), on(1_025, &["2Processors"]), on(1_025, &[])), (512, 0, 1_025));
}

#[test]
fn what_jobs_take_grows_with_their_number() {
    let need = Need { ram_mib: 100, ..need(&["2Processors", "GPU"]) };
    assert_eq!(need.times(vm(8, 1_000, 4), 3), vm(6, 750, 3), "with each GPU goes a quarter of the VM");
    assert_eq!(need.times(vm(8, 1_000, 0), 3), vm(6, 300, 0), "GPUs of which nobody knows are not counted");
}

#[test]
fn a_gpu_has_one_job_at_a_time_and_its_part_of_the_vm_goes_with_it() {
    let (gpu, two) = (need(&["GPU"]), vm(16, 65_536, 2));
    assert_eq!(gpu.slots(two, two), 2, "one for each GPU, and not one for each core");
    let one_runs = two.less(gpu.times(two, 1));
    assert_eq!((one_runs, gpu.slots(two, one_runs)), (vm(8, 32_768, 1), 1));
    assert_eq!(gpu.slots(two, one_runs.less(gpu.times(two, 1))), 0, "both GPUs are busy");
    assert_eq!(gpu.slots(vm(2, 1_024, 8), vm(2, 1_024, 8)), 2, "each job has a core");

    let of = |tags: &[&str]| need(tags).slots(two, two);
    assert_eq!((of(&["GPU", "8Processors", "MultiProcessor"]), of(&["GPU", "9Processors", "MultiProcessor"])), (2, 0));
    assert_eq!(Need { ram_mib: 32_769, ..gpu }.slots(two, two), 0, "the other GPU's memory is not its own");
    let one = vm(8, 16_384, 1);
    assert_eq!((need(&["GPU", "WholeNode"]).slots(one, one), of(&["GPU", "WholeNode"])), (1, 0));
}

#[test]
fn cores_that_are_not_kept_for_gpus_take_jobs_without_one() {
    let full = Free { gpu_cores: 4, ..vm(16, 65_536, 2) };
    let (plain, gpu) = (need(&[]), need(&["GPU"]));
    assert_eq!((plain.slots(full, full), gpu.slots(full, full)), (8, 2));
    let gpus_busy = full.less(gpu.times(full, 2));
    assert_eq!((plain.slots(full, gpus_busy), gpu.slots(full, gpus_busy)), (8, 0), "busy GPUs keep their cores");
    let cores_busy = full.less(plain.times(full, 8));
    assert_eq!((plain.slots(full, cores_busy), gpu.slots(full, cores_busy)), (0, 2), "and free GPUs theirs");
    assert_eq!(need(&["GPU", "5Processors", "MultiProcessor"]).slots(full, full), 0);
    assert_eq!((need(&["9Processors"]).slots(full, full), need(&["WholeNode"]).slots(full, full)), (0, 0));
    assert_eq!(Need { ram_mib: 8_192, ..plain }.slots(full, full), 4, "half of the memory is the GPUs'");
    let all = Free { gpu_cores: 64, ..vm(16, 65_536, 2) };
    assert_eq!((plain.slots(all, all), gpu.slots(all, all)), (0, 2), "no more than there is");
}

#[test]
fn vms_are_kept_for_jobs_of_several_cores_and_never_for_those_of_one() {
    assert_eq!(need(&["8Processors"]).pin(), Some(Pin::Processors(8)));
    assert_eq!(need(&["8Processors", "WholeNode"]).pin(), Some(Pin::WholeNode));
    assert_eq!((need(&["1Processors"]).pin(), need(&["MultiProcessor"]).pin(), need(&[]).pin()), (None, None, None));
    assert_eq!(
        (Pin::WholeNode.to_string(), Pin::Processors(8).to_string()),
        ("WholeNode".into(), "8Processors".into())
    );
}
