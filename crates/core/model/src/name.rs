//! The rules for names and texts that users give, as the public reference of the API states them.
//!
//! Lengths count characters and not bytes. A letter is an ASCII letter or a Chinese character: the
//! reference says "letter or Chinese character", and other scripts are refused by the real service.

/// What is wrong with a name, in words that end a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// Too short or too long.
    #[error("has {found} characters instead of {min} to {max}")]
    Length {
        /// What it has.
        found: usize,
        /// The fewest that are allowed.
        min: usize,
        /// The most that are allowed.
        max: usize,
    },
    /// The first character.
    #[error("starts with {0:?} instead of a letter")]
    Start(char),
    /// A character that must not be in it.
    #[error("contains {0:?}, which is not allowed")]
    Character(char),
    /// A reserved beginning.
    #[error("starts with `{0}`, which is reserved")]
    Prefix(&'static str),
    /// An address inside a name.
    #[error("contains `{0}`")]
    Contains(&'static str),
}

const RESERVED: &[&str] = &["aliyun", "acs:"];
const ADDRESSES: &[&str] = &["http://", "https://"];

/// An image's name: 2 to 128 letters, digits, `.`, `:`, `_` and `-`.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn image_name(name: &str) -> Result<(), NameFault> {
    plain(name, ".:_-")
}

/// An image family's name: the same rules.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn family(name: &str) -> Result<(), NameFault> {
    plain(name, ".:_-")
}

/// A description: 2 to 256 characters that do not start like an address.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn description(text: &str) -> Result<(), NameFault> {
    length(text, 2, 256)?;
    no_prefix(text, ADDRESSES)
}

/// A tag's key: 1 to 128 characters, not reserved, without an address.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn tag_key(key: &str) -> Result<(), NameFault> {
    length(key, 1, 128)?;
    no_prefix(key, RESERVED)?;
    no_address(key)
}

/// A tag's value: up to 128 characters, without an address; it may be empty.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn tag_value(value: &str) -> Result<(), NameFault> {
    length(value, 0, 128)?;
    no_prefix(value, &["acs:"])?;
    no_address(value)
}

fn plain(name: &str, marks: &str) -> Result<(), NameFault> {
    length(name, 2, 128)?;
    if let Some(first) = name.chars().next().filter(|first| !is_letter(*first)) {
        return Err(NameFault::Start(first));
    }
    no_prefix(name, RESERVED)?;
    no_address(name)?;
    let is_allowed = |c: char| is_letter(c) || c.is_ascii_digit() || marks.contains(c);
    match name.chars().find(|c| !is_allowed(*c)) {
        Some(character) => Err(NameFault::Character(character)),
        None => Ok(()),
    }
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || ('\u{4e00}'..='\u{9fff}').contains(&c)
}

fn length(text: &str, min: usize, max: usize) -> Result<(), NameFault> {
    let found = text.chars().count();
    if (min..=max).contains(&found) { Ok(()) } else { Err(NameFault::Length { found, min, max }) }
}

fn no_prefix(text: &str, prefixes: &[&'static str]) -> Result<(), NameFault> {
    match prefixes.iter().find(|prefix| text.starts_with(**prefix)) {
        Some(prefix) => Err(NameFault::Prefix(prefix)),
        None => Ok(()),
    }
}

fn no_address(text: &str) -> Result<(), NameFault> {
    match ADDRESSES.iter().find(|address| text.contains(**address)) {
        Some(address) => Err(NameFault::Contains(address)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_names() {
        for sound in ["ab", "Debian-12.5_x86:1", "镜像一号", "a234", &"a".repeat(128), "xaliyun"]
        {
            assert_eq!(image_name(sound), Ok(()), "{sound}");
        }
        for (faulty, told) in [
            ("", "has 0 characters instead of 2 to 128"),
            ("a", "has 1 characters instead of 2 to 128"),
            (&"镜".repeat(129), "has 129 characters instead of 2 to 128"),
            ("1ab", "starts with '1' instead of a letter"),
            ("éa", "starts with 'é' instead of a letter"),
            ("aliyun-1", "starts with `aliyun`, which is reserved"),
            ("acs:x", "starts with `acs:`, which is reserved"),
            ("xhttp://", "contains `http://`"),
            ("a b", "contains ' ', which is not allowed"),
            ("a/b", "contains '/', which is not allowed"),
            ("a\u{0}b", "contains '\\0', which is not allowed"),
        ] {
            assert_eq!(image_name(faulty).unwrap_err().to_string(), told, "{faulty}");
        }
    }

    #[test]
    fn texts_and_tags() {
        assert_eq!(description("with http:// inside"), Ok(()));
        assert_eq!(description("http://x"), Err(NameFault::Prefix("http://")));
        assert_eq!(tag_value(""), Ok(()));
        assert!(matches!(tag_key(""), Err(NameFault::Length { .. })));
        assert_eq!(tag_key("acs:ecs:x"), Err(NameFault::Prefix("acs:")));
        assert_eq!(tag_value("aliyun"), Ok(()));
        assert_eq!(tag_value("see https://x"), Err(NameFault::Contains("https://")));
    }
}
