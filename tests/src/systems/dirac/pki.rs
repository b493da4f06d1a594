//! The testbed's own grid: a CA with its signing policy, a host, a user and a pilot. RSA by openssl, which is what DIRAC's
//! proxies are made from.

use std::{fs, net::IpAddr, path::Path, process::Command};

use anyhow::Result;

use crate::host::process::run;

/// Writes `ca.pem`, `host.*`, `user.*`, `pilot.*` and the folder `grid-security` into `state`. The services are reached as `reached`.
pub fn make(state: &Path, reached: &str) -> Result<()> {
    let certificates = state.join("grid-security/certificates");
    fs::create_dir_all(&certificates)?;
    let openssl = |args: &[&str]| run("openssl", Command::new("openssl").current_dir(state).args(args));
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "365",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-subj",
        "/C=ch/O=TestGrid/CN=Test CA",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    ])?;
    let host = run("hostname", &mut Command::new("hostname"))?;
    let full = run("hostname -f", Command::new("hostname").arg("-f")).unwrap_or_else(|_| host.clone());
    // DIRAC looks for every name among those of hosts, also where it is a number.
    let mut names = format!("subjectAltName=DNS:localhost,DNS:{},DNS:{},IP:127.0.0.1", host.trim(), full.trim());
    if let Ok(address) = reached.parse::<IpAddr>() {
        names.push_str(&format!(",IP:{address},DNS:{address}"));
    }
    names.push('\n');
    for (name, subject, alternative) in [
        ("host", "/C=ch/O=TestGrid/CN=localhost", names.as_str()),
        ("user", "/C=ch/O=TestGrid/CN=opuser", ""),
        ("pilot", "/C=ch/O=TestGrid/CN=bpilot", ""),
        ("stranger", "/C=ch/O=TestGrid/CN=stranger", ""),
    ] {
        let file = |ending: &str| format!("{name}.{ending}");
        openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            &file("key"),
            "-out",
            &file("csr"),
            "-subj",
            subject,
        ])?;
        let extensions = format!(
            "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n{alternative}"
        );
        fs::write(state.join(file("ext")), extensions)?;
        openssl(&[
            "x509",
            "-req",
            "-in",
            &file("csr"),
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "300",
            "-out",
            &file("pem"),
            "-extfile",
            &file("ext"),
        ])?;
        run("chmod", Command::new("chmod").arg("400").arg(state.join(file("key"))))?;
    }
    let hash = openssl(&["x509", "-hash", "-noout", "-in", "ca.pem"])?;
    let hash = hash.trim();
    fs::copy(state.join("ca.pem"), certificates.join(format!("{hash}.0")))?;
    let policy =
        "access_id_CA X509 '/C=ch/O=TestGrid/CN=Test CA'\npos_rights globus CA:sign\ncond_subjects globus '\"*\"'\n";
    fs::write(certificates.join(format!("{hash}.signing_policy")), policy)?;
    fs::copy(state.join("host.pem"), state.join("grid-security/hostcert.pem"))?;
    fs::copy(state.join("host.key"), state.join("grid-security/hostkey.pem"))?;
    Ok(())
}
