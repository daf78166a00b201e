use serde_json::{Value, json};

use super::*;
use crate::diagnostic::line_column;

fn value(text: &str) -> Value {
    parse(text).unwrap_or_else(|finding| panic!("{text}: {finding}")).to_value()
}

/// The message, and the text that it points at.
fn refused(text: &str) -> (String, String) {
    let finding = parse(text).expect_err(text);
    (finding.to_string(), text.get(finding.span).unwrap_or("outside of the text").to_owned())
}

#[test]
fn scalars_are_those_of_the_core_schema() {
    for (text, expected) in [
        ("x:", json!(null)),
        ("x: ~", json!(null)),
        ("x: Null", json!(null)),
        ("x: TRUE", json!(true)),
        ("x: yes", json!("yes")),
        ("x: on", json!("on")),
        ("x: 012", json!(12)),
        ("x: +7", json!(7)),
        ("x: 0x1F", json!(31)),
        ("x: 0o17", json!(15)),
        ("x: 0x+1", json!("0x+1")),
        ("x: 0x", json!("0x")),
        ("x: 1_000", json!("1_000")),
        ("x: 1.", json!(1.0)),
        ("x: .5", json!(0.5)),
        ("x: 6e2", json!(600.0)),
        ("x: 1e", json!("1e")),
        ("x: 1.2.3", json!("1.2.3")),
        ("x: 9223372036854775808", json!(9_223_372_036_854_775_808_u64)),
        ("x: 36893488147419103232", json!(36_893_488_147_419_103_232.0)),
        ("x: 0xFFFFFFFFFFFFFFFFF", json!(295_147_905_179_352_830_000.0)),
        ("x: 2019-05-16", json!("2019-05-16")),
        ("x: 2019-05-16T10:26:14Z", json!("2019-05-16T10:26:14Z")),
        ("x: '5'", json!("5")),
        ("x: !!str 5", json!("5")),
        ("x: !!int '5'", json!(5)),
        ("<<: {y: 1}\nx: 镜像", json!("镜像")),
        ("x: &a [1]\ny: *a", json!([1])),
        ("x: |", json!("")),
        ("x: |\n  a", json!("a\n")),
        ("x: >-\n  a\n  b", json!("a b")),
    ] {
        assert_eq!(value(text)["x"], expected, "{text}");
    }
}

#[test]
fn json_is_json() {
    let text = "\u{feff} {\"a\": [1, -2.5e3, true, null, \"\\u00e9\\n\"], \"b\": {}}\r\n";
    assert_eq!(value(text), json!({"a": [1, -2500.0, true, null, "é\n"], "b": {}}));
    for (text, message, place) in [
        ("{\"a\" 1}", "a colon after the key is expected here, and `1` is found", "1"),
        ("{\"a\": 1,}", "a key in quotes is expected here, and `}` is found", "}"),
        ("{'a': 1}", "a key in quotes is expected here, and `\\'` is found", "'"),
        ("{\"a\": 01}", "`01` is no number", "01"),
        ("{\"a\": 1e999}", "`1e999` is no number", "1e999"),
        ("{\"a\": +1}", "a value is expected here, and `+` is found", "+"),
        ("{\"a\": tru}", "a value is expected here, and `t` is found", "t"),
        (
            "{\"a\": [1 2]}",
            "a comma or the end of the list is expected here, and `2` is found",
            "2",
        ),
        ("{} x", "the end of the text is expected here, and `x` is found", "x"),
        ("{\"a\": \"b", "the text in quotes has no end", "\""),
        (
            "{\"a\": 1",
            "a comma or the end of the map is expected here, and the end of the text is found",
            "",
        ),
        (
            "{\"é\": 1,\n \"é\": 2}",
            "the key `é` is there twice in one map; the first one is in line 1, column 2",
            "\"é\"",
        ),
    ] {
        assert_eq!(refused(text), (message.to_owned(), place.to_owned()), "{text}");
    }
}

#[test]
fn yaml_that_is_none_is_refused_at_its_place() {
    for (text, message, place) in [
        ("x: 镜\ny: .nan", ".nan is no number that JSON has; quote it if it is text", ".nan"),
        ("x: -.Inf", "-.Inf is no number that JSON has; quote it if it is text", "-.Inf"),
        ("x: 1e999", "1e999 is no number that JSON has; quote it if it is text", "1e999"),
        ("x: 镜\ny: !env z", "the tag !env has no meaning in a template", "!env z"),
        (
            "x: !!set {a: 1}",
            "the tag tag:yaml.org,2002:set has no meaning in a template",
            "!!set {",
        ),
        ("x: *a", "the alias *a names nothing that came before", "*a"),
        ("x: &a [*a]", "the alias *a names nothing that came before", "*a"),
        ("[a]: 1", "a list or a map as a key", "[a]"),
        (
            "a: 1\nb: 2\na: 3",
            "the key `a` is there twice in one map; the first one is in line 1, column 1",
            "a",
        ),
        (
            "a: 镜\nx: [b, !c, d]",
            "what follows cannot be read as YAML; a tag and a comma side by side are a known cause",
            ",",
        ),
        ("a: 1\n---\nb: 2", "a second document begins, and a template is one", "---"),
    ] {
        assert_eq!(refused(text), (message.to_owned(), place.to_owned()), "{text}");
    }
}

/// The span of each scalar is the text of it, whatever stands before.
#[test]
fn spans_are_bytes_of_the_text() {
    for text in [
        "镜像: 🦀\r\nkey:\t[one, 'two']\r\n",
        "\u{feff}镜像: 🦀\nkey: [one, 'two']\n",
        "\u{feff}{\"镜像\": \"🦀\", \"key\": [\"one\", \"two\"]}",
    ] {
        let node = parse(text).unwrap();
        let (key, list) = &node.entries()[1];
        assert_eq!(text[key.span.clone()].trim_matches('"'), "key", "{text}");
        let items: Vec<_> = list.items().iter().map(|own| &text[own.span.clone()]).collect();
        let bare: Vec<_> = items.iter().map(|item| item.trim_matches(['"', '\''])).collect();
        assert_eq!(bare, ["one", "two"], "{text}");
    }
    assert_eq!(line_column("é\r\nxy", 5), (2, 2));
    assert_eq!(line_column("é", 1), (1, 1), "inside of a character");
    assert_eq!(line_column("a\n", 99), (2, 1), "beyond the end");
}

/// Ends of texts at which the parser panics unless a line break follows.
#[test]
fn texts_may_end_anywhere() {
    for text in
        ["\"\\", "x: \"a\\", ">\n :", "x: |2", "[!", "!<", "%TAG ! ", "\u{feff}\u{feff}\n- \""]
    {
        let Err(finding) = parse(text) else { continue };
        assert!(!finding.message.contains("what follows"), "{text:?} panicked");
        assert!(text.get(finding.span.clone()).is_some(), "{text:?}: {:?}", finding.span);
    }
}

/// Each limit lets through what is just within it.
#[test]
fn limits_are_where_they_are_said_to_be() {
    let nested = |n: usize| (format!("{}{}", "[".repeat(n), "]".repeat(n)), n);
    for (text, n) in [nested(MAX_DEPTH), nested(MAX_DEPTH + 1)] {
        assert_eq!(parse(&text).is_ok(), n <= MAX_DEPTH, "YAML {n}");
        let json = format!("{{\"a\":{}}}", &text[1..text.len() - 1]);
        assert_eq!(parse(&json).is_ok(), n <= MAX_DEPTH, "JSON {n}");
    }
    for n in [MAX_BYTES, MAX_BYTES + 1] {
        assert_eq!(parse(&"x".repeat(n)).is_ok(), n <= MAX_BYTES, "{n} bytes");
    }
    for (n, is_sound) in [(10, true), (300, false)] {
        let text = format!("[&x {}{}]", "x".repeat(1000), ", *x".repeat(n));
        assert_eq!(parse(&text).is_ok(), is_sound, "{n} copies of a text");
    }
}
