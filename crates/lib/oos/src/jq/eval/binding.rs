//! Patterns bind names, and folds bind them again and again.

use super::super::meter::R;
use super::super::term::{Fold, Pattern, Term};
use super::super::value::Val;
use super::{Bound, Env, Eval, Item, Out, Scope, Slot};

impl<'p> Eval<'p> {
    pub(super) fn bind<'e>(
        &mut self,
        pattern: &'e Pattern,
        scope: Scope<'e>,
        val: Val,
        then: Bound<'_, 'p>,
    ) -> R<()> {
        match pattern {
            Pattern::Var => {
                let env = Env { up: scope, slot: Slot::Var(val) };
                then(self, Some(&env))
            }
            Pattern::Array(items) => self.bind_items(items, 0, scope, &val, then),
            Pattern::Object(entries) => self.bind_entries(entries, scope, &val, then),
        }
    }

    pub(super) fn bind_items<'e>(
        &mut self,
        patterns: &'e [Pattern],
        at: usize,
        scope: Scope<'e>,
        val: &Val,
        then: Bound<'_, 'p>,
    ) -> R<()> {
        let Some((first, rest)) = patterns.split_first() else { return then(self, scope) };
        let item = self.index(val, &Val::count(at))?;
        self.bind(first, scope, item, &mut |ev, scope| {
            ev.bind_items(rest, at + 1, scope, val, then)
        })
    }

    pub(super) fn bind_entries<'e>(
        &mut self,
        entries: &'e [(Term, bool, Option<Pattern>)],
        scope: Scope<'e>,
        val: &Val,
        then: Bound<'_, 'p>,
    ) -> R<()> {
        let Some(((key, named, inner), rest)) = entries.split_first() else {
            return then(self, scope);
        };
        self.eval(key, scope, Item::value(val.clone()), &mut |ev, key| {
            let item = ev.index(val, &key.val)?;
            let env = Env { up: scope, slot: Slot::Var(item.clone()) };
            let scope = if *named { Some(&env) } else { scope };
            match inner {
                None => ev.bind_entries(rest, scope, val, then),
                Some(inner) => ev.bind(inner, scope, item, &mut |ev, scope| {
                    ev.bind_entries(rest, scope, val, then)
                }),
            }
        })
    }

    /// The scope of each value that a fold goes over.
    fn each_bound<'e>(
        &mut self,
        fold: &'e Fold,
        scope: Scope<'e>,
        input: &Val,
        then: Bound<'_, 'p>,
    ) -> R<()> {
        self.eval(&fold.source, scope, Item::value(input.clone()), &mut |ev, x| {
            ev.bind(&fold.pattern, scope, x.val, then)
        })
    }

    /// The last result of each update is the state; an update without a result makes it null.
    pub(super) fn reduce<'e>(
        &mut self,
        fold: &'e Fold,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        let input = item.val.clone();
        self.eval(&fold.init, scope, item, &mut |ev, init| {
            let mut state = Some(init);
            ev.each_bound(fold, scope, &input, &mut |ev, scope| {
                let current = state.take().unwrap_or(Item::value(Val::Null));
                let none = current.computed(Val::Null);
                ev.eval(&fold.update, scope, current, &mut |_, next| {
                    state = Some(next);
                    Ok(())
                })?;
                state.get_or_insert(none);
                Ok(())
            })?;
            match state.take() {
                Some(state) => out(ev, state),
                None => Ok(()),
            }
        })
    }

    pub(super) fn foreach<'e>(
        &mut self,
        fold: &'e Fold,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        let input = item.val.clone();
        self.eval(&fold.init, scope, item, &mut |ev, init| {
            let mut state = init;
            ev.each_bound(fold, scope, &input, &mut |ev, scope| {
                let none = state.computed(Val::Null);
                let current = std::mem::replace(&mut state, none);
                ev.eval(&fold.update, scope, current, &mut |ev, next| {
                    state = next.clone();
                    match &fold.extract {
                        Some(extract) => ev.eval(extract, scope, next, out),
                        None => out(ev, next),
                    }
                })
            })
        })
    }
}
