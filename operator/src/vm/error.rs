//! Why a step of a PilotVM's life did not work: one variant a step, with its reason for condition and metric.

use broker::{cloud::CloudError, pilot::rows::RowsError};
use crds::Reason;

use crate::trouble::{of_cloud, of_dirac};

/// A failed step; it is tried again after a growing pause.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused or was not reached.
    #[error("the API server did not take {what}: {source}")]
    Kubernetes {
        /// What was written, as the end of the sentence.
        what: &'static str,
        source: kube::Error,
    },
    /// DIRAC did not take the row.
    #[error("the pilot's row could not be {what}: {source}")]
    Row {
        /// What was tried, as the end of the sentence.
        what: &'static str,
        source: RowsError,
    },
    /// The cloud's answer, to be tried again.
    #[error("the cloud could not {what}: {source}")]
    Cloud {
        /// What was tried, as the end of the sentence.
        what: &'static str,
        source: CloudError,
    },
    /// Jobs that DIRAC has on the pilot could not be given back.
    #[error("jobs of the pilot could not be given back: {0}")]
    Jobs(String),
    /// Something that is needed is not there yet.
    #[error("{0}")]
    NotReady(String),
}

impl Error {
    /// The reason of condition and metric.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Kubernetes { .. } => Reason::ApiServer,
            Self::Row { source, .. } => of_dirac(source.fault),
            Self::Cloud { source, .. } => of_cloud(source),
            Self::Jobs(_) => Reason::WaitsForDirac,
            Self::NotReady(_) => Reason::NotReady,
        }
    }

    /// An error of the API server.
    pub fn kubernetes(what: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Kubernetes { what, source }
    }
}
