//! Layer `losses`: clouds, clusters and people that misbehave, with a real API server, a real DIRAC whose jobs run on the guests of a
//! real Nova, and by the records of those: no job is lost, no VM is deleted that works, and none is left.
//!
//! The operator reaches the API server and Nova through ways that fail as the test says. One set of systems serves all scenarios.
//! `DIRAC_OPERATOR_TEST_SCENARIOS=cell,late` runs these alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod losses {
    pub mod cell;
    pub mod deleted;
    pub mod giveback;
    pub mod hang;
    pub mod hung;
    pub mod late;
    pub mod namespace;
    pub mod paused;
    pub mod pool;
    pub mod restore;
    pub mod scene;
    pub mod vanished;
}

use std::pin::Pin;

use losses::{cell, deleted, giveback, hang, hung, late, namespace, paused, restore, scene::Scene, vanished};
use testbeds::host::{choice::is_chosen, say::Step};

/// One scenario, on systems on which the others ran before.
type Scenario = fn(&mut Scene) -> Pin<Box<dyn Future<Output = ()> + '_>>;

/// Name, whether only `cargo xtask test --full` runs it, and what is done. The last takes the namespace away.
const SCENARIOS: [(&str, bool, Scenario); 10] = [
    ("cell", false, |s| Box::pin(cell::a_cell_that_is_away_twice_costs_no_job_and_no_vm(s))),
    ("late", true, |s| Box::pin(late::a_post_that_is_carried_out_late_makes_no_second_vm(s))),
    ("hang", true, |s| Box::pin(hang::a_request_that_is_never_answered_stops_nobody(s))),
    ("giveback", true, |s| Box::pin(giveback::a_give_back_that_meets_a_pilot_with_a_job_lets_it_live(s))),
    ("deleted", true, |s| Box::pin(deleted::what_is_deleted_goes_without_its_jobs_unless_a_person_says_so(s))),
    ("paused", true, |s| Box::pin(paused::where_a_person_asks_for_a_pause_nothing_is_made_or_taken_away(s))),
    ("hung", true, |s| Box::pin(hung::guests_that_hang_are_ended_and_replaced(s))),
    ("vanished", true, |s| {
        Box::pin(vanished::many_vms_that_go_at_once_are_not_believed_gone_until_a_person_says_so(s))
    }),
    ("restore", false, |s| Box::pin(restore::vms_that_a_restored_etcd_forgot_live_until_a_person_says_so(s))),
    ("namespace", false, |s| Box::pin(namespace::a_namespace_that_goes_with_its_secrets_first_leaves_nothing(s))),
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_clouds_clusters_and_people_misbehave() {
    let state = tempfile::tempdir().unwrap();
    let mut scene = Scene::start(state.path()).await;
    for (name, _, scenario) in SCENARIOS.iter().filter(|(name, is_long, _)| is_chosen(name, *is_long)) {
        let step = Step::start(format!("scenario {name}"));
        scenario(&mut scene).await;
        step.done();
    }
}
