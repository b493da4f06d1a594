//! What a provider takes of user-data.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
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

    /// The bytes of user-data as they are sent, before base64: plain where they fit, else compressed where that may be and helps; else
    /// a sentence.
    pub fn pack(&self, user_data: &str) -> Result<Vec<u8>, String> {
        let (length, most) = (user_data.len(), self.user_data_bytes);
        if length <= most {
            return Ok(user_data.as_bytes().to_vec());
        }
        // No user-data that fits anywhere is so long, and whoever sends one is not to make us work.
        if !self.gzip || length > most * 16 {
            return Err(too_long(length, most));
        }
        let packed = gzip(user_data).map_err(|error| format!("the user-data cannot be compressed: {error}"))?;
        if packed.len() <= most { Ok(packed) } else { Err(too_long(length, most)) }
    }
}

fn too_long(length: usize, most: usize) -> String {
    format!(
        "the user-data has {length} bytes and the cloud takes {most}, compressed or not: make spec.machine.userData smaller"
    )
}

fn gzip(text: &str) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(text.as_bytes())?;
    packer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that no compression makes fewer.
    fn noise(length: usize) -> String {
        let mut state = 1_u64;
        let letter = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b' ' + u8::try_from((state >> 33) % 95).unwrap())
        };
        (0..length).map(letter).collect()
    }

    #[test]
    fn what_nova_takes_is_counted_before_base64() {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let longest = noise(Limits::NOVA.user_data_bytes);
        assert_eq!(Limits::NOVA.pack(&longest), Ok(longest.clone().into_bytes()));
        assert!(STANDARD.encode(&longest).len() <= 65_535);
        let longer = noise(Limits::NOVA.user_data_bytes * 2);
        assert!(Limits::NOVA.pack(&longer).unwrap_err().contains("smaller"));
    }

    #[test]
    fn what_is_too_long_is_compressed_and_nothing_else() {
        use std::io::Read;
        let fits = noise(Limits::EC2.user_data_bytes);
        assert_eq!(Limits::EC2.pack(&fits).unwrap(), fits.as_bytes(), "as it is");
        let long = "#cloud-config\n".repeat(4_000);
        let packed = Limits::EC2.pack(&long).unwrap();
        assert!(packed.len() <= 16_384 && packed.starts_with(&[0x1f, 0x8b]));
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, long);
        let plain = Limits { gzip: false, ..Limits::EC2 };
        assert!(plain.pack(&long).is_err());
        assert!(Limits::EC2.pack(&noise(40_000)).unwrap_err().contains("40000 bytes"));
        assert!(Limits::EC2.pack(&"x".repeat(1 << 20)).is_err(), "nobody compresses a megabyte");
    }
}
