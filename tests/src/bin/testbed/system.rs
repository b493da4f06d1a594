//! Which systems there are, how each is started and what is said of it. A new one is a variant and an arm of `start`.

use std::{any::Any, fs, net::Ipv4Addr, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, Result};
use clap::ValueEnum;
use testbeds::systems::{
    cluster::Cluster,
    controlplane::ControlPlane,
    dirac::{Ce, Dirac},
    ec2::{Ec2, REGION},
    openstack::OpenStack,
};

/// A real system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// etcd, kube-apiserver, kube-controller-manager, with the CRDs installed.
    Controlplane,
    /// Every DIRAC service that a job meets.
    Dirac,
    /// Keystone, Glance, Placement, Neutron and Nova, whose guests run their user-data.
    Openstack,
    /// EC2 with STS, SQS, SSM and Service Quotas: moto behind a layer of ours. Its instances run their user-data.
    Ec2,
    /// A whole small cluster whose node runs pods, with Services, names and volumes, in a network of its own.
    Cluster,
}

/// A system that runs until this is dropped.
pub struct Running {
    /// Lines for a shell: assignments that are exported, and comments.
    pub reach: Vec<String>,
    /// What listens while the system is well: name, and host:port.
    pub listens: Vec<(String, String)>,
    /// The system's handle.
    _handle: Box<dyn Any + Send>,
}

impl System {
    /// The word for it, also the name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Controlplane => "controlplane",
            Self::Dirac => "dirac",
            Self::Openstack => "openstack",
            Self::Ec2 => "ec2",
            Self::Cluster => "cluster",
        }
    }

    /// Starts it in the folder `folder`, to be reached at the address `at` of this machine. A cluster has an address of its own.
    pub async fn start(self, folder: &Path, at: Ipv4Addr) -> Result<Running> {
        match self {
            Self::Controlplane => control_plane(folder, at).await,
            Self::Dirac => dirac(folder, at).await,
            Self::Openstack => openstack(folder, at).await,
            Self::Ec2 => ec2(folder, at).await,
            Self::Cluster => cluster(folder).await,
        }
    }
}

async fn control_plane(folder: &Path, at: Ipv4Addr) -> Result<Running> {
    let plane = ControlPlane::start_at(folder, at).await?;
    plane.install_crds()?;
    Ok(Running {
        reach: vec![format!("export KUBECONFIG={}", quoted(&plane.kubeconfig()))],
        listens: vec![("kube-apiserver".to_owned(), plane.address().to_owned())],
        _handle: Box::new(plane),
    })
}

async fn cluster(folder: &Path) -> Result<Running> {
    let cluster = Cluster::start(folder).await?;
    let plane = cluster.plane();
    plane.install_crds()?;
    Ok(Running {
        reach: vec![
            format!("export KUBECONFIG={}", quoted(&plane.kubeconfig())),
            format!("# load an image from an archive: {} FILE", cluster.load_words()),
            format!(
                "# pods reach this machine at {0} and by its name; beside it for them: cargo xtask testbed up ec2 --at {0}",
                cluster.machine()
            ),
            format!(
                "# this machine reaches Services of the type LoadBalancer, which have addresses of {}",
                cluster.addresses()
            ),
        ],
        listens: cluster.listens().map(|(name, address)| (name.to_owned(), address)).into(),
        _handle: Box::new(cluster),
    })
}

async fn dirac(folder: &Path, at: Ipv4Addr) -> Result<Running> {
    let ce = Ce { name: "openstack.lyon.fr".to_owned(), queues: vec!["m1.xlarge".to_owned()] };
    let dirac = if at.is_loopback() {
        Dirac::start(folder, &[ce]).await?
    } else {
        Dirac::start_at(folder, &[ce], &at.to_string()).await?
    };
    let at = |name: &str| dirac.state().join(name).display().to_string();
    let mut reach = Vec::new();
    let mut listens = Vec::new();
    for service in ["MATCHER", "PILOTMANAGER", "JOBMONITORING", "JOBMANAGER"] {
        let url = dirac.url(service)?;
        let (address, name) = url.trim_start_matches("dips://").split_once('/').unwrap_or_default();
        listens.push((name.to_owned(), address.to_owned()));
        reach.push(format!("# {name}: {url}"));
    }
    reach.extend([
        format!(
            "# certificate, key and CA of an administrator, group biomed_admin: {} {} {}",
            at("user.pem"),
            at("user.key"),
            at("ca.pem")
        ),
        format!("# a pilot: {} FOLDER, with DIRAC_* in the environment", dirac.run_pilot().display()),
    ]);
    Ok(Running { reach, listens, _handle: Box::new(dirac) })
}

async fn openstack(folder: &Path, at: Ipv4Addr) -> Result<Running> {
    let it = OpenStack::start_at(folder, at).await?;
    let file = folder.join("clouds.yaml");
    fs::write(&file, it.clouds_yaml()).with_context(|| format!("cannot write {}", file.display()))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    let keystone = it.auth_url().trim_start_matches("http://").trim_end_matches("/v3").to_owned();
    Ok(Running {
        reach: vec![
            format!("export OS_CLIENT_CONFIG_FILE={}", quoted(&file)),
            "export OS_CLOUD=testbed".to_owned(),
            format!("# Keystone: {}; the cloud testbed-admin of that file is the administrator's", it.auth_url()),
        ],
        listens: vec![("Keystone".to_owned(), keystone), ("Nova".to_owned(), it.nova_address())],
        _handle: Box::new(it),
    })
}

async fn ec2(folder: &Path, at: Ipv4Addr) -> Result<Running> {
    let it = Ec2::start_at(folder, at).await?;
    let file = folder.join("credentials");
    let (key, secret) = it.keys();
    fs::write(&file, "").with_context(|| format!("cannot write {}", file.display()))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    fs::write(&file, format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"))?;
    let subnets: Vec<String> = it.subnets().into_iter().map(|(id, zone)| format!("{id} ({zone})")).collect();
    let images: Vec<String> = it.images().into_iter().map(|(word, id)| format!("{id} ({word})")).collect();
    let address = it.endpoint().trim_start_matches("http://").to_owned();
    Ok(Running {
        reach: vec![
            format!("export AWS_ENDPOINT_URL={}", it.endpoint()),
            format!("export AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}"),
            format!("export AWS_SHARED_CREDENTIALS_FILE={}", quoted(&file)),
            format!("# subnets: {}; security group: {}", subnets.join(", "), it.security_group()),
            format!("# images: {}", images.join(", ")),
            format!("# notices of Spot instances come into {}", it.queue_url()),
        ],
        listens: vec![("EC2".to_owned(), address)],
        _handle: Box::new(it),
    })
}

/// A path as a shell takes it for one word.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
