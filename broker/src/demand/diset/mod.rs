//! DISET, DIRAC's own remote procedure calls (`dips://`): TLS with a client certificate, then frames of JSON.
//!
//! One call is one connection: connect, handshake, proposal → agreement, arguments → answer, close. The protocol is that
//! of DIRAC's `Core/DISET/private/InnerRPCClient.py` and `Transports/BaseTransport.py`.

mod client;
mod configuration;
mod der;
mod error;
mod frame;
mod gather;
mod handshake;
mod inspect;
mod jobs;
mod lost;
mod matcher;
mod pilots;
mod row;
mod site_status;
#[cfg(test)]
mod stand_in;
mod subject;
mod tls;
mod url;
mod validity;
mod value;

#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod configuration_tests;
#[cfg(test)]
mod jobs_tests;
#[cfg(test)]
mod lost_tests;
#[cfg(test)]
mod matcher_tests;
#[cfg(test)]
mod pilots_tests;
#[cfg(test)]
mod tls_tests;

pub use client::{Client, Settings};
pub use configuration::{Configuration, ConfigurationMaster};
pub use error::DisetError;
pub use inspect::Inspector;
pub use jobs::JobMonitoring;
pub use lost::{JobManager, LostJobs};
pub use matcher::Matcher;
pub use pilots::PilotManager;
pub use site_status::{Entry, ResourceStatus};
pub use tls::Credentials;
pub use url::{Addresses, ServiceUrl};
