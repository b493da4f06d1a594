//! A manifest read by its own type, with every field known: the types of `crds` leave unknown fields aside, as the API server does.

use anyhow::{Result, bail};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// One manifest as its kind, with every field known.
pub(super) fn strict<T: DeserializeOwned + Serialize>(manifest: &Value) -> Result<T> {
    let object: T = serde_json::from_value(manifest.clone())?;
    let again = serde_json::to_value(&object)?;
    if let Some(path) = unknown(manifest, &again, "") {
        bail!("there is no field {path}");
    }
    Ok(object)
}

/// The first field of `written` that was not understood. A field that is empty may be left out.
fn unknown(written: &Value, understood: &Value, at: &str) -> Option<String> {
    let dotted = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match (written, understood) {
        (Value::Object(written), Value::Object(understood)) => {
            written.iter().find_map(|(name, value)| match understood.get(name) {
                Some(other) => unknown(value, other, &dotted(name)),
                None if is_empty(value) => None,
                None => Some(dotted(name)),
            })
        }
        (Value::Array(written), Value::Array(understood)) => written
            .iter()
            .zip(understood)
            .enumerate()
            .find_map(|(i, (value, other))| unknown(value, other, &format!("{at}[{i}]"))),
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}
