//! Any text as a template: findings with places that can be shown, and no template where one of them
//! is an error. What is accepted can be read again.
#![no_main]

use kiln_oos::diagnostic::{Severity, line_column, render};
use kiln_oos::template::{Catalogue, Signature, load};

struct One;

impl Catalogue for One {
    fn signature(&self, name: &str) -> Option<Signature> {
        name.eq_ignore_ascii_case("ACS::ECS::StopInstance").then(|| Signature {
            parameters: vec![("instanceId".to_owned(), true)],
            outputs: Vec::new(),
        })
    }

    fn names(&self) -> Vec<String> {
        vec!["ACS::ECS::StopInstance".to_owned()]
    }
}

/// Whether a tag may stand right before a comma: there the YAML parser panics, which is caught and
/// reported, and would end the fuzzer all the same.
fn has_tag_before_comma(text: &str) -> bool {
    let is_border = |c: char| c.is_whitespace() || "[]{},:?-'\"".contains(c);
    text.match_indices(',').any(|(at, _)| {
        let word = text[..at].rsplit(is_border);
        word.take(4).any(|word| word.contains('!'))
    })
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    if has_tag_before_comma(text) {
        return;
    }
    let checked = kiln_oos::parse_template(text, &One);
    let findings = checked.diagnostics.sorted();
    for finding in &findings {
        let (line, column) = line_column(text, finding.span.start);
        assert!(line >= 1 && column >= 1);
        assert!(!render("t.yml", text, finding, true).is_empty());
    }
    let has_errors = findings.iter().any(|finding| finding.severity == Severity::Error);
    assert!(checked.template.is_none() || !has_errors);
    if let Some(template) = checked.template {
        assert_eq!(load(text).as_ref(), Ok(&template));
    }
});
