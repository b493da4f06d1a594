//! A VM with two GPUs: its pilot gives each of them one job at a time, and the other cores to jobs without a GPU.

use std::{collections::BTreeSet, fs, time::Duration};

use broker::pilot::rows::{PilotRows, PilotStatus};
use testbeds::{
    host::choice,
    systems::dirac::{Ce, Dirac},
};

use super::{
    super::{Matcher, PilotManager, client},
    hands::{CE, done, pilot, run, wait_for},
};

/// What a job does: it takes a lock on what it sees of the GPUs, for some seconds. Who finds it taken has a GPU that is busy.
const JOB: &str = r#"
cd "$(dirname "$0")"
echo "$DIRAC_GPUS ${CUDA_VISIBLE_DEVICES-all}" >> "seen-$1"
[ "$1" = gpu ] || exit 0
mkdir "lock-$CUDA_VISIBLE_DEVICES" || echo "$CUDA_VISIBLE_DEVICES" >> busy
sleep 4
rmdir "lock-$CUDA_VISIBLE_DEVICES"
"#;

#[tokio::test]
async fn no_gpu_has_two_jobs_and_the_cores_that_are_not_kept_for_gpus_take_others() {
    if !choice::is_chosen("gpus", true) {
        println!("only with --full: jobs run on two GPUs for four minutes");
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let ce = Ce { name: CE.into(), queues: vec!["g1".into()] };
    let dirac = Dirac::start(state.path(), &[ce]).await.unwrap();
    let user = dirac.credentials("user").unwrap();
    let matcher = Matcher::new(client(&dirac, "MATCHER", "biomed_admin", &user, 30));
    let rows = PilotManager::new(client(&dirac, "PILOTMANAGER", "biomed_admin", &user, 30));

    let job = state.path().join("jobs/job.sh");
    fs::create_dir(job.parent().unwrap()).unwrap();
    fs::write(&job, JOB).unwrap();
    let jdl = |kind: &str, asks: &str| {
        format!(
            "[ Executable = \"/bin/sh\"; Arguments = \"{} {kind}\"; StdOutput = \"out\"; StdError = \"err\"; CPUTime = 600; \
             JobType = \"User\"; {asks} ]",
            job.display()
        )
    };
    dirac.submit("biomed_user", 4, &jdl("gpu", "Tags = \"GPU\";")).unwrap();
    // One that needs all cores of its GPU.
    dirac.submit("biomed_user", 1, &jdl("gpu", "Tags = \"GPU\"; NumberOfProcessors = 2;")).unwrap();
    dirac.submit("biomed_user", 2, &jdl("plain", "")).unwrap();
    wait_for(&matcher, 7).await;

    let pilot = pilot(&rows, 3, "g1").await;
    let settings = [
        ("DIRAC_CORES", "6"),
        ("DIRAC_RAM_MIB", "12288"),
        ("DIRAC_GPUS", "2"),
        ("DIRAC_GPU_MODEL", "A100"),
        ("DIRAC_GPU_CORES", "2"),
        ("DIRAC_REQUIRED_TAGS", ""),
    ];
    let mut vm = run(&dirac, state.path(), &pilot, &settings);
    vm.wait_until("seven Done jobs", Duration::from_secs(300), || done(&dirac) == 7).unwrap();
    let row = rows.rows(std::slice::from_ref(&pilot.reference)).await.unwrap().remove(0);
    assert_eq!(row.jobs.unwrap_or_default().len(), 7, "one row has the jobs of all three agents");
    assert!(vm.wait(Duration::from_secs(300)).unwrap().is_some(), "a pilot that finds no more work ends by itself");
    let row = rows.rows(std::slice::from_ref(&pilot.reference)).await.unwrap().remove(0);
    assert_eq!(row.status, PilotStatus::Done, "the last to end closes the row");

    let seen = |kind: &str| -> BTreeSet<String> {
        let text = fs::read_to_string(job.with_file_name(format!("seen-{kind}"))).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    assert_eq!(seen("gpu"), ["1 0", "1 1"].map(str::to_owned).into(), "each job sees one GPU, and both have jobs");
    assert_eq!(seen("plain"), ["0 ".to_owned()].into(), "jobs without the tag see none");
    assert!(!job.with_file_name("busy").exists(), "no job was given a GPU that another job had");
}
