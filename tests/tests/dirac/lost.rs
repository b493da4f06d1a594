//! Jobs of a pilot whose VM is gone, given back to a real DIRAC.

use std::time::Duration;

use broker::{
    demand::diset::{Credentials, JobManager, JobMonitoring, LostJobs, PilotManager},
    pilot::{
        lost::LostJobs as _,
        rows::{NewPilot, PilotRows, PilotStatus},
    },
};
use serde_json::json;
use testbeds::systems::dirac::{Dirac, SITE};

use super::hands::{CE, pilot};
use crate::{JDL, client};

/// The queue of the pilots.
const QUEUE: &str = "m1.large";

/// The job that the Matcher gives this pilot, as soon as the optimizers have put one into a task queue. One that was rescheduled they hold
/// for a minute first (JobScheduling's `RescheduleDelays`): so it is time that counts here, and not the number of questions.
async fn job(dirac: &Dirac, pilot: &NewPilot) -> u64 {
    let resource = json!({"Site": SITE, "GridCE": CE, "CPUTime": 86_400, "PilotReference": pilot.reference});
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(300) {
        if let Some(job) = dirac.request_job("biomed_pilot", &resource).unwrap() {
            return job;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("no job waits");
}

fn status(dirac: &Dirac, job: u64) -> String {
    dirac.sql(&format!("select Status from JobDB.Jobs where JobID = {job}")).unwrap().trim().to_owned()
}

fn set(dirac: &Dirac, job: u64, status: &str) {
    dirac.sql(&format!("update JobDB.Jobs set Status = '{status}' where JobID = {job}")).unwrap();
}

/// No other job waits when it begins.
pub async fn jobs_of_a_lost_pilot_go_back_and_those_of_others_stay(dirac: &Dirac, user: &Credentials) {
    let as_group = |group: &str| {
        let to = |service: &str| client(dirac, service, group, user, 60);
        let rows = PilotManager::new(client(dirac, "PILOTMANAGER", "biomed_admin", user, 60));
        LostJobs::new(rows, JobMonitoring::new(to("JOBMONITORING")), to("JOBMANAGER"))
    };
    let rows = PilotManager::new(client(dirac, "PILOTMANAGER", "biomed_admin", user, 60));
    let manager = JobManager::new(client(dirac, "JOBMANAGER", "biomed_admin", user, 60));
    manager.ping().await.unwrap();
    assert_eq!(dirac.submit("biomed_user", 4, &JDL.replace("@TAGS@", "")).unwrap().len(), 4);
    let (lost, other) = (pilot(&rows, 11, QUEUE).await, pilot(&rows, 12, QUEUE).await);
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(job(dirac, &lost).await);
    }
    let [runs, matched, done, moved] = jobs[..] else { panic!("{jobs:?}") };
    set(dirac, runs, "Running");
    set(dirac, done, "Done");
    // Somebody reschedules one by hand, and another pilot gets it.
    manager.reschedule(&[moved]).await.unwrap();
    assert_eq!(job(dirac, &other).await, moved);
    rows.set_status(&lost, PilotStatus::Deleted, "the VM is gone").await.unwrap();

    let mut both = vec![runs, matched];
    both.sort_unstable();
    // Whoever is no administrator may reschedule jobs of their own alone.
    let owner = dirac.sql("select max(Owner) from JobDB.Jobs").unwrap().trim().to_owned();
    let owned_by = |owner: &str| dirac.sql(&format!("update JobDB.Jobs set Owner = '{owner}'")).unwrap();
    owned_by("somebody");
    let refused = as_group("biomed_user").give_back(&lost.reference).await.unwrap();
    assert_eq!((refused.given, refused.undone), (vec![], both.clone()), "{:?}", refused.why);
    assert!(refused.why.unwrap().message.contains("can not be rescheduled"));
    assert_eq!(status(dirac, runs), "Running");
    owned_by(&owner);

    let begun = std::time::Instant::now();
    let way = as_group("biomed_admin");
    let back = way.give_back(&lost.reference).await.unwrap();
    eprintln!("lost jobs: two were given back in {:?}", begun.elapsed());
    assert_eq!((back.given, back.left, back.undone), (both.clone(), vec![moved], vec![]), "{:?}", back.why);
    let again = way.give_back(&lost.reference).await.unwrap();
    assert_eq!((again.given, again.left), (vec![], vec![moved]), "once is enough");
    assert_eq!((status(dirac, done), status(dirac, moved)), ("Done".into(), "Matched".into()));
    let mut theirs = vec![job(dirac, &other).await, job(dirac, &other).await];
    theirs.sort_unstable();
    assert_eq!(theirs, both);

    // That pilot is lost too, and DIRAC reschedules a job three times.
    rows.set_status(&other, PilotStatus::Deleted, "the VM is gone").await.unwrap();
    dirac.sql(&format!("update JobDB.Jobs set RescheduleCounter = 3 where JobID = {matched}")).unwrap();
    let back = way.give_back(&other.reference).await.unwrap();
    let mut given = back.given;
    given.sort_unstable();
    assert_eq!((given.len(), back.failed, back.left), (2, vec![matched], vec![]), "{:?}", back.why);
    assert!(given.contains(&moved) && given.contains(&runs));
    assert_eq!(status(dirac, matched), "Failed");
}
