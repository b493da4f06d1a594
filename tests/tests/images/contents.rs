//! What images hold, layer by layer, and what they say of themselves.

use std::process::Command;

use serde_json::Value;
use testbeds::{
    host::{process::run, root},
    systems::images::Image,
};

/// Each is of the user 1000, has tini first, and names nothing in its environment that is a secret. Its layers hold no private key, no
/// credentials and no compiler.
pub fn are_as_they_should_be(images: &[Image]) {
    let script = root().join("tests/tests/images/search.py");
    let mut command = Command::new("/usr/bin/python3");
    command.arg(&script).args(images.iter().map(|image| &image.archive));
    let found = run("search.py", &mut command).unwrap();
    let mut looked_at = 0;
    for (line, image) in found.lines().zip(images) {
        let said: Value = serde_json::from_str(line).unwrap();
        let name = &image.reference;
        assert_eq!(said["found"], serde_json::json!([]), "{name}");
        assert_eq!(said["config"]["User"], "1000:1000", "{name}");
        let entry: Vec<&str> =
            said["config"]["Entrypoint"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let own = name.trim_start_matches("localhost/").split(':').next().unwrap();
        assert_eq!(entry, ["/usr/bin/tini", "--", &format!("/usr/local/bin/{own}-run")], "{name}");
        assert!(said["files"].as_u64().unwrap() > 1_000, "{name}: {said}");
        looked_at += 1;
    }
    assert_eq!(looked_at, images.len(), "{found}");
    finds_what_is_there(&script);
}

/// A search that finds nothing anywhere would find nothing here: an image with a key below a folder, a compiler and a password.
fn finds_what_is_there(script: &std::path::Path) {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("image.tar");
    let made = run("a bad image", Command::new("/usr/bin/python3").arg(script).arg("--bad").arg(&archive)).unwrap();
    assert_eq!(made, "");
    let found = run("search.py", Command::new("/usr/bin/python3").arg(script).arg(&archive)).unwrap();
    let found: Value = serde_json::from_str(&found).unwrap();
    let found = found["found"].to_string();
    for part in ["root/.netrc", "etc/key.pem", "usr/bin/x86_64-linux-gnu-gcc-12", "ROOT_PASSWORD"] {
        assert!(found.contains(part), "{part}: {found}");
    }
}
