//! A POST that Nova carries out long after its connection broke.

use std::{collections::BTreeSet, time::Duration};

use testbeds::{host::until::until, real::FORTY, systems::openstack::lossy::Loss};

use super::scene::Scene;

const LATE: Duration = Duration::from_secs(90);

pub async fn a_post_that_is_carried_out_late_makes_no_second_vm(scene: &mut Scene) {
    let before = scene.history().len();
    scene.way.lose(&[Loss::Late(LATE)]);
    scene.real.submit(&FORTY[1], 1, 20).unwrap();
    let taken = async || if scene.way.left() == 0 { Ok(()) } else { Err("no server was asked for".to_owned()) };
    until("the POST's connection broke", Duration::from_secs(90), taken).await.unwrap();
    until("Nova carried it out", LATE * 2, async || {
        scene.all_is_well();
        if scene.way.delivered_late() == 1 { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await
    .unwrap();
    scene.jobs_end_and_nothing_is_left().await;
    // An order that is late for too long may be given up for that of another PilotVM. A second one of the same PilotVM is the twin of
    // one that may have a job.
    let history = scene.history();
    let made = &history[before..];
    let pilots: BTreeSet<&str> = made.iter().map(|life| life.reference().unwrap()).collect();
    assert_eq!(pilots.len(), made.len(), "two servers of one PilotVM: {made:?}");
    assert!((1..=2).contains(&made.len()), "{} servers for one job", made.len());
}
