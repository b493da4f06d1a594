use broker::plan::{Assigned, Bound, Change, Offering, Reason};
use crds::{DiracInstallation, PilotPool, VirtualOrganization};

use super::*;
use crate::api::{Stores, watch::Objects};

fn in_demo<K: kube::Resource>(mut object: K) -> K {
    object.meta_mut().namespace = Some("demo".into());
    object
}

fn unmet(vo: &str, pool: Option<&str>, jobs: u64) -> Unmet {
    let message = "pool cpu (spec.scaling.max) leaves no room".to_owned();
    Unmet {
        vo: vo.into(),
        pool: pool.map(Into::into),
        jobs,
        reason: Reason::PoolMax,
        message: message.clone(),
        limits: vec![Bound { reason: Reason::PoolMax, message }],
        change: Some(Change {
            whose: "pool cpu (spec.scaling.max)".into(),
            reason: Reason::PoolMax,
            what: "VMs".into(),
            by: 1,
            starts: "one c8 on lyon".into(),
        }),
    }
}

fn launch(n: usize) -> Launch {
    Launch {
        pool: "cpu".into(),
        cloud: format!("cloud-{n}").as_str().into(),
        vo: "biomed".into(),
        offering: Arc::new(Offering { flavor: "c8".into(), ..Offering::default() }),
        others: Vec::new(),
        jobs: 8,
        lease: Vec::new(),
        cut: None,
        pin: None,
        reason: "jobs wait".into(),
    }
}

/// One installation with a round; another that has made none.
fn state(plan: Plan) -> State {
    let vo =
        |name: &str| in_demo(VirtualOrganization::new(name, crds::organization::VirtualOrganizationSpec::default()));
    let installation =
        |name: &str| in_demo(DiracInstallation::new(name, crds::installation::DiracInstallationSpec::default()));
    let stores = Stores {
        installations: Objects::of([installation("dirac"), installation("new")]),
        vos: Objects::of([vo("biomed"), vo("enmr")]),
        pools: Objects::of([in_demo(PilotPool::new("cpu", crds::pool::PilotPoolSpec::default()))]),
        ..Stores::default()
    };
    let state = State { stores, ..State::default() };
    let key = Key { namespace: "demo".into(), name: "dirac".into() };
    let round = Round { plan, jobs: 12, ..Round::default() };
    state.installations.get(&key).update(|f| f.round = Some(Arc::new(round)));
    state
}

fn some() -> Plan {
    Plan {
        launches: vec![launch(1), launch(1)],
        surplus: vec![Surplus { vm: "cpu-1".into(), reason: "nobody needs it".into() }],
        unmet: vec![unmet("biomed", Some("cpu"), 7), unmet("enmr", None, 5)],
        assigned: BTreeMap::from([("cpu".to_owned(), Assigned { running: 1, booting: 2, new: 16 })]),
        waiting: BTreeMap::from([("biomed".to_owned(), 26), ("enmr".to_owned(), 5)]),
        ..Plan::default()
    }
}

fn asked(query: &str) -> Asked {
    Asked::read(query, &["installation", "vo", "pool"]).unwrap()
}

#[test]
fn the_plan_of_each_installation_is_told_and_launches_that_are_alike_are_one() {
    let told = plan(&state(some()), &Asked::default());
    let [first, second] = told["installations"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!((&first["installation"], &first["vmsToMake"]), (&json!("demo/dirac"), &json!(2)));
    assert_eq!((&first["launches"][0]["vms"], &first["launches"][0]["jobs"]), (&json!(2), &json!(16)));
    assert_eq!((&first["giveBacks"][0]["vm"], &first["unmet"][0]["change"]["by"]), (&json!("cpu-1"), &json!(1)));
    assert_eq!(*second, json!({"installation": "demo/new", "planned": false}));
    let one = plan(&state(some()), &asked("installation=demo/new"));
    assert_eq!(one["installations"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_explained_is_that_of_the_vo_and_the_pool_that_are_asked_for() {
    let state = state(some());
    let jobs = |query: &str| explain(&state, &asked(query)).map(|told| told["installations"][0]["unmetJobs"].clone());
    assert_eq!(jobs(""), Some(json!(12)));
    assert_eq!(jobs("vo=biomed"), Some(json!(7)));
    assert_eq!(jobs("vo=demo%2Fenmr"), Some(json!(5)), "jobs that no pool takes belong to the VO alone");
    assert_eq!(jobs("pool=cpu"), Some(json!(7)));
    assert_eq!(jobs("vo=enmr&pool=cpu"), Some(json!(0)));
    assert_eq!((jobs("vo=nobody"), jobs("pool=other/cpu")), (None, None));
    let told = explain(&state, &asked("vo=biomed&pool=cpu")).unwrap();
    assert_eq!(told["installations"][0]["unmet"][0]["limits"][0]["reason"], "PoolMax");
    assert_eq!(told["installations"][0]["assigned"]["cpu"]["booting"], 2);
    assert_eq!(told["installations"][0]["waiting"], json!({"biomed": 26}));
}

#[test]
fn a_question_that_nobody_can_answer_is_told_how_to_ask() {
    let told = Asked::read("vo=a", &["installation"]).unwrap_err();
    assert!(told.contains("installation="), "{told}");
    assert!(Asked::read("vo=", &["vo"]).is_err() && Asked::read("", &["vo"]).is_ok());
}

#[test]
fn an_answer_is_bounded_whatever_the_plan_and_says_what_it_left_out() {
    let mut many = some();
    many.launches = (0..2_000).map(launch).collect();
    let long = |mut unmet: Unmet| {
        unmet.message = "é".repeat(10_000);
        unmet.limits = vec![Bound { reason: Reason::PoolMax, message: unmet.message.clone() }; 40];
        unmet
    };
    many.unmet = (0..2_000).map(|_| long(unmet("biomed", Some("cpu"), 1))).collect();
    let state = state(many);
    let told = plan(&state, &Asked::default());
    let first = &told["installations"][0];
    assert_eq!((&first["launchesLeftOut"], &first["unmetLeftOut"]), (&json!(1_750), &json!(1_750)));
    assert!(told.to_string().len() < 8 << 20, "{}", told.to_string().len());
    let explained = explain(&state, &asked("vo=biomed")).unwrap();
    assert_eq!(explained["installations"][0]["unmetJobs"], 2_000);
}
