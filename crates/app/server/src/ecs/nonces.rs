//! Nonces that were seen, so that no request is obeyed twice.
//!
//! They are kept in memory: what a restart forgets could be sent again within the clock difference
//! that is allowed, by someone who could record it. TLS is what keeps requests from being recorded.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// How long a nonce is kept: twice the clock difference that is allowed.
const KEPT: SignedDuration = SignedDuration::from_mins(30);

/// Locks, so that requests seldom wait for each other.
const N_SHARDS: usize = 16;

/// The most nonces of one shard. When it is full, requests are refused as too many: forgetting would
/// let old ones in again.
const MAX_PER_SHARD: usize = 1 << 18;

/// The longest nonce.
const MAX_BYTES: usize = 128;

/// What came of looking at a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is new, and known from now on.
    New,
    /// It was used.
    Used,
    /// There is no room for it.
    Full,
    /// It is too long.
    TooLong,
}

/// The nonces of all access keys.
#[derive(Debug)]
pub(super) struct Nonces {
    shards: Vec<Mutex<Shard>>,
}

#[derive(Debug, Default)]
struct Shard {
    seen: HashMap<u128, Timestamp>,
    swept: Option<Timestamp>,
}

impl Default for Nonces {
    fn default() -> Self {
        Self { shards: (0..N_SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Nonces {
    /// Look at the nonce of a key at `now`.
    pub(super) fn see(&self, key: &str, nonce: &str, now: Timestamp) -> Seen {
        if nonce.len() > MAX_BYTES {
            return Seen::TooLong;
        }
        let digest = digest(key, nonce);
        let index = usize::try_from(digest % N_SHARDS as u128).unwrap_or(0);
        let Some(shard) = self.shards.get(index) else { return Seen::Full };
        shard.lock().unwrap_or_else(PoisonError::into_inner).see(digest, now, MAX_PER_SHARD)
    }
}

impl Shard {
    fn see(&mut self, digest: u128, now: Timestamp, max: usize) -> Seen {
        let is_old = |seen: &Timestamp| now.duration_since(*seen) > KEPT;
        let is_due =
            self.swept.is_none_or(|swept| now.duration_since(swept) > SignedDuration::from_mins(1));
        if is_due {
            self.seen.retain(|_, seen| !is_old(seen));
            self.swept = Some(now);
        }
        let is_full = self.seen.len() >= max;
        match self.seen.entry(digest) {
            Entry::Occupied(entry) if !is_old(entry.get()) => Seen::Used,
            Entry::Occupied(mut entry) => {
                entry.insert(now);
                Seen::New
            }
            Entry::Vacant(_) if is_full => Seen::Full,
            Entry::Vacant(entry) => {
                entry.insert(now);
                Seen::New
            }
        }
    }
}

/// 128 bits of a nonce: an honest client meets a collision once in 10^20 requests.
fn digest(key: &str, nonce: &str) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, key, nonce).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_once_per_key_until_it_is_forgotten() {
        let nonces = Nonces::default();
        let now = Timestamp::from_second(1_000_000).unwrap();
        assert_eq!(nonces.see("a", "n", now), Seen::New);
        assert_eq!(nonces.see("a", "n", now), Seen::Used);
        assert_eq!(nonces.see("b", "n", now), Seen::New);
        assert_eq!(nonces.see("a", "n", now + SignedDuration::from_mins(29)), Seen::Used);
        assert_eq!(nonces.see("a", "n", now + SignedDuration::from_mins(31)), Seen::New);
        assert_eq!(nonces.see("a", &"n".repeat(129), now), Seen::TooLong);
    }

    #[test]
    fn a_full_shard_refuses_and_makes_room_with_time() {
        let mut shard = Shard::default();
        let now = Timestamp::from_second(1_000_000).unwrap();
        assert_eq!(shard.see(1, now, 1), Seen::New);
        assert_eq!(shard.see(2, now, 1), Seen::Full);
        assert_eq!(shard.see(2, now + SignedDuration::from_mins(31), 1), Seen::New);
    }
}
