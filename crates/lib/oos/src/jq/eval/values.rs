//! Terms that make new values of the results of others.

use std::sync::Arc;

use indexmap::IndexMap;

use super::super::meter::R;
use super::super::term::{Native, Part, Term};
use super::super::value::{SLOT, Val};
use super::{Eval, Item, Out, Scope};

impl<'p> Eval<'p> {
    /// All pairs of results, those of the right side in the outer loop, as in jq.
    pub(super) fn pair<'e>(
        &mut self,
        l: &'e Term,
        r: &'e Term,
        scope: Scope<'e>,
        val: Val,
        out: &mut dyn FnMut(&mut Self, Val, Val) -> R<()>,
    ) -> R<()> {
        self.eval(r, scope, Item::value(val.clone()), &mut |ev, r| {
            ev.eval(l, scope, Item::value(val.clone()), &mut |ev, l| out(ev, l.val, r.val.clone()))
        })
    }

    pub(super) fn logic<'e>(
        &mut self,
        l: &'e Term,
        r: &'e Term,
        decides: bool,
        scope: Scope<'e>,
        val: Val,
        out: Out<'_, 'p>,
    ) -> R<()> {
        self.eval(l, scope, Item::value(val.clone()), &mut |ev, l| {
            if l.val.is_true() == decides {
                return out(ev, Item::value(Val::Bool(decides)));
            }
            ev.eval(r, scope, Item::value(val.clone()), &mut |ev, r| {
                out(ev, Item::value(Val::Bool(r.val.is_true())))
            })
        })
    }

    /// A string with interpolation, from its end: the last term is the outer loop, as in jq.
    pub(super) fn text<'e>(
        &mut self,
        term: &'e Term,
        parts: &'e [Part],
        after: &str,
        scope: Scope<'e>,
        val: &Val,
        out: Out<'_, 'p>,
    ) -> R<()> {
        let Term::Text(format, _) = term else { return Ok(()) };
        let Some((last, rest)) = parts.split_last() else {
            let text = self.meter.string(after)?;
            return out(self, Item::value(text));
        };
        match last {
            Part::Text(part) => {
                self.meter.alloc(part.len() + after.len())?;
                self.text(term, rest, &[part, after].concat(), scope, val, out)
            }
            Part::Term(inner) => self.eval(inner, scope, Item::value(val.clone()), &mut |ev, x| {
                let mut text = String::new();
                format.write(&mut ev.meter, &x.val, &mut text)?;
                ev.meter.alloc(after.len())?;
                text.push_str(after);
                ev.text(term, rest, &text, scope, val, out)
            }),
        }
    }

    pub(super) fn object<'e>(
        &mut self,
        terms: &'e [(Term, Term)],
        entries: IndexMap<Arc<str>, Val>,
        scope: Scope<'e>,
        val: &Val,
        out: Out<'_, 'p>,
    ) -> R<()> {
        let Some(((key, item), rest)) = terms.split_first() else {
            let object = self.meter.map(entries)?;
            return out(self, Item::value(object));
        };
        self.eval(key, scope, Item::value(val.clone()), &mut |ev, key| {
            let key = ev.object_key(&key.val)?;
            ev.eval(item, scope, Item::value(val.clone()), &mut |ev, item| {
                ev.meter.alloc((2 * entries.len() + 1).saturating_mul(SLOT))?;
                let mut entries = entries.clone();
                entries.insert(Arc::clone(&key), item.val);
                ev.object(rest, entries, scope, val, out)
            })
        })
    }

    /// The arguments of a native function, the last in the outer loop, as in jq.
    pub(super) fn native<'e>(
        &mut self,
        native: Native,
        args: &'e [Term],
        scope: Scope<'e>,
        val: Val,
        done: &[Val],
        out: Out<'_, 'p>,
    ) -> R<()> {
        let Some((last, rest)) = args.split_last() else {
            let result = native(self, val, done)?;
            return out(self, Item::value(result));
        };
        self.eval(last, scope, Item::value(val.clone()), &mut |ev, arg| {
            let mut all = vec![arg.val];
            all.extend_from_slice(done);
            ev.native(native, rest, scope, val.clone(), &all, out)
        })
    }
}
