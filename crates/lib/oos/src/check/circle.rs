//! Circles of names: what depends on itself, and by which way.

use std::collections::BTreeSet;

/// What each of some named things depends on, by number.
pub(super) struct Dependencies<'a> {
    pub names: Vec<&'a str>,
    pub on: Vec<BTreeSet<usize>>,
}

impl Dependencies<'_> {
    /// The way from `start` back to itself as `a → b → a`, where nothing before it is on the way:
    /// so each circle is told once.
    pub(super) fn way_back(&self, start: usize) -> Option<String> {
        let mut came_from = vec![None; self.names.len()];
        let mut pending = vec![start];
        while let Some(at) = pending.pop() {
            for &next in self.on.get(at)?.range(start..) {
                if next == start {
                    return Some(self.way(start, at, &came_from));
                }
                if let Some(own @ None) = came_from.get_mut(next) {
                    *own = Some(at);
                    pending.push(next);
                }
            }
        }
        None
    }

    fn way(&self, start: usize, last: usize, came_from: &[Option<usize>]) -> String {
        let name = |at: usize| self.names.get(at).copied().unwrap_or_default();
        let mut steps = vec![name(start)];
        let mut at = Some(last);
        while let Some(here) = at.filter(|here| *here != start) {
            steps.push(name(here));
            at = came_from.get(here).copied().flatten();
        }
        steps.push(name(start));
        steps.reverse();
        steps.join(" → ")
    }
}
