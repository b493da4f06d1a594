//! A real Kubernetes control plane as three plain processes: etcd, kube-apiserver, kube-controller-manager. RBAC is on.

pub mod audit;
pub mod build;
pub mod proxy;
mod restore;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{Namespace, ServiceAccount},
};
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::{
    host::{port, process::Process},
    systems::{
        helm::{Helm, chart},
        kubectl::Kubectl,
        pki::Authority,
    },
};

/// Generous: it costs nothing when all is well, and three layers share the machine's cores.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

/// The name of the node that may register, where there is one.
pub const NODE: &str = "testbed";
const NODE_USER: &str = "system:node:testbed";

/// A running control plane. Dropping it ends it; its folder stays.
pub struct ControlPlane {
    state: PathBuf,
    /// Where the programs are.
    bin: PathBuf,
    /// Of etcd for clients and for peers, of the API server, and of the controllers.
    ports: [u16; 4],
    /// Where the API server listens, and nothing else.
    address: Ipv4Addr,
    url: String,
    /// Newest first: that is the order in which they are dropped.
    processes: Vec<Process>,
    kubectl: PathBuf,
}

impl ControlPlane {
    /// Starts one in the folder `state`, in about five seconds; builds the programs first where they are missing.
    pub async fn start(state: &Path) -> Result<Self> {
        Self::start_at(state, Ipv4Addr::LOCALHOST).await
    }

    /// The same with the API server at another address of this machine, at which nodes and pods reach it too.
    pub async fn start_at(state: &Path, address: Ipv4Addr) -> Result<Self> {
        let bin = build::control_plane()?;
        let kubectl = build::kubectl()?;
        let state = state.to_owned();
        tokio::task::spawn_blocking(move || Self::start_blocking(&state, &bin, kubectl, address)).await?
    }

    fn start_blocking(state: &Path, bin: &Path, kubectl: PathBuf, address: Ipv4Addr) -> Result<Self> {
        let ports: [u16; 4] = port::free()?;
        let pki = state.join("pki");
        fs::create_dir_all(&pki)?;
        let url = format!("https://{address}:{}", ports[2]);
        let authority = Authority::new(&[("CN", "test-ca")])?;
        fs::write(pki.join("ca.crt"), &authority.certificate)?;
        let certificate = |file: &str, parts: &[(&str, &str)], names: &[&str]| -> Result<()> {
            let identity = authority.issue(parts, names)?;
            fs::write(pki.join(format!("{file}.crt")), identity.certificate)?;
            fs::write(pki.join(format!("{file}.key")), identity.key)?;
            Ok(())
        };
        certificate(
            "apiserver",
            &[("CN", "kube-apiserver")],
            &["127.0.0.1", &address.to_string(), "10.96.0.1", "localhost", "kubernetes.default.svc"],
        )?;
        for (user, parts) in [
            ("admin", &[("O", "system:masters"), ("CN", "admin")][..]),
            ("controllers", &[("CN", "system:kube-controller-manager")]),
            ("scheduler", &[("CN", "system:kube-scheduler")]),
            ("proxy", &[("CN", "system:kube-proxy")]),
            ("names", &[("CN", "system:testbed:names")]),
            ("provider", &[("CN", "system:testbed:provider")]),
            ("node", &[("O", "system:nodes"), ("CN", NODE_USER)]),
        ] {
            certificate(user, parts, &[])?;
            let auth = format!("client-certificate: {0}/{user}.crt, client-key: {0}/{user}.key", pki.display());
            fs::write(state.join(format!("{user}.kubeconfig")), kubeconfig(&url, &pki.join("ca.crt"), &auth))?;
        }
        // Signs the service accounts' tokens; any key pair does, and the certificate stands for its public half.
        certificate("tokens", &[("CN", "service-accounts")], &[])?;
        fs::write(state.join("audit-policy.yaml"), audit::POLICY)?;

        let (state, bin) = (state.to_owned(), bin.to_owned());
        let mut it = Self { state, bin, ports, address, url, processes: Vec::new(), kubectl };
        it.start_processes()?;
        Ok(it)
    }

    fn start_processes(&mut self) -> Result<()> {
        let [clients, peers, api, controllers] = self.ports;
        let (state, bin, log) = (&self.state, &self.bin, self.state.join("log"));
        let at = |file: &str| state.join("pki").join(file).display().to_string();
        let mut etcd = Command::new(bin.join("etcd"));
        etcd.arg("--data-dir").arg(state.join("etcd")).args([
            "--unsafe-no-fsync",
            &format!("--listen-client-urls=http://127.0.0.1:{clients}"),
            &format!("--advertise-client-urls=http://127.0.0.1:{clients}"),
            &format!("--listen-peer-urls=http://127.0.0.1:{peers}"),
            &format!("--initial-advertise-peer-urls=http://127.0.0.1:{peers}"),
            &format!("--initial-cluster=default=http://127.0.0.1:{peers}"),
            "--log-level=warn",
        ]);
        let mut etcd = Process::spawn("etcd", etcd, &log.join("etcd.log"))?;
        etcd.wait_tcp(clients, PATIENCE)?;
        let mut server = Command::new(bin.join("kube-apiserver"));
        server.args([
            &format!("--etcd-servers=http://127.0.0.1:{clients}"),
            &format!("--bind-address={}", self.address),
            &format!("--advertise-address={}", self.address),
            &format!("--secure-port={api}"),
            &format!("--tls-cert-file={}", at("apiserver.crt")),
            &format!("--tls-private-key-file={}", at("apiserver.key")),
            &format!("--client-ca-file={}", at("ca.crt")),
            "--authorization-mode=Node,RBAC",
            // For logs and exec of pods, where there is a node.
            &format!("--kubelet-client-certificate={}", at("admin.crt")),
            &format!("--kubelet-client-key={}", at("admin.key")),
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://127.0.0.1",
            &format!("--service-account-key-file={}", at("tokens.crt")),
            &format!("--service-account-signing-key-file={}", at("tokens.key")),
            &format!("--audit-policy-file={}", state.join("audit-policy.yaml").display()),
            &format!("--audit-log-path={}", log.join("audit.log").display()),
            "--service-cluster-ip-range=10.96.0.0/16",
            // The Service kubernetes leads to this address, and 127.0.0.1 is refused there.
            &format!("--endpoint-reconciler-type={}", if self.address.is_loopback() { "none" } else { "lease" }),
        ]);
        let mut server = Process::spawn("kube-apiserver", server, &log.join("kube-apiserver.log"))?;
        let mut manager = Command::new(bin.join("kube-controller-manager"));
        manager.arg("--kubeconfig").arg(state.join("controllers.kubeconfig")).args([
            "--bind-address=127.0.0.1",
            &format!("--secure-port={controllers}"),
            "--leader-elect=false",
            "--use-service-account-credentials",
            &format!("--service-account-private-key-file={}", at("tokens.key")),
            &format!("--root-ca-file={}", at("ca.crt")),
            "--controllers=*,-nodeipam,-route,-cloud-node-lifecycle",
        ]);
        let admin = self.kubectl();
        server.wait_until("/readyz", PATIENCE, || admin.run(&["get", "--raw", "/readyz"]).is_ok())?;
        let manager = Process::spawn("kube-controller-manager", manager, &log.join("kube-controller-manager.log"))?;
        server.wait_until("the default service account", PATIENCE, || {
            admin.run(&["get", "serviceaccount", "default", "--namespace", "default"]).is_ok()
        })?;
        self.processes = vec![manager, server, etcd];
        Ok(())
    }

    /// Where the API server listens, as host:port.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("https://")
    }

    /// The cluster administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_of("admin")
    }

    /// The kubeconfig of another part of the cluster: `scheduler`, `proxy`, `node`, `names` or `provider`.
    pub fn kubeconfig_of(&self, user: &str) -> PathBuf {
        self.state.join(format!("{user}.kubeconfig"))
    }

    /// The certificate of the authority that signs all others.
    pub fn authority(&self) -> PathBuf {
        self.state.join("pki/ca.crt")
    }

    /// A client of the cluster administrator.
    pub async fn client(&self) -> Result<Client> {
        client(&self.kubeconfig()).await
    }

    /// `kubectl` as the cluster administrator.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.kubectl.clone(), &self.kubeconfig())
    }

    /// `helm` as the cluster administrator; built first where it is missing.
    pub fn helm(&self) -> Result<Helm> {
        Ok(Helm::new(build::helm()?, &self.kubeconfig()))
    }

    /// Installs the chart's CRDs and waits until the API server serves them.
    pub fn install_crds(&self) -> Result<()> {
        let crds = chart().join("files/crds");
        let crds = crds.to_str().context("the chart's path is not UTF-8")?;
        let kubectl = self.kubectl();
        kubectl.run(&["apply", "--server-side", "-f", crds])?;
        kubectl.run(&["wait", "--for=condition=Established", "--timeout=300s", "-f", crds])?;
        Ok(())
    }

    /// A kubeconfig of a service account, made by a token request that holds for a day.
    pub async fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec { audiences: vec![], expiration_seconds: Some(86_400), bound_object_ref: None },
            ..TokenRequest::default()
        };
        let answer = accounts.create_token_request(name, &kube::api::PostParams::default(), &request).await?;
        let token = answer.status.context("the token request was not answered")?.token;
        let file = self.state.join(format!("{namespace}-{name}.kubeconfig"));
        fs::write(&file, kubeconfig(&self.url, &self.state.join("pki/ca.crt"), &format!("token: {token}")))?;
        Ok(file)
    }

    /// The UID of `kube-system`, which names the cluster.
    pub async fn cluster_id(&self) -> Result<String> {
        let namespaces: Api<Namespace> = Api::all(self.client().await?);
        namespaces.get("kube-system").await?.metadata.uid.context("kube-system has no UID")
    }

    /// The kinds of requests that a service account has made so far, each with the HTTP codes of the answers.
    pub fn requests_of(&self, namespace: &str, account: &str) -> Result<BTreeMap<audit::Request, BTreeSet<u16>>> {
        let user = format!("system:serviceaccount:{namespace}:{account}");
        audit::requests(&self.state.join("log/audit.log"), &user)
    }

    /// Holds the API server still, as a machine that hangs does, until [`ControlPlane::resume`].
    pub fn pause(&self) -> Result<()> {
        self.processes[1].signal(nix::sys::signal::Signal::SIGSTOP)
    }

    /// Lets the API server go on.
    pub fn resume(&self) -> Result<()> {
        self.processes[1].signal(nix::sys::signal::Signal::SIGCONT)
    }
}

/// A client for a kubeconfig file.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let config =
        Config::from_custom_kubeconfig(Kubeconfig::read_from(kubeconfig)?, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

fn kubeconfig(url: &str, ca: &Path, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: testbed, cluster: {{server: \"{url}\", certificate-authority: {}}}}}]\n\
         users: [{{name: user, user: {{{user}}}}}]\ncontexts: [{{name: testbed, context: {{cluster: testbed, user: user}}}}]\n\
         current-context: testbed\n",
        ca.display()
    )
}
