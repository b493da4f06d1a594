//! A pilot's reference and stamp, derived from the UID of its PilotVM and so known before the VM exists.

/// The pilot's reference in DIRAC: `cloud://` and the PilotVM's UID. DIRAC itself uses `cloud://<instance id>`
/// (`Resources/Computing/CloudComputingElement.py`), which is not known before the VM exists.
pub fn reference(uid: &str) -> String {
    format!("cloud://{uid}")
}

/// The pilot's stamp: the UID's 32 hexadecimal digits (PilotAgentsDB keeps 32 characters).
pub fn stamp(uid: &str) -> String {
    uid.chars().filter(char::is_ascii_hexdigit).take(32).collect()
}
