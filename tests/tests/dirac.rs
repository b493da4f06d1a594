//! Layer `dirac`: our DISET client, matching rules and pilot rows against real DIRAC services.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dirac {
    mod configuration;
    mod gpus;
    pub mod hands;
    pub mod lost;
    mod readiness;
    mod recipes;
    mod stock;
}

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use broker::{
    clock::Clock,
    demand::{
        Demand, TaskQueue,
        diset::{Client, Credentials, DisetError, JobMonitoring, Matcher, PilotManager, Settings},
        matching::{Resource, matches, same},
    },
    pilot::{
        jobs::{JobStates, JobStatus},
        rows::{NewPilot, PilotRows, PilotStatus},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use testbeds::systems::dirac::{Ce, Dirac};

use self::dirac::hands::{CE, done, pilot, run, wait_for, waiting};

/// Resources of the differential test; each is compared with every queue.
const RESOURCES: usize = 250;
const QUEUES: usize = 60;

fn client(dirac: &Dirac, service: &str, group: &str, credentials: &Credentials, seconds: u64) -> Client {
    let settings = Settings { deadline: Duration::from_secs(seconds), ..Settings::default() };
    Client::new(dirac.url(service).unwrap().parse().unwrap(), group, credentials, settings, Clock::system()).unwrap()
}

#[tokio::test]
async fn the_real_services_and_ours_agree() {
    let state = tempfile::tempdir().unwrap();
    let mut dirac = Dirac::start_matching(state.path()).await.unwrap();
    let user = dirac.credentials("user").unwrap();
    let matcher = Matcher::new(client(&dirac, "MATCHER", "biomed_admin", &user, 30));

    names_are_compared_as_the_database_does(&dirac);
    matching_rules_are_dirac_s(&dirac, &matcher).await;
    pilot_rows_live_and_close(&dirac, &user).await;
    refusals_are_told_apart(&mut dirac, &user).await;
}

const JDL: &str = r#"[
  JobName = "short";
  Executable = "/bin/sleep";
  Arguments = "2";
  StdOutput = "std.out";
  StdError = "std.err";
  CPUTime = 600;
  JobType = "User";
  @TAGS@
]"#;

#[tokio::test]
async fn a_job_lives_from_submission_to_done_on_a_gpu_pilot_that_leaves_other_jobs_alone() {
    let state = tempfile::tempdir().unwrap();
    let ce = Ce { name: CE.into(), queues: vec!["m1.large".into()] };
    let dirac = Dirac::start(state.path(), &[ce]).await.unwrap();
    let user = dirac.credentials("user").unwrap();
    let matcher = Matcher::new(client(&dirac, "MATCHER", "biomed_admin", &user, 30));
    let rows = PilotManager::new(client(&dirac, "PILOTMANAGER", "biomed_admin", &user, 30));

    // The oldest job is of the other VO, and the pilot below has what it asks for.
    let other = dirac.submit("enmr_user", 1, &JDL.replace("@TAGS@", "Tags = \"GPU\";")).unwrap()[0];
    assert_eq!(dirac.submit("biomed_user", 3, &JDL.replace("@TAGS@", "Tags = \"GPU\";")).unwrap().len(), 3);
    let plain = dirac.submit("biomed_user", 1, &JDL.replace("@TAGS@", "")).unwrap()[0];
    wait_for(&matcher, 5).await;

    let pilot = pilot(&rows, 1, "m1.large").await;
    let mut vm = run(&dirac, state.path(), &pilot, &[("DIRAC_CORES", "2"), ("DIRAC_REQUIRED_TAGS", "GPU")]);
    vm.wait_until("three Done jobs", Duration::from_secs(180), || done(&dirac) == 3).unwrap();
    let row = rows.rows(std::slice::from_ref(&pilot.reference)).await.unwrap().remove(0);
    assert_eq!(row.status, PilotStatus::Running, "the Matcher wrote it at the first request");
    assert!(row.current_job > 0, "and which jobs it got: {row:?}");
    jobs_have_the_states_that_dirac_says(&dirac, &user, &row.jobs.unwrap_or_default(), plain).await;
    let ended = vm.wait(Duration::from_secs(180)).unwrap();
    assert!(ended.is_some(), "a pilot that finds no more work ends by itself");
    assert_eq!(
        (done(&dirac), waiting(&matcher).await),
        (3, 2),
        "it required the tag, so the plain job still waits; and it is of its VO, so the other VO's job does"
    );
    rows.set_status(&pilot, PilotStatus::Done, "no more work").await.unwrap();
    assert_eq!(rows.rows(&[pilot.reference]).await.unwrap()[0].status, PilotStatus::Done);
    a_pilot_is_given_jobs_of_its_vo_alone(&dirac, plain, other);
    self::dirac::lost::jobs_of_a_lost_pilot_go_back_and_those_of_others_stay(&dirac, &user).await;
}

/// Those that the pilot got are done, another waits, and DIRAC knows no further one.
async fn jobs_have_the_states_that_dirac_says(dirac: &Dirac, user: &Credentials, got: &[u64], waits: u64) {
    const UNKNOWN: u64 = 2_000_000_000;
    let monitoring = JobMonitoring::new(client(dirac, "JOBMONITORING", "biomed_admin", user, 30));
    let asked: Vec<u64> = got.iter().copied().chain([waits, waits, UNKNOWN]).collect();
    let expected: BTreeMap<u64, JobStatus> =
        got.iter().map(|job| (*job, JobStatus::Done)).chain([(waits, JobStatus::Waiting)]).collect();
    assert_eq!((got.len(), monitoring.states(&asked).await.unwrap()), (3, expected));
    assert_eq!(monitoring.states(&[UNKNOWN]).await.unwrap(), BTreeMap::new(), "no job is no error");
    let stranger = dirac.credentials("stranger").unwrap();
    let stranger = JobMonitoring::new(client(dirac, "JOBMONITORING", "biomed_admin", &stranger, 30));
    let refused = stranger.status(got).await.unwrap_err();
    assert!(matches!(refused, DisetError::Unauthorized { .. }), "{refused}");
    // As many as one request takes, of which the database makes a table.
    let begun = std::time::Instant::now();
    let many: Vec<u64> = (1..=20_000).collect();
    let known: u64 = dirac.sql("select count(*) from JobDB.Jobs").unwrap().trim().parse().unwrap();
    let read = monitoring.states(&many).await.unwrap();
    assert_eq!(read.len() as u64, known);
    for (job, status) in read {
        let word = dirac.sql(&format!("select Status from JobDB.Jobs where JobID = {job}")).unwrap();
        assert_eq!(word.trim(), status.as_str(), "job {job}");
    }
    eprintln!("jobs: the states of 20,000 numbers were read in {:?}", begun.elapsed());
}

/// One job waits that asks for nothing, of biomed, and one that asks for a GPU, of enmr.
fn a_pilot_is_given_jobs_of_its_vo_alone(dirac: &Dirac, plain: u64, other: u64) {
    let anything = json!({"Site": testbeds::systems::dirac::SITE, "GridCE": "openstack.lyon.fr", "CPUTime": 86_400, "Tag": ["GPU"]});
    let given = |group: &str| dirac.request_job(group, &anything).unwrap();
    assert_eq!(given("biomed_pilot"), Some(plain));
    assert_eq!(given("biomed_pilot"), None, "the job of enmr waits, and is not given to biomed");
    assert_eq!(given("enmr_pilot"), Some(other));
    assert_eq!(given("enmr_pilot"), None);
}

/// Values that are alike but not the same, and words with a meaning of their own.
const TAGS: [&str; 10] =
    ["GPU", "gpu", "2Processors", "8Processors", "MultiProcessor", "WholeNode", "SGX", "x y", "é", "o'clock"];
const SITES: [&str; 6] = ["CLOUD.Lyon.fr", "cloud.lyon.fr", "LCG.X.fr", "ANY", "any-where", "LCG.\"Q\".fr"];
const CES: [&str; 4] = ["ce01.x.fr", "CE01.X.FR", "ce%.x.fr", "any"];
const PLATFORMS: [&str; 4] = ["Linux_x86_64_glibc-2.17", "linux_x86_64_glibc-2.17", "Linux_x86_64_glibc-2.34", "ANY"];
const TYPES: [&str; 3] = ["User", "user", "MCSimulation"];
const OWNERS: [&str; 4] = ["opuser", "OpUser", "bpilot", "nobody"];
const GROUPS: [&str; 4] = ["biomed_user", "enmr_user", "Biomed_User", "nobody"];

fn some(rng: &mut StdRng, from: &[&str], most: usize) -> Vec<String> {
    let count = rng.random_range(0..=most);
    let chosen: BTreeSet<&str> = from.sample(rng, count).copied().collect();
    // The database takes spellings that differ in case for one value, and two of them for a duplicate key.
    let mut seen = BTreeSet::new();
    chosen.into_iter().filter(|v| seen.insert(v.to_lowercase())).map(str::to_owned).collect()
}

fn definition(rng: &mut StdRng) -> Value {
    let group = GROUPS[rng.random_range(0..2)];
    let cpu_time = [1, 3_600, 86_400, 500_000, 2_000_000][rng.random_range(0..5)];
    let owner = OWNERS[[0, 0, 0, 1, 2][rng.random_range(0..5)]];
    let mut d = json!({"Owner": owner, "OwnerGroup": group, "CPUTime": cpu_time});
    for (name, from, most) in [
        ("Sites", &SITES[..], 2),
        ("GridCEs", &CES, 1),
        ("BannedSites", &SITES, 2),
        ("Platforms", &PLATFORMS, 1),
        ("JobTypes", &TYPES, 1),
        ("Tags", &TAGS, 3),
    ] {
        let values = if rng.random_bool(0.5) { some(rng, from, most) } else { vec![] };
        if !values.is_empty() {
            d[name] = json!(values);
        }
    }
    if rng.random_bool(0.3) {
        let ram = [1, 2_048, 16_384, 1_000_000][rng.random_range(0..4)];
        d["MinRAM"] = json!(ram);
    }
    if rng.random_bool(0.2) {
        d["MaxRAM"] = json!([0, 1_000_000, 4_000_000][rng.random_range(0..3)]);
    }
    d
}

/// A resource as ours, and as DIRAC takes it.
fn resource(rng: &mut StdRng) -> (Resource, Value) {
    let mut r =
        Resource { cpu_time: [0, 3_600, 100_000, 600_000, 9_999_999][rng.random_range(0..5)], ..Resource::default() };
    let maybe = |rng: &mut StdRng, from: &[&str], most: usize| {
        if rng.random_bool(0.6) { some(rng, from, most) } else { vec![] }
    };
    r.site = maybe(rng, &SITES, 2);
    r.grid_ce = maybe(rng, &CES, 1);
    r.platform = maybe(rng, &PLATFORMS, 2);
    r.job_type = maybe(rng, &TYPES, 1);
    r.owner_group = maybe(rng, &GROUPS, 2);
    r.owner = rng.random_bool(0.3).then(|| OWNERS[rng.random_range(0..4)].to_owned());
    r.tag = rng.random_bool(0.8).then(|| {
        let mut tags = some(rng, &TAGS, 6);
        if rng.random_bool(0.15) {
            tags.push("Any".to_owned());
        }
        tags
    });
    if rng.random_bool(0.4) {
        r.required_tag = match &r.tag {
            Some(tags) if rng.random_bool(0.8) => tags.iter().take(1).cloned().collect(),
            _ => some(rng, &TAGS, 1),
        };
    }
    r.number_of_processors = [0, 1, 2, 8, 64, 2_000][rng.random_range(0..6)];
    r.whole_node = rng.random_bool(0.3);
    r.max_ram_mb = rng.random_bool(0.5).then(|| [0, 2_048, 20_000, 10_000_000][rng.random_range(0..4)]);
    let mut d = json!({"CPUTime": r.cpu_time});
    for (name, values) in [
        ("Site", &r.site),
        ("GridCE", &r.grid_ce),
        ("Platform", &r.platform),
        ("JobType", &r.job_type),
        ("OwnerGroup", &r.owner_group),
        ("RequiredTag", &r.required_tag),
    ] {
        if !values.is_empty() {
            d[name] = json!(values);
        }
    }
    if let Some(owner) = &r.owner {
        d["Owner"] = json!(owner);
    }
    // What a resource bans: its Matcher drops the fields before it looks, so they have no part in ours.
    for (name, from) in [
        ("BannedSite", &SITES[..]),
        ("BannedGridCE", &CES),
        ("BannedPlatform", &PLATFORMS),
        ("BannedJobType", &TYPES),
        ("BannedTag", &TAGS),
    ] {
        if rng.random_bool(0.3) {
            d[name] = json!(some(rng, from, 2));
        }
    }
    if let Some(tags) = &r.tag {
        d["Tag"] = json!(tags);
    }
    if r.number_of_processors > 0 {
        d["NumberOfProcessors"] = json!(r.number_of_processors);
    }
    if r.whole_node {
        d["WholeNode"] = json!("True");
    }
    if let Some(ram) = r.max_ram_mb {
        d["MaxRAM"] = json!(ram);
    }
    (r, d)
}

/// Every pair of letters up to Latin Extended-A and some beyond, in a table like those of the task queues.
fn names_are_compared_as_the_database_does(dirac: &Dirac) {
    let mut names: Vec<String> = ('!'..='\u{17f}').filter(|c| !c.is_control()).map(|c| format!("x{c}x")).collect();
    names.extend(["x", "x ", "x  ", " x", "x\u{a0}", "x🙂x", "x🚀x", "x\u{fffd}x"].map(str::to_owned));
    // In hexadecimal: no letter has to survive a shell's or a client's character set.
    let hex = |name: &str| name.bytes().map(|b| format!("{b:02X}")).collect::<String>();
    let rows: Vec<String> =
        names.iter().enumerate().map(|(i, n)| format!("({i}, convert(x'{}' using utf8mb4))", hex(n))).collect();
    let answer = dirac
        .sql(&format!(
            "create table TaskQueueDB.names (i int primary key, v varchar(64) not null) default charset utf8mb4;
             insert into TaskQueueDB.names values {};
             select a.i, b.i from TaskQueueDB.names a join TaskQueueDB.names b on a.i < b.i and a.v = b.v;
             drop table TaskQueueDB.names",
            rows.join(", ")
        ))
        .unwrap();
    let alike: BTreeSet<(usize, usize)> = answer
        .lines()
        .map(|l| l.split_once('\t').unwrap())
        .map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap()))
        .collect();
    let mut different = Vec::new();
    for (i, a) in names.iter().enumerate() {
        for (j, b) in names.iter().enumerate().skip(i + 1) {
            if same(a, b) != alike.contains(&(i, j)) {
                different.push((a, b));
            }
        }
    }
    assert!(different.is_empty(), "the database says otherwise of {different:?}");
    assert!(alike.len() > 500, "{} pairs are alike", alike.len());
}

/// All that the Matcher said could be read.
fn whole(demand: Demand) -> Vec<TaskQueue> {
    assert_eq!(demand.unreadable, None);
    demand.queues
}

async fn matching_rules_are_dirac_s(dirac: &Dirac, matcher: &Matcher) {
    let mut rng = StdRng::seed_from_u64(1);
    let mut jobs: Vec<(u64, Value)> = (1..=QUEUES as u64).map(|job| (job, definition(&mut rng))).collect();
    // A second job in some queues: the counts must be read too.
    jobs.extend((0..10).map(|i| (1_000 + i, jobs[i as usize].1.clone())).collect::<Vec<_>>());
    assert_eq!(dirac.fill_task_queues(&jobs).unwrap(), [], "DIRAC takes every definition");

    let queues = whole(matcher.active_task_queues().await.unwrap());
    assert_eq!(queues.iter().map(|q| q.jobs).sum::<u64>(), jobs.len() as u64);
    assert!(queues.len() > QUEUES / 2, "{} queues", queues.len());
    every_field_is_read_as_it_was_submitted(dirac, &jobs, &queues);

    let (mut compared, mut matched, mut refused) = (0, 0, 0);
    for _ in 0..RESOURCES {
        let (ours, theirs) = resource(&mut rng);
        let expected: BTreeSet<u64> = match matcher.matching_task_queues(&theirs).await {
            Ok(demand) => whole(demand).iter().map(|q| q.id).collect(),
            // Required tags that are not offered: DIRAC answers with an error, and gives no job.
            Err(DisetError::Service { what, .. }) if what.contains("Wrong conditions") => {
                refused += 1;
                BTreeSet::new()
            }
            Err(error) => panic!("{theirs}: {error}"),
        };
        for queue in &queues {
            let here = matches(queue, &ours);
            assert_eq!(
                here,
                expected.contains(&queue.id),
                "DIRAC says otherwise\nqueue {queue:#?}\nresource {theirs:#}"
            );
            compared += 1;
            matched += u32::from(here);
        }
    }
    eprintln!("matching: {compared} pairs compared, {matched} match, {refused} resources refused, no difference");
    assert!(compared >= 2_000 && matched > compared / 50 && matched < compared * 9 / 10);
}

/// CPU times that DIRAC rounds up to (`TaskQueueDB.__defaultCPUSegments`).
const SEGMENTS: [u64; 13] =
    [360, 1_800, 3_600, 21_600, 43_200, 86_400, 172_800, 259_200, 345_600, 518_400, 691_200, 864_000, 1_080_000];

fn every_field_is_read_as_it_was_submitted(dirac: &Dirac, jobs: &[(u64, Value)], queues: &[TaskQueue]) {
    let table = |query: &str| -> Vec<(u64, String)> {
        let rows = dirac.sql(query).unwrap();
        let split = |line: &str| line.split_once('\t').map(|(a, b)| (a.parse().unwrap(), b.to_owned())).unwrap();
        rows.lines().map(split).collect()
    };
    let queue_of: BTreeMap<u64, u64> = table("select JobId, TQId from TaskQueueDB.tq_Jobs")
        .into_iter()
        .map(|(j, q)| (j, q.parse().unwrap()))
        .collect();
    let priorities: BTreeMap<u64, f64> = table("select TQId, Priority from TaskQueueDB.tq_TaskQueues")
        .into_iter()
        .map(|(q, p)| (q, p.parse().unwrap()))
        .collect();
    let mut made = BTreeSet::new();
    for (job, submitted) in jobs {
        let queue = queues.iter().find(|q| q.id == queue_of[job]).expect("the job's queue was told");
        // The first job makes the queue in its own spelling; a later one may come to it that differs in case alone.
        let first = made.insert(queue.id);
        let alike = |a: &str, b: &str| a == b || (!first && same(a, b));
        let list = |name: &str| -> Vec<String> {
            submitted[name].as_array().into_iter().flatten().map(|v| v.as_str().unwrap().to_owned()).collect()
        };
        for (name, read) in [
            ("Sites", &queue.sites),
            ("GridCEs", &queue.grid_ces),
            ("BannedSites", &queue.banned_sites),
            ("Platforms", &queue.platforms),
            ("JobTypes", &queue.job_types),
            ("Tags", &queue.tags),
        ] {
            let wanted = list(name);
            let within = |a: &[String], b: &[String]| a.iter().all(|x| b.iter().any(|y| alike(x, y)));
            let equal = read.len() == wanted.len() && within(read, &wanted) && within(&wanted, read);
            assert!(equal, "{name} of job {job}: submitted {wanted:?}, read {read:?}");
        }
        for (name, read) in [("Owner", &queue.owner), ("OwnerGroup", &queue.owner_group)] {
            assert!(alike(read, submitted[name].as_str().unwrap()), "{name} of job {job}: {read}");
        }
        let number = |name: &str| submitted[name].as_u64().unwrap_or(0);
        let asked = number("CPUTime");
        let rounded = SEGMENTS.into_iter().find(|s| asked <= *s).unwrap_or(1_080_000);
        assert_eq!(queue.cpu_time, rounded, "CPUTime {asked} of job {job}");
        assert_eq!((queue.min_ram_mb, queue.max_ram_mb), (number("MinRAM"), number("MaxRAM")), "RAM of job {job}");
    }
    for queue in queues {
        let there = u64::try_from(queue_of.values().filter(|q| **q == queue.id).count()).unwrap();
        assert_eq!(queue.jobs, there, "jobs of queue {}", queue.id);
        let priority = priorities[&queue.id];
        assert!((queue.priority - priority).abs() <= priority.abs() * 1e-5, "{} and {priority}", queue.priority);
    }
    eprintln!("task queues: every field of {} queues is as it was submitted", queues.len());
}

async fn pilot_rows_live_and_close(dirac: &Dirac, user: &Credentials) {
    let rows = PilotManager::new(client(dirac, "PILOTMANAGER", "biomed_admin", user, 30));
    let pilot = NewPilot {
        reference: "cloud://5f1c0e0a-a0a0-4d1a-b8c0-d7e9f0a1b2c3".into(),
        stamp: "5f1c0e0aa0a04d1ab8c0d7e9f0a1b2c3".into(),
        vo: "biomed".into(),
        site: "CLOUD.Lyon.fr".into(),
        ce: "openstack.lyon.fr".into(),
        queue: "m1.xlarge".into(),
    };
    let references = [pilot.reference.clone(), "cloud://unknown".to_owned()];
    many_rows_are_made_together(dirac, user, &pilot).await;
    a_half_made_row_is_repaired(dirac, user, &rows, &pilot).await;
    assert_eq!(rows.rows(&references[1..]).await.unwrap(), [], "no row is no error");
    rows.register(&pilot).await.unwrap();
    rows.register(&pilot).await.unwrap();
    let count =
        dirac.sql("select count(*), max(PilotStamp), max(Queue), max(VO) from PilotAgentsDB.PilotAgents").unwrap();
    assert_eq!(count.trim(), format!("1\t{}\tm1.xlarge\tbiomed", pilot.stamp), "registered twice, there once");
    assert_eq!(rows.rows(&references).await.unwrap()[0].status, PilotStatus::Submitted);

    dirac.sql("update PilotAgentsDB.PilotAgents set LastUpdateTime = '2020-01-01'").unwrap();
    assert!(rows.rows(&references).await.unwrap()[0].idle_seconds.unwrap() > 86_400);
    rows.set_status(&pilot, PilotStatus::Waiting, "the VM exists").await.unwrap();
    let row = rows.rows(&references).await.unwrap().remove(0);
    assert_eq!(row.status, PilotStatus::Waiting);
    assert!(row.idle_seconds.unwrap() < 60, "writing the status touches the row");

    dirac.sql("update PilotAgentsDB.PilotAgents set Status = 'Running'").unwrap();
    rows.set_status(&pilot, PilotStatus::Waiting, "a repeated launch").await.unwrap();
    assert_eq!(rows.rows(&references).await.unwrap()[0].status, PilotStatus::Running, "what the Matcher wrote stays");

    rows.set_status(&pilot, PilotStatus::Done, "o'clock; \"ended\"").await.unwrap();
    rows.set_status(&pilot, PilotStatus::Running, "too late").await.unwrap();
    assert_eq!(rows.rows(&references).await.unwrap()[0].status, PilotStatus::Done, "a closed row stays closed");
}

/// Registered at once: through one PilotManager, which gathers them, and through one for each, beside the same connections.
async fn many_rows_are_made_together(dirac: &Dirac, user: &Credentials, pilot: &NewPilot) {
    const PILOTS: usize = 64;
    let client = client(dirac, "PILOTMANAGER", "biomed_admin", user, 30);
    let url = client.url().clone();
    let one = PilotManager::new(client.beside(url.clone().into()));
    let many: Vec<_> = (0..PILOTS).map(|_| PilotManager::new(client.beside(url.clone().into()))).collect();
    let (one, mut took) = (&one, Vec::new());
    for (vo, gathers) in [("enmr", false), ("biomed", true)] {
        let begun = std::time::Instant::now();
        let registered = futures::future::join_all(many.iter().enumerate().map(|(n, alone)| {
            let reference = format!("cloud://{vo}-{n}");
            let new = NewPilot { reference, stamp: format!("{n:032}"), vo: vo.into(), ..pilot.clone() };
            async move { if gathers { one } else { alone }.register(&new).await }
        }));
        registered.await.into_iter().collect::<Result<Vec<()>, _>>().unwrap();
        took.push(begun.elapsed());
        let counted = format!(
            "select count(*), count(distinct PilotJobReference) from PilotAgentsDB.PilotAgents where VO = '{vo}' and Queue = 'm1.xlarge'"
        );
        assert_eq!(dirac.sql(&counted).unwrap().trim(), format!("{PILOTS}\t{PILOTS}"));
    }
    eprintln!("rows: {PILOTS} pilots registered at once in {:?} one by one, {:?} gathered", took[0], took[1]);
    dirac.sql("delete from PilotAgentsDB.PilotAgents").unwrap();
}

/// A crash between the two calls that a registration takes leaves half a row: the next registration completes it.
async fn a_half_made_row_is_repaired(dirac: &Dirac, user: &Credentials, rows: &PilotManager, pilot: &NewPilot) {
    let half = NewPilot { reference: "cloud://half".into(), stamp: "0".repeat(32), ..pilot.clone() };
    let first = json!([[half.reference], half.vo, "K8sCloud", {&half.reference: half.stamp}]);
    client(dirac, "PILOTMANAGER", "biomed_admin", user, 30).call("addPilotReferences", &first).await.unwrap();
    let row = || {
        let fields = "GridSite, DestinationSite, Queue, Status, PilotStamp, count(*)";
        dirac.sql(&format!("select {fields} from PilotAgentsDB.PilotAgents")).unwrap().trim().to_owned()
    };
    assert!(row().starts_with("Unknown\tNotAssigned\tUnknown\tSubmitted"), "{}", row());
    rows.register(&half).await.unwrap();
    let whole = format!("CLOUD.Lyon.fr\topenstack.lyon.fr\tm1.xlarge\tSubmitted\t{}\t1", half.stamp);
    assert_eq!(row(), whole);
    rows.set_status(&half, PilotStatus::Waiting, "the VM exists").await.unwrap();
    rows.register(&half).await.unwrap();
    assert_eq!(row(), whole.replace("Submitted", "Waiting"), "a complete row is left alone");
    dirac.sql("delete from PilotAgentsDB.PilotAgents").unwrap();
}

async fn refusals_are_told_apart(dirac: &mut Dirac, user: &Credentials) {
    let ask = async |dirac: &Dirac, group: &str, credentials: &Credentials, method: &str| {
        client(dirac, "MATCHER", group, credentials, 5).call(method, &json!([])).await.unwrap_err()
    };
    let weak = ask(dirac, "biomed_user", user, "getActiveTaskQueues").await;
    assert!(matches!(weak, DisetError::Unauthorized { .. }), "{weak}");
    let stranger = ask(dirac, "biomed_admin", &dirac.credentials("stranger").unwrap(), "getActiveTaskQueues").await;
    assert!(matches!(stranger, DisetError::Unauthorized { .. }), "{stranger}");
    let unknown = ask(dirac, "biomed_admin", user, "getNothingAtAll").await;
    assert!(matches!(unknown, DisetError::UnknownMethod { .. } | DisetError::Unauthorized { .. }), "{unknown}");

    let elsewhere =
        testbeds::systems::pki::Authority::new(&[("C", "ch"), ("O", "TestGrid"), ("CN", "Other CA")]).unwrap();
    let forged = elsewhere.issue(&[("C", "ch"), ("O", "TestGrid"), ("CN", "opuser")], &[]).unwrap();
    let forged = Credentials { certificate: forged.certificate.into(), key: forged.key.into(), ca: user.ca.clone() };
    let refused = ask(dirac, "biomed_admin", &forged, "getActiveTaskQueues").await;
    assert!(matches!(refused, DisetError::CertificateRefused { .. } | DisetError::Garbage { .. }), "{refused}");
    let wrong_ca = Credentials { ca: elsewhere.certificate.clone().into(), ..user.clone() };
    let refused = ask(dirac, "biomed_admin", &wrong_ca, "getActiveTaskQueues").await;
    assert!(matches!(refused, DisetError::CertificateRefused { .. }), "{refused}");

    dirac.signal_service("MATCHER", nix::sys::signal::Signal::SIGSTOP).unwrap();
    let silent = ask(dirac, "biomed_admin", user, "getActiveTaskQueues").await;
    assert!(matches!(silent, DisetError::Timeout { .. }), "{silent}");
    dirac.signal_service("MATCHER", nix::sys::signal::Signal::SIGCONT).unwrap();
    dirac.stop_service("MATCHER");
    let down = ask(dirac, "biomed_admin", user, "getActiveTaskQueues").await;
    assert!(matches!(down, DisetError::Unreachable { .. }), "{down}");
    dirac.start_service("MATCHER").unwrap();
    let queues: Vec<TaskQueue> =
        Matcher::new(client(dirac, "MATCHER", "biomed_admin", user, 30)).active_task_queues().await.unwrap().queues;
    assert!(!queues.is_empty(), "the queues outlive the Matcher");
}
