use super::*;
use crate::{
    policy::Operator,
    run::run,
    scenario::{parse, small},
};

#[test]
fn what_vms_show_in_a_run_is_known_afterwards() {
    let more = "clouds: {c: {boot: 2m, firstMatch: 30s, power: 12.5}}";
    let loaded = parse("test", &small("jobs: 200", more)).unwrap();
    let mut operator = Operator::new(&loaded);
    run(&loaded, 1, &mut operator);
    let Measures { times, heard, .. } = &operator.measures;
    let lot = times.lots().next().unwrap();
    assert_eq!(times.power(lot), Some(1_250));
    assert!(times.success(lot) >= Some(99));
    let boot = times.boot(lot).unwrap();
    assert!((150..=170).contains(&boot.median), "from the order to the first job: {boot:?}");
    let fill = times.fill_milliseconds(lot).unwrap();
    assert!((20_000..=25_000).contains(&fill), "a cycle of the agent, as far as it is seen each ten seconds: {fill}");
    let (kind, _) = heard.0.first_key_value().unwrap();
    let runs = times.run_time(kind).unwrap();
    assert!((1_790..=1_830).contains(&runs.mean), "{runs:?}");
}

#[test]
fn of_two_classes_that_run_on_the_same_vms_nobody_knows_how_long_their_jobs_run() {
    let other = "arrivals:\n  - {group: biomed_user, jobs: 40, runTime: 5m, cpuTime: 24h}\n";
    let text = small("jobs: 40", "").replace("arrivals:\n", other);
    let loaded = parse("test", &text).unwrap();
    let mut operator = Operator::new(&loaded);
    run(&loaded, 1, &mut operator);
    let Measures { times, heard, .. } = &operator.measures;
    assert_eq!(heard.0.len(), 2);
    assert!(heard.0.keys().all(|kind| times.run_time(kind).is_none()));
}
