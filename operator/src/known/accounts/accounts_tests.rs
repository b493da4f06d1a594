use crds::organization::{BudgetStatus, Used, VirtualOrganizationStatus};
use serde_json::{Value, json};

use super::*;

/// A cent, in millionths.
const CENT: u64 = 10_000;
const HOUR: i64 = 3_600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn object<K: serde::de::DeserializeOwned>(name: &str, spec: Value, status: Value) -> Arc<K> {
    let metadata = json!({"name": name, "namespace": "n", "uid": format!("uid of {name}")});
    Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).unwrap())
}

fn vo(budget: Value, status: Option<VirtualOrganizationStatus>) -> Arc<VirtualOrganization> {
    let spec = json!({"installationRef": {"name": "i"}, "diracName": "v", "pilot": {"group": "g"}, "budget": budget});
    object("v", spec, json!(status))
}

/// A budget of this many euros a day.
fn euros(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR", "period": "1d"})
}

/// A VM of eight cores for ten cents an hour, launched at this second.
fn vm(name: &str, launched: Option<i64>) -> Arc<PilotVM> {
    let mut vm = PilotVM::new(name, crds::vm::PilotVMSpec::default());
    vm.metadata.uid = Some(format!("uid of {name}"));
    vm.spec.installation_ref.name = "i".into();
    (vm.spec.vo, vm.spec.pool_ref.name, vm.spec.cloud_ref.name) = ("v".into(), "p".into(), "c".into());
    vm.spec.offering.cores = 8;
    vm.spec.offering.per_hour = Some("0.10".parse().unwrap());
    vm.spec.max_cpu_time = crds::Duration::from_secs(3_600);
    let launched = launched.map(|second| k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(second)));
    vm.status = Some(crds::vm::PilotVMStatus { launched_at: launched, ..Default::default() });
    Arc::new(vm)
}

fn pool(status: Value) -> Arc<PilotPool> {
    let spec = json!({"siteRef": {"name": "s"}, "vos": ["v"], "clouds": [{"name": "c"}], "machine": {"flavors": ["c8"]},
        "matching": {"maxCpuTime": "24h"}, "scaling": {"max": 3}});
    object("p", spec, status)
}

fn round(accounts: &mut Accounts, vo: &Arc<VirtualOrganization>, vms: &[Arc<PilotVM>], second: i64) {
    let (vos, pools) = ([vo.clone()], [pool(json!(null))]);
    accounts.round(&Seen { installation: "i", vms, vos: &vos, pools: &pools, clouds: &[], now: at(second) });
}

/// The VO as its status was last written.
fn written_down(accounts: &Accounts, budget: Value) -> Arc<VirtualOrganization> {
    let used = accounts.used("v");
    let used = Used { cores: used.cores as i64, ram_gib: 0, gpus: 0 };
    let ledger = ledger(&accounts.told("v").unwrap().written);
    let budget_status = Some(BudgetStatus { ledger, ..BudgetStatus::default() });
    let status = VirtualOrganizationStatus { budget: budget_status, used: Some(used), ..Default::default() };
    vo(budget, Some(status))
}

#[test]
fn a_vm_is_reserved_when_it_is_there_costs_from_its_launch_and_is_settled_when_it_is_gone() {
    let (mut accounts, five) = (Accounts::default(), vo(euros("5"), None));
    round(&mut accounts, &five, &[], 0);
    assert_eq!(accounts.figures(at(0)).left["v"], 500 * CENT);
    round(&mut accounts, &five, &[vm("a", None)], 20);
    assert_eq!(accounts.figures(at(20)).left["v"], 490 * CENT, "an hour, as its manifest lets one expect");
    round(&mut accounts, &five, &[vm("a", Some(40))], 100);
    round(&mut accounts, &five, &[vm("a", Some(40))], 40 + 3 * HOUR);
    assert_eq!(accounts.figures(at(40 + 3 * HOUR)).left["v"], 470 * CENT, "it lives longer than was expected");
    let told = accounts.told("v").unwrap();
    assert_eq!((told.standing.spent, told.standing.accrued, told.unpriced), (0, 30 * CENT, 0));
    round(&mut accounts, &five, &[], 100 + 3 * HOUR);
    assert_eq!(accounts.figures(at(100 + 3 * HOUR)).left["v"], 469 * CENT);
    assert_eq!(accounts.life("p"), Some(3 * 3_600 + 60), "new ones are expected to live as long");
    round(&mut accounts, &five, &[vm("b", None)], 120 + 3 * HOUR);
    assert_eq!(accounts.figures(at(120 + 3 * HOUR)).left["v"], (469 - 31) * CENT);
}

#[test]
fn it_goes_on_after_a_restart_from_what_was_written_down() {
    let (mut accounts, budget) = (Accounts::default(), vo(euros("5"), None));
    round(&mut accounts, &budget, &[vm("a", Some(0)), vm("b", Some(0)), vm("c", Some(0))], 0);
    round(&mut accounts, &budget, &[vm("b", Some(0)), vm("c", Some(0))], HOUR);
    round(&mut accounts, &budget, &[vm("b", Some(0)), vm("c", Some(0))], 2 * HOUR);
    let later = written_down(&accounts, euros("5"));
    // One went in the moment of the crash, and nobody settled it.
    let mut again = Accounts::default();
    round(&mut again, &later, &[vm("c", Some(0))], 2 * HOUR + 30);
    let standing = again.told("v").unwrap().standing;
    assert_eq!((standing.spent, standing.accrued), (30 * CENT, 21 * CENT));
    assert_eq!(again.used("v").cores, accounts.used("v").cores);
}

#[test]
fn what_another_replica_wrote_down_meanwhile_counts_and_what_this_one_wrote_is_no_news() {
    let (mut first, mut second, none) = (Accounts::default(), Accounts::default(), vo(euros("5"), None));
    round(&mut first, &none, &[vm("a", Some(0))], 0);
    round(&mut second, &written_down(&first, euros("5")), &[vm("a", Some(0))], HOUR);
    round(&mut second, &none, &[], 2 * HOUR);
    let theirs = written_down(&second, euros("5"));
    round(&mut first, &theirs, &[], 3 * HOUR);
    assert_eq!(
        first.told("v").unwrap().standing.spent,
        20 * CENT,
        "and not until the third hour, when it looked again"
    );
    round(&mut first, &theirs, &[vm("b", Some(3 * HOUR))], 3 * HOUR + 20);
    round(&mut first, &theirs, &[], 4 * HOUR + 20);
    assert_eq!(first.figures(at(4 * HOUR + 20)).left["v"], (500 - 20 - 11) * CENT, "its own memory is newer");
}

#[test]
fn what_people_are_told_changes_once_a_minute_and_not_when_nothing_changed() {
    let (mut accounts, budget) = (Accounts::default(), vo(euros("5"), None));
    let told = |accounts: &Accounts| accounts.told("v").unwrap().written.at;
    round(&mut accounts, &budget, &[vm("a", Some(0))], 0);
    round(&mut accounts, &budget, &[vm("a", Some(0))], 50);
    assert_eq!(told(&accounts), at(0));
    round(&mut accounts, &budget, &[vm("a", Some(0))], 70);
    assert_eq!(told(&accounts), at(70));
    round(&mut accounts, &budget, &[], 80);
    round(&mut accounts, &budget, &[], 200);
    round(&mut accounts, &budget, &[], 900);
    assert_eq!(told(&accounts), at(200), "nothing is there that costs");
    round(&mut accounts, &vo(euros("9"), None), &[], 910);
    assert_eq!(accounts.told("v").unwrap().standing.left, 899 * CENT, "another sum is told at once");
}

#[test]
fn a_budget_in_core_hours_counts_cores_and_prices_of_another_currency_are_counted_apart() {
    let hours = vo(json!({"coreHours": 100, "period": "1d"}), None);
    let mut accounts = Accounts::default();
    round(&mut accounts, &hours, &[vm("a", Some(0))], 0);
    assert_eq!(accounts.figures(at(0)).left["v"], 92 * 3_600);
    let cloud = object::<Cloud>(
        "c",
        json!({"siteRef": {"name": "s"}, "currency": "CHF", "simulated": {"flavors": []}}),
        json!(null),
    );
    let (vos, vms) = ([vo(euros("5"), None)], [vm("a", Some(0))]);
    accounts.round(&Seen { installation: "i", vms: &vms, vos: &vos, pools: &[], clouds: &[cloud], now: at(100) });
    let told = accounts.told("v").unwrap();
    assert_eq!((told.standing.left, told.unpriced), (500 * CENT, 1));
}

#[test]
fn what_a_vo_holds_counts_as_used_and_other_installations_do_not() {
    let (mut accounts, none) = (Accounts::default(), vo(json!(null), None));
    let mut other = (*vm("b", Some(0))).clone();
    other.spec.installation_ref.name = "j".into();
    let vms = [vm("a", Some(0)), Arc::new(other)];
    for minute in 0..600 {
        round(&mut accounts, &none, &vms, minute * 60);
    }
    assert_eq!(accounts.used("v").cores, 8);
    assert!(accounts.told("v").is_none() && accounts.is_known());
}

#[test]
fn the_mean_life_is_taken_over_from_the_status_of_the_pool() {
    let mut accounts = Accounts::default();
    let (vos, pools) = ([vo(euros("5"), None)], [pool(json!({"lifeSeconds": 5_400, "conditions": []}))]);
    accounts.round(&Seen { installation: "i", vms: &[], vos: &vos, pools: &pools, clouds: &[], now: at(0) });
    assert_eq!(accounts.figures(at(0)).lives["p"], 5_400);
}

#[test]
fn a_vm_costs_what_it_costs_in_the_zone_where_it_was_bought() {
    let (mut accounts, five) = (Accounts::default(), vo(euros("5"), None));
    let vm = |bought: Option<&str>| {
        let mut vm = (*vm("a", bought.map(|_| 0))).clone();
        let other = crds::vm::OtherZone { zone: "b".into(), per_hour: "0.20".parse().ok() };
        (vm.spec.offering.zone, vm.spec.offering.other_zones) = (Some("a".into()), vec![other]);
        let status = vm.status.as_mut().unwrap();
        status.bought = bought.map(|zone| crds::vm::Bought { zone: Some(zone.into()), ..Default::default() });
        Arc::new(vm)
    };
    round(&mut accounts, &five, &[vm(None)], 0);
    assert_eq!(accounts.figures(at(0)).left["v"], 490 * CENT);
    round(&mut accounts, &five, &[vm(Some("b"))], 10);
    assert_eq!(accounts.figures(at(10)).left["v"], 480 * CENT);
    round(&mut accounts, &five, &[], HOUR);
    assert_eq!(accounts.figures(at(HOUR)).left["v"], 480 * CENT, "an hour of zone b");
}
