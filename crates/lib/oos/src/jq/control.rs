//! Functions that decide themselves how often their arguments run.
//!
//! The loops of jq (`recurse`, `while`, `until`, `repeat`) are recursive definitions there, made
//! flat by tail calls. Here they keep the values still to come in a list, so that a long loop takes
//! steps of the budget and no stack.

use super::eval::{Eval, Item, Out, Scope};
use super::math;
use super::meter::{R, Stop};
use super::term::{Compare, Control, Math, Term};
use super::value::{self, SLOT, Val};

impl<'p> Eval<'p> {
    pub(super) fn control<'e>(
        &mut self,
        control: Control,
        args: &'e [Term],
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        match (control, args) {
            (Control::Path, [term]) => {
                let paths = Item { val: item.val, at: super::eval::Track::Path(Vec::new()) };
                self.eval(term, scope, paths, &mut |ev, item| {
                    let path = ev.path_of(item)?;
                    let path = ev.meter.list(path)?;
                    out(ev, Item::value(path))
                })
            }
            (Control::GetPath, [path]) => self.get_paths(path, scope, item, out),
            (Control::Del, [term]) => {
                let paths = self.paths(term, scope, item.val.clone())?;
                let val = self.delete_paths(item.val, paths)?;
                out(self, Item::value(val))
            }
            (Control::First, [term]) => match self.first_of(term, scope, item)? {
                Some(first) => out(self, first),
                None => Ok(()),
            },
            (Control::Last, [term]) => {
                let mut last = None;
                self.eval(term, scope, item, &mut |_, item| {
                    last = Some(item);
                    Ok(())
                })?;
                last.map_or(Ok(()), |last| out(self, last))
            }
            (Control::Limit, [count, term]) => {
                let val = item.val.clone();
                self.eval(count, scope, Item::value(val), &mut |ev, count| {
                    ev.limit(&count.val, term, scope, item.clone(), out)
                })
            }
            (Control::Skip, [count, term]) => {
                let val = item.val.clone();
                self.eval(count, scope, Item::value(val), &mut |ev, count| {
                    let mut left = count.val.as_f64().unwrap_or(0.0);
                    ev.eval(term, scope, item.clone(), &mut |ev, item| {
                        left -= 1.0;
                        if left < 0.0 { out(ev, item) } else { Ok(()) }
                    })
                })
            }
            (Control::Range, [from, to, by]) => {
                let input = || Item::value(item.val.clone());
                self.eval(from, scope, input(), &mut |ev, from| {
                    ev.eval(to, scope, input(), &mut |ev, to| {
                        ev.eval(by, scope, input(), &mut |ev, by| {
                            ev.range(from.val.clone(), &to.val, &by.val, out)
                        })
                    })
                })
            }
            (Control::Recurse, [step]) => self.recurse(step, None, scope, item, out),
            (Control::RecurseIf, [step, keep]) => self.recurse(step, Some(keep), scope, item, out),
            (Control::Repeat, [step]) => self.recurse(step, None, scope, item, out),
            (Control::While, [keep, step]) => match self.holds(keep, scope, &item)? {
                true => self.recurse(step, Some(keep), scope, item, out),
                false => Ok(()),
            },
            (Control::Until, [done, step]) => self.until(done, step, scope, item, out),
            (Control::Any, [term, test]) => self.exists(term, test, true, scope, item, out),
            (Control::All, [term, test]) => self.exists(term, test, false, scope, item, out),
            (Control::IsEmpty, [term]) => {
                let first = self.first_of(term, scope, Item::value(item.val))?;
                out(self, Item::value(Val::Bool(first.is_none())))
            }
            // `empty`, which has no arguments; the parser gives each other function its own.
            _ => Ok(()),
        }
    }

    fn get_paths<'e>(
        &mut self,
        path: &'e Term,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        let val = item.val.clone();
        self.eval(path, scope, Item::value(val), &mut |ev, path| {
            let Val::Arr(path) = &path.val else {
                return Err(Stop::error("Path must be specified as an array"));
            };
            let mut at = item.clone();
            for key in &path.items {
                ev.meter.tick(1)?;
                at = ev.step(at, key.clone())?;
            }
            out(ev, at)
        })
    }

    fn limit<'e>(
        &mut self,
        count: &Val,
        term: &'e Term,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        let mut left = count.as_f64().unwrap_or(0.0);
        if left <= 0.0 {
            return Ok(());
        }
        let label = self.label();
        let result = self.eval(term, scope, item, &mut |ev, item| {
            left -= 1.0;
            out(ev, item)?;
            if left <= 0.0 { Err(Stop::Break(label)) } else { Ok(()) }
        });
        match result {
            Err(Stop::Break(to)) if to == label => Ok(()),
            result => result,
        }
    }

    fn range(&mut self, from: Val, to: &Val, by: &Val, out: Out<'_, 'p>) -> R<()> {
        let (Some(_), Some(_), Some(step)) = (from.as_f64(), to.as_f64(), by.as_f64()) else {
            return Err(Stop::error("Range bounds must be numeric"));
        };
        let going = match step {
            step if step > 0.0 => Compare::Less,
            step if step < 0.0 => Compare::Greater,
            // No way to get there: jq runs for ever, or not at all.
            _ => return Ok(()),
        };
        let mut at = from;
        while math::compare(&mut self.meter, going, &at, to)? {
            self.meter.tick(1)?;
            out(self, Item::value(at.clone()))?;
            at = math::math(&mut self.meter, Math::Add, at, by.clone())?;
        }
        Ok(())
    }

    fn holds<'e>(&mut self, test: &'e Term, scope: Scope<'e>, item: &Item) -> R<bool> {
        let first = self.first_of(test, scope, Item::value(item.val.clone()))?;
        Ok(first.is_some_and(|truth| truth.val.is_true()))
    }

    /// The value, then all that `step` leads to from there, and so on, depth first. What one step
    /// leads to is found before the first of it is followed.
    fn recurse<'e>(
        &mut self,
        step: &'e Term,
        keep: Option<&'e Term>,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        let mut waiting = vec![item];
        while let Some(item) = waiting.pop() {
            self.meter.tick(1)?;
            out(self, item.clone())?;
            let before = waiting.len();
            self.eval(step, scope, item, &mut |ev, next| {
                let kept = match keep {
                    Some(keep) => ev.holds(keep, scope, &next)?,
                    None => true,
                };
                if kept {
                    ev.meter.alloc(SLOT)?;
                    waiting.push(next);
                }
                Ok(())
            })?;
            waiting[before..].reverse();
        }
        Ok(())
    }

    fn until<'e>(
        &mut self,
        done: &'e Term,
        step: &'e Term,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        let mut waiting = vec![item];
        while let Some(item) = waiting.pop() {
            self.meter.tick(1)?;
            if self.holds(done, scope, &item)? {
                out(self, item)?;
                continue;
            }
            let before = waiting.len();
            self.eval(step, scope, item, &mut |ev, next| {
                ev.meter.alloc(SLOT)?;
                waiting.push(next);
                Ok(())
            })?;
            waiting[before..].reverse();
        }
        Ok(())
    }

    /// `any` (`wanted` true) and `all`: stops at the first result that decides.
    fn exists<'e>(
        &mut self,
        term: &'e Term,
        test: &'e Term,
        wanted: bool,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        let label = self.label();
        let result = self.eval(term, scope, Item::value(item.val), &mut |ev, item| {
            ev.eval(test, scope, item, &mut |_, truth| {
                if truth.val.is_true() == wanted { Err(Stop::Break(label)) } else { Ok(()) }
            })
        });
        let found = match result {
            Err(Stop::Break(to)) if to == label => wanted,
            result => result.map(|()| !wanted)?,
        };
        out(self, Item::value(Val::Bool(found)))
    }

    /// Sort by the order of jq, equal values in their order. Paid for before it starts, by what the
    /// values are made of, so that the comparisons themselves cannot fail.
    pub(super) fn sort(&mut self, items: &mut [Val]) -> R<()> {
        self.pay_sort(items.iter())?;
        items.sort_by(Val::order);
        Ok(())
    }

    /// Sort by the first of each pair.
    pub(super) fn sort_pairs(&mut self, items: &mut [(Val, Val)]) -> R<()> {
        self.pay_sort(items.iter().map(|(key, _)| key))?;
        items.sort_by(math::order_pairs);
        Ok(())
    }

    fn pay_sort<'v>(&mut self, items: impl ExactSizeIterator<Item = &'v Val>) -> R<()> {
        let rounds = u64::from(usize::BITS - items.len().leading_zeros());
        let mut nodes = 0_u64;
        for item in items {
            nodes = nodes.saturating_add(item.nodes(&mut self.meter)?);
        }
        self.meter.tick(nodes.saturating_mul(rounds) / 2)
    }

    pub(super) fn list_of<'v>(&mut self, val: &'v Val) -> R<&'v [Val]> {
        match val {
            Val::Arr(list) => Ok(&list.items),
            val => {
                let what = val.described(&mut self.meter)?;
                Err(Stop::error(format!("{what} is not an array")))
            }
        }
    }

    /// An array of pairs, as the prelude makes them: `[[value, key], ...]`.
    pub(super) fn pairs_of(&mut self, val: &Val) -> R<Vec<(Val, Val)>> {
        let mut pairs = Vec::new();
        for pair in self.list_of(val)? {
            self.meter.alloc(2 * SLOT)?;
            let pair = self.list_of(pair)?;
            let part = |i: usize| pair.get(i).cloned().unwrap_or(Val::Null);
            pairs.push((part(1), part(0)));
        }
        Ok(pairs)
    }

    pub(super) fn list_from(&mut self, items: Vec<Val>) -> R<Val> {
        self.meter.alloc(items.len().saturating_mul(SLOT))?;
        value::list(items)
    }
}
