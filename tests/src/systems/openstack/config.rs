//! The files of an OpenStack testbed: configuration from templates, ports, keys.

use std::{fs, net::Ipv4Addr, path::Path};

use anyhow::{Context, Result};

use super::{PASSWORD, private};
use crate::{
    host::{forwarder::Forwarder, port},
    systems::guest,
};

/// Where everything listens, on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub keystone: u16,
    pub keystone_short: u16,
    pub placement: u16,
    pub glance: u16,
    pub nova: u16,
    pub neutron: u16,
    pub mariadb: u16,
    pub rabbit: u16,
    pub rabbit_dist: u16,
    pub epmd: u16,
    pub memcached: u16,
}

impl Ports {
    /// Eleven that nobody listens on.
    pub fn free() -> Result<Self> {
        let [keystone, keystone_short, placement, glance, nova, neutron, mariadb, rabbit, rabbit_dist, epmd, memcached] =
            port::free()?;
        Ok(Self {
            keystone,
            keystone_short,
            placement,
            glance,
            nova,
            neutron,
            mariadb,
            rabbit,
            rabbit_dist,
            epmd,
            memcached,
        })
    }

    /// Where Keystone's catalogue says that the services are.
    pub fn services_json(&self, address: Ipv4Addr) -> String {
        let at = |port: u16| format!("http://{address}:{port}");
        serde_json::json!({
            "placement": at(self.placement), "glance": at(self.glance), "nova": at(self.nova), "neutron": at(self.neutron),
        })
        .to_string()
    }

    /// What carries calls to the services from another address than 127.0.0.1.
    pub fn ways(&self, address: Ipv4Addr) -> Result<Vec<Forwarder>> {
        if address.is_loopback() {
            return Ok(Vec::new());
        }
        let all = [self.keystone, self.placement, self.glance, self.nova, self.neutron];
        all.into_iter().map(|port| Forwarder::open_at(address, port, port)).collect()
    }

    fn placeholders(&self) -> [(&'static str, u16); 9] {
        [
            ("@KEYSTONE@", self.keystone),
            ("@KEYSTONE_SHORT@", self.keystone_short),
            ("@PLACEMENT@", self.placement),
            ("@GLANCE@", self.glance),
            ("@NOVA@", self.nova),
            ("@NEUTRON@", self.neutron),
            ("@MARIADB@", self.mariadb),
            ("@RABBIT@", self.rabbit),
            ("@MEMCACHED@", self.memcached),
        ]
    }
}

const CONFIGURATION: [(&str, &str); 8] = [
    ("placement/placement.conf", include_str!("files/placement.conf")),
    ("glance/glance-api.conf", include_str!("files/glance-api.conf")),
    ("glance/paste.ini", include_str!("files/glance-paste.ini")),
    ("nova/nova.conf", include_str!("files/nova.conf")),
    ("nova/db.conf", include_str!("files/nova-db.conf")),
    ("nova/paste.ini", include_str!("files/nova-paste.ini")),
    ("neutron/neutron.conf", include_str!("files/neutron.conf")),
    ("neutron/paste.ini", include_str!("files/neutron-paste.ini")),
];
const PROGRAMS: [(&str, &str); 8] = [
    ("nova_virt/simcloud.py", include_str!("files/simcloud.py")),
    ("guest.py", guest::PROGRAM),
    ("simcloud_ml2.py", include_str!("files/simcloud_ml2.py")),
    ("simcloud-1.0.dist-info/entry_points.txt", include_str!("files/entry_points.txt")),
    ("service.py", include_str!("files/service.py")),
    ("wsgi.py", include_str!("files/wsgi.py")),
    ("novadb.py", include_str!("files/novadb.py")),
    ("seed.py", include_str!("files/seed.py")),
];
const KEYSTONE: &str = include_str!("files/keystone.conf");
/// Seconds that a token of the second Keystone lives.
const SHORT: u32 = 5;

/// Writes them all below `state`.
pub fn write(state: &Path, ports: &Ports, address: Ipv4Addr) -> Result<()> {
    for folder in
        ["run", "log", "home", "tmp", "mysql", "rabbit", "glance", "nova/instances", "neutron", "lock", "guests"]
    {
        fs::create_dir_all(state.join(folder)).with_context(|| format!("cannot make {}", state.display()))?;
    }
    let fill = |template: &str| {
        let mut text = template.replace("@STATE@", &state.display().to_string()).replace("@PASSWORD@", PASSWORD);
        text = text.replace("@ADDRESS@", &address.to_string());
        for (name, port) in ports.placeholders() {
            text = text.replace(name, &port.to_string());
        }
        text
    };
    for (name, text) in CONFIGURATION {
        put(&state.join("etc").join(name), &fill(text))?;
    }
    for (name, text) in PROGRAMS {
        put(&state.join("lib").join(name), text)?;
    }
    put(&state.join("lib/simcloud-1.0.dist-info/METADATA"), "Metadata-Version: 2.1\nName: simcloud\nVersion: 1.0\n")?;
    for (name, port, life) in [("keystone", ports.keystone, 3_600), ("keystone-short", ports.keystone_short, SHORT)] {
        let own = KEYSTONE.replace("@OWN@", &port.to_string()).replace("@EXPIRATION@", &life.to_string());
        put(&state.join("etc").join(name).join("keystone.conf"), &fill(&own))?;
    }
    for key in ["fernet/0", "fernet/1", "credential/0", "credential/1"] {
        let path = state.join("etc").join(key);
        put(&path, &key_text())?;
        private(&path)?;
    }
    put(&state.join("etc/enabled_plugins"), "[].")?;
    put(
        &state.join("etc/rabbitmq.conf"),
        &format!(
            "listeners.tcp.1 = 127.0.0.1:{}\ndefault_user = openstack\ndefault_pass = {PASSWORD}\nloopback_users = none\nlog.file.level = warning\nvm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 50MB\n",
            ports.rabbit
        ),
    )?;
    put(&state.join("image.json"), "[]")
}

/// A Fernet key: 32 bytes, URL-safe base64.
fn key_text() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // 43 characters hold 258 bits; the last one's two low bits must be 0.
    let mut text: String = (0..42).map(|_| char::from(ALPHABET[rand::random_range(0..64)])).collect();
    text.push(char::from(ALPHABET[rand::random_range(0..16) * 4]));
    text.push('=');
    text
}

fn put(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
