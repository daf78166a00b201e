//! What a script may consume, and how it is stopped.

use std::sync::Arc;

use indexmap::IndexMap;

use super::value::{self, SLOT, Val};

/// Why an evaluation does not go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// An error that `try` catches, with the value that `catch` gets.
    Error(Val),
    /// On the way out to the label of this number.
    Break(u64),
    /// A limit was reached: what it is.
    Exhausted(String),
}

impl Stop {
    pub(super) fn error(message: impl AsRef<str>) -> Self {
        Self::Error(Val::text(message.as_ref()))
    }

    pub(super) fn exhausted(message: String) -> Self {
        Self::Exhausted(message)
    }
}

pub(super) type R<T> = Result<T, Stop>;

/// What is left of the budget.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) steps: u64,
    pub(super) bytes: usize,
}

impl Meter {
    /// Pay for `steps` pieces of work.
    pub(super) fn tick(&mut self, steps: u64) -> R<()> {
        match self.steps.checked_sub(steps) {
            Some(left) => self.steps = left,
            None => {
                self.steps = 0;
                return Err(Stop::exhausted("the script takes too many steps".into()));
            }
        }
        Ok(())
    }

    /// Pay for memory. It is never given back: the sum bounds what is held at any one time.
    pub(super) fn alloc(&mut self, bytes: usize) -> R<()> {
        match self.bytes.checked_sub(bytes) {
            Some(left) => self.bytes = left,
            None => {
                self.bytes = 0;
                return Err(Stop::exhausted("the script takes too much memory".into()));
            }
        }
        Ok(())
    }

    pub(super) fn string(&mut self, text: &str) -> R<Val> {
        self.alloc(text.len() + SLOT)?;
        Ok(Val::Str(text.into()))
    }

    pub(super) fn list(&mut self, items: Vec<Val>) -> R<Val> {
        self.alloc((items.len() + 1).saturating_mul(SLOT))?;
        self.tick(items.len() as u64 / 8)?;
        value::list(items)
    }

    pub(super) fn map(&mut self, entries: IndexMap<Arc<str>, Val>) -> R<Val> {
        self.alloc((2 * entries.len() + 1).saturating_mul(SLOT))?;
        self.tick(entries.len() as u64 / 4)?;
        value::map(entries)
    }

    /// [`Val::order`], paid for by the smaller of the two.
    pub(super) fn compare(&mut self, a: &Val, b: &Val) -> R<std::cmp::Ordering> {
        let both = |x: &Val| matches!(x, Val::Arr(_) | Val::Obj(_) | Val::Str(_));
        if both(a) && both(b) && std::mem::discriminant(a) == std::mem::discriminant(b) {
            a.nodes(self)?;
            b.nodes(self)?;
        }
        Ok(a.order(b))
    }
}
