//! Sets of slots, the numbers by which the catalogue knows its images.
//!
//! A list is the intersection of such sets, and its total the size of the result: 100,000 images
//! are 1,563 words. A set with few members is a sorted list instead, so that a tag of one image does
//! not cost a bit for each of the others.

/// A plain bitmap, as wide as the highest member needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub(crate) fn insert(&mut self, slot: u32) {
        let (word, bit) = place(slot);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if let Some(found) = self.words.get_mut(word) {
            *found |= bit;
        }
    }

    fn remove(&mut self, slot: u32) {
        let (word, bit) = place(slot);
        if let Some(found) = self.words.get_mut(word) {
            *found &= !bit;
        }
    }

    pub(crate) fn contains(&self, slot: u32) -> bool {
        let (word, bit) = place(slot);
        self.words.get(word).is_some_and(|found| found & bit != 0)
    }

    pub(crate) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(crate) fn intersect(&mut self, other: &Self) {
        self.words.truncate(other.words.len());
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine &= theirs;
        }
    }

    fn subtract(&mut self, other: &Self) {
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine &= !theirs;
        }
    }

    pub(crate) fn unite(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine |= theirs;
        }
    }

    /// Members in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).step_by(64).zip(&self.words).flat_map(|(first, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                Some(first + bit)
            })
        })
    }
}

impl FromIterator<u32> for Bits {
    fn from_iter<I: IntoIterator<Item = u32>>(slots: I) -> Self {
        let mut bits = Self::default();
        for slot in slots {
            bits.insert(slot);
        }
        bits
    }
}

const fn place(slot: u32) -> (usize, u64) {
    ((slot / 64) as usize, 1 << (slot % 64))
}

/// The members of one index entry.
#[derive(Clone, Debug)]
pub(crate) enum Posting {
    /// Sorted.
    Few(Vec<u32>),
    /// With the number of members.
    Many(Box<Bits>, usize),
}

impl Posting {
    pub(crate) const fn new() -> Self {
        Self::Few(Vec::new())
    }

    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Few(slots) => slots.len(),
            Self::Many(_, n_slots) => *n_slots,
        }
    }

    /// Adds a slot; `n_slots` is how many the catalogue has, which decides the form.
    pub(crate) fn insert(&mut self, slot: u32, n_slots: usize) {
        match self {
            Self::Few(slots) => {
                if let Err(at) = slots.binary_search(&slot) {
                    slots.insert(at, slot);
                }
                // From here on, four bytes for each member are more than a bit for each slot.
                if slots.len() > 64 && slots.len().saturating_mul(32) > n_slots {
                    let bits: Bits = slots.iter().copied().collect();
                    *self = Self::Many(Box::new(bits), slots.len());
                }
            }
            Self::Many(bits, count) => {
                if !bits.contains(slot) {
                    bits.insert(slot);
                    *count += 1;
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        match self {
            Self::Few(slots) => {
                if let Ok(at) = slots.binary_search(&slot) {
                    slots.remove(at);
                }
            }
            Self::Many(bits, count) => {
                if bits.contains(slot) {
                    bits.remove(slot);
                    *count -= 1;
                }
                if *count < 32 {
                    *self = Self::Few(bits.iter().collect());
                }
            }
        }
    }

    pub(crate) fn add_to(&self, bits: &mut Bits) {
        match self {
            Self::Few(slots) => slots.iter().for_each(|slot| bits.insert(*slot)),
            Self::Many(own, _) => bits.unite(own),
        }
    }

    pub(crate) fn remove_from(&self, bits: &mut Bits) {
        match self {
            Self::Few(slots) => slots.iter().for_each(|slot| bits.remove(*slot)),
            Self::Many(own, _) => bits.subtract(own),
        }
    }

    pub(crate) fn keep_in(&self, bits: &mut Bits) {
        match self {
            Self::Few(slots) => {
                *bits = slots.iter().copied().filter(|slot| bits.contains(*slot)).collect();
            }
            Self::Many(own, _) => bits.intersect(own),
        }
    }

    pub(crate) fn to_bits(&self) -> Bits {
        let mut bits = Bits::default();
        self.add_to(&mut bits);
        bits
    }
}
