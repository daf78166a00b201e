//! `/var/lib/kiln/repair.json`: what kiln did to this guest, for whoever wants to know or undo it.

use kiln_volume::{Result, Tree};
use serde_json::{Map, Value, json};

use super::draft::{Draft, digest_at};
use super::edit::{Change, Digest, Edit, Entry};
use super::plan::Step;

const PATH: &str = "/var/lib/kiln/repair.json";

/// Add the manifest of `steps` to a draft. A manifest that is there keeps its earlier runs.
pub(super) fn record(draft: &mut Draft, steps: &[Step]) -> Result<()> {
    let runs = earlier_runs(draft.tree()?)?;
    let mut edits = Vec::new();
    for step in steps {
        for edit in step.edits() {
            edits.push(describe(draft.tree()?, step.repair, edit)?);
        }
    }
    let mut runs = runs;
    runs.push(json!({ "kiln": env!("CARGO_PKG_VERSION"), "edits": edits }));
    let text =
        serde_json::to_string_pretty(&json!({ "version": 1, "runs": runs })).unwrap_or_default(); // a Value always serialises
    draft.write(PATH, format!("{text}\n"), "say what was repaired, with checksums")
}

fn earlier_runs(tree: &Tree) -> Result<Vec<Value>> {
    let Some(text) = tree.read_text(PATH)? else { return Ok(Vec::new()) };
    let known: Value = serde_json::from_str(&text).unwrap_or_default();
    Ok(known["runs"].as_array().cloned().unwrap_or_default())
}

fn describe(tree: &Tree, repair: &str, edit: &Edit) -> Result<Value> {
    let mut entry = Map::new();
    entry.insert("repair".into(), repair.into());
    entry.insert("path".into(), edit.path.as_str().into());
    entry.insert("change".into(), edit.change.name().into());
    entry.insert("reason".into(), edit.reason.as_str().into());
    let mut put = |key: &str, value: Value| entry.insert(key.into(), value);
    match &edit.change {
        Change::Create { content, .. } => {
            put("sha256", Digest::of(content.bytes()).to_string().into());
        }
        Change::Replace { before, after } => {
            put("sha256Before", Digest::of(before.bytes()).to_string().into());
            put("sha256", Digest::of(after.bytes()).to_string().into());
        }
        Change::Append { size_bytes, .. } => {
            // Cutting the file to this size undoes the edit.
            put("sizeBefore", (*size_bytes).into());
            put("sha256", digest_at(tree, &edit.path)?.map(|digest| digest.to_string()).into());
        }
        Change::Copy { to, .. } | Change::Rename { to } => {
            put("to", to.as_str().into());
        }
        Change::Remove { before: Entry::File { digest, .. } } => {
            put("sha256Before", digest.to_string().into());
        }
        Change::Symlink { target, .. } => {
            put("target", target.as_str().into());
        }
        Change::SetMode { before, after } => {
            put("modeBefore", format!("{before:04o}").into());
            put("mode", format!("{after:04o}").into());
        }
        Change::Remove { .. } | Change::MakeDirectory { .. } => {}
    }
    Ok(Value::Object(entry))
}
