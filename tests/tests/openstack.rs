//! Clouds: one contract for both drivers, and OpenStack's own failures against a real Keystone, Nova, Glance, Neutron and Placement.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use testbeds::openstack::OpenStack;

#[tokio::test]
async fn starts() {
    let state = tempfile::tempdir().unwrap();
    let it = OpenStack::start(state.path()).await.unwrap();
    eprintln!("{:?}", it.servers("vo.example.org").await.unwrap());
}
