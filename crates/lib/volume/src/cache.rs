//! A bounded cache with two generations: what was not used during a whole generation goes.
//!
//! As good as least-recently-used for a walk over a filesystem, without a list to keep in order.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Values by key, at most `capacity` of weight altogether.
pub(crate) struct Cache<K, V> {
    half_capacity: usize,
    generations: Mutex<Generations<K, V>>,
}

struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    young_weight: usize,
}

impl<K: Eq + Hash + Copy, V: Clone> Cache<K, V> {
    /// An empty cache. `capacity` is in the unit of the weights given to [`Cache::insert`].
    pub(crate) fn new(capacity: usize) -> Self {
        let generations =
            Generations { young: HashMap::new(), old: HashMap::new(), young_weight: 0 };
        Self { half_capacity: capacity / 2, generations: Mutex::new(generations) }
    }

    /// The value of `key`, if it is still here; `weight` tells what it weighs.
    pub(crate) fn get(&self, key: K, weight: impl FnOnce(&V) -> usize) -> Option<V> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = generations.young.get(&key) {
            return Some(value.clone());
        }
        let value = generations.old.remove(&key)?;
        let weight = weight(&value);
        generations.insert(key, value.clone(), weight, self.half_capacity);
        Some(value)
    }

    /// Keep `value`.
    pub(crate) fn insert(&self, key: K, value: V, weight: usize) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.insert(key, value, weight, self.half_capacity);
    }
}

impl<K: Eq + Hash + Copy, V> Generations<K, V> {
    fn insert(&mut self, key: K, value: V, weight: usize, half_capacity: usize) {
        if self.young_weight.saturating_add(weight) > half_capacity {
            self.old = std::mem::take(&mut self.young);
            self.young_weight = 0;
        }
        self.young_weight = self.young_weight.saturating_add(weight);
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let cache = Cache::new(8);
        for key in 0..100 {
            cache.insert(key, key, 1);
            assert_eq!(cache.get(0, |_| 1), Some(0));
        }
        assert_eq!(cache.get(50, |_| 1), None);
        assert_eq!(cache.get(99, |_| 1), Some(99));
        let generations = cache.generations.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 8);
    }
}
