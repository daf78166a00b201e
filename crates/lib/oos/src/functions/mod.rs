//! The functions of templates: `Fn::Join: ["-", [a, b]]`.
//!
//! Pure functions from a value to a value: references are resolved and inner calls applied before
//! an argument comes here, nothing asks a clock, and `Fn::Jq` runs its program by what the caller
//! passes in. Arguments come from templates and from answers of APIs, so all are hostile: no
//! argument panics, and no result grows past [`Limits`].
//!
//! [`Function`] knows what the checks before a run and the documentation need; [`apply`] does it.

mod argument;
mod catalogue;
mod error;
mod eval;
mod limits;
mod lists;
mod logic;
mod maps;
mod net;
mod numbers;
mod query;
#[cfg(test)]
mod tests;
mod text;
mod time;

use serde_json::Value;

pub use self::error::{Fault, FunctionError, Place};
pub use self::limits::Limits;
pub use self::logic::truth;

use self::argument::Call;
use self::catalogue::Shape;
use self::limits::Cost;

/// Runs a jq program over a value and gives all results, or why there are none.
pub type RunJq<'a> = dyn Fn(&str, &Value) -> Result<Vec<Value>, String> + 'a;

/// Names longer than this are nobody's slip of the pen.
const MAX_SUGGESTED_CHARS: usize = 64;

/// A function of templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// Whether two values are the same; 1 is 1.0, and the keys of a map have no order.
    Equals,
    /// The opposite of a condition.
    Not,
    /// Whether all conditions hold.
    And,
    /// Whether one of the conditions holds.
    Or,
    /// One of two values, chosen by a condition; the other one is not evaluated.
    If,
    /// One item of a list or a map; a negative index counts from the end, and what is not there is null.
    Select,
    /// The items from `start` to before `end`; negative numbers count from the end.
    RangeSelect,
    /// The first item of a list, or null.
    First,
    /// The last item of a list, or null.
    Last,
    /// The items of a list as one text.
    Join,
    /// The parts of a text between separators.
    Split,
    /// A text with every occurrence of each key replaced, in the order of the keys.
    Replace,
    /// A text with `${name}` replaced; names that the map does not have stay.
    Sub,
    /// Whether a text contains another.
    ContainsSubString,
    /// A text in Base64.
    Base64Encode,
    /// The text that Base64 stands for; bytes that are not UTF-8 are replaced.
    Base64Decode,
    /// A text with quotes and backticks doubled, to stand inside quotes of that shell.
    Escape,
    /// Its arguments as one list.
    ListJoin,
    /// Several lists made one, without the items that are null.
    MergeList,
    /// Several maps made one; of a key in several the last value counts.
    MergeMap,
    /// A list of maps out of lists; shorter lists repeat their last item.
    MergeMapToList,
    /// A map out of a list of keys and a list of values.
    MapJoin,
    /// A map as a list of `Key` and `Value`.
    ConvertMapToList,
    /// What all lists have, without duplicates, in the order of the first.
    Intersection,
    /// What any of the lists has, without duplicates.
    Union,
    /// What not all of the lists have, without duplicates.
    Difference,
    /// The smallest number of a list.
    Min,
    /// The largest number of a list.
    Max,
    /// The sum of a list of numbers; 0 if there are none.
    Sum,
    /// The sizes of the batches of a list, as even as possible, larger ones first.
    CalculateBatch,
    /// The first result or all results of a jq program; input that is JSON text is parsed.
    Jq,
    /// The value of an arithmetic expression of `+ - * / % ( )`.
    Eval,
    /// A time so many hours later, or earlier if the number is negative.
    AddHour,
    /// A time in UTC as text, with the letters of strftime.
    FormatUTCTime,
    /// How long it is from one time to another; an earlier time of day is one of the next day.
    DurationBetween,
    /// Whether an address lies in a network, of IPv4 or IPv6.
    IsIpInCIDR,
    /// The next instant inside a time window. Not supported by kiln.
    CalculateTimeByOpsWindow,
    /// The files and scripts of a software package that suit a system. Not supported by kiln.
    FindMatchedPackage,
}

impl Function {
    /// Every function.
    pub const ALL: &[Function] = catalogue::ALL;

    /// The name in templates: `Fn::Equals`.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The function of this name, which is case-sensitive as all of the grammar.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|function| function.name() == name)
    }

    /// The function that somebody may have meant who wrote a name that is none: other case, a
    /// missing `Fn::`, or a few letters wrong.
    pub fn closest(name: &str) -> Option<Self> {
        if name.chars().count() > MAX_SUGGESTED_CHARS {
            return None;
        }
        let written = bare(name);
        let likeness = |function: &Self| {
            strsim::normalized_damerau_levenshtein(&bare(function.name()), &written)
        };
        let closest = Self::ALL.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        // Below this, "did you mean" is a guess: `Fn::GetAtt` has nothing like it here.
        (likeness(closest) >= 0.6).then_some(*closest)
    }

    /// What the argument must look like: `[a, b]`.
    pub fn usage(self) -> &'static str {
        self.facts().usage
    }

    /// One sentence for the documentation.
    pub fn about(self) -> &'static str {
        self.facts().about
    }

    /// An argument and its result, both as JSON text. The result is empty where
    /// [`Self::is_supported`] is false.
    pub fn example(self) -> (&'static str, &'static str) {
        self.facts().example
    }

    /// Whether kiln has it. The others are known by name and fail when they are applied.
    pub fn is_supported(self) -> bool {
        !matches!(self, Self::CalculateTimeByOpsWindow | Self::FindMatchedPackage)
    }

    /// Whether an argument can be right that is written as a list of so many `items`, or as
    /// something else (`None`), which may be a reference to anything and is not judged.
    ///
    /// # Errors
    ///
    /// The message that [`apply`] would give.
    pub fn check_shape(self, items: Option<usize>) -> Result<(), String> {
        match items {
            Some(n) if !self.facts().shape.allows(n) => Err(self.wrong_items(n).to_string()),
            _ => Ok(()),
        }
    }

    /// The error of an argument that is a list of `n` items, and should not be.
    fn wrong_items(self, n: usize) -> FunctionError {
        let found = match (self.facts().shape, n) {
            (Shape::Bare, _) => "is a list".to_owned(),
            (_, 0) => "is empty".to_owned(),
            (_, 1) => "has 1 item".to_owned(),
            (_, n) => format!("has {n} items"),
        };
        Fault::Shape { usage: self.usage(), found }.of(self)
    }
}

/// A name without what people get wrong first.
fn bare(name: &str) -> String {
    let name = name.to_lowercase();
    name.strip_prefix("fn::").unwrap_or(&name).to_owned()
}

/// Apply a function to its argument, which is evaluated.
///
/// # Errors
///
/// The argument has not the form or the kinds that the function takes, the computation has no
/// result, the result would pass `limits`, or kiln does not have the function.
pub fn apply(
    function: Function,
    argument: &Value,
    limits: Limits,
    jq: &RunJq<'_>,
) -> Result<Value, FunctionError> {
    let call = Call { function, argument, limits };
    if let Value::Array(items) = argument
        && !function.facts().shape.allows(items.len())
    {
        return Err(call.shape(argument));
    }
    let result = dispatch(call, jq)?;
    // What only passes on a part of its argument makes nothing larger.
    let passes_on =
        matches!(function, Function::If | Function::Select | Function::First | Function::Last);
    if !passes_on {
        Cost::of(&result).check(&call)?;
    }
    Ok(result)
}

fn dispatch(call: Call<'_>, jq: &RunJq<'_>) -> Result<Value, FunctionError> {
    match call.function {
        Function::Equals => logic::equals(call),
        Function::Not => logic::not(call),
        Function::And => logic::and(call),
        Function::Or => logic::or(call),
        Function::If => logic::choose(call),
        Function::Select => lists::select(call),
        Function::RangeSelect => lists::range_select(call),
        Function::First => lists::first(call),
        Function::Last => lists::last(call),
        Function::Join => text::join(call),
        Function::Split => text::split(call),
        Function::Replace => text::replace(call),
        Function::Sub => text::sub(call),
        Function::ContainsSubString => text::contains(call),
        Function::Base64Encode => text::base64_encode(call),
        Function::Base64Decode => text::base64_decode(call),
        Function::Escape => text::escape(call),
        Function::ListJoin => lists::list_join(call),
        Function::MergeList => lists::merge_list(call),
        Function::MergeMap => maps::merge_map(call),
        Function::MergeMapToList => maps::merge_map_to_list(call),
        Function::MapJoin => maps::map_join(call),
        Function::ConvertMapToList => maps::convert_map_to_list(call),
        Function::Intersection => lists::intersection(call),
        Function::Union => lists::union(call),
        Function::Difference => lists::difference(call),
        Function::Min => numbers::min(call),
        Function::Max => numbers::max(call),
        Function::Sum => numbers::sum(call),
        Function::CalculateBatch => lists::calculate_batch(call),
        Function::Eval => numbers::eval(call),
        Function::AddHour => time::add_hour(call),
        Function::FormatUTCTime => time::format_utc_time(call),
        Function::DurationBetween => time::duration_between(call),
        Function::IsIpInCIDR => net::is_ip_in_cidr(call),
        Function::Jq => query::jq(call, jq),
        Function::CalculateTimeByOpsWindow => {
            Err(Fault::Unsupported("the form of its time window is not public").of(call.function))
        }
        Function::FindMatchedPackage => {
            let why = "the form of software packages, and how one is chosen, are not public";
            Err(Fault::Unsupported(why).of(call.function))
        }
    }
}
