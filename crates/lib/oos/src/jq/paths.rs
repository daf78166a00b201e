//! Access by key: reading, and writing along a path.

use std::sync::Arc;

use super::eval::{Eval, Item, Out, Scope, Track};
use super::math;
use super::meter::{R, Stop};
use super::term::Term;
use super::value::{List, MAX_DEPTH, Map, SLOT, Val};

/// The longest array that writing beyond its end makes. jq's own limit is larger; memory is charged
/// besides.
const MAX_INDEX: usize = 1 << 24;

/// An index from the start, where it is one: numbers are cut to whole ones, and negative ones count
/// from the end.
fn position(key: &Val, len: usize) -> Option<usize> {
    let at = key.as_f64().filter(|at| !at.is_nan())?.floor();
    let at = if at < 0.0 { at + len as f64 } else { at };
    (at >= 0.0).then_some(at as usize)
}

/// The bounds of a slice, cut to what there is: the start is rounded down and the end up.
fn bounds(from: &Val, to: &Val, len: usize) -> Option<(usize, usize)> {
    let place = |key: &Val, none: usize, round: fn(f64) -> f64| match key {
        Val::Null => Some(none),
        key => {
            let at = key.as_f64().filter(|at| !at.is_nan())?;
            let at = round(if at < 0.0 { at + len as f64 } else { at });
            Some((at.max(0.0) as usize).min(len))
        }
    };
    let (from, to) = (place(from, 0, f64::floor)?, place(to, len, f64::ceil)?);
    Some((from, to.max(from)))
}

/// The bounds that an object key of an array is about: `{"start": 1, "end": 2}`.
fn slice_key(key: &Val) -> Option<(Val, Val)> {
    let Val::Obj(map) = key else { return None };
    let part = |name: &str| map.entries.get(name).cloned().unwrap_or(Val::Null);
    let known = map.entries.contains_key("start") || map.entries.contains_key("end");
    known.then(|| (part("start"), part("end")))
}

impl<'p> Eval<'p> {
    /// `value[key]`.
    pub(super) fn index(&mut self, val: &Val, key: &Val) -> R<Val> {
        match (val, key) {
            (Val::Obj(map), Val::Str(key)) => {
                Ok(map.entries.get(key).cloned().unwrap_or(Val::Null))
            }
            (Val::Arr(list), Val::Int(_) | Val::Float(_)) => {
                let item = position(key, list.items.len()).and_then(|at| list.items.get(at));
                Ok(item.cloned().unwrap_or(Val::Null))
            }
            (Val::Null, Val::Str(_) | Val::Int(_) | Val::Float(_) | Val::Null) => Ok(Val::Null),
            (Val::Arr(list), Val::Arr(part)) => {
                let found = self.occurrences(&list.items, &part.items)?;
                self.meter.list(found)
            }
            (Val::Arr(_) | Val::Null | Val::Str(_), Val::Obj(_)) => match slice_key(key) {
                Some((from, to)) => self.cut(val, &from, &to),
                None => Err(self.no_index(val, key)?),
            },
            _ => Err(self.no_index(val, key)?),
        }
    }

    fn no_index(&mut self, val: &Val, key: &Val) -> R<Stop> {
        let name = val.type_name();
        Ok(Stop::error(match key {
            Val::Str(key) if key.len() < 80 => format!("Cannot index {name} with \"{key}\""),
            key => format!("Cannot index {name} with {}", key.type_name()),
        }))
    }

    /// Where `part` occurs in `items`.
    pub(super) fn occurrences(&mut self, items: &[Val], part: &[Val]) -> R<Vec<Val>> {
        let mut found = Vec::new();
        if part.is_empty() {
            return Ok(found);
        }
        for (at, window) in items.windows(part.len()).enumerate() {
            let mut same = true;
            for (a, b) in window.iter().zip(part) {
                self.meter.tick(1)?;
                if self.meter.compare(a, b)?.is_ne() {
                    same = false;
                    break;
                }
            }
            if same {
                found.push(Val::count(at));
            }
        }
        Ok(found)
    }

    /// `value[from:to]`.
    fn cut(&mut self, val: &Val, from: &Val, to: &Val) -> R<Val> {
        let wrong = || Stop::error("Start and end indices of an array slice must be numbers");
        match val {
            Val::Null => Ok(Val::Null),
            Val::Arr(list) => {
                let (from, to) = bounds(from, to, list.items.len()).ok_or_else(wrong)?;
                self.meter.list(list.items[from..to].to_vec())
            }
            Val::Str(text) => {
                self.meter.tick(1 + text.len() as u64 / 32)?;
                let (from, to) = bounds(from, to, text.chars().count()).ok_or_else(wrong)?;
                let part: String = text.chars().skip(from).take(to - from).collect();
                self.meter.string(&part)
            }
            val => Err(Stop::error(format!("Cannot index {} with object", val.type_name()))),
        }
    }

    /// One step of a path: the value there, and the longer path where one is asked for.
    pub(super) fn step(&mut self, item: Item, key: Val) -> R<Item> {
        let val = match self.index(&item.val, &key) {
            Err(Stop::Error(error)) if !matches!(item.at, Track::Lost) => {
                return Err(Stop::Error(error));
            }
            result => result?,
        };
        let at = match item.at {
            Track::Off => Track::Off,
            Track::Path(mut path) => {
                self.meter.alloc((path.len() + 1) * SLOT)?;
                path.push(key);
                Track::Path(path)
            }
            Track::Lost => {
                let (key, what) =
                    (key.described(&mut self.meter)?, item.val.described(&mut self.meter)?);
                let message = format!("Invalid path expression: try to access {key} of {what}");
                return Err(Stop::error(message));
            }
        };
        Ok(Item { val, at })
    }

    fn quiet_step(&mut self, item: Item, key: Val, quiet: bool) -> R<Option<Item>> {
        match self.step(item, key) {
            Err(Stop::Error(_)) if quiet => Ok(None),
            result => result.map(Some),
        }
    }

    pub(super) fn access<'e>(
        &mut self,
        target: &'e Term,
        key: &'e Term,
        quiet: bool,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        let val = item.val.clone();
        self.eval(key, scope, Item::value(val), &mut |ev, key| {
            ev.eval(target, scope, item.clone(), &mut |ev, target| match ev.quiet_step(
                target,
                key.val.clone(),
                quiet,
            )? {
                Some(item) => out(ev, item),
                None => Ok(()),
            })
        })
    }

    pub(super) fn slice<'e>(
        &mut self,
        target: &'e Term,
        (from, to): (Option<&'e Term>, Option<&'e Term>),
        quiet: bool,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        const NONE: &Term = &Term::Const(Val::Null);
        let val = item.val.clone();
        self.eval(to.unwrap_or(NONE), scope, Item::value(val.clone()), &mut |ev, to| {
            ev.eval(from.unwrap_or(NONE), scope, Item::value(val.clone()), &mut |ev, from| {
                let ends = [("start", from.val), ("end", to.val.clone())];
                let key =
                    ev.meter.map(ends.map(|(k, v)| (Arc::from(k), v)).into_iter().collect())?;
                ev.eval(target, scope, item.clone(), &mut |ev, target| match ev.quiet_step(
                    target,
                    key.clone(),
                    quiet,
                )? {
                    Some(item) => out(ev, item),
                    None => Ok(()),
                })
            })
        })
    }

    /// The items of an array or the values of an object.
    pub(super) fn iterate(&mut self, item: Item, quiet: bool, out: Out<'_, 'p>) -> R<()> {
        let plain = matches!(item.at, Track::Off);
        match item.val.clone() {
            Val::Arr(list) => {
                for (at, val) in list.items.iter().enumerate() {
                    self.meter.tick(1)?;
                    let child = match plain {
                        true => Item::value(val.clone()),
                        false => self.step(item.clone(), Val::count(at))?,
                    };
                    out(self, child)?;
                }
                Ok(())
            }
            Val::Obj(map) => {
                for (key, val) in &map.entries {
                    self.meter.tick(1)?;
                    let child = match plain {
                        true => Item::value(val.clone()),
                        false => self.step(item.clone(), Val::Str(Arc::clone(key)))?,
                    };
                    out(self, child)?;
                }
                Ok(())
            }
            _ if quiet => Ok(()),
            val => {
                let what = val.described(&mut self.meter)?;
                Err(Stop::error(format!("Cannot iterate over {what}")))
            }
        }
    }

    /// The paths that a term leads to.
    pub(super) fn paths<'e>(
        &mut self,
        term: &'e Term,
        scope: Scope<'e>,
        val: Val,
    ) -> R<Vec<Vec<Val>>> {
        let mut paths = Vec::new();
        let start = Item { val, at: Track::Path(Vec::new()) };
        self.eval(term, scope, start, &mut |ev, item| {
            ev.meter.alloc(2 * SLOT)?;
            paths.push(ev.path_of(item)?);
            Ok(())
        })?;
        Ok(paths)
    }

    pub(super) fn path_of(&mut self, item: Item) -> R<Vec<Val>> {
        match item.at {
            Track::Path(path) => Ok(path),
            Track::Off | Track::Lost => {
                let what = item.val.described(&mut self.meter)?;
                Err(Stop::error(format!("Invalid path expression with result {what}")))
            }
        }
    }

    /// The value at a path; null where the path goes through null.
    pub(super) fn get_path(&mut self, val: &Val, path: &[Val]) -> R<Val> {
        let mut val = val.clone();
        for key in path {
            self.meter.tick(1)?;
            val = self.index(&val, key)?;
        }
        Ok(val)
    }

    /// Replace what is at a path by what `f` makes of it. Null grows into what the path needs.
    pub(super) fn update_path(
        &mut self,
        val: Val,
        path: &[Val],
        f: &mut dyn FnMut(&mut Self, Val) -> R<Val>,
    ) -> R<Val> {
        self.meter.tick(1)?;
        if path.len() > MAX_DEPTH as usize {
            return Err(Stop::error("Path too deep"));
        }
        let Some((key, rest)) = path.split_first() else { return f(self, val) };
        match (val, key) {
            (Val::Null, Val::Str(_)) => self.update_path(Val::Obj(Arc::default()), path, f),
            (Val::Null, Val::Int(_) | Val::Float(_) | Val::Obj(_)) => {
                self.update_path(Val::Arr(Arc::default()), path, f)
            }
            (Val::Obj(mut map), Val::Str(key)) => {
                let entries = Map::change(&mut self.meter, &mut map, 0)?;
                let old = entries.get_mut(key).map(|old| std::mem::replace(old, Val::Null));
                let new = self.update_path(old.unwrap_or(Val::Null), rest, f)?;
                self.meter.alloc(2 * SLOT)?;
                let entries = Map::change(&mut self.meter, &mut map, new.depth())?;
                entries.insert(Arc::clone(key), new);
                Ok(Val::Obj(map))
            }
            (Val::Arr(list), Val::Int(_) | Val::Float(_)) => self.update_item(list, key, rest, f),
            (Val::Arr(list), Val::Obj(_)) if slice_key(key).is_some() => {
                self.update_slice(list, key, rest, f)
            }
            (val, key) => Err(self.no_index(&val, key)?),
        }
    }

    fn update_item(
        &mut self,
        mut list: Arc<List>,
        key: &Val,
        rest: &[Val],
        f: &mut dyn FnMut(&mut Self, Val) -> R<Val>,
    ) -> R<Val> {
        let Some(at) = position(key, list.items.len()) else {
            return Err(Stop::error("Out of bounds negative array index"));
        };
        if at >= MAX_INDEX {
            return Err(Stop::error("Array index too large"));
        }
        let items = List::change(&mut self.meter, &mut list, 0)?;
        let old = items.get_mut(at).map(|old| std::mem::replace(old, Val::Null));
        let new = self.update_path(old.unwrap_or(Val::Null), rest, f)?;
        let more = (at + 1).saturating_sub(list.items.len());
        self.meter.alloc(more.saturating_mul(SLOT))?;
        self.meter.tick(more as u64 / 8)?;
        let items = List::change(&mut self.meter, &mut list, new.depth())?;
        if more > 0 {
            items.resize(at + 1, Val::Null);
        }
        items[at] = new;
        Ok(Val::Arr(list))
    }

    fn update_slice(
        &mut self,
        mut list: Arc<List>,
        key: &Val,
        rest: &[Val],
        f: &mut dyn FnMut(&mut Self, Val) -> R<Val>,
    ) -> R<Val> {
        let wrong = || Stop::error("Start and end indices of an array slice must be numbers");
        let (from, to) = slice_key(key).unwrap_or((Val::Null, Val::Null));
        let old = self.cut(&Val::Arr(Arc::clone(&list)), &from, &to)?;
        let (from, to) = bounds(&from, &to, list.items.len()).ok_or_else(wrong)?;
        let Val::Arr(new) = self.update_path(old, rest, f)? else {
            return Err(Stop::error("A slice of an array can only be assigned another array"));
        };
        self.meter.alloc(new.items.len().saturating_mul(SLOT))?;
        self.meter.tick(list.items.len() as u64 / 8)?;
        let deepest = Val::Arr(Arc::clone(&new)).depth().saturating_sub(1);
        let items = List::change(&mut self.meter, &mut list, deepest)?;
        items.splice(from..to, new.items.iter().cloned());
        Ok(Val::Arr(list))
    }

    /// Delete what is at the paths, the last first, so that none moves before its turn.
    pub(super) fn delete_paths(&mut self, mut val: Val, paths: Vec<Vec<Val>>) -> R<Val> {
        let mut lists = Vec::with_capacity(paths.len());
        for path in paths {
            lists.push(self.meter.list(path)?);
        }
        self.sort(&mut lists)?;
        for path in lists.iter().rev() {
            if let Val::Arr(path) = path {
                val = self.delete_path(val, &path.items)?;
            }
        }
        Ok(val)
    }

    fn delete_path(&mut self, val: Val, path: &[Val]) -> R<Val> {
        let Some((last, before)) = path.split_last() else { return Ok(Val::Null) };
        // What is not there need not be made to be deleted.
        if matches!(self.get_path(&val, before)?, Val::Null) {
            return Ok(val);
        }
        self.update_path(val, before, &mut |ev, parent| match (parent, last) {
            (Val::Obj(mut map), Val::Str(key)) => {
                ev.meter.tick(map.entries.len() as u64 / 8)?;
                Map::change(&mut ev.meter, &mut map, 0)?.shift_remove(key);
                Ok(Val::Obj(map))
            }
            (Val::Arr(mut list), Val::Int(_) | Val::Float(_)) => {
                ev.meter.tick(list.items.len() as u64 / 8)?;
                let at = position(last, list.items.len());
                if let Some(at) = at.filter(|at| *at < list.items.len()) {
                    List::change(&mut ev.meter, &mut list, 0)?.remove(at);
                }
                Ok(Val::Arr(list))
            }
            (Val::Arr(list), Val::Obj(_)) if slice_key(last).is_some() => {
                ev.update_slice(list, last, &[], &mut |_, _| Ok(Val::Arr(Arc::default())))
            }
            (parent, last) => {
                let (key, name) = (last.type_name(), parent.type_name());
                Err(Stop::error(format!("Cannot delete field at {key} index of {name}")))
            }
        })
    }

    /// `=`, `|=`, `op=` and `//=`.
    pub(super) fn assign<'e>(
        &mut self,
        term: &'e Term,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        let lost = |val| Item {
            val,
            at: if matches!(item.at, Track::Off) { Track::Off } else { Track::Lost },
        };
        let val = item.val;
        let (l, r) = match term {
            Term::Update(l, r) => {
                let updated = self.modify(l, r, scope, val)?;
                return out(self, lost(updated));
            }
            Term::Assign(l, r) | Term::UpdateMath(_, l, r) | Term::UpdateAlternative(l, r) => {
                (l, r)
            }
            _ => return Ok(()),
        };
        // Collected first, so that the last of the values changes the input in place.
        let mut values = self.collect(r, scope, val.clone())?;
        let last = values.pop();
        let mut one = |ev: &mut Self, val: Val, new: Val| {
            let paths = ev.paths(l, scope, val.clone())?;
            let mut changed = val;
            for path in paths {
                changed = ev.update_path(changed, &path, &mut |ev, old| match term {
                    Term::UpdateMath(op, ..) => math::math(&mut ev.meter, *op, old, new.clone()),
                    Term::UpdateAlternative(..) if old.is_true() => Ok(old),
                    _ => Ok(new.clone()),
                })?;
            }
            out(ev, lost(changed))
        };
        for new in values {
            one(self, val.clone(), new)?;
        }
        match last {
            Some(new) => one(self, val, new),
            None => Ok(()),
        }
    }

    /// `l |= r`: the first result of `r` for each path; a path without one is deleted.
    fn modify<'e>(&mut self, l: &'e Term, r: &'e Term, scope: Scope<'e>, val: Val) -> R<Val> {
        let paths = self.paths(l, scope, val.clone())?;
        let (mut changed, mut deleted) = (val, Vec::new());
        for path in paths {
            let mut gone = false;
            changed = self.update_path(changed, &path, &mut |ev, old| match ev.first_of(
                r,
                scope,
                Item::value(old.clone()),
            )? {
                Some(new) => Ok(new.val),
                None => {
                    gone = true;
                    Ok(old)
                }
            })?;
            if gone {
                deleted.push(path);
            }
        }
        if deleted.is_empty() { Ok(changed) } else { self.delete_paths(changed, deleted) }
    }
}
