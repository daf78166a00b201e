//! The edits of one repair while they are being planned.
//!
//! Every method stages its edit at once, so that what a repair reads next is what it would find: two
//! repairs that change one file do not undo each other's work, and planning a mended guest gives
//! nothing. A method that would change nothing adds no edit.

mod packaged;

use kiln_volume::{Error, FileType, Result, Tree, Xattr};

use super::apply::Editor;
use super::edit::{Attributes, Change, Content, Digest, Edit, Entry};
use super::refusal::{Refusal, codes};
use super::staging::{self, Staging};
use super::{Bundle, Options, Stop};
use crate::{Guest, Inspection};

/// What a repair replaces is never larger: configuration has some KiB, dpkg's database of a desktop
/// 10 MiB, a program of a package some 10 MiB more.
const MAX_REPLACED_BYTES: u64 = 128 << 20;
/// Where the first states of files are kept that belong to packages: many of their directories take
/// whatever is in them, by any name.
const ORIGINALS: &str = "/var/lib/kiln/original";
/// A directory of state that is cleaned (cloud-init keeps a few dozen files) is never larger.
const MAX_REMOVED: usize = 10_000;
/// Suffix of a file's first state, kept beside it.
const ORIGINAL: &str = "kiln-orig";
/// Suffix of a file that was switched off.
const OFF: &str = "kiln-off";

/// Directories whose every file counts, whatever its suffix: nothing may be kept in them.
const TAKE_ALL: [(&str, &str); 7] = [
    // The `network` service and wicked take `ifcfg-*`, and know their own backup suffixes only.
    ("/etc/sysconfig/network-scripts", "/etc/sysconfig/network-scripts/kiln-off"),
    ("/etc/sysconfig/network", "/etc/sysconfig/network/kiln-off"),
    ("/etc/network/interfaces.d", "/etc/network/kiln-off"),
    // Only elsewhere does NetworkManager want the ending `.nmconnection`.
    ("/etc/NetworkManager/system-connections", "/etc/NetworkManager/kiln-off"),
    ("/etc/grub.d", "/etc/kiln-off/grub.d"),
    ("/boot/loader/entries", "/boot/loader/kiln-off"),
    ("/etc/cron.d", "/etc/kiln-off/cron.d"),
];

/// The edits of one repair, staged as they are added.
#[derive(Debug)]
pub struct Draft<'a> {
    staging: &'a mut Staging,
    options: &'a Options,
    bundle: &'a Bundle,
    edits: Vec<Edit>,
    commands: Vec<GuestCommand>,
    kept: Option<&'static str>,
}

/// A program of the guest that a repair runs, where the caller allowed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestCommand {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Why, in one sentence.
    pub reason: String,
}

impl<'a> Draft<'a> {
    pub(super) fn new(staging: &'a mut Staging, options: &'a Options, bundle: &'a Bundle) -> Self {
        Self { staging, options, bundle, edits: Vec::new(), commands: Vec::new(), kept: None }
    }

    /// Whether nothing was planned so far.
    pub(super) fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.commands.is_empty()
    }

    pub(super) fn finish(self) -> (Vec<Edit>, Vec<GuestCommand>) {
        (self.edits, self.commands)
    }

    /// The caller asked for what the item calls `code`: that it still says so is no failure.
    pub(super) fn keep(&mut self, code: &'static str) {
        self.kept = Some(code);
    }

    /// What [`Draft::keep`] was told.
    pub(super) fn kept(&self) -> Option<&'static str> {
        self.kept
    }

    /// What was found out about the disks before this repair. Its trees show this draft's edits;
    /// its lists (boot entries, mounts) do not, until [`Draft::look_again`].
    pub fn inspection(&self) -> &Inspection {
        self.staging.inspection()
    }

    /// The system that is repaired.
    ///
    /// # Errors
    ///
    /// Where an edit of this draft left none.
    pub fn guest(&self) -> Result<&Guest> {
        let guest = self.staging.inspection().guest();
        guest.ok_or_else(|| Error::unsupported("no operating system is left to repair"))
    }

    /// Its files, with this draft's edits.
    ///
    /// # Errors
    ///
    /// As [`Draft::guest`].
    pub fn tree(&self) -> Result<&Tree> {
        Ok(&self.guest()?.tree)
    }

    /// What the caller wants.
    pub fn options(&self) -> &'a Options {
        self.options
    }

    /// What can be installed.
    pub fn bundle(&self) -> &'a Bundle {
        self.bundle
    }

    /// Inspect again, where an edit changed what inspection finds (boot entries, mounts).
    pub fn look_again(&mut self) {
        self.staging.look_again_after(&self.edits);
    }

    /// Let the file at `path` hold `content`: its attributes stay, a new one is root's and has mode
    /// 0644. Links are followed inside the guest; missing directories are made.
    ///
    /// # Errors
    ///
    /// Where something else than a file is there, or it cannot be read.
    pub fn write(
        &mut self,
        path: &str,
        content: impl Into<Content>,
        reason: impl Into<String>,
    ) -> Result<()> {
        self.write_with_mode(path, content, 0o644, reason)
    }

    /// As [`Draft::write`], with the permission bits of a new file.
    ///
    /// # Errors
    ///
    /// As [`Draft::write`].
    pub fn write_with_mode(
        &mut self,
        path: &str,
        content: impl Into<Content>,
        mode: u16,
        reason: impl Into<String>,
    ) -> Result<()> {
        let (content, reason) = (content.into(), reason.into());
        let Some(at) = self.tree()?.locate(path)? else {
            let path = self.place_for(path, &reason)?;
            let attributes = self.new_attributes(&path, FileType::Regular, mode)?;
            return self.add(path, Change::Create { content, attributes }, reason);
        };
        let path = utf8(at.path)?;
        let before = self.tree()?.read(&path, MAX_REPLACED_BYTES)?;
        let before: Content = before.ok_or_else(|| not_a(&path, "regular file"))?.into();
        if before == content {
            return Ok(());
        }
        if self.write_again(&path, &content, &reason)? {
            return Ok(());
        }
        self.keep_original(&path)?;
        self.add(path, Change::Replace { before, after: content }, reason)
    }

    /// Let the edit that wrote the file write `content` instead: a person who reads the plan sees one
    /// change of a file and not its steps. `false`: there is none, or others came between.
    fn write_again(&mut self, path: &str, content: &Content, reason: &str) -> Result<bool> {
        let is_about = |edit: &Edit| {
            let to = match &edit.change {
                Change::Copy { to, .. } | Change::Rename { to } => to.as_str(),
                _ => "",
            };
            edit.path == path || to == path
        };
        let Some(index) = self.edits.iter().rposition(is_about) else { return Ok(false) };
        let Some(mut edit) = self.edits.get(index).cloned() else { return Ok(false) };
        match &mut edit.change {
            Change::Replace { after: written, .. } | Change::Create { content: written, .. } => {
                let again = Change::Replace { before: written.clone(), after: content.clone() };
                let path = path.to_owned();
                self.staging.perform(&Edit { path, change: again, reason: String::new() })?;
                written.clone_from(content);
            }
            _ => return Ok(false),
        }
        if !edit.reason.contains(reason) {
            edit.reason = format!("{}; {reason}", edit.reason);
        }
        if let Some(place) = self.edits.get_mut(index) {
            *place = edit;
        }
        Ok(true)
    }

    /// Replace the text of the file at `path` by what `change` makes of it. `false`: nothing there,
    /// or nothing changed. Bytes that are not UTF-8 stay as they are where `change` keeps them.
    ///
    /// # Errors
    ///
    /// As [`Draft::write`].
    pub fn rewrite(
        &mut self,
        path: &str,
        reason: impl Into<String>,
        change: impl FnOnce(&str) -> String,
    ) -> Result<bool> {
        let Some(bytes) = self.tree()?.read(path, MAX_REPLACED_BYTES)? else { return Ok(false) };
        // One char a byte, so that a comment in Latin-1 survives an edit of another line.
        let is_utf8 = std::str::from_utf8(&bytes).is_ok();
        let text = match is_utf8 {
            true => String::from_utf8_lossy(&bytes).into_owned(),
            false => bytes.iter().map(|&byte| char::from(byte)).collect(),
        };
        let after = change(&text);
        if after == text {
            return Ok(false);
        }
        let after: Vec<u8> = match is_utf8 {
            true => after.into_bytes(),
            false => after.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect(),
        };
        self.write(path, after, reason)?;
        Ok(true)
    }

    /// Add `tail` to the end of the file at `path`. `listing` tells people what is in it. No copy of
    /// the file is kept: cutting it to its old size, which the manifest has, undoes it.
    ///
    /// # Errors
    ///
    /// Where no regular file is there.
    pub fn append(
        &mut self,
        path: &str,
        tail: impl Into<Content>,
        listing: Vec<String>,
        reason: impl Into<String>,
    ) -> Result<()> {
        let (path, stat) = self.existing(path)?;
        if stat.file_type != FileType::Regular {
            return Err(not_a(&path, "regular file"));
        }
        let change = Change::Append { size_bytes: stat.size_bytes, tail: tail.into(), listing };
        self.add(path, change, reason)
    }

    /// Take away the file or link at `path` (the link itself, where it is one). With backups on, it
    /// is renamed and not removed. `false`: nothing there.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, or is a directory that is not empty.
    pub fn remove(&mut self, path: &str, reason: impl Into<String>) -> Result<bool> {
        let reason = reason.into();
        let Some(at) = self.tree()?.locate_link(path)? else { return Ok(false) };
        let path = utf8(at.path)?;
        if self.options.backup
            && let Some(to) = self.free_name(&path, ORIGINAL)?
        {
            self.make_parent(&to, &reason)?;
            self.add(path, Change::Rename { to }, reason)?;
            return Ok(true);
        }
        self.remove_entry(path, reason)?;
        Ok(true)
    }

    /// Take away the directory at `path` with all that is in it: state that is made anew, so nothing
    /// of it is kept. `false`: nothing there.
    ///
    /// # Errors
    ///
    /// `Unsupported` where it holds more than such state does; otherwise what reading says.
    pub fn remove_state(&mut self, path: &str, reason: impl Into<String>) -> Result<bool> {
        let reason = reason.into();
        let Some(at) = self.tree()?.locate_link(path)? else { return Ok(false) };
        let top = utf8(at.path)?;
        let (mut pending, mut found) = (vec![top], Vec::new());
        while let Some(path) = pending.pop() {
            if found.len() >= MAX_REMOVED {
                return Err(Error::unsupported(format!("{path}: more than {MAX_REMOVED} files")));
            }
            if let Some(Entry::Directory) = staging::entry(self.tree()?, &path)? {
                for entry in self.tree()?.list(&path)? {
                    pending.push(format!("{path}/{}", utf8(entry.name)?));
                }
            }
            found.push(path);
        }
        while let Some(path) = found.pop() {
            self.remove_entry(path, reason.clone())?;
        }
        Ok(true)
    }

    /// Switch the file at `path` off by another name, which what reads its directory does not take.
    /// `false`: nothing there.
    ///
    /// # Errors
    ///
    /// Where it cannot be read.
    pub fn disable(&mut self, path: &str, reason: impl Into<String>) -> Result<bool> {
        let reason = reason.into();
        let Some(at) = self.tree()?.locate_link(path)? else { return Ok(false) };
        let path = utf8(at.path)?;
        let Some(to) = self.free_name(&path, OFF)? else {
            return Err(Error::unsupported(format!("{path}: its names with .{OFF} are all taken")));
        };
        self.make_parent(&to, &reason)?;
        self.add(path, Change::Rename { to }, reason)?;
        Ok(true)
    }

    /// A symbolic link at `path`, in place of a link that is there.
    ///
    /// # Errors
    ///
    /// Where something else than a link is there.
    pub fn symlink(&mut self, path: &str, target: &str, reason: impl Into<String>) -> Result<()> {
        let reason = reason.into();
        let path = self.link_place(path, &reason)?;
        let before = match staging::entry(self.tree()?, &path)? {
            None => None,
            Some(Entry::Symlink { target: found }) if found == target => return Ok(()),
            Some(Entry::Symlink { target }) => Some(target),
            Some(_) => return Err(not_a(&path, "symbolic link")),
        };
        self.add(path, Change::Symlink { before, target: target.to_owned() }, reason)
    }

    /// A directory at `path`, with those above it; nothing where it is there.
    ///
    /// # Errors
    ///
    /// Where something else is there.
    pub fn make_directory(&mut self, path: &str, reason: impl Into<String>) -> Result<()> {
        if self.tree()?.is_dir(path)? {
            return Ok(());
        }
        let reason = reason.into();
        let path = self.place_for(path, &reason)?;
        let attributes = self.new_attributes(&path, FileType::Directory, 0o755)?;
        self.add(path, Change::MakeDirectory { attributes }, reason)
    }

    /// A copy of the file at `from` under the name `to`, where nothing is.
    ///
    /// # Errors
    ///
    /// Where no regular file is at `from`, or something is at `to`.
    pub fn copy(&mut self, from: &str, to: &str, reason: impl Into<String>) -> Result<()> {
        let reason = reason.into();
        let (from, stat) = self.existing(from)?;
        if stat.file_type != FileType::Regular {
            return Err(not_a(&from, "regular file"));
        }
        if self.tree()?.locate_link(to)?.is_some() {
            return Err(Error::unsupported(format!("{to}: something is there already")));
        }
        let to = self.place_for(to, &reason)?;
        self.add(from, Change::Copy { to, size_bytes: stat.size_bytes }, reason)
    }

    /// Set the permission bits of what is at `path`.
    ///
    /// # Errors
    ///
    /// Where nothing is there.
    pub fn set_mode(&mut self, path: &str, mode: u16, reason: impl Into<String>) -> Result<()> {
        let (path, stat) = self.existing(path)?;
        if stat.mode == mode {
            return Ok(());
        }
        self.add(path, Change::SetMode { before: stat.mode, after: mode }, reason)
    }

    /// Run a program of the guest after the edits. Only where [`Options::exec`] allows it.
    ///
    /// # Errors
    ///
    /// `Repair.ExecDisabled` where it does not.
    pub fn run(
        &mut self,
        argv: &[&str],
        reason: impl Into<String>,
    ) -> std::result::Result<(), Stop> {
        if !self.options.exec {
            let program = argv.first().copied().unwrap_or_default();
            let reason = format!("{program} of the guest has to run: {}", reason.into());
            return Err(Refusal::new(codes::EXEC_DISABLED, reason)
                .hint("allow it with --exec, which runs it in a machine without network")
                .into());
        }
        let argv = argv.iter().map(ToString::to_string).collect();
        self.commands.push(GuestCommand { argv, reason: reason.into() });
        Ok(())
    }

    fn add(&mut self, path: String, change: Change, reason: impl Into<String>) -> Result<()> {
        let edit = Edit { path, change, reason: reason.into() };
        self.staging.perform(&edit)?;
        self.edits.push(edit);
        Ok(())
    }

    fn remove_entry(&mut self, path: String, reason: String) -> Result<()> {
        let before = staging::entry(self.tree()?, &path)?;
        let before = before.ok_or_else(|| not_a(&path, "file"))?;
        if before == Entry::Directory && !self.tree()?.list(&path)?.is_empty() {
            return Err(Error::unsupported(format!("{path}: a directory that is not empty")));
        }
        self.add(path, Change::Remove { before }, reason)
    }

    /// Keep the state that a file had before kiln first touched it.
    fn keep_original(&mut self, path: &str) -> Result<()> {
        self.keep_at(path, aside(path, ORIGINAL))
    }

    fn keep_at(&mut self, path: &str, to: String) -> Result<()> {
        if !self.options.backup || self.was_made_here(path) {
            return Ok(());
        }
        if self.tree()?.locate_link(&to)?.is_some() {
            return Ok(());
        }
        let reason = "keep the file as it was";
        self.make_parent(&to, reason)?;
        let size_bytes = self.existing(path)?.1.size_bytes;
        self.add(path.to_owned(), Change::Copy { to, size_bytes }, reason)
    }

    /// Whether the file is one that this draft made, which needs no copy.
    fn was_made_here(&self, path: &str) -> bool {
        self.edits
            .iter()
            .any(|edit| edit.path == path && matches!(edit.change, Change::Create { .. }))
    }

    /// A name for keeping `path` aside that is not taken. `None`: kiln has set it aside often.
    fn free_name(&self, path: &str, suffix: &str) -> Result<Option<String>> {
        let first = aside(path, suffix);
        for n in 0..10 {
            let name = if n == 0 { first.clone() } else { format!("{first}.{n}") };
            if self.tree()?.locate_link(&name)?.is_none() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    fn make_parent(&mut self, path: &str, reason: &str) -> Result<()> {
        match path.rsplit_once('/') {
            Some((parent, _)) if !parent.is_empty() => self.make_directory(parent, reason),
            _ => Ok(()),
        }
    }

    fn existing(&self, path: &str) -> Result<(String, kiln_volume::Stat)> {
        let at = self.tree()?.locate(path)?;
        let at = at.ok_or_else(|| not_a(path, "file that is there"))?;
        let stat = self.tree()?.filesystem(&at).stat(at.node)?;
        Ok((utf8(at.path)?, stat))
    }

    /// The path without links where something new at `path` goes; its directory is made if missing.
    fn place_for(&mut self, path: &str, reason: &str) -> Result<String> {
        let place = self.link_place(path, reason)?;
        match staging::entry(self.tree()?, &place)? {
            None => Ok(place),
            Some(Entry::Symlink { target }) => Err(Error::unsupported(format!(
                "{place}: a symbolic link to {target}, which is not there"
            ))),
            Some(_) => Err(not_a(&place, "free name")),
        }
    }

    /// As [`Draft::place_for`], where a link may be at `path` itself.
    fn link_place(&mut self, path: &str, reason: &str) -> Result<String> {
        let (parent, name) = path.rsplit_once('/').ok_or_else(|| not_a(path, "absolute path"))?;
        let parent = if parent.is_empty() { "/" } else { parent };
        self.make_directory(parent, reason)?;
        let at = self.tree()?.locate(parent)?.ok_or_else(|| not_a(parent, "directory"))?;
        let parent = utf8(at.path)?;
        Ok(format!("{}/{name}", parent.trim_end_matches('/')))
    }

    fn new_attributes(&self, path: &str, file_type: FileType, mode: u16) -> Result<Attributes> {
        self.labeled(path, file_type, Attributes::root(mode))
    }

    /// With the SELinux label of what is beside it: new files of a directory mostly have the label
    /// of the others, and a file without any is one that confined services cannot read.
    fn labeled(
        &self,
        path: &str,
        file_type: FileType,
        attributes: Attributes,
    ) -> Result<Attributes> {
        let tree = self.tree()?;
        let parent = path.rsplit_once('/').map_or("/", |(parent, _)| parent);
        let parent = if parent.is_empty() { "/" } else { parent };
        let label_of = |path: &str| -> Result<Option<Xattr>> {
            let value = tree.xattr(path, SELINUX)?;
            Ok(value.map(|value| Xattr { name: SELINUX.into(), value }))
        };
        let mut label = label_of(parent)?;
        if label.is_some() && file_type != FileType::Directory {
            for sibling in tree.list(parent)? {
                let Ok(name) = std::str::from_utf8(&sibling.name) else { continue };
                let sibling = format!("{}/{name}", parent.trim_end_matches('/'));
                if tree.is_file(&sibling)?
                    && let Some(found) = label_of(&sibling)?
                {
                    label = Some(found);
                    break;
                }
            }
        }
        Ok(Attributes { xattrs: label.into_iter().collect(), ..attributes })
    }
}

const SELINUX: &str = "security.selinux";

/// Where a file is kept aside: beside it under a suffix, unless its directory takes every file.
fn aside(path: &str, suffix: &str) -> String {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    match TAKE_ALL.iter().find(|(dir, _)| *dir == parent) {
        Some((_, keep)) => format!("{keep}/{name}.{suffix}"),
        None => format!("{path}.{suffix}"),
    }
}

fn utf8(path: Vec<u8>) -> Result<String> {
    String::from_utf8(path).map_err(|error| {
        let path = String::from_utf8_lossy(error.as_bytes()).into_owned();
        Error::unsupported(format!("{path}: a path that is not UTF-8"))
    })
}

fn not_a(path: &str, what: &str) -> Error {
    Error::unsupported(format!("{path} is no {what}"))
}

/// Digest of what a file holds after all edits, for the manifest.
pub(super) fn digest_at(tree: &Tree, path: &str) -> Result<Option<Digest>> {
    Ok(match staging::entry(tree, path)? {
        Some(Entry::File { digest, .. }) => Some(digest),
        _ => None,
    })
}
