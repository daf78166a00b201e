//! The one door for writing: a plan's edits go through [`apply`] into an [`Editor`].

use kiln_volume::{Error, Kind, Result};

use super::edit::{Change, Digest, Edit, Entry};

/// Where edits go: a guest staged in memory, or the disk that a helper VM has mounted.
///
/// Paths are absolute and without any link in them, and an editor must follow none: whoever made
/// the image chose the links, the plan chose the paths.
pub trait Editor {
    /// What is at `path`, links not followed. `None`: nothing.
    ///
    /// # Errors
    ///
    /// Where the editor cannot look.
    fn entry(&mut self, path: &str) -> Result<Option<Entry>>;

    /// The size of what is at `path`, without reading it.
    ///
    /// # Errors
    ///
    /// Where the editor cannot look.
    fn size_bytes(&mut self, path: &str) -> Result<Option<u64>>;

    /// The permission bits of what is at `path`.
    ///
    /// # Errors
    ///
    /// Where the editor cannot look.
    fn mode(&mut self, path: &str) -> Result<Option<u16>>;

    /// Make one change, whole or not at all. What must be there before was checked.
    ///
    /// # Errors
    ///
    /// Where it cannot be made.
    fn perform(&mut self, edit: &Edit) -> Result<()>;
}

/// Carry `edits` out in their order, telling `progress` how many are done.
///
/// Each edit is refused where the guest no longer has what the plan was made for: the user agreed
/// to this change of that file, and to nothing else.
///
/// # Errors
///
/// The first edit that fails or is refused. What was done before it stays done, so the caller throws
/// the edited disk away: it is an overlay, and the input is as it was.
pub fn apply(
    editor: &mut dyn Editor,
    edits: &[Edit],
    progress: &mut dyn FnMut(usize),
) -> Result<()> {
    for (n, edit) in edits.iter().enumerate() {
        progress(n);
        check_before(editor, edit)?;
        editor.perform(edit).map_err(|error| error.in_location(edit.path.as_str()))?;
    }
    progress(edits.len());
    Ok(())
}

fn check_before(editor: &mut dyn Editor, edit: &Edit) -> Result<()> {
    let path = edit.path.as_str();
    let changed = |what: &str| {
        Err(Error::new(Kind::Corrupt, format!("{path}: {what} since the plan was made"))
            .hint("make the plan again"))
    };
    match &edit.change {
        Change::Create { .. } | Change::MakeDirectory { .. } => match editor.entry(path)? {
            None => Ok(()),
            Some(_) => changed("something appeared there"),
        },
        Change::Replace { before, .. } => {
            let expected =
                Entry::File { size_bytes: before.size_bytes(), digest: Digest::of(before.bytes()) };
            if editor.entry(path)?.as_ref() == Some(&expected) {
                Ok(())
            } else {
                changed("changed")
            }
        }
        Change::Append { size_bytes, .. } => match editor.size_bytes(path)? {
            Some(found) if found == *size_bytes => Ok(()),
            Some(_) => changed("another size"),
            None => changed("gone"),
        },
        Change::Copy { to, .. } | Change::Rename { to } => {
            match (editor.size_bytes(path)?, editor.size_bytes(to)?) {
                (None, _) => changed("gone"),
                (Some(_), None) => Ok(()),
                (Some(_), Some(_)) => changed(&format!("{to} appeared")),
            }
        }
        Change::Remove { before } => match editor.entry(path)? {
            Some(found) if found == *before => Ok(()),
            _ => changed("changed"),
        },
        Change::Symlink { before, .. } => {
            let expected = before.clone().map(|target| Entry::Symlink { target });
            if editor.entry(path)? == expected { Ok(()) } else { changed("changed") }
        }
        Change::SetMode { before, .. } => {
            if editor.mode(path)? == Some(*before) {
                Ok(())
            } else {
                changed("changed mode")
            }
        }
    }
}
