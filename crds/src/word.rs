//! Words of the API as types: one table gives the variants, their texts, and how they are read and written.

/// Makes an enum of words from a table: under headings, each word with what it means and what to do.
///
/// A variant's name is its word, so that a word cannot be misspelt in one of two places.
macro_rules! words {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident / $unknown:ident {
            $( $heading:literal { $( $variant:ident: $means:literal, $advice:literal; )+ } )+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility enum $name {
            $( $( #[doc = $means] $variant, )+ )+
        }

        impl $name {
            /// Every word under its heading, in the order of the table.
            pub const TABLE: &'static [(&'static str, &'static [Self])] = &[
                $( ($heading, &[ $( Self::$variant, )+ ]), )+
            ];

            /// The word, in CamelCase.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( $( Self::$variant => stringify!($variant), )+ )+
                }
            }

            /// What it means, in one or two sentences.
            pub const fn means(self) -> &'static str {
                match self {
                    $( $( Self::$variant => $means, )+ )+
                }
            }

            /// What to do about it; empty where there is nothing to do.
            pub const fn advice(self) -> &'static str {
                match self {
                    $( $( Self::$variant => $advice, )+ )+
                }
            }

            /// Every word, in the order of the table.
            pub fn all() -> impl Iterator<Item = Self> {
                Self::TABLE.iter().flat_map(|(_, words)| words.iter().copied())
            }
        }

        /// A word that the table does not have, for example one of a later version.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $unknown(pub String);

        impl std::fmt::Display for $unknown {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "this version does not know the {} {:?}", stringify!($name), self.0)
            }
        }
        impl std::error::Error for $unknown {}

        impl std::str::FromStr for $name {
            type Err = $unknown;
            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $( $( stringify!($variant) => Ok(Self::$variant), )+ )+
                    _ => Err($unknown(word.chars().take(64).collect())),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use words;
