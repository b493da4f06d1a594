use broker::experience::Times;

use super::*;
use crate::{
    policy::Operator,
    run::run,
    scenario::{parse, small},
};

/// What was measured, and the classes that were heard of.
fn known(operator: &Operator) -> (&Times, Vec<JobClass>) {
    let measures::Measures { times, heard, .. } = &operator.measures.0;
    (times, heard.all().map(|(vo, class)| JobClass::of(vo, class)).collect())
}

#[test]
fn what_vms_show_in_a_run_is_known_afterwards() {
    let more = "clouds: {c: {boot: 2m, firstMatch: 30s, power: 12.5}}";
    let loaded = parse("test", &small("jobs: 200", more)).unwrap();
    let mut operator = Operator::new(&loaded);
    run(&loaded, 1, &mut operator);
    let (times, classes) = known(&operator);
    let lot = times.lots().next().unwrap();
    assert_eq!(times.power(lot), Some(1_250));
    assert!(times.success(lot) >= Some(99));
    let boot = times.boot(lot).unwrap();
    assert!((150..=170).contains(&boot.median), "from the order to the first job: {boot:?}");
    let fill = times.fill_milliseconds(lot).unwrap();
    assert!((20_000..=25_000).contains(&fill), "a cycle of the agent, as far as it is seen each ten seconds: {fill}");
    let runs = times.run_time(&classes[0]).unwrap();
    assert!((1_790..=1_830).contains(&runs.mean), "{runs:?}");
}

#[test]
fn of_two_classes_that_run_on_the_same_vms_nobody_knows_how_long_their_jobs_run() {
    let other = "arrivals:\n  - {group: biomed_user, jobs: 40, runTime: 5m, cpuTime: 24h}\n";
    let text = small("jobs: 40", "").replace("arrivals:\n", other);
    let loaded = parse("test", &text).unwrap();
    let mut operator = Operator::new(&loaded);
    run(&loaded, 1, &mut operator);
    let (times, classes) = known(&operator);
    assert_eq!(classes.len(), 2);
    assert!(classes.iter().all(|class| times.run_time(class).is_none()));
}
