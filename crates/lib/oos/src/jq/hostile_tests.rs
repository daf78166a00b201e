//! Scripts that would run for ever, or fill the memory or the stack: each ends by a limit.

use serde_json::{Value, json};

use super::{Budget, Kind, MAX_SCRIPT, Outcome, compile};

/// Small enough that all of the scripts together are quick without optimisation.
const BUDGET: Budget = Budget { steps: 200_000, bytes: 4 << 20, results: 1000 };

fn run(script: &str, input: &Value) -> Outcome {
    compile(script).unwrap_or_else(|error| panic!("{script}: {error}")).run(input, BUDGET)
}

fn kind(outcome: &Outcome) -> Option<Kind> {
    outcome.error.as_ref().map(|error| error.kind())
}

#[test]
fn each_hostile_script_is_exhausted() {
    let scripts = [
        "def f: f; f",
        "def f: (f)?, f; f",
        "def f: [f]; f",
        "def f: 1 + f; f",
        "def f: f | f; f",
        "def f(g): f(g | g); f(.)",
        "def f($x): f($x + 1); f(0)",
        "def f: try f catch f; f",
        "def f: f // f; f",
        "[range(1e12)]",
        "range(1e12)",
        "last(range(1e12))",
        "range(0; 1; 1e-300)",
        "repeat(.)",
        "[repeat(1)]",
        "[limit(1e9; repeat(1))]",
        "until(false; .)",
        "while(true; .)",
        "recurse(.)",
        "recurse(., .)",
        "first(repeat(1) | select(false))",
        "label $f | repeat(1) | select(. == 2) | break $f",
        "\"a\" * 1e10",
        "\"a\" * 1e300",
        "[range(1e5)] | map(tojson * 1000)",
        "reduce range(60) as $i (\"a\"; . + .)",
        "reduce range(60) as $i ([1]; . + .)",
        "reduce range(60) as $i ([1]; [., .]) | tojson",
        "reduce range(60) as $i ([1]; [., .])",
        "reduce range(60) as $i ([1]; [., .]) | . == .",
        "reduce range(60) as $i ([1]; [., .]) | flatten",
        "reduce range(60) as $i ([1]; [., .]) | [paths]",
        "reduce range(60) as $i ([1]; [., .]) | . + {}",
        "reduce range(60) as $i ({}; {a: ., b: .}) | [..] | length",
        "reduce range(1e6) as $i (1; [.])",
        "reduce range(1e6) as $i ({}; {a: .})",
        "reduce range(1e6) as $i (null; setpath([0]; .))",
        ".[1e7] = 1",
        "[range(1e4) as $a | range(1e4) as $b | 1] | length",
        "reduce range(1000) as $i (\"xx\"; gsub(\"\"; \"xxxxxxxx\"))",
        "reduce range(100) as $i (\"\\\"\"; tojson)",
        "[range(9)] | [., ., ., ., ., ., ., ., .] | combinations | select(false)",
        "[range(1000)] | combinations(5)",
        "(\"a\" * 5000) + \"c\" | test(\"(a|aa)+(?=b)b\")",
        "[range(1e5) | tostring | test(\"a\")] | length",
        "range(1e5) | tostring as $x | \"a\" | test($x)",
        "[range(1e6)] | sort",
        "[range(5e4)] | implode | repeat(. + .)",
        "[range(3e4)] | . - [range(-3e4; 0)]",
        "\"a\" * 1e6 | explode",
        "\"a,\" * 1e6 | split(\",\")",
        "[range(1e4)] | indices([1, 2]) | repeat(.)",
        "[range(1e6) | strftime(\"%F\")]",
        "\"\\(range(1e9))\" | select(false)",
        "{(range(1e9) | tostring): 1} | select(false)",
        "[1] | .[range(1e9)] |= 1",
        "any(range(1e9); false)",
        "[splits(\"a\")] , repeat(1)",
        "fromjson",
    ];
    let mut wrong = Vec::new();
    for script in scripts {
        let input = match script {
            "fromjson" => json!("[".repeat(100) + &"1,".repeat(1 << 19) + "1" + &"]".repeat(100)),
            _ => json!("x"),
        };
        let outcome = match script {
            ".[1e7] = 1" | "[1] | .[range(1e9)] |= 1" => run(script, &Value::Null),
            _ => run(script, &input),
        };
        if kind(&outcome) != Some(Kind::Exhausted) {
            wrong.push(format!("{script}: {:?}", outcome.error));
        }
        assert!(outcome.results.len() <= BUDGET.results, "{script}");
    }
    assert!(wrong.is_empty(), "not exhausted:\n{}", wrong.join("\n"));
}

/// What would be hostile elsewhere and simply ends here.
#[test]
fn these_end_by_themselves() {
    for (script, results) in [
        ("(\"a\" * 1000) + \"c\" | test(\"(a*)*b\")", vec![json!(false)]),
        ("(\"a\" * 5000) + \"c\" | test(\"^(?=(a|a)+$)\")", vec![json!(false)]),
        (".[1e9]? = 1", vec![json!("x")]),
        ("[1] | .[1e9]", vec![json!(null)]),
        ("range(0; 1; 0)", vec![]),
        ("[limit(3; 1 | repeat(1))]", vec![json!([1, 1, 1])]),
        ("first(range(1e12))", vec![json!(0)]),
        ("def f: if . < 500 then . + 1 | f else . end; 0 | f", vec![json!(500)]),
        ("0 | until(. >= 20000; . + 1)", vec![json!(20000)]),
        ("reduce range(5000) as $i ([]; . + [$i]) | length", vec![json!(5000)]),
        ("reduce range(5000) as $i ([]; .[$i] = $i) | length", vec![json!(5000)]),
    ] {
        let outcome = run(script, &json!("x"));
        if results.is_empty() {
            assert_eq!(outcome.results.len(), 0, "{script}");
        } else {
            assert_eq!(outcome.results, results, "{script}: {:?}", outcome.error);
        }
    }
}

#[test]
fn scripts_that_nest_or_chain_are_refused_by_the_parser() {
    let deep = |open: &str, close: &str, n: usize| open.repeat(n) + "1" + &close.repeat(n);
    let scripts = [
        deep("(", ")", 20_000),
        deep("[", "]", 20_000),
        deep("{a:", "}", 10_000),
        deep("-", "", 50_000),
        deep("try ", "", 10_000),
        deep("\"\\(", ")\"", 10_000),
        deep("if 1 then ", " end", 4_000),
        deep("if 1 then 1 elif ", "", 3_000),
        deep("1 as $x | ", "", 5_000),
        deep("1 // ", "", 10_000),
        deep("1 + ", "", 10_000),
        deep(".a = ", "", 10_000),
        deep("def f: ", "; f", 5_000),
        deep("label $x | ", "", 5_000),
        deep("reduce . as [", "", 5_000),
        ".a".repeat(30_000),
        format!(".{}", "[]".repeat(30_000)),
        format!(".{}", "?".repeat(60_000)),
        format!(". as {}$x", "[".repeat(60_000)),
    ];
    for script in scripts {
        let kind = compile(&script).unwrap_err().kind();
        assert_eq!(kind, Kind::Syntax, "{}", &script[..40]);
    }
    assert_eq!(compile(&" ".repeat(MAX_SCRIPT + 1)).unwrap_err().kind(), Kind::Exhausted);
    let wide = [".|".repeat(30_000) + ".", "1,".repeat(30_000) + "1"];
    for script in wide {
        assert!(compile(&script).is_ok());
    }
    let list = format!("[{}1] | length", "\"i-0123456789\",".repeat(4000));
    assert_eq!(run(&list, &Value::Null).results, [json!(4001)]);
}

/// The deepest tree that the parser lets through, evaluated and dropped.
#[test]
fn the_deepest_script_runs_on_its_stack() {
    let nested = "(1+[".repeat(20) + "." + &"]|length)".repeat(20);
    let chained = ".a?".repeat(450) + &"//1".repeat(30);
    let both = format!("[.[]?|1{}]", "+(1,2|1)".repeat(300));
    for script in [nested, chained, both] {
        let outcome = run(&script, &Value::Null);
        assert_ne!(kind(&outcome), Some(Kind::Syntax), "{}", &script[..40]);
    }
}

/// An input that is too deep is an error, not a crash; so are few steps, bytes and results.
#[test]
fn each_part_of_the_budget_counts() {
    let mut deep = json!(1);
    for _ in 0..1000 {
        deep = json!([deep]);
    }
    for script in ["[.]", ".", ".[0]", "tojson"] {
        assert_eq!(kind(&run(script, &deep)), Some(Kind::Exhausted), "{script}");
    }
    let input = json!({"a": ["x".repeat(1000), 1, 2, 3]});
    let full = Budget::default();
    for script in [".a[]", ".a[] | ."] {
        let filter = compile(script).unwrap();
        assert_eq!(filter.run(&input, full).results.len(), 4);
        for budget in [
            Budget { steps: 2, ..full },
            Budget { bytes: 900, ..full },
            Budget { results: 3, ..full },
        ] {
            assert_eq!(kind(&filter.run(&input, budget)), Some(Kind::Exhausted), "{budget:?}");
        }
    }
}
