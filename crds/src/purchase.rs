//! How a VM is bought.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a VM is bought. `OnDemand`: at the list price, until it is given back. `Spot`: cheaper, and the provider may take it back at any
/// time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Purchase {
    /// At the list price, until it is given back.
    #[default]
    OnDemand,
    /// Cheaper, and the provider may take it back at any time.
    Spot,
}
