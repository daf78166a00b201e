//! Edits for people: unified diffs where they are text, a sentence where they are not.

use std::fmt::Write as _;

use similar::TextDiff;

use super::edit::{Change, Content, Edit, Entry};

/// Lines of context around a change, as `diff -u` has them.
const CONTEXT: usize = 3;

/// One edit as a patch that `patch -p1` and people can read. What a patch cannot say (a rename, a
/// mode, binary content) is said in lines that `patch` skips, as git writes them.
pub fn unified(edit: &Edit) -> String {
    let path = edit.path.trim_start_matches('/');
    let mut text = format!("# {}\n", edit.reason);
    // Writing to a String cannot fail.
    let _ = match &edit.change {
        Change::Create { content, attributes } => {
            let _ = writeln!(text, "new file mode 10{:04o}", attributes.mode);
            match content.source() {
                Some(source) => {
                    let bytes = content.size_bytes();
                    writeln!(text, "# new file {path}: {bytes} bytes from {source}")
                }
                None => body(&mut text, None, path, "", content),
            }
        }
        Change::Replace { before, after } => match before.text() {
            _ if after.source().is_some() => {
                let source = after.source().unwrap_or_default();
                let (before, after) = (before.size_bytes(), after.size_bytes());
                writeln!(text, "# file {path}: {before} bytes become {after} bytes from {source}")
            }
            Some(before) => body(&mut text, Some(path), path, before, after),
            None => binary(&mut text, path, before.size_bytes(), after.size_bytes()),
        },
        Change::Append { size_bytes, tail, listing } => {
            let _ = binary(&mut text, path, *size_bytes, size_bytes + tail.size_bytes());
            listing.iter().try_for_each(|line| writeln!(text, "# {line}"))
        }
        Change::Copy { to, .. } => {
            writeln!(text, "copy from {path}\ncopy to {}", to.trim_start_matches('/'))
        }
        Change::Rename { to } => {
            writeln!(text, "rename from {path}\nrename to {}", to.trim_start_matches('/'))
        }
        Change::Remove { before } => match before {
            Entry::Directory => writeln!(text, "# remove directory {path}"),
            Entry::Symlink { target } => writeln!(text, "# remove link {path} -> {target}"),
            _ => writeln!(text, "# remove file {path}"),
        },
        Change::Symlink { before, target } => {
            if let Some(before) = before {
                let _ = writeln!(text, "# link {path} -> {before} no longer");
            }
            writeln!(text, "# link {path} -> {target}")
        }
        Change::MakeDirectory { attributes } => {
            writeln!(text, "# make directory {path} with mode {:04o}", attributes.mode)
        }
        Change::SetMode { before, after } => {
            writeln!(text, "old mode 10{before:04o}\nnew mode 10{after:04o}\n# of {path}")
        }
    };
    text
}

fn body(
    text: &mut String,
    from: Option<&str>,
    to: &str,
    before: &str,
    after: &Content,
) -> std::fmt::Result {
    let Some(after_text) = after.text() else {
        return binary(text, to, before.len() as u64, after.size_bytes());
    };
    let from = from.map_or_else(|| "/dev/null".to_owned(), |path| format!("a/{path}"));
    let diff = TextDiff::from_lines(before, after_text);
    write!(
        text,
        "{}",
        diff.unified_diff().context_radius(CONTEXT).header(&from, &format!("b/{to}"))
    )
}

fn binary(text: &mut String, path: &str, before_bytes: u64, after_bytes: u64) -> std::fmt::Result {
    writeln!(text, "# binary file {path}: {before_bytes} bytes become {after_bytes}")
}
