//! A user of the installation, in a pod of their own with DIRAC's client: nothing of the services is there but the host's name, its
//! authority and one line of configuration.

use std::time::Duration;

use serde_json::json;
use testbeds::{
    host::until::until,
    systems::{
        images::Image,
        kubectl::{Kubectl, secret},
        pki::Authority,
    },
};

use crate::{ESCAPE, HOST};

/// Who the user is.
pub const DN: &str = "/O=TestGrid/CN=opuser";
const POD: &str = "user";

pub struct User<'a> {
    kubectl: &'a Kubectl,
}

impl<'a> User<'a> {
    pub fn new(kubectl: &'a Kubectl, authority: &Authority, dirac: &Image) -> Self {
        let of_user = authority.issue(&[("O", "TestGrid"), ("CN", "opuser")], &[]).unwrap();
        // What the installation gives to everybody.
        let client = kubectl.object(ESCAPE, "configmap/escape-client").unwrap()["data"].clone();
        let values = json!({
            "usercert.pem": of_user.certificate,
            "userkey.pem": of_user.key,
            "ca.crt": client["ca.crt"],
            "dirac.cfg": client["dirac.cfg"],
            "job.py": include_str!("job.py"),
        });
        kubectl.apply(&secret(ESCAPE, POD, "stringData", &values)).unwrap();
        let service = kubectl.object(ESCAPE, "service/escape").unwrap();
        let env = json!([
            {"name": "DIRACSYSCONFIG", "value": "/etc/dirac/dirac.cfg"},
            {"name": "X509_USER_CERT", "value": "/etc/dirac/usercert.pem"},
            {"name": "X509_USER_KEY", "value": "/tmp/userkey.pem"},
            {"name": "X509_USER_PROXY", "value": "/tmp/proxy"},
            {"name": "DIRACX_CA_PATH", "value": "/etc/dirac/ca.crt"},
            {"name": "REQUESTS_CA_BUNDLE", "value": "/etc/dirac/ca.crt"},
        ]);
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": POD, "namespace": ESCAPE},
            "spec": {
                "hostAliases": [{"ip": service["spec"]["clusterIP"], "hostnames": [HOST]}],
                "containers": [{
                    "name": "user",
                    "image": dirac.reference,
                    "imagePullPolicy": "Never",
                    // Only the owner may read a key.
                    "args": ["tool", "sh", "-c", "umask 077; cp /etc/dirac/userkey.pem /tmp/; sleep infinity"],
                    "env": env,
                    "volumeMounts": [
                        {"name": "files", "mountPath": "/etc/dirac"},
                        {"name": "authorities", "mountPath": "/etc/grid-security/certificates"},
                        {"name": "dirac", "mountPath": "/opt/dirac"},
                    ],
                }],
                "securityContext": {"fsGroup": 1000},
                "volumes": [
                    {"name": "files", "secret": {"secretName": POD}},
                    {"name": "authorities", "emptyDir": {}},
                    {"name": "dirac", "emptyDir": {}},
                ],
            },
        });
        kubectl.run_with(&["apply", "-f", "-"], &pod.to_string()).unwrap();
        Self { kubectl }
    }

    /// Submits one job this way.
    pub async fn submits(&self, way: &str) {
        until(&format!("the user submits by {way}"), Duration::from_secs(180), async || {
            let words =
                ["exec", POD, "--namespace", ESCAPE, "--", "dirac-run", "tool", "python", "/etc/dirac/job.py", way];
            let said = self.kubectl.run(&words).map_err(|error| format!("{error:#}"))?;
            println!("{}", said.trim());
            Ok(())
        })
        .await
        .unwrap();
    }
}
