//! Whether a program needs a loader and libraries, which an image of nothing else has not.

/// The kind of a part of a program that names its loader (PT_INTERP).
const LOADER: u32 = 3;

/// Whether this is a program of 64 bits for Linux that names no loader.
pub fn is_static(program: &[u8]) -> bool {
    parts(program).is_some_and(|parts| !parts.contains(&LOADER))
}

/// The kinds of its parts, as the table of program headers has them; `None` where it is no such program.
fn parts(program: &[u8]) -> Option<Vec<u32>> {
    // The mark, 64 bits, and the lowest byte first, as both processors have it.
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = usize::try_from(u64::from_le_bytes(program.get(32..40)?.try_into().ok()?)).ok()?;
    let short =
        |at: usize| -> Option<usize> { Some(u16::from_le_bytes(program.get(at..at + 2)?.try_into().ok()?).into()) };
    let (size, count) = (short(54)?, short(56)?);
    let kind = |n: usize| -> Option<u32> {
        let at = table.checked_add(n * size)?;
        Some(u32::from_le_bytes(program.get(at..at.checked_add(4)?)?.try_into().ok()?))
    };
    (0..count).map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header and parts of these kinds.
    fn program(kinds: &[u32]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01".to_vec();
        bytes.resize(64, 0);
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(kinds.len()).unwrap();
        for kind in kinds {
            bytes.extend(kind.to_le_bytes());
            bytes.resize(bytes.len() + 52, 0);
        }
        bytes
    }

    #[test]
    fn a_program_with_a_loader_is_not_static_and_neither_is_what_is_no_program() {
        assert!(is_static(&program(&[6, 1, 2])));
        assert!(!is_static(&program(&[6, 3, 1])), "it names a loader");
        assert!(!is_static(&program(&[1, 1])[..100]), "cut off");
        assert!(!is_static(b"#!/bin/sh\n"));
        // The test itself runs with this machine's loader.
        assert!(!is_static(&std::fs::read(std::env::current_exe().unwrap()).unwrap()));
    }
}
