//! Layer `losses`: clouds, clusters and people that misbehave, with a real API server, a real DIRAC whose jobs run on the guests of a
//! real Nova, and by the records of those: no job is lost, no VM is deleted that works, and none is left.
//!
//! The operator reaches the API server and Nova through ways that fail as the test says. One set of systems serves all scenarios.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod losses {
    pub mod cell;
    pub mod hang;
    pub mod late;
    pub mod namespace;
    pub mod restore;
    pub mod scene;
}

use losses::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_clouds_clusters_and_people_misbehave() {
    let state = tempfile::tempdir().unwrap();
    let mut scene = Scene::start(state.path()).await;
    losses::cell::a_cell_that_is_away_twice_costs_no_job_and_no_vm(&mut scene).await;
    losses::late::a_post_that_is_carried_out_late_makes_no_second_vm(&mut scene).await;
    losses::hang::a_request_that_is_never_answered_stops_nobody(&mut scene).await;
    losses::restore::vms_that_a_restored_etcd_forgot_live_until_a_person_says_so(&mut scene).await;
    losses::namespace::a_namespace_that_goes_with_its_secrets_first_leaves_nothing(&mut scene).await;
}
