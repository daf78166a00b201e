//! The evaluator: results are pushed into a continuation, so that nothing outlives its caller.
//!
//! Scopes are linked lists on the stack, and what a script may consume is counted in one place,
//! [`Meter`]: steps, bytes, and how deep evaluation nests. When one is used up the evaluation stops
//! with [`Stop::Exhausted`], which no `try` catches.

mod binding;
mod values;

use std::sync::Arc;

use indexmap::IndexMap;

use super::math;
use super::meter::{Meter, R, Stop};
use super::parse::{PRELUDE, Script};
use super::regex::Regexes;
use super::term::{Home, Term};
use super::value::{self, SLOT, Val};

/// How deep evaluation nests, continuations included. Each level takes less than 4 KiB of the stack
/// even without optimisation.
const MAX_DEPTH: u32 = 12_000;
/// The stack of an evaluation, and what of it is kept back for the functions at the bottom.
pub(super) const STACK: usize = 64 << 20;
const STACK_RESERVE: usize = 2 << 20;
/// How deep [`Term::is_single`] looks.
const SINGLE: u32 = 6;

/// A value on its way, and where in the input of `path(...)` it is.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) val: Val,
    pub(super) at: Track,
}

#[derive(Clone, Debug)]
pub(super) enum Track {
    /// Nobody asks for paths.
    Off,
    Path(Vec<Val>),
    /// Paths are asked for, and the value is none of the input's.
    Lost,
}

impl Item {
    pub(super) fn value(val: Val) -> Self {
        Self { val, at: Track::Off }
    }

    /// A computed value in the place of this one.
    fn computed(&self, val: Val) -> Self {
        let at = if matches!(self.at, Track::Off) { Track::Off } else { Track::Lost };
        Self { val, at }
    }
}

/// The bindings in force, innermost first.
pub(super) type Scope<'e> = Option<&'e Env<'e>>;

#[derive(Debug)]
pub(super) struct Env<'e> {
    pub(super) up: Scope<'e>,
    pub(super) slot: Slot<'e>,
}

#[derive(Debug)]
pub(super) enum Slot<'e> {
    Var(Val),
    Label(u64),
    Closure(&'e Term, Scope<'e>),
}

fn outwards(scope: Scope<'_>, steps: usize) -> Scope<'_> {
    (0..steps).fold(scope, |scope, _| scope.and_then(|env| env.up))
}

/// Takes one result. An error from it goes out through everything that led there.
pub(super) type Out<'o, 'p> = &'o mut (dyn FnMut(&mut Eval<'p>, Item) -> R<()> + 'o);
/// Takes the scope that a pattern makes.
type Bound<'o, 'p> = &'o mut (dyn FnMut(&mut Eval<'p>, Scope<'_>) -> R<()> + 'o);

/// One evaluation of a script.
#[derive(Debug)]
pub(super) struct Eval<'p> {
    script: &'p Script,
    pub(super) meter: Meter,
    pub(super) regexes: Regexes,
    depth: u32,
    labels: u64,
    stack_base: usize,
}

fn stack_address() -> usize {
    let here = 0_u8;
    (&raw const here).addr()
}

impl<'p> Eval<'p> {
    /// To be made on the thread that evaluates, whose stack is [`STACK`] large.
    pub(super) fn new(script: &'p Script, meter: Meter) -> Self {
        let (regexes, stack_base) = (Regexes::default(), stack_address());
        Self { script, meter, regexes, depth: 0, labels: 0, stack_base }
    }

    pub(super) fn run(&mut self, input: Val, out: Out<'_, 'p>) -> R<()> {
        let main = &self.script.main;
        self.eval(main, None, Item::value(input), out)
    }

    pub(super) fn label(&mut self) -> u64 {
        self.labels += 1;
        self.labels
    }

    pub(super) fn eval<'e>(
        &mut self,
        term: &'e Term,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        self.meter.tick(1)?;
        let stack = self.stack_base.abs_diff(stack_address());
        if self.depth >= MAX_DEPTH || stack > STACK - STACK_RESERVE {
            return Err(Stop::exhausted("the script recurses too deeply".into()));
        }
        self.depth += 1;
        let result = self.dispatch(term, scope, item, out);
        self.depth -= 1;
        result
    }

    fn dispatch<'e>(
        &mut self,
        term: &'e Term,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        if matches!(item.at, Track::Off) && term.is_single(SINGLE) {
            let val = self.single(term, scope, item.val)?;
            return out(self, Item::value(val));
        }
        match term {
            Term::Id => out(self, item),
            Term::Const(val) => out(self, item.computed(val.clone())),
            Term::Var(_) => {
                let val = self.single(term, scope, Val::Null)?;
                out(self, item.computed(val))
            }
            Term::Pipe(terms) => self.pipe(terms, scope, item, out),
            Term::Comma(terms) => {
                for term in terms {
                    self.eval(term, scope, item.clone(), out)?;
                }
                Ok(())
            }
            Term::Index(target, key, quiet) => self.access(target, key, *quiet, scope, item, out),
            Term::Slice(target, from, to, quiet) => {
                let bounds = (from.as_deref(), to.as_deref());
                self.slice(target, bounds, *quiet, scope, item, out)
            }
            Term::Iterate(target, quiet) => {
                let quiet = *quiet;
                self.eval(target, scope, item, &mut |ev, item| ev.iterate(item, quiet, out))
            }
            Term::Bind(source, pattern, body) => {
                let val = item.val.clone();
                self.eval(source, scope, Item::value(val), &mut |ev, x| {
                    ev.bind(pattern, scope, x.val, &mut |ev, scope| {
                        ev.eval(body, scope, item.clone(), out)
                    })
                })
            }
            Term::If(condition, then, otherwise) => {
                let val = item.val.clone();
                self.eval(condition, scope, Item::value(val), &mut |ev, truth| match (
                    truth.val.is_true(),
                    otherwise,
                ) {
                    (true, _) => ev.eval(then, scope, item.clone(), out),
                    (false, Some(otherwise)) => ev.eval(otherwise, scope, item.clone(), out),
                    (false, None) => out(ev, item.clone()),
                })
            }
            Term::Try(body, catch) => self.attempt(body, catch.as_deref(), scope, item, out),
            Term::Alternative(l, r) => self.alternative(l, r, scope, item, out),
            Term::Reduce(fold) => self.reduce(fold, scope, item, out),
            Term::Foreach(fold) => self.foreach(fold, scope, item, out),
            Term::Label(body) => {
                let label = self.label();
                let env = Env { up: scope, slot: Slot::Label(label) };
                match self.eval(body, Some(&env), item, out) {
                    Err(Stop::Break(to)) if to == label => Ok(()),
                    result => result,
                }
            }
            Term::Break(steps) => match outwards(scope, *steps).map(|env| &env.slot) {
                Some(Slot::Label(label)) => Err(Stop::Break(*label)),
                _ => Err(Stop::error("break without its label")),
            },
            Term::Param(steps) => match outwards(scope, *steps).map(|env| &env.slot) {
                Some(Slot::Closure(term, scope)) => self.eval(term, *scope, item, out),
                _ => Err(Stop::error("a parameter without its argument")),
            },
            Term::Call { home, fun, drop, args } => {
                let funs = match home {
                    Home::Prelude => &PRELUDE.funs,
                    Home::Script => &self.script.funs,
                };
                self.call(&funs[*fun].body, args, scope, outwards(scope, *drop), item, out)
            }
            Term::Control(control, args) => self.control(*control, args, scope, item, out),
            Term::Assign(..) | Term::Update(..) => self.assign(term, scope, item, out),
            Term::UpdateMath(..) | Term::UpdateAlternative(..) => {
                self.assign(term, scope, item, out)
            }
            _ => {
                let plain = item.computed(Val::Null);
                self.computed(term, scope, item.val, &mut |ev, x| {
                    out(ev, Item { val: x.val, at: plain.at.clone() })
                })
            }
        }
    }

    /// Terms whose results are new values.
    fn computed<'e>(
        &mut self,
        term: &'e Term,
        scope: Scope<'e>,
        val: Val,
        out: Out<'_, 'p>,
    ) -> R<()> {
        match term {
            Term::Text(_, parts) => self.text(term, parts, "", scope, &val, out),
            Term::Array(Some(items)) => {
                let items = self.collect(items, scope, val)?;
                let list = value::list(items)?;
                out(self, Item::value(list))
            }
            Term::Object(entries) => self.object(entries, IndexMap::new(), scope, &val, out),
            Term::Negate(term) => self.eval(term, scope, Item::value(val), &mut |ev, x| {
                let negated = math::negate(&mut ev.meter, x.val)?;
                out(ev, Item::value(negated))
            }),
            Term::Math(op, l, r) => self.pair(l, r, scope, val, &mut |ev, l, r| {
                let result = math::math(&mut ev.meter, *op, l, r)?;
                out(ev, Item::value(result))
            }),
            Term::Compare(op, l, r) => self.pair(l, r, scope, val, &mut |ev, l, r| {
                let result = math::compare(&mut ev.meter, *op, &l, &r)?;
                out(ev, Item::value(Val::Bool(result)))
            }),
            Term::And(l, r) => self.logic(l, r, false, scope, val, out),
            Term::Or(l, r) => self.logic(l, r, true, scope, val, out),
            Term::Native(native, args) => self.native(*native, args, scope, val, &[], out),
            _ => {
                let val = self.single(term, scope, val)?;
                out(self, Item::value(val))
            }
        }
    }

    /// The result of a term that [`Term::is_single`]. The input is moved in, so that a value held
    /// nowhere else is changed in place: a `reduce` that appends is linear.
    fn single(&mut self, term: &Term, scope: Scope<'_>, val: Val) -> R<Val> {
        self.meter.tick(1)?;
        match term {
            Term::Id => Ok(val),
            Term::Const(val) => Ok(val.clone()),
            Term::Var(steps) => match outwards(scope, *steps).map(|env| &env.slot) {
                Some(Slot::Var(val)) => Ok(val.clone()),
                _ => Err(Stop::error("a variable without its value")),
            },
            Term::Index(target, key, _) => {
                let key = self.single(key, scope, val.clone())?;
                let target = self.single(target, scope, val)?;
                self.index(&target, &key)
            }
            Term::Math(op, l, r) => {
                let r = self.single(r, scope, val.clone())?;
                let l = self.single(l, scope, val)?;
                math::math(&mut self.meter, *op, l, r)
            }
            Term::Compare(op, l, r) => {
                let r = self.single(r, scope, val.clone())?;
                let l = self.single(l, scope, val)?;
                math::compare(&mut self.meter, *op, &l, &r).map(Val::Bool)
            }
            Term::Negate(term) => {
                let val = self.single(term, scope, val)?;
                math::negate(&mut self.meter, val)
            }
            Term::Array(items) => {
                let item = items.as_ref().map(|items| self.single(items, scope, val));
                let items = item.transpose()?.into_iter().collect();
                self.meter.list(items)
            }
            Term::Object(terms) => {
                let mut entries = IndexMap::with_capacity(terms.len());
                for (key, term) in terms {
                    let key = self.single(key, scope, val.clone())?;
                    let item = self.single(term, scope, val.clone())?;
                    entries.insert(self.object_key(&key)?, item);
                }
                self.meter.map(entries)
            }
            Term::Pipe(terms) => terms.iter().try_fold(val, |val, t| self.single(t, scope, val)),
            Term::Native(native, args) => {
                let args = args.iter().map(|arg| self.single(arg, scope, val.clone()));
                let args: Vec<_> = args.collect::<R<_>>()?;
                native(self, val, &args)
            }
            _ => Err(Stop::error("a term of several results where one was expected")),
        }
    }

    fn object_key(&mut self, key: &Val) -> R<Arc<str>> {
        match key {
            Val::Str(key) => Ok(Arc::clone(key)),
            key => {
                let what = key.described(&mut self.meter)?;
                Err(Stop::error(format!("Object keys must be strings, not {what}")))
            }
        }
    }

    pub(super) fn pipe<'e>(
        &mut self,
        terms: &'e [Term],
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        match terms {
            [] => out(self, item),
            [last] => self.eval(last, scope, item, out),
            [first, rest @ ..] => {
                self.eval(first, scope, item, &mut |ev, item| ev.pipe(rest, scope, item, out))
            }
        }
    }

    /// All results of a term, each charged.
    pub(super) fn collect<'e>(
        &mut self,
        term: &'e Term,
        scope: Scope<'e>,
        val: Val,
    ) -> R<Vec<Val>> {
        let mut items = Vec::new();
        self.eval(term, scope, Item::value(val), &mut |ev, item| {
            ev.meter.alloc(SLOT)?;
            items.push(item.val);
            Ok(())
        })?;
        Ok(items)
    }

    /// The first result of a term: it is not asked for more.
    pub(super) fn first_of<'e>(
        &mut self,
        term: &'e Term,
        scope: Scope<'e>,
        item: Item,
    ) -> R<Option<Item>> {
        let label = self.label();
        let mut first = None;
        let result = self.eval(term, scope, item, &mut |_, item| {
            first = Some(item);
            Err(Stop::Break(label))
        });
        match result {
            Err(Stop::Break(to)) if to == label => Ok(first),
            result => result.map(|()| first),
        }
    }

    /// Call a definition: its arguments become closures over the caller's scope.
    fn call<'e>(
        &mut self,
        body: &'e Term,
        args: &'e [Term],
        caller: Scope<'e>,
        callee: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        let Some((arg, rest)) = args.split_first() else {
            return self.eval(body, callee, item, out);
        };
        // A parameter that is passed on as it is stands for its closure: recursion that does so
        // would pile up closures around closures.
        let passed = match arg {
            Term::Param(steps) => outwards(caller, *steps).map(|env| &env.slot),
            _ => None,
        };
        let slot = match passed {
            Some(Slot::Closure(term, scope)) => Slot::Closure(term, *scope),
            _ => Slot::Closure(arg, caller),
        };
        let env = Env { up: callee, slot };
        self.call(body, rest, caller, Some(&env), item, out)
    }

    fn attempt<'e>(
        &mut self,
        body: &'e Term,
        catch: Option<&'e Term>,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        // An error that comes back from the continuation is not the body's.
        let mut downstream = false;
        let plain = item.computed(Val::Null);
        let result = self.eval(body, scope, item, &mut |ev, item| {
            let result = out(ev, item);
            downstream |= result.is_err();
            result
        });
        match result {
            Err(Stop::Error(error)) if !downstream => match catch {
                Some(catch) => self.eval(catch, scope, Item { val: error, at: plain.at }, out),
                None => Ok(()),
            },
            result => result,
        }
    }

    fn alternative<'e>(
        &mut self,
        l: &'e Term,
        r: &'e Term,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        let (mut any, mut downstream) = (false, false);
        let result = self.eval(l, scope, item.clone(), &mut |ev, item| {
            if !item.val.is_true() {
                return Ok(());
            }
            any = true;
            let result = out(ev, item);
            downstream |= result.is_err();
            result
        });
        match result {
            Err(Stop::Error(_)) if !downstream => {}
            result => result?,
        }
        if any { Ok(()) } else { self.eval(r, scope, item, out) }
    }
}
