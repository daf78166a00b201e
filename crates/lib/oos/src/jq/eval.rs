//! The evaluator: results are pushed into a continuation, so that nothing outlives its caller.
//!
//! Scopes are linked lists on the stack, and what a script may consume is counted in one place,
//! [`Meter`]: steps, bytes, and how deep evaluation nests. When one is used up the evaluation stops
//! with [`Stop::Exhausted`], which no `try` catches.

use std::sync::Arc;

use indexmap::IndexMap;

use super::math;
use super::parse::{PRELUDE, Script};
use super::regex::Regexes;
use super::term::{Fold, Home, Native, Part, Pattern, Term};
use super::value::{self, SLOT, Val};

/// How deep evaluation nests, continuations included. Each level takes less than 4 KiB of the stack
/// even without optimisation.
const MAX_DEPTH: u32 = 12_000;
/// The stack of an evaluation, and what of it is kept back for the functions at the bottom.
pub(super) const STACK: usize = 64 << 20;
const STACK_RESERVE: usize = 2 << 20;
/// How deep [`Term::is_single`] looks.
const SINGLE: u32 = 6;

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

    /// All pairs of results, those of the right side in the outer loop, as in jq.
    fn pair<'e>(
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

    fn logic<'e>(
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
    fn text<'e>(
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

    fn object<'e>(
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
    fn native<'e>(
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

    fn bind_items<'e>(
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

    fn bind_entries<'e>(
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

    /// The last result of each update is the state; an update without a result makes it null.
    fn reduce<'e>(
        &mut self,
        fold: &'e Fold,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        let input = item.val.clone();
        self.eval(&fold.init, scope, item, &mut |ev, init| {
            let mut state = Some(init);
            ev.eval(&fold.source, scope, Item::value(input.clone()), &mut |ev, x| {
                ev.bind(&fold.pattern, scope, x.val, &mut |ev, scope| {
                    let current = state.take().unwrap_or(Item::value(Val::Null));
                    let none = current.computed(Val::Null);
                    ev.eval(&fold.update, scope, current, &mut |_, next| {
                        state = Some(next);
                        Ok(())
                    })?;
                    state.get_or_insert(none);
                    Ok(())
                })
            })?;
            match state.take() {
                Some(state) => out(ev, state),
                None => Ok(()),
            }
        })
    }

    fn foreach<'e>(
        &mut self,
        fold: &'e Fold,
        scope: Scope<'e>,
        item: Item,
        out: Out<'_, 'p>,
    ) -> R<()> {
        let input = item.val.clone();
        self.eval(&fold.init, scope, item, &mut |ev, init| {
            let mut state = init;
            ev.eval(&fold.source, scope, Item::value(input.clone()), &mut |ev, x| {
                ev.bind(&fold.pattern, scope, x.val, &mut |ev, scope| {
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
        })
    }
}
