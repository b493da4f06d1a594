//! `cargo xtask bench --clouds`: what a cloud that hangs and one that throttles cost a third, of another namespace.
//!
//! The operator as it is shipped, on a real API server; the three clouds are on paper (see `nova`). Launches, lists and deletions of the
//! third are timed alone, and again while 200 PilotVMs of each of the others wait for it: half of them have a VM, and a quarter are being
//! deleted.

use std::time::Duration;

use anyhow::Result;
use crds::PilotVM;
use futures::future::join_all;
use kube::{Api, api::DeleteParams};
use testbeds::{
    host::say::Step,
    systems::{controlplane::ControlPlane, operator::Operator},
};

use crate::{
    nova::{Mood, Site},
    third::{TIMED, create, manifest, timed, wait},
};

/// PilotVMs of each cloud that misbehaves.
const WAITING: usize = 200;

/// Measures, and prints its rows.
pub async fn measure() -> Result<()> {
    let step = Step::start("measuring one cloud beside two that misbehave (eight minutes)");
    let state = tempfile::tempdir()?;
    let plane = ControlPlane::start(&state.path().join("controlplane")).await?;
    let (mut operator, _) = Operator::install_and_start(&plane, &state.path().join("operator.log"), &[]).await?;
    let (third, hangs, throttles) = (Site::open().await?, Site::open().await?, Site::open().await?);
    plane.kubectl().apply(&manifest("third", &[("third", &third)]))?;
    let client = plane.client().await?;
    let (ours, theirs): (Api<PilotVM>, Api<PilotVM>) =
        (Api::namespaced(client.clone(), "third"), Api::namespaced(client, "others"));
    // The first launch waits for the offers to be read.
    timed(&ours, &third, "first", 1).await?;
    let alone = timed(&ours, &third, "alone", TIMED).await?;

    step.progress("two clouds with 200 PilotVMs each");
    plane.kubectl().apply(&manifest("others", &[("hangs", &hangs), ("throttles", &throttles)]))?;
    let others = [("hangs", &hangs, Mood::Hangs), ("throttles", &throttles, Mood::Throttles)];
    for (cloud, site, mood) in others {
        create(&theirs, cloud, "has", WAITING / 2).await?;
        wait("their VMs are made", || site.servers() >= WAITING / 2).await?;
        site.set(mood);
    }
    for (cloud, _, _) in others {
        create(&theirs, cloud, "waits", WAITING / 2).await?;
        join_all(
            (0..WAITING / 4).map(async |n| theirs.delete(&format!("{cloud}-has-{n}"), &DeleteParams::default()).await),
        )
        .await
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    let beside = timed(&ours, &third, "beside", TIMED).await?;
    alone.rows(&beside, "two clouds that misbehave")?;
    operator.process().kill();
    step.done();
    Ok(())
}
