//! The systems, and the tracks that use them at the same time: each is a namespace with a pool of its own, a Lease of its own and a
//! cluster id of its own. So every track's VMs are another cluster's to the others.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use testbeds::{
    real::{
        Clouds, Real,
        secrets::{Secrets, Written},
    },
    systems::{
        dirac::SITE,
        kubectl::Kubectl,
        openstack::lossy::Lossy,
        operator::{NAMESPACE as OPERATOR, Operator},
    },
};

use super::provider::{Machine, Provider, SECRET};

/// Quick. A Lease and the age of an orphan are as short as a test may wait.
const QUICK: [&str; 5] =
    ["--busy-interval=0.5", "--list-interval=1", "--rows-interval=0.5", "--catalogue-interval=5", "--orphan-age=20"];
/// A job that only waits in the task queues has this number: those that are submitted begin at 1.
const WAITS: u64 = 1_000_000;

/// A region whose Nova is reached through a way that fails as a track says.
pub const LOSSY: &str = "Lossy";

pub struct World {
    pub real: Real,
    /// The way of the region [`LOSSY`].
    pub way: Lossy,
    pub kubectl: Kubectl,
    kubeconfig: PathBuf,
    state: PathBuf,
    logs: Mutex<Vec<PathBuf>>,
    tracks: Vec<Track>,
}

/// A namespace, its pool, and what it may have.
#[derive(Clone, Copy, Debug)]
pub struct Track {
    /// Of the namespace, the pool and the Lease.
    pub name: &'static str,
    pub vo: &'static str,
    pub provider: Provider,
    /// Most VMs of the pool, and of the cloud.
    pub most: usize,
    /// Whether its guests run pilots. Others wait until they are told to halt.
    pub works: bool,
}

impl Track {
    /// The id that its machines are tagged with.
    pub fn cluster(&self) -> String {
        format!("crash.{}", self.name)
    }

    /// The computing element of its rows. Only a pilot that works must be of one that DIRAC knows.
    pub fn ce(&self) -> &'static str {
        if self.works { Real::ce() } else { self.name }
    }
}

impl World {
    pub async fn start(state: &Path, tracks: &[Track]) -> Self {
        let real = Real::start_with(state, Clouds::WithEc2).await.unwrap();
        let kubeconfig = real.plane.kubeconfig_for_service_account(OPERATOR, OPERATOR).await.unwrap();
        let kubectl = real.plane.kubectl();
        let way = real.openstack.lossy_region(LOSSY).await.unwrap();
        let (logs, state) = (Mutex::default(), state.to_owned());
        let world = Self { real, way, kubectl, kubeconfig, state, logs, tracks: tracks.to_vec() };
        let job = json!({"Owner": "opuser", "OwnerGroup": "biomed_user", "CPUTime": 3_600});
        assert_eq!(world.real.dirac.fill_task_queues(&[(WAITS, job)]).unwrap(), []);
        for track in tracks {
            world.make(track).await;
        }
        world
    }

    /// Makes the namespace of a track and what is in it.
    async fn make(&self, track: &Track) {
        let (real, name) = (&self.real, track.name);
        fs::create_dir(self.switch(name)).unwrap();
        let inside = format!("/switch-{name}");
        real.openstack.in_the_image(&self.switch(name), &inside).unwrap();
        real.ec2().unwrap().in_the_image(&self.switch(name), &inside).unwrap();
        self.kubectl.run(&["create", "namespace", name]).unwrap();
        let credentials = real.dirac.credentials("user").unwrap();
        let words = track.provider.words(real).await;
        let pem = json!({
            "tls.crt": credentials.certificate.expose_secret(),
            "tls.key": credentials.key.expose_secret(),
            "ca.crt": credentials.ca.expose_secret(),
        });
        for (secret, data) in [("certificate", pem), (SECRET, words.secret)] {
            self.kubectl.put_secret(name, secret, "stringData", &data).unwrap();
        }
        let runs = if track.works { Real::pilot() } else { format!("until [ -e {inside}/halt ]; do sleep 0.2; done") };
        let manifest = include_str!("manifests.yaml")
            .replace("@NAMESPACE@", name)
            .replace("@VO@", track.vo)
            .replace("@MATCHER@", &real.dirac.url("MATCHER").unwrap())
            .replace("@PILOTMANAGER@", &real.dirac.url("PILOTMANAGER").unwrap())
            .replace("@SITE@", SITE)
            .replace("@DRIVER@", words.driver)
            .replace("@SPEC@", &words.spec.to_string())
            .replace("@IMAGE@", words.image)
            .replace("@FLAVOR@", words.flavor)
            .replace("@CE@", track.ce())
            .replace("@RUNS@", &runs)
            .replace("@CEILING@", &track.most.to_string())
            .replace("@MAX@", &track.most.to_string());
        self.kubectl.apply(&manifest).unwrap();
    }

    /// A folder that every guest of a track sees: with a file `halt` in it the guests power off.
    fn switch(&self, track: &str) -> PathBuf {
        self.state.join(format!("switch-{track}"))
    }

    pub fn halt(&self, track: &Track, on: bool) {
        let file = self.switch(track.name).join("halt");
        if on {
            fs::write(file, "").unwrap();
        } else if file.exists() {
            fs::remove_file(file).unwrap();
        }
    }

    /// Starts an operator of a track that seeks the Lease; `crash_at`: where it dies.
    pub fn operator(&self, track: &Track, crash_at: Option<&str>) -> Operator {
        self.start_with(track, &[], crash_at)
    }

    /// Starts an operator of a track with these arguments too.
    pub fn start_with(&self, track: &Track, more: &[&str], crash_at: Option<&str>) -> Operator {
        let log = {
            let mut logs = self.logs.lock().unwrap();
            let log = self.state.join(format!("operator-{}-{}.log", track.name, logs.len()));
            logs.push(log.clone());
            log
        };
        let own = [
            format!("--watch-namespace={}", track.name),
            format!("--lease-name={}", track.name),
            format!("--cluster-id={}", track.cluster()),
        ];
        let args: Vec<&str> =
            QUICK.into_iter().chain(own.iter().map(String::as_str)).chain(more.iter().copied()).collect();
        Operator::start_to_crash(&self.kubeconfig, &log, &args, crash_at).unwrap()
    }

    /// Takes the Lease of an operator that is known to be dead, so that the next need not wait for its end.
    pub fn bury(&self, track: &Track) {
        self.kubectl.run(&["delete", "lease", track.name, "--namespace", OPERATOR, "--ignore-not-found"]).unwrap();
    }

    /// Holds what must be at any time against the records of Nova and DIRAC.
    pub fn all_is_well(&self) {
        let names: Vec<[&str; 1]> = self.tracks.iter().map(|track| [track.name]).collect();
        let limits: Vec<(&[&str], usize)> = names.iter().zip(&self.tracks).map(|(n, t)| (&n[..], t.most)).collect();
        self.real.all_is_well(&limits).unwrap();
    }

    /// Looks for every secret of the testbed in what operators have written so far, and in the metrics of these.
    pub async fn secrets_are_kept(&self, operators: &[&Operator]) {
        let real = &self.real;
        let folders = [real.dirac.state().to_owned(), real.dirac.state().join("grid-security")];
        let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
        let secrets = Secrets::gather(&self.kubectl, &folders, &[&self.kubeconfig]).unwrap();
        let history = real.lives().await.unwrap();
        let logs = self.logs.lock().unwrap().clone();
        let user_data: Vec<&str> = history.iter().map(|life| life.user_data.as_str()).collect();
        let written = Written { logs: &logs, operators, user_data: &user_data };
        secrets.are_kept(&self.kubectl, &written).await.unwrap();
    }

    /// No operator died otherwise than it was told to.
    pub fn nobody_panicked(&self) {
        for log in self.logs.lock().unwrap().iter() {
            let text = fs::read_to_string(log).unwrap();
            assert!(!text.contains("panicked"), "an operator panicked: {}", log.display());
            assert!(text.contains("TRACE"), "the log {} tells less than it could", log.display());
        }
    }

    pub fn pilotvms(&self, track: &Track) -> Vec<Value> {
        self.kubectl.objects(track.name, "pilotvms").unwrap()
    }

    /// The machines that a track has now, by its provider's own records.
    pub async fn machines(&self, track: &Track) -> Vec<Machine> {
        track.provider.machines(&self.real, &track.cluster()).await
    }

    /// How many VMs a track's pool may have from now on; no more than the track's most.
    pub fn at_most(&self, track: &Track, vms: usize) {
        let replicas = format!("--replicas={vms}");
        self.kubectl.run(&["scale", "pilotpool", track.name, &replicas, "--namespace", track.name]).unwrap();
    }
}
