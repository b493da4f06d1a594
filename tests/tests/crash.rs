//! Layer `crash`: operators die anywhere, are told to stop anywhere, and lead two at a time, with a real API server, a real DIRAC whose
//! jobs run on the guests of a real Nova, and an EC2 for tests. By the records of Nova, EC2 and DIRAC no job is lost, no limit is passed,
//! no VM is made twice, none that works is taken away, and no secret is told.
//!
//! Five tracks run side by side over the same systems, for most of the time is spent waiting (`crash/world.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod crash {
    pub mod garbage;
    pub mod leaders;
    pub mod one;
    pub mod orders;
    pub mod points;
    pub mod provider;
    pub mod world;
}

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
};

use crash::{garbage, leaders, orders, points, world::World};
use testbeds::{
    host::{choice::is_chosen, process::interrupt},
    systems::{ec2::Instance, openstack::PROJECT},
};
use tokio::runtime::Handle;

#[tokio::test(flavor = "multi_thread")]
async fn operators_that_die_anywhere_lose_nothing_and_make_nothing_twice() {
    let state = tempfile::tempdir().unwrap();
    let world =
        World::start(state.path(), &[points::TRACK, points::AMAZON, orders::TRACK, orders::DOUBTS, leaders::TRACK])
            .await;
    let cluster = format!("dirac-cluster-{}", points::TRACK.cluster());
    let mut strangers = garbage::strangers(&world, &cluster).await;

    let on = Handle::current();
    let mut tracks: Vec<Track<'_>> = vec![Box::new(|| {
        on.block_on(leaders::jobs_survive_leaders_that_are_killed_and_two_that_lead_at_once(&world));
    })];
    if is_chosen("points", false) {
        tracks.push(Box::new(|| {
            on.block_on(points::killed_between_any_two_calls_it_ends_with_exactly_one_vm_and_row_or_none(&world));
        }));
    }
    if is_chosen("amazon", false) {
        tracks.push(Box::new(|| on.block_on(points::on_ec2_it_ends_with_exactly_one_instance_or_none(&world))));
    }
    if is_chosen("doubts", false) {
        tracks.push(Box::new(|| {
            on.block_on(orders::an_attempt_of_a_dead_operator_is_looked_for_before_another_is_made(&world));
        }));
    }
    if is_chosen("orders", false) {
        tracks.push(Box::new(|| on.block_on(orders::an_order_that_is_cut_off_makes_exactly_one_vm(&world))));
    }
    tokio::task::block_in_place(|| side_by_side(tracks));

    world.all_is_well();
    world.secrets_are_kept(&[]).await;
    world.nobody_panicked();
    let listed = world.real.openstack.servers(PROJECT).await.unwrap();
    let mut left: Vec<_> = listed.into_iter().map(|s| s.id).collect();
    left.sort();
    strangers.sort();
    assert_eq!(left, strangers, "the strangers have survived, and nothing else is there");
    let at_ec2 = world.real.ec2().unwrap().instances().await.unwrap();
    let alive: Vec<_> = at_ec2.into_iter().filter(Instance::lives).map(|one| one.id).collect();
    assert!(alive.is_empty(), "nobody pays for what is left at EC2: {alive:?}");
}

type Track<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Runs each track in a thread of its own, since it runs programs and waits for them. The first that fails ends the others.
fn side_by_side(tracks: Vec<Track<'_>>) {
    thread::scope(|scope| {
        for track in tracks {
            scope.spawn(|| {
                if let Err(failure) = catch_unwind(AssertUnwindSafe(track)) {
                    interrupt();
                    resume_unwind(failure);
                }
            });
        }
    });
}
