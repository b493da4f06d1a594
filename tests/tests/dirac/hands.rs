//! What several of these tests do: a pilot's row is made, jobs get into task queues, the pilot runs until jobs are Done.

use std::{path::Path, process::Command, time::Duration};

use broker::{
    demand::diset::{Matcher, PilotManager},
    pilot::{
        rows::{NewPilot, PilotRows, PilotStatus},
        stamp,
    },
};
use testbeds::{
    host::process::Process,
    systems::dirac::{Dirac, SITE},
};

/// The CE of the pilots.
pub const CE: &str = "openstack.lyon.fr";

/// A pilot of biomed whose row says that its VM exists.
pub async fn pilot(rows: &PilotManager, number: u64, queue: &str) -> NewPilot {
    let uid = format!("0c0ffee0-0000-4000-8000-{number:012}");
    let pilot = NewPilot {
        reference: stamp::reference(&uid),
        stamp: stamp::stamp(&uid),
        vo: "biomed".into(),
        site: SITE.into(),
        ce: CE.into(),
        queue: queue.into(),
    };
    rows.register(&pilot).await.unwrap();
    rows.set_status(&pilot, PilotStatus::Waiting, "the VM exists").await.unwrap();
    pilot
}

/// Starts the pilot's program as its VM would, with these settings beside its own.
pub fn run(dirac: &Dirac, state: &Path, pilot: &NewPilot, settings: &[(&str, &str)]) -> Process {
    let mut command = Command::new(dirac.run_pilot());
    command.arg(state.join("vm")).envs([
        ("DIRAC_PILOT_REFERENCE", pilot.reference.as_str()),
        ("DIRAC_VO", &pilot.vo),
        ("DIRAC_GROUP", "biomed_pilot"),
        ("DIRAC_SITE", &pilot.site),
        ("DIRAC_CE", &pilot.ce),
        ("DIRAC_QUEUE", &pilot.queue),
        ("DIRAC_CPU_TIME", "86400"),
        ("DIRAC_TAGS", "GPU"),
    ]);
    command.envs(settings.iter().copied());
    Process::spawn("pilot", command, &state.join("log/pilot.log")).unwrap()
}

/// Jobs in task queues.
pub async fn waiting(matcher: &Matcher) -> u64 {
    matcher.active_task_queues().await.unwrap().queues.iter().map(|q| q.jobs).sum()
}

/// Waits until so many jobs are in task queues: the optimizers put them there.
pub async fn wait_for(matcher: &Matcher, jobs: u64) {
    for _ in 0..120 {
        if waiting(matcher).await == jobs {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(waiting(matcher).await, jobs, "the optimizers put the jobs into task queues");
}

/// Jobs that are Done.
pub fn done(dirac: &Dirac) -> u64 {
    dirac.sql("select count(*) from JobDB.Jobs where Status = 'Done'").unwrap().trim().parse().unwrap()
}
