//! Real templates. Those that kiln ships are always here; a folder of others is used where it lies
//! beside the project, or where `KILN_OOS_TEMPLATES` says.

#![expect(clippy::print_stderr, reason = "a test says what it skipped")]

use std::fs;
use std::path::{Path, PathBuf};

use kiln_oos::diagnostic::Severity;
use kiln_oos::library::SHIPPED;
use kiln_oos::template::{Catalogue, Signature, Template, load};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "yml" || ext == "json") {
            found.push(path);
        }
    }
}

/// The folder of real templates, where it is there.
fn corpus() -> Option<Vec<PathBuf>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/oos-templates");
    let folder = std::env::var_os("KILN_OOS_TEMPLATES").map_or(beside, PathBuf::from);
    let mut found = Vec::new();
    if !folder.is_dir() {
        return None;
    }
    files(&folder, &mut found);
    found.sort();
    Some(found)
}

/// The folder's actions, and what kiln ships.
struct Known(Vec<(String, Template)>);

impl Catalogue for Known {
    fn signature(&self, name: &str) -> Option<Signature> {
        let (_, template) = self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        let parameters = template.parameters.iter();
        Some(Signature {
            parameters: parameters.map(|own| (own.name.clone(), own.default.is_none())).collect(),
            outputs: template.outputs.iter().map(|own| own.name.clone()).collect(),
        })
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }
}

fn shipped() -> Known {
    Known(SHIPPED.iter().map(|own| (own.name.to_owned(), load(own.text).unwrap())).collect())
}

fn errors(text: &str, known: &Known) -> Vec<String> {
    let checked = kiln_oos::parse_template(text, known);
    let findings = checked.diagnostics.sorted().into_iter();
    findings.filter(|own| own.severity == Severity::Error).map(ToString::to_string).collect()
}

#[test]
fn shipped_templates_are_sound() {
    let known = shipped();
    for own in SHIPPED {
        assert_eq!(errors(own.text, &known), Vec::<String>::new(), "{}", own.name);
    }
}

#[test]
fn real_templates_are_sound() {
    let Some(files) = corpus() else {
        eprintln!("skipped: no folder of real templates beside the project");
        return;
    };
    assert!(files.len() > 60, "{} files are no corpus", files.len());
    // Its own actions fix the parameters of those that its templates call.
    let mut known = shipped();
    for file in files.iter().filter(|file| file.to_string_lossy().contains("/actions/")) {
        let stem = file.file_stem().unwrap().to_string_lossy().replacen('-', "::", 2);
        known.0.retain(|(name, _)| !name.eq_ignore_ascii_case(&stem));
        known.0.push((stem, load(&fs::read_to_string(file).unwrap()).unwrap()));
    }
    let (mut refused, mut n_warnings) = (Vec::new(), 0);
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        for finding in kiln_oos::parse_template(&text, &known).diagnostics.sorted() {
            match finding.severity {
                Severity::Error => refused.push(format!("{}: {finding}", file.display())),
                Severity::Warning => n_warnings += 1,
            }
        }
    }
    eprintln!("{} templates, {n_warnings} warnings", files.len());
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
