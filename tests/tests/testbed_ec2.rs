//! The EC2 stand-in does what the other layers count on. boto3 speaks to it here: no line of the driver's SDK judges it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use testbeds::{
    host::{process::run, root},
    systems::ec2::Ec2,
};

/// Runs one of the Python files in `testbed_ec2/`; what it says of its checks.
fn checked(it: &Ec2, name: &str) {
    let script = root().join("tests/tests/testbed_ec2").join(name);
    let said = run(name, it.python().arg("-B").arg(script)).unwrap();
    assert!(said.lines().count() > 2, "{name} has checked something: {said}");
    eprint!("{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_behaves_as_aws_documents() {
    let folder = tempfile::tempdir().unwrap();
    let it = Ec2::start(&folder.path().join("ec2")).await.unwrap();
    checked(&it, "launches.py");
    let pid = it.pid();
    drop(it);
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "the stand-in has ended");
}
