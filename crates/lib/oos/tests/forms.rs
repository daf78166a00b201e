//! A template written as JSON and one written as YAML, whatever the style, are the same template:
//! they read the same, and run the same on the same answers.
//!
//! A failing seed is in the message, with the YAML text.

#[path = "forms/emit.rs"]
mod emit;
mod random;
mod rehearsal;

use emit::Emitter;
use kiln_oos::document::parse;
use kiln_oos::library::find;
use kiln_oos::template::load;
use random::{Kills, Random, play, seeds};
use rehearsal::Rehearsal;
use serde_json::{Value, json};

/// Texts that a style of YAML could turn into something else.
const ODD_TEXTS: [&str; 40] = [
    "",
    " ",
    "~",
    "null",
    "Null",
    "true",
    "False",
    "yes",
    "no",
    "on",
    "Off",
    "y",
    "1",
    "-1",
    "+1",
    "0x1F",
    "0o17",
    "017",
    "1e3",
    "1.5",
    ".5",
    ".inf",
    ".nan",
    "1_000",
    "12:30:45",
    "2026-01-31",
    "1.2.3",
    "# no comment",
    "a #b",
    "a: b",
    "- a",
    "? a",
    "[a",
    "{a",
    "*a",
    "&a",
    "!a",
    "%a",
    "@a",
    "`a",
];

/// More of them: line ends, quotes, escapes, letters of other scripts.
const ODD_LINES: [&str; 18] = [
    "one\ntwo\n",
    "one\n\n\ntwo",
    "ends with two\n\n",
    "  begins with blanks\nand goes on",
    "#!/bin/sh\nset -e\n\techo \"$1\" | sed 's/a/b/'\n",
    "a\n  deeper\na",
    "a trailing blank ",
    "a blank before the end of a line \nand on",
    "it's \"quoted\"",
    "back\\slash \\n",
    "tab\there",
    "é ü 镜像 🦀",
    "{{ nobody",
    "}}",
    "a,b]c}d",
    "\r\n",
    "\u{1}\u{7f}\u{85}\u{2028}\u{feff}",
    "---",
];

/// Outputs whose values are odd, so that they are seen at the end of a run.
fn add_odd_values(template: &mut Value, random: &mut Random) {
    let mut odd = Vec::new();
    for text in ODD_TEXTS.iter().chain(&ODD_LINES) {
        if random.one_in(4) {
            odd.push(json!(text));
        }
    }
    let numbers =
        [json!(0), json!(-7), json!(u64::MAX), json!(i64::MIN), json!(0.1), json!(-2.5e-9)];
    odd.extend(numbers.into_iter().filter(|_| random.one_in(2)));
    odd.extend([json!(1e300), json!(null), json!(true), json!([]), json!({}), json!([[], [{}]])]);
    let keys = ["a", "a b", "1", "true", "null", "", "#", "é", "a: b", "- a", "*a", "\"", "'", "?"];
    let map: serde_json::Map<_, _> =
        keys.map(|key| (key.to_owned(), json!([key]))).into_iter().collect();
    template["Outputs"]["odd"] = json!({"Type": "Json", "Value": {"list": odd, "map": map}});
    template["Outputs"]["again"] = json!({"Type": "Json", "Value": {"list": odd, "map": map}});
}

/// The template as text that says nothing of where things stand.
fn without_places(text: &str) -> String {
    let template = load(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let told = format!("{template:#?}");
    let is_place = |line: &&str| !line.trim_start().starts_with("span: ");
    told.lines().filter(is_place).collect::<Vec<_>>().join("\n")
}

#[test]
fn random_templates_read_and_run_the_same() {
    let mut written = String::new();
    seeds(1..=150, true, |seed, text| {
        let mut random = Random(seed);
        let mut template: Value = serde_json::from_str(text).unwrap();
        add_odd_values(&mut template, &mut random);
        let text = template.to_string();
        let yaml = Emitter::new(&mut random).document(&template);
        written += &yaml;
        let read = parse(&yaml).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{yaml}"));
        assert_eq!(read.to_value(), template, "seed {seed}\n{yaml}");
        assert_eq!(without_places(&yaml), without_places(&text), "seed {seed}\n{yaml}");
        let (one, other) =
            (play(seed, &text, Kills::None, None), play(seed, &yaml, Kills::None, None));
        assert_eq!(one.outputs["odd"], template["Outputs"]["odd"]["Value"], "seed {seed}\n{yaml}");
        assert_eq!(one, other, "seed {seed}\n{yaml}");
    });
    for style in [": *a", " &a0", ": |", ": >-", "|2-", ": '", "[", "{", " # why", ": 0x", "~"] {
        assert!(written.contains(style), "no `{style}` proves little");
    }
}

#[test]
fn shipped_templates_read_and_run_the_same() {
    for (name, world, parameters) in [
        ("ACS-ECS-RepairImage", rehearsal::REPAIR_WORLD, rehearsal::repair_parameters()),
        ("ACS-ECS-UpdateImage", rehearsal::UPDATE_WORLD, rehearsal::update_parameters()),
    ] {
        let own = find(name).unwrap().text;
        let template = parse(own).unwrap().to_value();
        let expected = Rehearsal::of(own, world, parameters.clone()).run();
        let texts = (1..=12).map(|seed| Emitter::new(&mut Random(seed)).document(&template));
        for text in texts.chain([template.to_string(), format!("{template:#}")]) {
            assert_eq!(without_places(&text), without_places(own), "{name}\n{text}");
            let ended = Rehearsal::of(&text, world, parameters.clone()).run();
            assert_eq!(ended.status(), expected.status(), "{name}: {}\n{text}", ended.message());
            assert_eq!(ended.outputs(), expected.outputs(), "{name}\n{text}");
            assert_eq!(ended.calls, expected.calls, "{name}\n{text}");
            assert_eq!(ended.left(), expected.left(), "{name}\n{text}");
        }
    }
}
