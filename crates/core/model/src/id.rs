//! Identifiers of the form `m-` and twenty lower-case letters and digits.
//!
//! Clients take them apart by their prefix and nothing else. The rest is random, so that an
//! identifier of another account cannot be guessed: 36^20 are 103 bits.

use uuid::Uuid;

/// What an identifier is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// `m-`: an image.
    Image,
    /// `t-`: a task.
    Task,
    /// `s-`: a snapshot.
    Snapshot,
}

impl Prefix {
    const fn text(self) -> &'static str {
        match self {
            Self::Image => "m-",
            Self::Task => "t-",
            Self::Snapshot => "s-",
        }
    }
}

const N_CHARACTERS: usize = 20;
const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A new random identifier.
#[must_use]
pub fn new_id(prefix: Prefix) -> String {
    // Version 4 fixes six of the 128 bits; the 122 random ones are more than 20 characters hold.
    let mut random = Uuid::new_v4().as_u128();
    let mut id = String::with_capacity(2 + N_CHARACTERS);
    id.push_str(prefix.text());
    for _ in 0..N_CHARACTERS {
        let digit = usize::try_from(random % 36).unwrap_or_default();
        id.push(char::from(ALPHABET[digit]));
        random /= 36;
    }
    id
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_have_the_form_that_clients_expect_and_never_repeat() {
        let ids: BTreeSet<String> = (0..1000).map(|_| new_id(Prefix::Image)).collect();
        assert_eq!(ids.len(), 1000);
        for id in &ids {
            let rest = id.strip_prefix("m-").unwrap();
            assert_eq!(rest.len(), 20);
            assert!(rest.bytes().all(|byte| ALPHABET.contains(&byte)), "{id}");
        }
        assert!(new_id(Prefix::Task).starts_with("t-"));
    }
}
