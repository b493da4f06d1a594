//! A pilot's reference and stamp. Both follow from the UID of its PilotVM, so they are known before the VM exists.

/// The pilot's reference in DIRAC: `cloud://` and the PilotVM's UID. DIRAC's own `CloudComputingElement.py` (in `Resources/Computing`)
/// uses `cloud://<instance id>`, but that id is not known before the VM exists.
pub fn reference(uid: &str) -> String {
    format!("cloud://{uid}")
}

/// The pilot's stamp: the 32 hexadecimal digits of the UID. The column in PilotAgentsDB has room for 32 characters.
pub fn stamp(uid: &str) -> String {
    uid.chars().filter(char::is_ascii_hexdigit).take(32).collect()
}
