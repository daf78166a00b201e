//! The language: a table of scripts, the messages, and the short cut against the evaluator.

use serde_json::{Value, json};

use super::{Budget, Filter, JqError, Kind, compile, selector};

mod table;

fn filter(script: &str) -> Filter {
    compile(script).unwrap_or_else(|error| panic!("{script}: {error}"))
}

/// What a script makes of an input, as JSON texts in a row; an error ends it.
fn run(script: &str, input: &str) -> String {
    let input: Value = serde_json::from_str(input).unwrap();
    let outcome = filter(script).run(&input, Budget::default());
    let results = outcome.results.iter().map(Value::to_string);
    let error = outcome.error.map(|error| format!("error: {error}"));
    results.chain(error).collect::<Vec<_>>().join(" ")
}

#[test]
fn scripts_give_what_jq_gives() {
    let mut wrong = Vec::new();
    for (script, input, expected) in table::ROWS {
        let found = run(script, input);
        if found != *expected {
            wrong.push(format!("{script}\n  of    {input}\n  gives {found}\n  not   {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), table::ROWS.len(), wrong.join("\n"));
}

#[test]
fn errors_say_what_and_where() {
    let message = |script: &str| {
        let error = compile(script).unwrap_err();
        assert_eq!(error.kind(), Kind::Syntax, "{script}");
        assert!(error.offset().is_some(), "{script}");
        error.to_string()
    };
    let scripts = [
        "|",
        ".a | foo",
        "map(.a; 1)",
        ".a |",
        ".a)",
        "[1, 2",
        "{a: }",
        "\"abc",
        "\"a\\(1\"",
        "\"\\q\"",
        "$x",
        "break $out",
        "if 1 then 2",
        "reduce .[] as $x (0)",
        ". as [$a] ?// $a | $a",
        "a::b",
        "now",
        "input",
        "$ENV.HOME",
        "env",
        "debug",
        "halt",
        "input_filename",
        "import \"a\" as a; 1",
        "@foo",
        "1 &",
        ".[1:2:3]",
        "def f: ; f",
        "def f(1): 1; f",
        "é",
        "limit(3)",
    ];
    let messages: Vec<_> = scripts.iter().map(|s| format!("{s:<24} {}", message(s))).collect();
    insta::assert_snapshot!(messages.join("\n"), @r##"
    |                        expected a term, found `|` at byte 0
    .a | foo                 unknown function `foo` at byte 5
    map(.a; 1)               unknown function `map` with 2 arguments at byte 0
    .a |                     expected a term, found the end of the script at byte 4
    .a)                      expected an operator or the end, found `)` at byte 2
    [1, 2                    expected `]`, found the end of the script at byte 5
    {a: }                    expected a term, found `}` at byte 4
    "abc                     the string that starts here does not end at byte 1
    "a\(1"                   the string that starts here does not end at byte 6
    "\q"                     invalid escape in a string at byte 1
    $x                       unknown variable `$x` at byte 0
    break $out               unknown label `$out` at byte 6
    if 1 then 2              expected `end`, found the end of the script at byte 11
    reduce .[] as $x (0)     expected `;`, found `)` at byte 19
    . as [$a] ?// $a | $a    alternative patterns (?//) are not supported at byte 10
    a::b                     unknown function `a::b` at byte 0
    now                      `now` is not available: a result depends on the input alone at byte 0
    input                    `input` is not available: a result depends on the input alone at byte 0
    $ENV.HOME                `$ENV` is not available: a result depends on the input alone at byte 0
    env                      `env` is not available: a result depends on the input alone at byte 0
    debug                    `debug` is not available: a result depends on the input alone at byte 0
    halt                     `halt` is not available: a result depends on the input alone at byte 0
    input_filename           `input_filename` is not available: a result depends on the input alone at byte 0
    import "a" as a; 1       modules are not available at byte 0
    @foo                     unknown format `@foo` at byte 0
    1 &                      unexpected character '&' at byte 2
    .[1:2:3]                 expected `]`, found `:` at byte 5
    def f: ; f               expected a term, found `;` at byte 7
    def f(1): 1; f           expected a parameter at byte 6
    é                        unexpected character 'é' at byte 0
    limit(3)                 unknown function `limit` with 1 arguments at byte 0
    "##);
}

#[test]
fn errors_of_a_run_say_what() {
    let scripts = [
        ".a",
        ".[0].b.c",
        ".[]|.x",
        "1 + \"a\"",
        "{} - 1",
        "1 / 0",
        "5 % 0",
        "tonumber",
        "[1]|join(1;2)?",
        "error",
        "error(null)",
        "error({a: 1})",
        "\"x\"|fromjson",
        "keys|.[0]|keys",
        "{(1): 2}",
        "\"a\"|test(\"(\")",
        "path(1|.a)",
        "path(1)",
        "[1]|implode",
        "[-1]|implode",
        ".[-9] = 1",
        "\"a\"|has(1)",
        "\"aGk\"|@base64d",
        "\"*\"|@base64d",
        "[{}]|@csv",
        "\"x\"|strptime(\"%Y\")",
        "1e30|todate",
        "true|length",
        "\"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijkl\"|.[0]?,keys",
    ];
    let scripts = scripts.iter().filter(|script| compile(script).is_ok());
    let messages: Vec<_> =
        scripts.map(|script| format!("{script:<28} {}", run(script, "[1]"))).collect();
    insta::assert_snapshot!(messages.join("\n"), @r##"
    .a                           error: Cannot index array with "a"
    .[0].b.c                     error: Cannot index number with "b"
    .[]|.x                       error: Cannot index number with "x"
    1 + "a"                      error: number (1) and string ("a") cannot be added
    {} - 1                       error: object ({}) and number (1) cannot be subtracted
    1 / 0                        error: number (1) and number (0) cannot be divided because the divisor is zero
    5 % 0                        error: number (5) and number (0) cannot be divided because the divisor is zero
    tonumber                     error: array ([1]) cannot be parsed as a number
    error                        error: array ([1]) (not a string)
    error(null)                  error: null (not a string)
    error({a: 1})                error: object ({"a":1}) (not a string)
    "x"|fromjson                 error: string ("x") cannot be parsed as JSON: expected value at line 1 column 1
    keys|.[0]|keys               error: number (0) has no keys
    {(1): 2}                     error: Object keys must be strings, not number (1)
    "a"|test("(")                error: ( (at 0) is not a valid regex: Parsing error at position 1: Opening parenthesis without closing parenthesis
    path(1|.a)                   error: Cannot index number with "a"
    path(1)                      error: Invalid path expression with result number (1)
    [1]|implode                  "\u0001"
    [-1]|implode                 error: -1 is not a Unicode codepoint
    .[-9] = 1                    error: Out of bounds negative array index
    "a"|has(1)                   error: Cannot check whether string has a number key
    "aGk"|@base64d               "hi"
    "*"|@base64d                 error: string ("*") is not valid base64 data
    [{}]|@csv                    error: object ({}) is not valid in a csv row
    "x"|strptime("%Y")           error: date string ("x") does not match format "%Y"
    1e30|todate                  error: time is out of range
    true|length                  error: boolean (true) has no length
    "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijkl"|.[0]?,keys error: string ("abcdefghijklmnopqrstuvwxyz0123456789abc...) has no keys
    "##);
}

#[test]
fn selectors_get_their_dot() {
    for (text, program) in [("a[0]", ".a[0]"), (".a", ".a"), ("[0]", ".[0]"), ("", ".")] {
        assert_eq!(selector(text), program);
    }
}

/// A small generator: the cases are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn value(&mut self, depth: u64) -> Value {
        match self.below(if depth == 0 { 4 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.below(3)),
            2 => json!(0.5),
            3 => json!("s"),
            4 | 5 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let keys = ["a", "b", "c d"].into_iter().take(self.below(4) as usize);
                Value::Object(keys.map(|k| (k.to_owned(), self.value(depth - 1))).collect())
            }
        }
    }

    fn path(&mut self) -> String {
        let steps = [".a", ".b", "[0]", "[-1]", "[]", ".\"c d\"", "[\"a\"]"];
        let mut path = String::from(".");
        for i in 0..self.below(5) {
            let step = steps[self.below(7) as usize];
            let step = if i == 0 { step.strip_prefix('.').unwrap_or(step) } else { step };
            path.push_str(step);
            path.push_str(["", "", "?"][self.below(3) as usize]);
        }
        path
    }
}

#[test]
fn plain_paths_agree_with_the_evaluator() {
    let (mut random, mut plain, mut failed) = (Random(7), 0, 0);
    for _ in 0..400 {
        let (path, input) = (random.path(), random.value(4));
        let filter = filter(if path == "." { ".[]?" } else { &path });
        plain += usize::from(filter.plain.is_some());
        let (short, full) =
            (filter.run(&input, Budget::default()), filter.run_fully(&input, Budget::default()));
        assert_eq!(short.results, full.results, "{path} of {input}");
        assert_eq!(short.error, full.error, "{path} of {input}");
        failed += usize::from(short.error.is_some());
    }
    assert!(plain > 350 && failed > 30, "{plain} plain, {failed} failed"); // or nothing was compared
}

/// Results before an error stay, and a filter can be sent to other threads.
#[test]
fn results_before_an_error_stay() {
    fn sent<T: Send + Sync>(_: &T) {}
    let filter = filter(".[] | 6 / .");
    sent(&filter);
    let outcome = filter.run(&json!([1, 2, 0, 3]), Budget::default());
    assert_eq!(outcome.results, [json!(6), json!(3)]);
    assert_eq!(outcome.error.as_ref().map(JqError::kind), Some(Kind::Runtime));
}

/// The default budget ends a loop of each sort, whatever a step of it costs.
#[test]
fn the_default_budget_ends_loops() {
    let loops = [
        "repeat(.) | select(false)",
        "def f: f; f",
        "last(range(1e12))",
        "range(1e9) | tostring | test(\"a(?=b)\") | select(.)",
        "[range(1e5)] | repeat(.) | length | select(. < 0)",
        "{a: [range(100)]} | repeat(.) | .a[5] |= 2 | select(false)",
    ];
    for script in loops {
        let outcome = filter(script).run(&json!(1), Budget::default());
        assert_eq!(outcome.error.map(|error| error.kind()), Some(Kind::Exhausted), "{script}");
    }
}
