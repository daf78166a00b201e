//! The helper VM as an [`Editor`].

use kiln_compute::helper::{self, AttributesChange, Edited, FileKind, HelperError, Session};
use kiln_guest::repair::{Attributes, Change, Digest, Edit, Editor, Entry};
use kiln_volume::{Error, Kind, Result};

/// A helper VM with the guest's filesystems mounted.
#[derive(Debug)]
pub(super) struct HelperEditor<'a> {
    session: &'a mut Session,
    /// Paths that were immutable or append-only, and are so again.
    pub(super) unlocked: Vec<String>,
}

impl<'a> HelperEditor<'a> {
    pub(super) fn new(session: &'a mut Session) -> Self {
        Self { session, unlocked: Vec::new() }
    }

    fn stat(&mut self, path: &str) -> Result<Option<helper::Stat>> {
        self.session.stat(path).map_err(failed)
    }

    fn note(&mut self, edited: Edited) {
        for path in edited.unlocked {
            let path = String::from_utf8_lossy(path.as_bytes()).into_owned();
            if !self.unlocked.contains(&path) {
                self.unlocked.push(path);
            }
        }
    }
}

impl Editor for HelperEditor<'_> {
    fn entry(&mut self, path: &str) -> Result<Option<Entry>> {
        let Some(stat) = self.stat(path)? else { return Ok(None) };
        Ok(Some(match stat.kind {
            FileKind::File => {
                let digest = self.session.digest(path).map_err(failed)?;
                Entry::File { size_bytes: stat.size_bytes, digest: Digest(digest) }
            }
            FileKind::Directory => Entry::Directory,
            FileKind::Symlink => {
                let target = stat.target.map(|target| target.into_vec()).unwrap_or_default();
                Entry::Symlink { target: String::from_utf8_lossy(&target).into_owned() }
            }
            FileKind::Special => Entry::Other,
        }))
    }

    fn size_bytes(&mut self, path: &str) -> Result<Option<u64>> {
        Ok(self.stat(path)?.map(|stat| stat.size_bytes))
    }

    fn mode(&mut self, path: &str) -> Result<Option<u16>> {
        // The agent gives permission bits, which are twelve.
        Ok(self.stat(path)?.map(|stat| u16::try_from(stat.mode & 0o7777).unwrap_or_default()))
    }

    fn perform(&mut self, edit: &Edit) -> Result<()> {
        let path = edit.path.as_str();
        let session = &mut *self.session;
        let edited = match &edit.change {
            Change::Create { content, attributes } => {
                session.put(path, content.bytes(), content.size_bytes(), new(attributes))
            }
            Change::Replace { after, .. } => {
                session.put(path, after.bytes(), after.size_bytes(), helper::Attributes::Keep)
            }
            Change::Append { size_bytes, tail, .. } => {
                session.append(path, *size_bytes, tail.bytes(), tail.size_bytes())
            }
            Change::Copy { to, .. } => session.copy(path, to),
            Change::Rename { to } => session.rename(path, to),
            Change::Remove { .. } => session.remove(path, false),
            Change::Symlink { before, target } => {
                if before.is_some() {
                    let edited = session.remove(path, false).map_err(failed)?;
                    self.note(edited);
                }
                self.session.symlink(path, target, AttributesChange::default())
            }
            Change::MakeDirectory { attributes } => session.make_dir(path, change(attributes)),
            Change::SetMode { after, .. } => {
                let mode = Some(u32::from(*after));
                session.set_attributes(path, AttributesChange { mode, ..Default::default() })
            }
        };
        self.note(edited.map_err(failed)?);
        Ok(())
    }
}

fn new(attributes: &Attributes) -> helper::Attributes {
    helper::Attributes::New {
        mode: u32::from(attributes.mode),
        uid: attributes.uid,
        gid: attributes.gid,
        xattrs: labels(attributes),
    }
}

fn change(attributes: &Attributes) -> AttributesChange {
    AttributesChange {
        mode: Some(u32::from(attributes.mode)),
        uid: Some(attributes.uid),
        gid: Some(attributes.gid),
        xattrs: labels(attributes),
    }
}

fn labels(attributes: &Attributes) -> Vec<helper::Xattr> {
    attributes
        .xattrs
        .iter()
        .map(|xattr| helper::Xattr {
            name: String::from_utf8_lossy(&xattr.name).into_owned(),
            value: xattr.value.clone(),
        })
        .collect()
}

/// In the words of the library that asked, with what the user can do.
fn failed(error: HelperError) -> Error {
    let hint = error.hint().map(str::to_owned);
    let told = Error::new(Kind::Io, error.to_string());
    match hint {
        Some(hint) => told.hint(hint),
        None => told,
    }
}
