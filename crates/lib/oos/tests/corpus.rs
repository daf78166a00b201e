//! Real templates. Those that kiln ships are always here; a folder of others is used where it lies
//! beside the project.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_oos::library::SHIPPED;

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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/oos-templates");
    let mut found = Vec::new();
    if !folder.is_dir() {
        return None;
    }
    files(&folder, &mut found);
    found.sort();
    Some(found)
}

#[test]
fn shipped_templates_can_be_read() {
    for own in SHIPPED {
        if let Err(finding) = kiln_oos::template::load(own.text) {
            panic!("{}: {finding}", own.name);
        }
    }
}

#[test]
fn real_templates_can_be_read() {
    let Some(files) = corpus() else {
        eprintln!("skipped: no folder of real templates beside the project");
        return;
    };
    assert!(files.len() > 60, "{} files are no corpus", files.len());
    let mut refused = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        if let Err(finding) = kiln_oos::template::load(&text) {
            refused.push(format!("{}: {finding}", file.display()));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
