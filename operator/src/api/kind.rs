//! What an object must be to be watched and written here.

use std::fmt::Debug;

use kube::{Resource, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

/// What can be watched here.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}
impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}
