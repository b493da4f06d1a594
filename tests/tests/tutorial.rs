//! Layer `tutorial`: the commands of the README and of docs/tutorial.md, word for word and in their order, in a fresh copy of the repository:
//! from an empty cluster, a DIRAC that knows nothing of the operator and an OpenStack to a job that is Done on a bought VM, and back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    env, fs,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use testbeds::{
    host::{apt, process::run, root},
    pages::blocks,
    real::{self, ROW_IS_OPEN, furnish},
    systems::{
        cluster::Cluster,
        controlplane::build,
        dirac::Dirac,
        image,
        openstack::{OpenStack, PROJECT},
    },
};

const PAGE: &str = "docs/tutorial.md";
/// Seconds after which a command hangs.
const PATIENCE: &str = "900";
/// The section of the README to which the page leads begins with this command.
const FIRST: &str = "cargo xtask image --push registry.example.org/dirac/dirac-operator:0.1.0";

/// A cluster without anything, and beside it, where its pods reach them, a DIRAC and an OpenStack.
struct World {
    cluster: Cluster,
    dirac: Dirac,
    openstack: OpenStack,
    at: Ipv4Addr,
}

impl World {
    async fn start(state: &Path) -> Self {
        let cluster = Cluster::start(&state.join("cluster")).await.unwrap();
        let (at, host) = (cluster.machine(), cluster.machine().to_string());
        let (dirac, cloud) = (state.join("dirac"), state.join("openstack"));
        let (dirac, openstack) =
            tokio::try_join!(Dirac::start_at(&dirac, &[], &host), OpenStack::start_at(&cloud, at)).unwrap();
        // What the page brings into DIRAC is not there before.
        dirac.remove_configuration("/Resources/Sites/CLOUD").unwrap();
        dirac.sql("delete from ResourceStatusDB.SiteStatus").unwrap();
        // The image is what images/pilot says; it is there before the page begins, as a user's is.
        furnish(&openstack, &dirac).unwrap();
        Self { cluster, dirac, openstack, at }
    }

    /// What the page tells its reader to change in `examples/openstack`, and what it is here.
    fn names(&self) -> Vec<(&'static str, String)> {
        let others = [
            ("/DC=org/DC=example/CN=dirac-operator.example.org", "/C=ch/O=TestGrid/CN=stranger".to_owned()),
            ("NumberOfProcessors = 2", "NumberOfProcessors = 4".to_owned()),
            ("MaxRAM = 4096", "MaxRAM = 8192".to_owned()),
        ];
        real::names(&self.dirac, &self.openstack).unwrap().into_iter().chain(others).collect()
    }

    /// The differences between what the pages say and what is run: there is no registry, as the README describes too, and the program for
    /// the image is built before; the addresses of this cloud are private, and its Keystone speaks http.
    fn commands() -> [(&'static str, String); 2] {
        let program = image::program().unwrap();
        [
            (
                FIRST,
                format!("cargo xtask image --save dirac-operator.tar --tool buildah --program {}", program.display()),
            ),
            (
                "--set image.reference=registry.example.org/dirac/dirac-operator:0.1.0",
                "--set allowPrivateAddresses=true,allowHttp=true".to_owned(),
            ),
        ]
    }
}

/// Who reads the pages: a shell in a copy of the repository, with what the page asks for.
struct Reader {
    folder: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Reader {
    fn new(state: &Path, world: &World) -> Self {
        let text = |path: PathBuf| path.display().to_string();
        let at = |name: &str| text(state.join(name));
        let (folder, home) = (state.join("dirac-operator"), state.join("home"));
        for folder in [&folder, &home] {
            fs::create_dir_all(folder).unwrap();
        }
        let copy = "git ls-files -z | tar --create --null --files-from - | tar --extract --directory \"$0\"";
        run("a fresh copy", Command::new("bash").current_dir(root()).args(["-c", copy]).arg(&folder)).unwrap();
        // The operator's certificate is of nobody whom this DIRAC knows yet.
        let operator = world.dirac.credentials("stranger").unwrap();
        let secret = |text: &secrecy::SecretString| secrecy::ExposeSecret::expose_secret(text).to_owned();
        for (name, text) in
            [("usercert.pem", &operator.certificate), ("userkey.pem", &operator.key), ("ca.pem", &operator.ca)]
        {
            fs::write(folder.join(name), secret(text)).unwrap();
        }
        // The administrator, who is also the user that submits: DIRAC's client as `dirac-configure --VO biomed` sets it up.
        let client = format!(
            "DIRAC\n{{\n  VirtualOrganization = biomed\n  Configuration\n  {{\n    Servers = {}\n  }}\n}}\n",
            world.dirac.url("CONFIGURATION").unwrap()
        );
        fs::write(state.join("client.cfg"), client).unwrap();
        fs::write(state.join("clouds.yaml"), world.openstack.clouds_yaml()).unwrap();
        fs::set_permissions(state.join("clouds.yaml"), fs::Permissions::from_mode(0o600)).unwrap();
        let own = |name: &str, folder: &str| {
            env::var(name).unwrap_or_else(|_| format!("{}/{folder}", env::var("HOME").unwrap()))
        };
        let helm = build::helm().unwrap();
        let path =
            [helm.parent().unwrap().display().to_string(), env::var("PATH").unwrap(), text(world.dirac.commands())];
        let of_dirac = |name: &str| text(world.dirac.state().join(name));
        let environment = vec![
            ("PATH", path.join(":")),
            ("CARGO_HOME", own("CARGO_HOME", ".cargo")),
            ("RUSTUP_HOME", own("RUSTUP_HOME", ".rustup")),
            ("HOME", text(home)),
            ("no_proxy", world.at.to_string()),
            ("KUBECONFIG", text(world.cluster.plane().kubeconfig())),
            ("OS_CLIENT_CONFIG_FILE", at("clouds.yaml")),
            ("OS_CLOUD", "testbed".to_owned()),
            ("DIRACSYSCONFIG", at("client.cfg")),
            ("X509_CERT_DIR", of_dirac("grid-security/certificates")),
            ("X509_USER_CERT", of_dirac("user.pem")),
            ("X509_USER_KEY", of_dirac("user.key")),
            ("X509_USER_PROXY", at("proxy")),
            ("CONTAINERS_STORAGE_CONF", text(image::storage(state).unwrap())),
        ];
        Self { folder, environment }
    }

    /// Changes the names in `examples/openstack`, each of which must be there.
    fn change(&self, names: &[(&str, String)]) {
        let folder = self.folder.join("examples/openstack");
        let files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        for (from, to) in names.iter().chain(&real::quicker()) {
            let mut found = false;
            for file in &files {
                let text = fs::read_to_string(file).unwrap();
                found |= text.contains(from);
                fs::write(file, text.replace(from, to)).unwrap();
            }
            assert!(found, "the page says to change {from:?}, and examples/openstack has it no more");
        }
        for file in files {
            assert!(
                !fs::read_to_string(&file).unwrap().contains("example.org"),
                "{} has a name that stays",
                file.display()
            );
        }
    }

    /// Runs a command as a shell does; what it printed.
    fn types(&self, command: &str) -> String {
        println!("$ {command}");
        let begun = Instant::now();
        let mut shell = Command::new("timeout");
        shell.args([PATIENCE, "bash", "-o", "pipefail", "-c", command]).current_dir(&self.folder);
        // The copy is built in a folder of its own.
        shell.env_remove("CARGO_TARGET_DIR").envs(self.environment.iter().cloned());
        let said = run(command, &mut shell).unwrap();
        println!("{said}[{:.0} s]", begun.elapsed().as_secs_f64());
        said
    }
}

/// The page's table of what to change: the first words of its lines.
fn table(page: &str) -> Vec<&str> {
    let lines = page.lines().skip_while(|line| *line != "| there | what it is |").skip(2);
    lines.map_while(|line| line.strip_prefix("| `")).map(|line| line.split_once('`').unwrap().0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_lead_from_an_empty_cluster_to_a_job_that_is_done_and_back() {
    apt::ensure("the tutorial", &["python3-openstackclient"]).unwrap();
    let begun = Instant::now();
    let state = tempfile::tempdir().unwrap();
    let world = World::start(state.path()).await;
    let kubectl = world.cluster.plane().kubectl();
    let before = kubectl.cluster_wide().unwrap();
    let reader = Reader::new(state.path(), &world);
    println!("the systems stand after {} s", begun.elapsed().as_secs());

    let read = |page: &str| fs::read_to_string(reader.folder.join(page)).unwrap();
    let names = world.names();
    assert_eq!(
        table(&read(PAGE)),
        names.iter().map(|(from, _)| *from).collect::<Vec<_>>(),
        "the page names what the test changes"
    );
    reader.change(&names);

    let commands = |page: &str| blocks(page, &read(page)).unwrap().into_iter().filter(|block| block.runs);
    let mut all: Vec<String> = commands(PAGE).flat_map(|block| block.commands).collect();
    // Where the page sends its reader to the README and then looks whether it is done.
    let there = all.iter().position(|command| command.starts_with("kubectl rollout status")).unwrap();
    let readme = commands("README.md").filter(|block| block.commands[0] == FIRST).flat_map(|block| block.commands);
    all.splice(there..there, readme);
    let mut unused = World::commands().to_vec();
    for command in all {
        let mut typed = command.clone();
        unused.retain(|(from, to)| {
            typed = typed.replace(from, to);
            !command.contains(from)
        });
        reader.types(&typed);
        if command == FIRST {
            world.cluster.load(&reader.folder.join("dirac-operator.tar")).unwrap();
        }
    }
    assert!(unused.is_empty(), "the pages have no more of {unused:?}");
    println!("the pages are read after {} s", begun.elapsed().as_secs());

    let count = |query: &str| world.dirac.sql(query).unwrap().trim().parse::<usize>().unwrap();
    assert_eq!(count("select count(*) from JobDB.Jobs where Status = 'Done'"), 1);
    let pilots = "select count(*) from PilotAgentsDB.PilotAgents";
    assert!(count(pilots) >= 1, "the job ran on a VM of the operator's");
    assert_eq!(count(&format!("{pilots} where {ROW_IS_OPEN}")), 0, "every row is closed");
    let servers = world.openstack.servers(PROJECT).await.unwrap();
    assert!(servers.is_empty(), "nothing is left in Nova: {servers:?}");
    let after = kubectl.cluster_wide().unwrap();
    // The API server itself makes an apiservice for each group of CRDs.
    let left: Vec<_> = after.difference(&before).filter(|name| !name.ends_with("diracgrid.org")).collect();
    assert!(left.is_empty(), "nothing but the CRDs is left in the cluster: {left:?}");
}
