//! A VM with two GPUs: its pilot gives each of them one job at a time, and the other cores to jobs without a GPU.

use std::{collections::BTreeSet, fs, time::Duration};

use broker::pilot::{
    rows::{NewPilot, PilotRows, PilotStatus},
    stamp,
};
use testbeds::{
    host::process::Process,
    systems::dirac::{Ce, Dirac, SITE},
};

use super::super::{Matcher, PilotManager, client};

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
    let state = tempfile::tempdir().unwrap();
    let ce = Ce { name: "openstack.lyon.fr".into(), queues: vec!["g1".into()] };
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
    let waiting = async || matcher.active_task_queues().await.unwrap().queues.iter().map(|q| q.jobs).sum::<u64>();
    for _ in 0..120 {
        if waiting().await == 7 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(waiting().await, 7, "the optimizers put the jobs into task queues");

    let uid = "0c0ffee0-0000-4000-8000-000000000003";
    let pilot = NewPilot {
        reference: stamp::reference(uid),
        stamp: stamp::stamp(uid),
        vo: "biomed".into(),
        site: SITE.into(),
        ce: "openstack.lyon.fr".into(),
        queue: "g1".into(),
    };
    rows.register(&pilot).await.unwrap();
    rows.set_status(&pilot, PilotStatus::Waiting, "the VM exists").await.unwrap();
    let mut command = std::process::Command::new(dirac.run_pilot());
    command.arg(state.path().join("vm")).envs([
        ("DIRAC_PILOT_REFERENCE", pilot.reference.as_str()),
        ("DIRAC_VO", "biomed"),
        ("DIRAC_GROUP", "biomed_pilot"),
        ("DIRAC_SITE", SITE),
        ("DIRAC_CE", "openstack.lyon.fr"),
        ("DIRAC_QUEUE", "g1"),
        ("DIRAC_CORES", "6"),
        ("DIRAC_RAM_MIB", "12288"),
        ("DIRAC_GPUS", "2"),
        ("DIRAC_GPU_MODEL", "A100"),
        ("DIRAC_GPU_CORES", "2"),
        ("DIRAC_CPU_TIME", "86400"),
        ("DIRAC_TAGS", "GPU"),
        ("DIRAC_REQUIRED_TAGS", ""),
    ]);
    let mut vm = Process::spawn("pilot", command, &state.path().join("log/pilot.log")).unwrap();
    let done =
        || dirac.sql("select count(*) from JobDB.Jobs where Status = 'Done'").unwrap().trim().parse::<u64>().unwrap();
    vm.wait_until("seven Done jobs", Duration::from_secs(300), || done() == 7).unwrap();
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
