//! Installing packages of the bundle without running anything of the guest.
//!
//! Files are unpacked as edits, configuration that the owner has is left alone, and the package is
//! entered where dpkg looks. With [`Options::exec`](crate::repair::Options::exec) the packages are
//! only put beside the guest's own package manager, which then does all of it.

use std::collections::BTreeMap;

use kiln_volume::{Error, Result, Tree};

use super::closure::{Choice, choose};
use super::installed::Installed;
use super::payload::{Body, Owner, PackedFile};
use super::{Kind, Package, dpkg};
use crate::repair::bundle::Key;
use crate::repair::draft::Draft;
use crate::repair::edit::{Attributes, Entry};
use crate::repair::refusal::{Refusal, codes};
use crate::repair::{Stop, staging};

/// Where packages are put for the guest's own package manager.
const STAGED_PACKAGES: &str = "/var/lib/kiln/bundle";
/// Set-user and set-group bits, which a file of another owner must not carry.
const SET_ID: u16 = 0o6000;

/// Install the packages `names`, with all that they need and the guest has not, from the bundle.
/// `reason` says what they are for.
///
/// Of a package that is installed already the files that are missing or different are put back.
///
/// # Errors
///
/// `Repair.NoBundle` with the names of all that are missing; `Repair.ExecDisabled` where a package
/// works only after a script of its own has run; otherwise what reading says.
pub(crate) fn install(
    draft: &mut Draft,
    names: &[&str],
    reason: &str,
) -> std::result::Result<(), Stop> {
    let key = Key::of(draft.guest()?);
    let Some(installed) = Installed::read(draft.tree()?, key.architecture())? else {
        let reason = format!("{} has neither dpkg's database nor rpm's", key);
        return Err(Refusal::new(codes::NO_BUNDLE, reason)
            .hint(format!("install {} in the running guest", names.join(", ")))
            .into());
    };
    let pool = draft.bundle().packages_for(&key, installed.kind);
    let packages = match choose(&pool, &installed, names)? {
        Choice::Packages(packages) => packages,
        Choice::Missing(missing) => return Err(missing_packages(&key, &missing).into()),
        Choice::Conflicting(conflicts) => {
            let reason = format!("the packages of the bundle do not fit: {}", conflicts.join("; "));
            return Err(Refusal::new(codes::NO_BUNDLE, reason)
                .hint("put versions that fit the guest into the bundle")
                .into());
        }
    };
    if draft.options().exec {
        return hand_over(draft, &packages, reason);
    }
    for package in &packages {
        refuse_early_scripts(package)?;
    }
    for package in &packages {
        unpack(draft, package, reason)?;
    }
    Ok(())
}

fn missing_packages(key: &Key, missing: &[String]) -> Refusal {
    let reason = format!("the bundle has no package for {key}: {}", missing.join(", "));
    Refusal::new(codes::NO_BUNDLE, reason)
        .hint(format!("put the packages into {key}/ of a directory and give it as --bundle"))
}

/// Let the guest's package manager install them from files, in the machine that runs it.
fn hand_over(
    draft: &mut Draft,
    packages: &[Package],
    reason: &str,
) -> std::result::Result<(), Stop> {
    let mut argv: Vec<String> = match packages.first().map(|package| package.kind) {
        Some(Kind::Rpm) => ["rpm", "-U", "--replacepkgs"].map(str::to_owned).to_vec(),
        // dpkg asks on the console about configuration that the owner changed, unless told.
        _ => ["dpkg", "--force-confold", "--force-confdef", "-i"].map(str::to_owned).to_vec(),
    };
    for package in packages {
        let name = package.file.rsplit('/').next().unwrap_or(&package.file);
        let path = format!("{STAGED_PACKAGES}/{name}");
        let why = format!("{} for the guest's package manager: {reason}", package.title());
        draft.write(&path, package.bytes(), why)?;
        argv.push(path);
    }
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    draft.run(&argv, reason)?;
    Ok(())
}

fn refuse_early_scripts(package: &Package) -> std::result::Result<(), Refusal> {
    match package.early_scripts.iter().find(|script| script.needed) {
        None => Ok(()),
        Some(script) => {
            let reason = format!(
                "{}: its {} has to run before its files are there, and nothing of the guest is run",
                package.file, script.name
            );
            Err(Refusal::new(codes::EXEC_DISABLED, reason).hint(
                "allow it with --exec, which runs it in a throw-away machine without network",
            ))
        }
    }
}

fn unpack(draft: &mut Draft, package: &Package, reason: &str) -> Result<()> {
    let files = package.payload()?;
    let reason = format!("install {}: {reason}", package.title());
    let accounts = Accounts::read(draft.tree()?)?;
    let conffiles = dpkg::conffiles(package);
    let old = dpkg::old_list(draft.tree()?, package)?;
    for file in &files {
        if conffiles.contains(file.path.as_str()) && draft.tree()?.exists(&file.path)? {
            continue;
        }
        if !old.contains(&file.path) {
            refuse_foreign(draft.tree()?, package, file)?;
        }
        place(draft, file, &accounts, package, &reason)?;
    }
    for path in old.iter().filter(|path| !files.iter().any(|file| file.path == **path)) {
        let is_file = matches!(
            staging::entry(draft.tree()?, path)?,
            Some(Entry::File { .. } | Entry::Symlink { .. })
        );
        // A configuration file that a version no longer has may be the owner's work.
        if is_file && !path.starts_with("/etc/") {
            draft.retire(path, &reason)?;
        }
    }
    dpkg::record(draft, package, &files, &reason)
}

/// A file of another package is not overwritten, as dpkg does not.
fn refuse_foreign(tree: &Tree, package: &Package, file: &PackedFile) -> Result<()> {
    let Body::File(content) = &file.body else { return Ok(()) };
    let Some(entry) = staging::entry(tree, &file.path)? else { return Ok(()) };
    let is_same = matches!(entry, Entry::File { digest, .. }
        if digest == crate::repair::edit::Digest::of(content.bytes()));
    if is_same {
        return Ok(());
    }
    match dpkg::other_owner(tree, package, &file.path)? {
        None => Ok(()),
        Some(owner) => Err(Error::unsupported(format!(
            "{} would overwrite {}, a file of the package {owner}",
            package.file, file.path
        ))),
    }
}

fn place(
    draft: &mut Draft,
    file: &PackedFile,
    accounts: &Accounts,
    package: &Package,
    reason: &str,
) -> Result<()> {
    let attributes = accounts.attributes(file);
    match &file.body {
        Body::Directory => draft.install_directory(&file.path, attributes, reason),
        Body::Symlink(target) => draft.install_link(&file.path, target, reason),
        Body::File(content) => {
            let content = content.clone().from_source(&package.file);
            draft.install_file(&file.path, content, attributes, reason)
        }
    }
}

/// The guest's accounts by name.
#[derive(Debug, Default)]
struct Accounts {
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, u32>,
}

impl Accounts {
    fn read(tree: &Tree) -> Result<Self> {
        let ids = |path: &str| -> Result<BTreeMap<String, u32>> {
            let text = tree.read_text(path)?.unwrap_or_default();
            let pair = |line: &str| {
                let mut fields = line.split(':');
                Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
            };
            Ok(text.lines().filter_map(pair).collect())
        };
        Ok(Self { users: ids("/etc/passwd")?, groups: ids("/etc/group")? })
    }

    fn attributes(&self, file: &PackedFile) -> Attributes {
        let Owner { user, group, uid, gid } = &file.owner;
        let uid = self.users.get(user).copied().or(if user == "root" { Some(0) } else { *uid });
        let gid = self.groups.get(group).copied().or(if group == "root" { Some(0) } else { *gid });
        let is_known = uid.is_some() && gid.is_some();
        let is_directory = file.body == Body::Directory;
        let mode = if is_known || is_directory { file.mode } else { file.mode & !SET_ID };
        let (uid, gid) = (uid.unwrap_or(0), gid.unwrap_or(0));
        Attributes { mode, uid, gid, xattrs: Vec::new() }
    }
}
