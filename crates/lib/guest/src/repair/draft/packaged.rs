//! Files of packages: they take the place of what is there, and what they replace is kept apart from
//! where it was, because package managers act on every file of their directories.

use kiln_volume::{FileType, Result};

use super::{Draft, MAX_REPLACED_BYTES, ORIGINALS, not_a};
use crate::repair::edit::{Attributes, Change, Content, Entry};
use crate::repair::staging;

impl Draft<'_> {
    /// A file of a package at `path`, in place of a file or link that is there. What is there has its
    /// owner and labels kept, and its mode changed to that of `attributes`.
    ///
    /// # Errors
    ///
    /// Where something else than a file or link is there, or it cannot be read.
    pub(in crate::repair) fn install_file(
        &mut self,
        path: &str,
        content: Content,
        attributes: Attributes,
        reason: &str,
    ) -> Result<()> {
        let path = self.link_place(path, reason)?;
        match staging::entry(self.tree()?, &path)? {
            Some(Entry::File { .. }) => {
                let before = self.tree()?.read(&path, MAX_REPLACED_BYTES)?;
                let before: Content = before.ok_or_else(|| not_a(&path, "regular file"))?.into();
                if before != content {
                    self.keep_elsewhere(&path)?;
                    self.add(path.clone(), Change::Replace { before, after: content }, reason)?;
                }
                self.set_mode(&path, attributes.mode, reason)
            }
            Some(Entry::Directory | Entry::Other) => Err(not_a(&path, "regular file")),
            found => {
                if found.is_some() {
                    self.remove_entry(path.clone(), reason.to_owned())?;
                }
                let attributes = self.labeled(&path, FileType::Regular, attributes)?;
                self.add(path, Change::Create { content, attributes }, reason)
            }
        }
    }

    /// A link of a package at `path`, in place of a file or link that is there.
    ///
    /// # Errors
    ///
    /// Where something else is there.
    pub(in crate::repair) fn install_link(
        &mut self,
        path: &str,
        target: &str,
        reason: &str,
    ) -> Result<()> {
        let path = self.link_place(path, reason)?;
        if let Some(Entry::File { .. }) = staging::entry(self.tree()?, &path)? {
            self.retire(&path, reason)?;
        }
        self.symlink(&path, target, reason)
    }

    /// A directory of a package; nothing where it is there.
    ///
    /// # Errors
    ///
    /// Where something else is there.
    pub(in crate::repair) fn install_directory(
        &mut self,
        path: &str,
        attributes: Attributes,
        reason: &str,
    ) -> Result<()> {
        if self.tree()?.is_dir(path)? {
            return Ok(());
        }
        let path = self.place_for(path, reason)?;
        let attributes = self.labeled(&path, FileType::Directory, attributes)?;
        self.add(path, Change::MakeDirectory { attributes }, reason)
    }

    /// Take away a file or link that a package no longer has. With backups on, a file's content is
    /// kept, away from where it was.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, or is a directory that is not empty.
    pub(in crate::repair) fn retire(&mut self, path: &str, reason: &str) -> Result<()> {
        let path = self.link_place(path, reason)?;
        if let Some(Entry::File { .. }) = staging::entry(self.tree()?, &path)? {
            self.keep_elsewhere(&path)?;
        }
        self.remove_entry(path, reason.to_owned())
    }

    /// As [`Draft::keep_original`], not beside the file.
    fn keep_elsewhere(&mut self, path: &str) -> Result<()> {
        self.keep_at(path, format!("{ORIGINALS}{path}"))
    }
}
