//! What is known of each function: its name, its form, a sentence and an example.
//!
//! The checks before a run, the messages of errors and the documentation read this table; the tests
//! run its examples.

use super::Function;
use super::Function::*;

/// One row of the table.
pub(super) struct Facts {
    pub(super) function: Function,
    pub(super) name: &'static str,
    pub(super) usage: &'static str,
    pub(super) about: &'static str,
    /// Argument and result as JSON text; the result of a function that kiln does not have is empty.
    pub(super) example: (&'static str, &'static str),
    pub(super) shape: Shape,
}

/// How many items a list written as the argument may have.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Exactly(usize),
    AtLeast(usize),
    /// One value, with or without a list around it.
    Single,
    /// One value, which is no list.
    Bare,
    Any,
}

impl Shape {
    pub(super) fn allows(self, n_items: usize) -> bool {
        match self {
            Self::Exactly(n) => n_items == n,
            Self::AtLeast(n) => n_items >= n,
            Self::Single => n_items == 1,
            Self::Bare => false,
            Self::Any => true,
        }
    }
}

impl Function {
    pub(super) fn facts(self) -> &'static Facts {
        &CATALOGUE[self as usize]
    }
}

/// Every function, in the order of the declaration.
pub(super) const ALL: &[Function] = &{
    let mut all = [Equals; CATALOGUE.len()];
    let mut row = 0;
    while row < all.len() {
        all[row] = CATALOGUE[row].function;
        // `facts` finds a row by the number of its function.
        assert!(all[row] as usize == row, "the table is not in the order of the declaration");
        row += 1;
    }
    assert!(all.len() == FindMatchedPackage as usize + 1, "the last function has no row");
    all
};

static CATALOGUE: [Facts; 38] = [
    Facts {
        function: Equals,
        name: "Fn::Equals",
        usage: "[a, b]",
        about: "Whether two values are the same; 1 is 1.0, and the keys of a map have no order.",
        example: (r#"["on", "on"]"#, "true"),
        shape: Shape::Exactly(2),
    },
    Facts {
        function: Not,
        name: "Fn::Not",
        usage: "a condition",
        about: "The opposite of a condition.",
        example: ("true", "false"),
        shape: Shape::Single,
    },
    Facts {
        function: And,
        name: "Fn::And",
        usage: "[condition, condition, …]",
        about: "Whether all conditions hold.",
        example: (r#"[true, "true", false]"#, "false"),
        shape: Shape::AtLeast(2),
    },
    Facts {
        function: Or,
        name: "Fn::Or",
        usage: "[condition, condition, …]",
        about: "Whether one of the conditions holds.",
        example: ("[false, true]", "true"),
        shape: Shape::AtLeast(2),
    },
    Facts {
        function: If,
        name: "Fn::If",
        usage: "[condition, then, else]",
        about: "One of two values, chosen by a condition; the other one is not evaluated.",
        example: (r#"[true, "yes", "no"]"#, r#""yes""#),
        shape: Shape::Exactly(3),
    },
    Facts {
        function: Select,
        name: "Fn::Select",
        usage: "[index, list] or [key, map]",
        about: "One item of a list or a map; a negative index counts from the end, and what is not there is null.",
        example: (r#"[-1, ["a", "b"]]"#, r#""b""#),
        shape: Shape::Exactly(2),
    },
    Facts {
        function: RangeSelect,
        name: "Fn::RangeSelect",
        usage: "[start, end, list]",
        about: "The items from `start` to before `end`; negative numbers count from the end.",
        example: (r#"[0, -1, ["a", "b", "c"]]"#, r#"["a","b"]"#),
        shape: Shape::Exactly(3),
    },
    Facts {
        function: First,
        name: "Fn::First",
        usage: "a list",
        about: "The first item of a list, or null.",
        example: (r#"["a", "b"]"#, r#""a""#),
        shape: Shape::Any,
    },
    Facts {
        function: Last,
        name: "Fn::Last",
        usage: "a list",
        about: "The last item of a list, or null.",
        example: (r#"["a", "b"]"#, r#""b""#),
        shape: Shape::Any,
    },
    Facts {
        function: Join,
        name: "Fn::Join",
        usage: "[separator, list]",
        about: "The items of a list as one text.",
        example: (r#"["-", ["a", 1, true]]"#, r#""a-1-true""#),
        shape: Shape::Exactly(2),
    },
    Facts {
        function: Split,
        name: "Fn::Split",
        usage: "[separator, text]",
        about: "The parts of a text between separators.",
        example: (r#"[",", "a,b"]"#, r#"["a","b"]"#),
        shape: Shape::Exactly(2),
    },
    Facts {
        function: Replace,
        name: "Fn::Replace",
        usage: "[{old: new, …}, text]",
        about: "A text with every occurrence of each key replaced, in the order of the keys.",
        example: (r#"[{".": "_"}, "exec-1.t0"]"#, r#""exec-1_t0""#),
        shape: Shape::Exactly(2),
    },
    Facts {
        function: Sub,
        name: "Fn::Sub",
        usage: "[text, {name: value, …}]",
        about: "A text with `${name}` replaced; names that the map does not have stay.",
        example: (r#"["${user} in ${HOME}", {"user": "root"}]"#, r#""root in ${HOME}""#),
        shape: Shape::Exactly(2),
    },
    Facts {
        function: ContainsSubString,
        name: "Fn::ContainsSubString",
        usage: "[text, part]",
        about: "Whether a text contains another.",
        example: (r#"["cn-hangzhou", "hang"]"#, "true"),
        shape: Shape::Exactly(2),
    },
    Facts {
        function: Base64Encode,
        name: "Fn::Base64Encode",
        usage: "a string",
        about: "A text in Base64.",
        example: (r#""hello""#, r#""aGVsbG8=""#),
        shape: Shape::Bare,
    },
    Facts {
        function: Base64Decode,
        name: "Fn::Base64Decode",
        usage: "a string",
        about: "The text that Base64 stands for; bytes that are not UTF-8 are replaced.",
        example: (r#""aGVsbG8=""#, r#""hello""#),
        shape: Shape::Bare,
    },
    Facts {
        function: Escape,
        name: "Fn::Escape",
        usage: r#"[text, "powershell"]"#,
        about: "A text with quotes and backticks doubled, to stand inside quotes of that shell.",
        example: (r#"["it's", "powershell"]"#, r#""it''s""#),
        shape: Shape::Exactly(2),
    },
    Facts {
        function: ListJoin,
        name: "Fn::ListJoin",
        usage: "a list",
        about: "Its arguments as one list.",
        example: (r#"["a", ["b"]]"#, r#"["a",["b"]]"#),
        shape: Shape::Any,
    },
    Facts {
        function: MergeList,
        name: "Fn::MergeList",
        usage: "[list, list, …]",
        about: "Several lists made one, without the items that are null.",
        example: (r#"[["a"], [null, "b"]]"#, r#"["a","b"]"#),
        shape: Shape::Any,
    },
    Facts {
        function: MergeMap,
        name: "Fn::MergeMap",
        usage: "[map, map, …]",
        about: "Several maps made one; of a key in several the last value counts.",
        example: (r#"[{"a": 1, "b": 2}, {"b": 3}]"#, r#"{"a":1,"b":3}"#),
        shape: Shape::Any,
    },
    Facts {
        function: MergeMapToList,
        name: "Fn::MergeMapToList",
        usage: "[{key: list, …}, …]",
        about: "A list of maps out of lists; shorter lists repeat their last item.",
        example: (
            r#"[{"Key": ["a", "b"]}, {"Value": [1]}]"#,
            r#"[{"Key":"a","Value":1},{"Key":"b","Value":1}]"#,
        ),
        shape: Shape::Any,
    },
    Facts {
        function: MapJoin,
        name: "Fn::MapJoin",
        usage: "[keys, values]",
        about: "A map out of a list of keys and a list of values.",
        example: (r#"[["a", "b"], [1, 2]]"#, r#"{"a":1,"b":2}"#),
        shape: Shape::Exactly(2),
    },
    Facts {
        function: ConvertMapToList,
        name: "Fn::ConvertMapToList",
        usage: "[map]",
        about: "A map as a list of `Key` and `Value`.",
        example: (r#"[{"a": 1}]"#, r#"[{"Key":"a","Value":1}]"#),
        shape: Shape::Single,
    },
    Facts {
        function: Intersection,
        name: "Fn::Intersection",
        usage: "[list, list, …]",
        about: "What all lists have, without duplicates, in the order of the first.",
        example: (r#"[["a", "b"], ["b", "c"]]"#, r#"["b"]"#),
        shape: Shape::AtLeast(1),
    },
    Facts {
        function: Union,
        name: "Fn::Union",
        usage: "[list, list, …]",
        about: "What any of the lists has, without duplicates.",
        example: (r#"[["a", "b"], ["b", "c"]]"#, r#"["a","b","c"]"#),
        shape: Shape::AtLeast(1),
    },
    Facts {
        function: Difference,
        name: "Fn::Difference",
        usage: "[list, list, …]",
        about: "What not all of the lists have, without duplicates.",
        example: (r#"[["a", "b", "c"], ["b"]]"#, r#"["a","c"]"#),
        shape: Shape::AtLeast(1),
    },
    Facts {
        function: Min,
        name: "Fn::Min",
        usage: "[number, …]",
        about: "The smallest number of a list.",
        example: ("[3, 1.5]", "1.5"),
        shape: Shape::AtLeast(1),
    },
    Facts {
        function: Max,
        name: "Fn::Max",
        usage: "[number, …]",
        about: "The largest number of a list.",
        example: ("[3, 1.5]", "3"),
        shape: Shape::AtLeast(1),
    },
    Facts {
        function: Sum,
        name: "Fn::Sum",
        usage: "[number, …]",
        about: "The sum of a list of numbers; 0 if there are none.",
        example: (r#"[1, "2"]"#, "3"),
        shape: Shape::Any,
    },
    Facts {
        function: CalculateBatch,
        name: "Fn::CalculateBatch",
        usage: "[number of batches, list]",
        about: "The sizes of the batches of a list, as even as possible, larger ones first.",
        example: (r#"[2, ["a", "b", "c"]]"#, "[2,1]"),
        shape: Shape::Exactly(2),
    },
    Facts {
        function: Jq,
        name: "Fn::Jq",
        usage: r#"["First" or "All", program, input]"#,
        about: "The first result or all results of a jq program; input that is JSON text is parsed.",
        example: (r#"["All", ".[]", [1, 2]]"#, "[1,2]"),
        shape: Shape::Exactly(3),
    },
    Facts {
        function: Eval,
        name: "Fn::Eval",
        usage: "[expression]",
        about: "The value of an arithmetic expression of `+ - * / % ( )`.",
        example: (r#"["-30 * 24"]"#, "-720"),
        shape: Shape::Single,
    },
    Facts {
        function: AddHour,
        name: "Fn::AddHour",
        usage: "[time, hours]",
        about: "A time so many hours later, or earlier if the number is negative.",
        example: (r#"["2024-07-15T16:00:00Z", -24]"#, r#""2024-07-14T16:00:00Z""#),
        shape: Shape::Exactly(2),
    },
    Facts {
        function: FormatUTCTime,
        name: "Fn::FormatUTCTime",
        usage: "[time, format]",
        about: "A time in UTC as text, with the letters of strftime.",
        example: (r#"["2024-07-15T16:00:00Z", "%Y%m%d"]"#, r#""20240715""#),
        shape: Shape::Exactly(2),
    },
    Facts {
        function: DurationBetween,
        name: "Fn::DurationBetween",
        usage: "[start, end]",
        about: "How long it is from one time to another; an earlier time of day is one of the next day.",
        example: (r#"["20:00:00Z", "08:00:00Z"]"#, r#""PT43200S""#),
        shape: Shape::Exactly(2),
    },
    Facts {
        function: IsIpInCIDR,
        name: "Fn::IsIpInCIDR",
        usage: "[address, network]",
        about: "Whether an address lies in a network, of IPv4 or IPv6.",
        example: (r#"["10.1.2.3", "10.0.0.0/8"]"#, "true"),
        shape: Shape::Exactly(2),
    },
    Facts {
        function: CalculateTimeByOpsWindow,
        name: "Fn::CalculateTimeByOpsWindow",
        usage: "a time window",
        about: "The next instant inside a time window. Not supported by kiln.",
        example: ("{}", ""),
        shape: Shape::Any,
    },
    Facts {
        function: FindMatchedPackage,
        name: "Fn::FindMatchedPackage",
        usage: "[package, system]",
        about: "The files and scripts of a software package that suit a system. Not supported by kiln.",
        example: (r#"[{}, ""]"#, ""),
        shape: Shape::Exactly(2),
    },
];
