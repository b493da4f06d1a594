//! What a provider takes of user-data.

use serde::{Deserialize, Serialize};

/// What a provider takes of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The longest user-data in bytes, before the driver encodes it.
    pub user_data_bytes: usize,
    /// Whether it may be compressed with gzip (cloud-init unpacks it): the provider hands bytes on as they are.
    pub gzip: bool,
}

impl Limits {
    /// Nova takes 65,535 characters of base64 (Compute API reference, `user_data`).
    pub const NOVA: Self = Self { user_data_bytes: 65_535 / 4 * 3, gzip: true };
    /// EC2 takes 16 KiB before base64 (EC2 User Guide, "Run commands on your EC2 instance at launch").
    pub const EC2: Self = Self { user_data_bytes: 16_384, gzip: true };
    /// The widest of all providers: what exceeds these fits nowhere.
    pub const WIDEST: Self = Self::NOVA;

    /// A sentence about user-data that is too long.
    pub fn check(&self, user_data: &str) -> Result<(), String> {
        let (length, most) = (user_data.len(), self.user_data_bytes);
        if length <= most {
            return Ok(());
        }
        Err(format!("the user-data has {length} bytes and the cloud takes {most}: make spec.machine.userData smaller"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nova_takes_is_counted_before_base64() {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let longest = "x".repeat(Limits::NOVA.user_data_bytes);
        assert_eq!(Limits::NOVA.check(&longest), Ok(()));
        assert!(STANDARD.encode(&longest).len() <= 65_535);
        let longer = format!("{longest}x");
        assert!(STANDARD.encode(&longer).len() > 65_535);
        assert!(Limits::NOVA.check(&longer).unwrap_err().contains("smaller"));
    }
}
