//! The user-data of a VM: a small cloud-config that tells the pilot what it is, with the pool's own part merged in. It holds no secret.
//!
//! Our part writes `/etc/dirac-operator/pilot.env` (for shells) and `pilot.json`, and powers the VM off when the pool's commands
//! have ended: a VM whose pilot found no more work halts by itself. The pool's part is a cloud-config template that is given
//! the fields of [`Pilot`]. Lists are appended to ours, maps are merged, and where both set one value the pool's wins.
//!
//! Anyone who may write a PilotPool writes a template, and one operator serves all of them. So each step has bounds that hold
//! before it allocates or recurses: the template in `template.rs`, the YAML that it gives in `cloud_config.rs`.

mod cloud_config;
#[cfg(test)]
mod hostile_tests;
mod template;
#[cfg(test)]
#[path = "user_data_tests.rs"]
mod tests;
mod verdicts;

use secrecy::SecretString;
use serde_json::{Value, json};

use super::Pilot;
use crate::cloud::Limits;

pub use verdicts::Verdicts;

/// What the most patient of clouds takes, in bytes after base64: see [`Limits`].
pub const LARGEST: usize = encoded(Limits::WIDEST.user_data_bytes);

/// Why there is no user-data. Each text is a lower-case sentence without secrets, at most some 500 characters long, that names
/// the line where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserDataError {
    /// The template cannot be rendered.
    #[error("spec.machine.userData cannot be rendered: {0}")]
    Template(String),
    /// What was rendered is not a cloud-config.
    #[error("spec.machine.userData does not give a cloud-config: {0}")]
    NoCloudConfig(String),
    /// It is larger than clouds take. The number is its size in bytes after base64, or a lower bound of it.
    #[error(
        "the user-data has {0} bytes or more and clouds take {LARGEST} (as base64): make spec.machine.userData smaller"
    )]
    TooLarge(usize),
}

/// Renders `template` with a pilot that has every field, to see whether it can be used. Takes at most some tens of milliseconds
/// and a few MiB, whatever the template is; [`Verdicts`] remembers the outcome.
pub fn check(template: &str) -> Result<(), UserDataError> {
    let text = |s: &str| s.to_owned();
    let sample = Pilot {
        reference: text("cloud://00000000-0000-0000-0000-000000000000"),
        stamp: "0".repeat(32),
        vo: text("vo.example.org"),
        group: text("vo_pilot"),
        owner_groups: vec![text("vo_user")],
        site: text("CLOUD.Example.org"),
        ce: text("ce.example.org"),
        queue: text("flavor"),
        cores: 8,
        ram_mib: 16_384,
        gpus: 1,
        gpu_model: text("A100"),
        gpu_cores: 8,
        cpu_time: 86_400,
        tags: vec![text("GPU")],
        required_tags: vec![text("GPU")],
        platform: Some(text("Linux_x86_64_glibc-2.34")),
        idle_timeout: 300,
    };
    render(&sample, Some(template)).map(|_| ())
}

/// The user-data of this pilot's VM: `#cloud-config` and YAML, at most [`LARGEST`] bytes after base64.
pub fn render(pilot: &Pilot, template: Option<&str>) -> Result<SecretString, UserDataError> {
    let mut config = ours(pilot);
    if let Some(template) = template.filter(|t| !t.trim().is_empty()) {
        merge(&mut config, cloud_config::parse(&template::fill(pilot, template)?)?);
    }
    let yaml = serde_saphyr::to_string(&config).map_err(|e| UserDataError::NoCloudConfig(e.to_string()))?;
    let text = format!("#cloud-config\n{yaml}");
    let size = encoded(text.len());
    if size > LARGEST { Err(UserDataError::TooLarge(size)) } else { Ok(text.into()) }
}

/// What a template is known by: 16 hexadecimal digits of its text, before anything of a pilot is put in. No template, and one without a
/// word, are one. It stands in the status of PilotVMs, so it is the same in every version: FNV-1a with 64 bits.
pub fn fingerprint(template: Option<&str>) -> String {
    let text = template.filter(|template| !template.trim().is_empty()).unwrap_or_default();
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

/// The size of this many bytes after base64.
const fn encoded(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// The cloud-config that every pilot's VM gets: a file with its description, and the environment.
fn ours(pilot: &Pilot) -> Value {
    let pairs = [
        ("DIRAC_PILOT_REFERENCE", pilot.reference.clone()),
        ("DIRAC_PILOT_STAMP", pilot.stamp.clone()),
        ("DIRAC_VO", pilot.vo.clone()),
        ("DIRAC_GROUP", pilot.group.clone()),
        ("DIRAC_SITE", pilot.site.clone()),
        ("DIRAC_CE", pilot.ce.clone()),
        ("DIRAC_QUEUE", pilot.queue.clone()),
        ("DIRAC_CORES", pilot.cores.to_string()),
        ("DIRAC_RAM_MIB", pilot.ram_mib.to_string()),
        ("DIRAC_GPUS", pilot.gpus.to_string()),
        ("DIRAC_GPU_MODEL", pilot.gpu_model.clone()),
        ("DIRAC_GPU_CORES", pilot.gpu_cores.to_string()),
        ("DIRAC_CPU_TIME", pilot.cpu_time.to_string()),
        ("DIRAC_TAGS", pilot.tags.join(",")),
        ("DIRAC_REQUIRED_TAGS", pilot.required_tags.join(",")),
        ("DIRAC_IDLE_TIMEOUT", pilot.idle_timeout.to_string()),
    ];
    let env: String = pairs.iter().map(|(name, value)| format!("{name}={}\n", quote(value))).collect();
    let description = serde_json::to_string_pretty(pilot).unwrap_or_default();
    json!({
        "write_files": [
            {"path": "/etc/dirac-operator/pilot.env", "content": env, "permissions": "0644"},
            {"path": "/etc/dirac-operator/pilot.json", "content": description, "permissions": "0644"},
        ],
        "power_state": {"mode": "poweroff", "message": "the pilot has ended", "condition": true},
    })
}

/// A value as one word of a POSIX shell.
fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Merges `theirs` into `ours`.
fn merge(ours: &mut Value, theirs: Value) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in theirs {
                match ours.get_mut(&key) {
                    Some(old) => merge(old, value),
                    None => {
                        ours.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => ours.extend(theirs),
        (ours, theirs) => *ours = theirs,
    }
}
