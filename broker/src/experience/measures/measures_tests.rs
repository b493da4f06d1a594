use super::*;
use crate::cloud::Purchase;

fn lot() -> Lot {
    Lot { cloud: "c".into(), zone: None, flavor: "c8".into(), purchase: Purchase::OnDemand, image: "el9".into() }
}
fn class() -> JobClass {
    JobClass { vo: "biomed".into(), profile: "60 s".into() }
}
fn sight(uid: &str) -> Sight<'_> {
    let (came, boot, power) = (Some(true), Some(60), Some(1_000));
    Sight {
        uid: uid.into(),
        lot: lot(),
        came,
        boot,
        fill: Some((7, 70)),
        power,
        class: Some(class()),
        measured: 0,
        lately: &[],
    }
}

fn see(measures: &mut Measures, vm: &Sight<'_>) {
    measures.told.see(vm, &mut measures.times, Timestamp::UNIX_EPOCH);
}

#[test]
fn what_three_vms_took_is_known_and_one_vm_counts_once() {
    let mut measures = Measures::default();
    for _ in 0..3 {
        see(&mut measures, &sight("a"));
    }
    let times = &measures.times;
    assert_eq!((times.boot(&lot()), times.power(&lot()), times.fill_milliseconds(&lot())), (None, None, None));
    see(&mut measures, &sight("b"));
    see(&mut measures, &sight("c"));
    let times = &measures.times;
    assert_eq!(times.boot(&lot()).unwrap().median, 60);
    assert_eq!((times.power(&lot()), times.fill_milliseconds(&lot())), (Some(1_000), Some(10_000)));
}

#[test]
fn each_job_counts_once_and_those_of_unknown_class_never() {
    let mut measures = Measures::default();
    let mut after = |class: Option<JobClass>, lately: &[u64], measured: u64| {
        see(&mut measures, &Sight { class, measured, lately, ..sight("a") });
        measures.times.run_time(&self::class()).map(|ran| ran.mean)
    };
    assert_eq!(after(None, &[9; 9], 9), None);
    assert_eq!(after(Some(class()), &[9, 9, 9, 9, 9, 9, 9, 9, 9, 20, 20, 20, 20], 13), None);
    assert_eq!(after(Some(class()), &[20, 20, 20, 20], 13), None, "the same four");
    assert_eq!(after(Some(class()), &[20, 20, 20, 20, 20], 14), Some(20));
}

#[test]
fn a_vm_of_which_nobody_can_say_yet_is_told_when_it_is_known() {
    let mut measures = Measures::default();
    let mut after = |uid: &str, came: Option<bool>| {
        see(&mut measures, &Sight { came, ..sight(uid) });
        measures.times.success(&lot())
    };
    let both = [after("a", None), after("a", Some(false)), after("a", Some(false)), after("b", Some(true))];
    assert_eq!(both, [None; 4], "each is told once");
    assert_eq!(after("c", Some(true)), Some(85));
}
