//! Which names contain a text: an index of three bytes and where they are.
//!
//! With the place in the key, the three-byte pieces of a text that follow one another in the index
//! do so in the name too, so a match needs no second look at 100,000 names. Every name is followed by
//! two zero bytes, so that its last bytes begin a piece as well, and texts of one or two bytes are
//! ranges of the same index.

use std::collections::BTreeMap;

use crate::catalogue_set::{Bits, Posting};

/// Three bytes of a name, and where they begin.
type Piece = ([u8; 3], u16);

#[derive(Debug, Default)]
pub(crate) struct Names {
    pieces: BTreeMap<Piece, Posting>,
}

impl Names {
    pub(crate) fn insert(&mut self, name: &str, slot: u32, n_slots: usize) {
        for piece in pieces(name) {
            self.pieces.entry(piece).or_insert_with(Posting::new).insert(slot, n_slots);
        }
    }

    pub(crate) fn remove(&mut self, name: &str, slot: u32) {
        for piece in pieces(name) {
            if let Some(posting) = self.pieces.get_mut(&piece) {
                posting.remove(slot);
                if posting.len() == 0 {
                    self.pieces.remove(&piece);
                }
            }
        }
    }

    /// Slots whose names contain `text`, which is folded and not empty.
    pub(crate) fn containing(&self, text: &str) -> Bits {
        let bytes = text.as_bytes();
        let mut found = Bits::default();
        let (low, high) = match bytes {
            // No name has a zero byte, but the index has.
            bytes if bytes.is_empty() || bytes.contains(&0) => return found,
            [a] => ([*a, 0, 0], [*a, 255, 255]),
            [a, b] => ([*a, *b, 0], [*a, *b, 255]),
            [a, b, c, ..] => ([*a, *b, *c], [*a, *b, *c]),
            [] => return found,
        };
        for ((_, at), first) in self.pieces.range((low, 0)..=(high, u16::MAX)) {
            if bytes.len() <= 3 {
                first.add_to(&mut found);
            } else {
                self.add_following(bytes, *at, first, &mut found);
            }
        }
        found
    }

    /// Adds those of `first` whose name has all of `bytes` at `at`.
    fn add_following(&self, bytes: &[u8], at: u16, first: &Posting, found: &mut Bits) {
        let mut postings = vec![first];
        for (next, window) in (at..=u16::MAX).zip(bytes.windows(3)).skip(1) {
            let &[a, b, c] = window else { return };
            let Some(posting) = self.pieces.get(&([a, b, c], next)) else { return };
            postings.push(posting);
        }
        postings.sort_by_key(|posting| posting.len());
        let mut postings = postings.into_iter();
        let Some(mut bits) = postings.next().map(Posting::to_bits) else { return };
        for posting in postings {
            posting.keep_in(&mut bits);
        }
        found.unite(&bits);
    }
}

fn pieces(name: &str) -> Vec<Piece> {
    let mut bytes = fold(name).into_bytes();
    bytes.extend([0, 0]);
    let windows = (0..=u16::MAX).zip(bytes.windows(3));
    windows.filter_map(|(at, window)| Some((<[u8; 3]>::try_from(window).ok()?, at))).collect()
}

/// Takes away the difference between capital and small letters.
pub(crate) fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// The texts between the wildcards of a pattern, folded, without empty ones.
pub(crate) fn parts(pattern: &str) -> Vec<String> {
    pattern.split('*').filter(|part| !part.is_empty()).map(fold).collect()
}

/// Whether a name contains the parts one after another.
pub(crate) fn has_parts(name: &str, parts: &[String]) -> bool {
    let name = fold(name);
    let mut rest = name.as_str();
    parts.iter().all(|part| match rest.split_once(part.as_str()) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}
