//! Layer `crash`: the operator dies between any two outside calls of a launch and of a deletion, against a real API server, a real
//! DIRAC and a real Nova. Started again it ends with exactly one VM and one row, or none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use testbeds::{
    controlplane::ControlPlane,
    dirac::{Dirac, SITE},
    kubectl::Kubectl,
    openstack::{OpenStack, PROJECT, Server},
    operator::{NAMESPACE as OPERATOR, Operator},
};

const NAMESPACE: &str = "crash";
/// Quick, and without the Lease: that of a killed leader has to run out first, which the layer `operator` tests.
const ARGS: [&str; 6] = [
    "--leader-elect=false",
    "--busy-interval=0.5",
    "--list-interval=1",
    "--rows-interval=0.5",
    "--catalogue-interval=5",
    "--orphan-age=20",
];
/// An order that was cut off is only looked for during three minutes: Nova may still carry it out (`broker/src/cloud/openstack/create.rs`).
const PATIENCE: Duration = Duration::from_secs(300);
/// For so long must the world look as it should, under an operator that is ready, before it counts as settled.
const CALM: Duration = Duration::from_millis(2_500);
const SEED: u64 = 20_261_124;
const RANDOM_KILLS: usize = 5;

const OPEN_ROWS: &str = "select PilotJobReference, Status from PilotAgentsDB.PilotAgents \
                         where Status not in ('Done', 'Aborted', 'Failed', 'Deleted')";

/// What is there, in the three places.
#[derive(Debug)]
struct Seen {
    pilotvms: Vec<Pilot>,
    /// Servers with our tag.
    servers: Vec<Server>,
    /// Reference and status of the rows that are not closed.
    open: Vec<(String, String)>,
}

/// A PilotVM.
#[derive(Debug)]
struct Pilot {
    name: String,
    uid: String,
    /// Whether its finalizer is on.
    held: bool,
    /// Whether its VM is written down.
    launched: bool,
    /// Whether its pilot's first request is.
    running: bool,
}

impl Seen {
    /// One PilotVM, its one server, and its one row, which knows of the VM.
    fn is_one(&self) -> bool {
        let [vm] = &self.pilotvms[..] else { return false };
        let [server] = &self.servers[..] else { return false };
        let [(row, status)] = &self.open[..] else { return false };
        let written = vm.held && vm.launched && vm.running == (status == "Running");
        let made = server.tags.contains(&format!("dirac-pvm-{}", vm.uid)) && server.status == "ACTIVE";
        written && made && row.ends_with(&vm.uid) && (status == "Waiting" || status == "Running")
    }

    fn is_none(&self) -> bool {
        self.pilotvms.is_empty() && self.servers.is_empty() && self.open.is_empty()
    }

    fn short(&self) -> String {
        format!("{} PilotVM, {} server, {} open row", self.pilotvms.len(), self.servers.len(), self.open.len())
    }
}

struct Scene {
    kubectl: Kubectl,
    kubeconfig: PathBuf,
    log: PathBuf,
    /// A folder that every guest sees: with a file `halt` in it the guests power off.
    switch: PathBuf,
    /// UIDs of the PilotVMs that were seen.
    ever: BTreeSet<String>,
    /// Most servers of ours at once.
    most: usize,
    dirac: Dirac,
    openstack: OpenStack,
    // Last: the others use it.
    _plane: ControlPlane,
}

impl Scene {
    async fn start(state: &Path) -> Self {
        let plane = ControlPlane::start(&state.join("controlplane")).await.unwrap();
        Operator::install_chart(&plane).unwrap();
        let dirac = Dirac::start_matching(&state.join("dirac")).await.unwrap();
        let openstack = OpenStack::start(&state.join("openstack")).await.unwrap();
        openstack.without_metadata().unwrap();
        let switch = state.join("switch");
        fs::create_dir(&switch).unwrap();
        openstack.in_the_image(&switch, "/switch").unwrap();
        let scene = Self {
            kubectl: plane.kubectl(),
            kubeconfig: plane.kubeconfig_for_service_account(OPERATOR, OPERATOR).await.unwrap(),
            log: state.join("operator.log"),
            switch,
            ever: BTreeSet::new(),
            most: 0,
            dirac,
            openstack,
            _plane: plane,
        };
        scene.world().await;
        scene
    }

    /// One waiting job that no pilot ever takes, and a pool of at most one VM.
    async fn world(&self) {
        let job = json!({"Owner": "opuser", "OwnerGroup": "biomed_user", "CPUTime": 3_600});
        assert_eq!(self.dirac.fill_task_queues(&[(1, job)]).unwrap(), []);
        self.kubectl.run(&["create", "namespace", NAMESPACE]).unwrap();
        let credentials = self.dirac.credentials("user").unwrap();
        let (id, secret) = self.openstack.application_credential(PROJECT, None).await.unwrap();
        let pem = json!({
            "tls.crt": credentials.certificate.expose_secret(),
            "tls.key": credentials.key.expose_secret(),
            "ca.crt": credentials.ca.expose_secret(),
        });
        for (name, data) in [("certificate", pem), ("project", json!({"id": id, "secret": secret}))] {
            self.kubectl.put_secret(NAMESPACE, name, "stringData", &data).unwrap();
        }
        let manifest = include_str!("crash.yaml")
            .replace("@NAMESPACE@", NAMESPACE)
            .replace("@MATCHER@", &self.dirac.url("MATCHER").unwrap())
            .replace("@PILOTMANAGER@", &self.dirac.url("PILOTMANAGER").unwrap())
            .replace("@SITE@", SITE)
            .replace("@AUTH_URL@", &self.openstack.auth_url());
        self.kubectl.apply(&manifest).unwrap();
    }

    fn operator(&self, crash_at: Option<&str>) -> Operator {
        Operator::start_to_crash(&self.kubeconfig, &self.log, &ARGS, crash_at).unwrap()
    }

    async fn look(&mut self) -> Seen {
        let text = self.kubectl.run(&["get", "pilotvms", "--namespace", NAMESPACE, "--output=json"]).unwrap();
        let list: Value = serde_json::from_str(&text).unwrap();
        let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let pilot = |vm: &Value| Pilot {
            name: word(&vm["metadata"]["name"]),
            uid: word(&vm["metadata"]["uid"]),
            held: vm["metadata"]["finalizers"]
                .as_array()
                .is_some_and(|all| all.iter().any(|f| f == "diracgrid.org/vm")),
            launched: vm["status"]["launchedAt"].is_string(),
            running: vm["status"]["runningSince"].is_string(),
        };
        let pilotvms: Vec<_> = list["items"].as_array().unwrap().iter().map(pilot).collect();
        self.ever.extend(pilotvms.iter().map(|vm| vm.uid.clone()));
        let servers = self.openstack.servers(PROJECT).await.unwrap();
        let servers: Vec<_> = servers.into_iter().filter(|s| s.tags.iter().any(|t| t == "dirac-operator")).collect();
        self.most = self.most.max(servers.len());
        let open = self.dirac.sql(OPEN_ROWS).unwrap();
        let open = open.lines().filter_map(|l| l.split_once('\t')).map(|(r, s)| (r.to_owned(), s.to_owned())).collect();
        Seen { pilotvms, servers, open }
    }

    /// Starts an operator that dies at `point`, lets `act` happen, and waits until it has died there.
    async fn dies_at(&mut self, point: &str, act: impl AsyncFnOnce(&Self)) -> Seen {
        let mut operator = self.operator(Some(point));
        act(self).await;
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = operator.process().wait(Duration::ZERO).unwrap() {
                break status;
            }
            let late = begun.elapsed() > PATIENCE;
            assert!(!late, "the operator did not die at {point}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "{point}: {}", operator.process().last_words());
        self.look().await
    }

    /// An operator that lives: until the world has been as it should for a while.
    async fn settles(&mut self, what: &str, as_it_should: impl Fn(&Seen) -> bool) -> Duration {
        let mut operator = self.operator(None);
        let begun = Instant::now();
        operator.ready().await.unwrap();
        let mut since = None;
        while since.is_none_or(|since| begun.elapsed() < since + CALM) {
            let seen = self.look().await;
            since = as_it_should(&seen).then(|| since.unwrap_or(begun.elapsed()));
            if begun.elapsed() > PATIENCE {
                panic!(
                    "{what}: not settled; there is {seen:?}; the operator says\n{}",
                    operator.process().last_words()
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        // What the next point begins with is no orderly end either.
        operator.process().kill();
        since.unwrap_or_default()
    }

    fn at_most(&self, vms: usize) {
        let replicas = format!("--replicas={vms}");
        self.kubectl.run(&["scale", "pilotpool", "cpu", &replicas, "--namespace", NAMESPACE]).unwrap();
    }

    fn halt(&self, on: bool) {
        let file = self.switch.join("halt");
        if on {
            fs::write(file, "").unwrap();
        } else if file.exists() {
            fs::remove_file(file).unwrap();
        }
    }

    /// Deletes the one PilotVM, as a person does, and wants no other.
    fn delete(&self) {
        self.at_most(0);
        self.kubectl.run(&["delete", "pilotvms", "--all", "--wait=false", "--namespace", NAMESPACE]).unwrap();
    }

    async fn launch_dies_at(&mut self, point: &str) {
        self.at_most(1);
        let left = self.dies_at(point, async |_| ()).await;
        let took = self.settles(&format!("a launch that died before {point}"), Seen::is_one).await;
        say(point, &left, "one VM, one row", took);
    }

    async fn life_dies_at(&mut self, point: &str, act: impl AsyncFnOnce(&Self)) {
        let left = self.dies_at(point, act).await;
        let took = self.settles(&format!("a life that died before {point}"), Seen::is_one).await;
        say(point, &left, "one VM, one row", took);
    }

    async fn end_dies_at(&mut self, point: &str, act: impl AsyncFnOnce(&Self)) {
        let left = self.dies_at(point, act).await;
        // The job still waits, and would be given another VM.
        self.at_most(0);
        let took = self.settles(&format!("an end that died before {point}"), Seen::is_none).await;
        self.halt(false);
        say(point, &left, "no VM, no open row", took);
    }

    /// Kills an operator so long after the pilot's row is there: the server is made in that time.
    async fn launch_killed_after(&mut self, pause: Duration) -> Seen {
        let mut operator = self.operator(None);
        let begun = Instant::now();
        while self.dirac.sql(OPEN_ROWS).unwrap().is_empty() {
            assert!(begun.elapsed() < PATIENCE, "no row was registered: {}", operator.process().last_words());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(pause).await;
        operator.process().kill();
        self.look().await
    }

    /// Kills an operator so long after it is ready.
    async fn end_killed_after(&mut self, pause: Duration) -> Seen {
        let mut operator = self.operator(None);
        operator.ready().await.unwrap();
        tokio::time::sleep(pause).await;
        operator.process().kill();
        self.look().await
    }

    /// Every PilotVM ever seen has at most one row, and every row had its PilotVM.
    fn rows_are_unique(&self) {
        let twice =
            "select PilotJobReference from PilotAgentsDB.PilotAgents group by PilotJobReference having count(*) > 1";
        assert_eq!(self.dirac.sql(twice).unwrap(), "", "no pilot has two rows");
        let all = self.dirac.sql("select PilotJobReference from PilotAgentsDB.PilotAgents").unwrap();
        let strange: Vec<_> = all.lines().filter(|r| !self.ever.iter().any(|uid| r.ends_with(uid.as_str()))).collect();
        assert!(strange.is_empty(), "rows that are of no PilotVM that was seen: {strange:?}");
    }
}

fn say(point: &str, left: &Seen, end: &str, took: Duration) {
    eprintln!("    {point:<24} left {:<40} then {end} after {:.1} s", left.short(), took.as_secs_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_any_two_calls_it_ends_with_exactly_one_vm_and_row_or_none() {
    let state = tempfile::tempdir().unwrap();
    let mut scene = Scene::start(state.path()).await;
    // It is called as our first VM will be.
    let stranger = scene.openstack.make_server(PROJECT, "dirac-cpu-1", &["dirac"], &json!({})).await.unwrap();

    let launches = ["create-pilotvm", "register-row", "create-vm", "row-waiting"];
    let deletions = ["record-end", "delete-vm", "close-row", "remove-finalizer"];
    for (launch, deletion) in launches.into_iter().zip(deletions) {
        scene.launch_dies_at(launch).await;
        scene.end_dies_at(deletion, async |s| s.delete()).await;
    }
    scene.launch_dies_at("record-vm").await;
    scene.end_dies_at("keep-console", async |s| s.halt(true)).await;
    a_life_survives_its_points_and_ends_at_the_provider(&mut scene).await;
    assert_eq!(scene.most, 1, "never two servers at once");

    killed_at_any_moment(&mut scene).await;

    scene.rows_are_unique();
    let left: Vec<_> = scene.openstack.servers(PROJECT).await.unwrap().into_iter().map(|s| s.id).collect();
    assert_eq!(left, [stranger], "the stranger has survived, and nothing else is there");
    let log = fs::read_to_string(&scene.log).unwrap();
    assert!(!log.contains("panicked"), "the operator died only where it was told to");
}

async fn a_life_survives_its_points_and_ends_at_the_provider(scene: &mut Scene) {
    scene.at_most(1);
    scene.settles("a launch", Seen::is_one).await;
    let Pilot { name, uid, .. } = scene.look().await.pilotvms.remove(0);
    let bare = r#"{"metadata": {"finalizers": null}}"#;
    scene.kubectl.run(&["patch", "pilotvm", &name, "--namespace", NAMESPACE, "--type=merge", "--patch", bare]).unwrap();
    scene.life_dies_at("finalizer", async |_| ()).await;
    // As the Matcher does at the pilot's first request.
    let asks = format!("update PilotAgentsDB.PilotAgents set Status = 'Running' where PilotJobReference like '%{uid}'");
    scene.dirac.sql(&asks).unwrap();
    scene.life_dies_at("record-running", async |_| ()).await;
    assert_eq!(scene.look().await.pilotvms[0].name, name, "it is the same VM all the time");
    let server = scene.look().await.servers.remove(0).id;
    scene.end_dies_at("delete-pilotvm", async |s| s.openstack.delete_server(PROJECT, &server).await.unwrap()).await;
}

/// Where no crash point stands: in the middle of a call, above all in that which makes the server.
async fn killed_at_any_moment(scene: &mut Scene) {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut pause = |most: u64| Duration::from_millis(random.random_range(0..most));
    for _ in 0..RANDOM_KILLS {
        scene.at_most(1);
        let after = pause(600);
        let left = scene.launch_killed_after(after).await;
        let took = scene.settles("a launch killed somewhere", Seen::is_one).await;
        say(&format!("row + {} ms", after.as_millis()), &left, "one VM, one row", took);
        scene.delete();
        let after = pause(1_200);
        let left = scene.end_killed_after(after).await;
        let took = scene.settles("an end killed somewhere", Seen::is_none).await;
        say(&format!("ready + {} ms", after.as_millis()), &left, "no VM, no open row", took);
    }
    eprintln!("    most servers at once: {}", scene.most);
}
