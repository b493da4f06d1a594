//! The user-data of a VM: a small cloud-config that tells the pilot who it is, with the pool's own part merged in. It holds no secret.
//!
//! Ours writes `/etc/dirac-operator/pilot.env` (for shells) and `pilot.json`, and powers the VM off when the pool's commands
//! have ended: a VM whose pilot found no more work halts by itself. The pool's part is a cloud-config template that is given
//! the fields of [`Pilot`]. Lists are appended to ours, maps are merged, and where both say something the pool is right.

use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::Pilot;
use crate::cloud::Limits;

/// Steps a template may take: an endless loop ends here.
const FUEL: u64 = 200_000;

/// Why there is no user-data; the text names the line where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserDataError {
    /// The template cannot be rendered.
    #[error("spec.machine.userData cannot be rendered: {0}")]
    Template(String),
    /// What was rendered is no cloud-config.
    #[error("spec.machine.userData is no cloud-config: {0}")]
    NoCloudConfig(String),
    /// It is larger than any cloud takes.
    #[error("{0}")]
    TooLarge(String),
}

/// Renders `template` with a pilot that has every field, to see whether it can be used.
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
        cpu_time: 86_400,
        tags: vec![text("GPU")],
        required_tags: vec![text("GPU")],
        platform: Some(text("Linux_x86_64_glibc-2.34")),
        idle_timeout: 300,
    };
    render(&sample, Some(template)).map(|_| ())
}

/// The user-data of this pilot's VM.
pub fn render(pilot: &Pilot, template: Option<&str>) -> Result<SecretString, UserDataError> {
    let mut config = ours(pilot);
    if let Some(template) = template.filter(|t| !t.trim().is_empty()) {
        let rendered = fill(pilot, template)?;
        merge(&mut config, parse(&rendered)?);
    }
    let yaml = serde_saphyr::to_string(&config).map_err(|e| UserDataError::NoCloudConfig(e.to_string()))?;
    let text = format!("#cloud-config\n{yaml}");
    Limits::WIDEST.check(&text).map_err(UserDataError::TooLarge)?;
    Ok(text.into())
}

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

fn fill(pilot: &Pilot, template: &str) -> Result<String, UserDataError> {
    // Not `.yaml`: that would have values escaped as JSON.
    const NAME: &str = "spec.machine.userData";
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.add_filter("quote", |value: String| quote(&value));
    environment.add_filter("b64", |value: String| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(value)
    });
    let said = |e: minijinja::Error| {
        let line = e.line().map(|l| format!("line {l}: ")).unwrap_or_default();
        let hint = match e.kind() {
            minijinja::ErrorKind::UndefinedError => format!("; known names are {}", names().join(", ")),
            minijinja::ErrorKind::OutOfFuel => "; a loop in it does not end".to_owned(),
            _ => String::new(),
        };
        UserDataError::Template(format!(
            "{line}{}{hint}",
            e.detail().unwrap_or("it has an error").chars().take(300).collect::<String>()
        ))
    };
    let whose = minijinja::Value::from(minijinja::value::Serde(pilot));
    environment
        .template_from_named_str(NAME, template)
        .map_err(said)?
        .render(context! { pilot => whose.clone(), ..whose })
        .map_err(said)
}

fn names() -> Vec<String> {
    let fields =
        serde_json::to_value(Pilot::default()).ok().and_then(|v| v.as_object().map(|o| o.keys().cloned().collect()));
    fields.unwrap_or_default()
}

fn parse(rendered: &str) -> Result<Value, UserDataError> {
    let wrong = |what: String| UserDataError::NoCloudConfig(what);
    match serde_saphyr::from_str::<Value>(rendered) {
        Ok(Value::Object(map)) => Ok(Value::Object(map)),
        Ok(Value::Null) => Ok(Value::Object(Map::new())),
        Ok(_) => Err(wrong("write a map of cloud-config modules, such as runcmd: [...]".to_owned())),
        Err(e) => Err(wrong(e.to_string().lines().next().unwrap_or_default().to_owned())),
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    fn rendered(pilot: &Pilot, template: &str) -> Value {
        let text = render(pilot, Some(template)).unwrap();
        assert!(text.expose_secret().starts_with("#cloud-config\n"));
        serde_saphyr::from_str(text.expose_secret()).unwrap()
    }

    #[test]
    fn the_pools_part_is_filled_in_and_merged() {
        let pilot = Pilot { reference: "cloud://x".into(), cores: 4, tags: vec!["GPU".into()], ..Pilot::default() };
        let template = "write_files: [{path: /a, content: '{{ reference }}'}]\nruncmd:\n  - run {{ cores }} {{ pilot.tags | join(',') | quote }}\npower_state: {mode: reboot}\n";
        let config = rendered(&pilot, template);
        assert_eq!(config["write_files"].as_array().unwrap().len(), 3);
        assert_eq!(config["write_files"][2]["content"], "cloud://x");
        assert_eq!(config["runcmd"], json!(["run 4 'GPU'"]));
        assert_eq!(config["power_state"]["mode"], "reboot", "the pool is right");
    }

    #[test]
    fn what_cannot_be_used_is_said_with_its_line() {
        let said = |template: &str| check(template).unwrap_err().to_string();
        assert!(said("runcmd:\n  - {{ referense }}").contains("line 2"), "{}", said("runcmd:\n  - {{ referense }}"));
        assert!(said("{{ referense }}").contains("reference"), "{}", said("{{ referense }}"));
        assert!(
            said("{% for x in range(10000) %}{% for y in range(10000) %}x{% endfor %}{% endfor %}")
                .contains("does not end")
        );
        assert!(said("- a list").contains("write a map"));
        assert!(said("a: [").contains("no cloud-config"));
        assert!(said("{% if %}").contains("cannot be rendered"));
        assert!(said(&format!("x: {}", "y".repeat(60_000))).contains("smaller"));
        assert_eq!(check("runcmd: [true]"), Ok(()));
    }

    proptest! {
        #[test]
        fn whatever_the_names_the_values_arrive_as_they_are(vo in ".*", site in ".*") {
            let pilot = Pilot { vo: vo.clone(), site: site.clone(), ..Pilot::default() };
            let text = render(&pilot, None).unwrap();
            let config: Value = serde_saphyr::from_str(text.expose_secret()).unwrap();
            let kept: Value = serde_json::from_str(config["write_files"][1]["content"].as_str().unwrap()).unwrap();
            prop_assert_eq!(kept["vo"].as_str().unwrap(), vo);
            prop_assert_eq!(kept["site"].as_str().unwrap(), site);
        }
    }
}
