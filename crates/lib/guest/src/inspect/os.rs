//! Which operating system a tree is: from the files that name it, specific ones before generic
//! ones, because derivatives keep the files of what they derive from.

use kiln_volume::Tree;

use super::architecture;
use super::platform::{self, Known};
use crate::syntax::assignments;
use crate::{Family, OsInfo};

/// One-line release files and the `ID` each stands for, the specific before the generic.
const RELEASE_FILES: &[(&str, &str)] = &[
    ("/etc/openmandriva-release", "openmandriva"),
    ("/etc/opencloudos-release", "opencloudos"),
    ("/etc/tencentos-release", "tencentos"),
    ("/etc/oracle-release", "ol"),
    ("/etc/rocky-release", "rocky"),
    ("/etc/almalinux-release", "almalinux"),
    ("/etc/anolis-release", "anolis"),
    ("/etc/alinux-release", "alinux"),
    ("/etc/kylin-release", "kylin"),
    ("/etc/uos-release", "uos"),
    ("/etc/centos-release", "centos"),
    ("/etc/fedora-release", "fedora"),
    ("/etc/redhat-release", ""),
];

/// Which package database belongs to which family, for systems that nobody knows by name.
const PACKAGE_DATABASES: &[(&str, Family)] = &[
    ("/var/lib/dpkg/status", Family::Debian),
    ("/var/lib/rpm/rpmdb.sqlite", Family::RedHat),
    ("/var/lib/rpm/Packages", Family::RedHat),
    ("/var/lib/rpm/Packages.db", Family::Suse),
    ("/usr/lib/sysimage/rpm", Family::RedHat),
    ("/lib/apk/db/installed", Family::Alpine),
    ("/var/lib/pacman/local", Family::Arch),
];

/// Who the system of `tree` is. What cannot be read is listed and does not stop the rest.
pub(super) fn identify(tree: &Tree) -> OsInfo {
    let mut reader = Reader { tree, os: OsInfo::default(), name: None };
    reader.os_release();
    if reader.os.id.is_none() {
        reader.lsb_release();
    }
    reader.release_files();
    reader.plain_files();
    let Reader { mut os, name, .. } = reader;
    if os.id.as_deref() == Some("centos") && is_stream(&os, name.as_deref()) {
        os.variant.get_or_insert_with(|| "stream".into());
    }
    let known = platform::known_of(&os);
    os.family = family(tree, &os, known);
    os.platform = known.map(|known| known.platform.to_owned()).or_else(|| {
        // A system that says what it resembles is one of the others; one that says nothing that
        // anybody knows is not recognised, which the item tells apart.
        os.id_like.iter().any(|like| platform::is_family_name(like)).then(|| "Others Linux".into())
    });
    os.display = display(&os, known, name.as_deref());
    match architecture::of_programs(tree) {
        Ok(Some((path, found))) => {
            os.sources.push((path.into(), format!("is a program for {found}")));
            os.architecture = Some(found.into());
        }
        Ok(None) => {}
        Err(error) => os.unread.push(error.to_string()),
    }
    os
}

fn is_stream(os: &OsInfo, name: Option<&str>) -> bool {
    name.is_some_and(|name| name.contains("Stream"))
        || os
            .sources
            .iter()
            .any(|(path, text)| path == "/etc/centos-release" && text.contains("Stream"))
}

struct Reader<'a> {
    tree: &'a Tree,
    os: OsInfo,
    /// `NAME` of os-release.
    name: Option<String>,
}

impl Reader<'_> {
    fn text(&mut self, path: &str) -> Option<String> {
        match self.tree.read_text(path) {
            Ok(text) => text,
            Err(error) => {
                self.os.unread.push(format!("{path}: {error}"));
                None
            }
        }
    }

    fn saw(&mut self, path: &str, text: &str) {
        let text: String = text.trim().chars().take(200).collect();
        self.os.sources.push((path.into(), text));
    }

    fn os_release(&mut self) {
        for path in ["/etc/os-release", "/usr/lib/os-release"] {
            let Some(text) = self.text(path) else { continue };
            let found = assignments::parse(&text);
            let value = |name| assignments::last(&found, name).map(|a| a.value.clone());
            self.os.id = value("ID").map(|id| id.to_ascii_lowercase());
            self.os.id_like = value("ID_LIKE")
                .map(|like| like.split_whitespace().take(16).map(str::to_ascii_lowercase).collect())
                .unwrap_or_default();
            self.os.version = value("DEBIAN_VERSION_FULL").or_else(|| value("VERSION_ID"));
            self.os.pretty_name = value("PRETTY_NAME");
            self.os.variant = value("VARIANT_ID").map(|variant| variant.to_ascii_lowercase());
            self.name = value("NAME");
            let told = value("PRETTY_NAME").or(value("NAME")).or(value("ID"));
            self.saw(path, told.as_deref().unwrap_or("names no system"));
            // The copy below /usr is what the link in /etc points to; it counts only without that.
            return;
        }
    }

    fn lsb_release(&mut self) {
        let Some(text) = self.text("/etc/lsb-release") else { return };
        let found = assignments::parse(&text);
        let value = |name| assignments::last(&found, name).map(|a| a.value.clone());
        // A file with only LSB_VERSION says nothing about the system.
        let Some(id) = value("DISTRIB_ID") else { return };
        self.saw("/etc/lsb-release", value("DISTRIB_DESCRIPTION").as_deref().unwrap_or(&id));
        self.os.id = Some(id.to_ascii_lowercase());
        self.os.version = value("DISTRIB_RELEASE");
        self.os.pretty_name = value("DISTRIB_DESCRIPTION");
    }

    fn release_files(&mut self) {
        for (path, id) in RELEASE_FILES {
            let Some(text) = self.text(path) else { continue };
            let line = text.lines().next().unwrap_or_default().trim().to_owned();
            if line.is_empty() {
                continue;
            }
            self.saw(path, &line);
            let id = if id.is_empty() { id_of_redhat_release(&line) } else { id };
            if self.os.id.is_none() {
                self.os.id = Some(id.to_owned());
                self.os.pretty_name.get_or_insert_with(|| line.clone());
            }
            if self.os.id.as_deref() == Some(id) {
                self.refine_version(&version_after_release(&line));
            }
        }
    }

    /// Take `found` where it says more than what is known (`7.9.2009` after `7`).
    fn refine_version(&mut self, found: &str) {
        let longer = match &self.os.version {
            None => !found.is_empty(),
            Some(have) => {
                found.strip_prefix(have.as_str()).is_some_and(|rest| rest.starts_with('.'))
            }
        };
        if longer {
            self.os.version = Some(found.to_owned());
        }
    }

    fn plain_files(&mut self) {
        if let Some(text) = self.text("/etc/debian_version") {
            let line = text.lines().next().unwrap_or_default().trim().to_owned();
            self.saw("/etc/debian_version", &line);
            if self.os.id.is_none() {
                self.os.id = Some("debian".into());
                self.os.pretty_name.get_or_insert_with(|| format!("Debian GNU/Linux {line}"));
            }
            // A derivative keeps the file, with the version of the Debian it was made from.
            if self.os.id.as_deref() == Some("debian") {
                self.refine_version(&line);
            }
        }
        if self.os.id.is_some() {
            return;
        }
        if let Some(text) = self.text("/etc/SuSE-release") {
            self.suse_release(&text);
        } else if let Some(text) = self.text("/etc/alpine-release") {
            self.os.version = Some(text.trim().to_owned());
            self.named_by("alpine", "/etc/alpine-release", &text);
        } else {
            for (path, id) in [
                ("/etc/arch-release", "arch"),
                ("/etc/gentoo-release", "gentoo"),
                ("/etc/slackware-version", "slackware"),
            ] {
                if let Some(text) = self.text(path) {
                    self.named_by(id, path, &text);
                    let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
                    self.os.version = text.split_whitespace().find(is_version).map(Into::into);
                    return;
                }
            }
        }
    }

    fn named_by(&mut self, id: &str, path: &str, text: &str) {
        self.saw(path, text);
        self.os.id = Some(id.into());
    }

    /// Line 1 is the name, then `VERSION = 11` and `PATCHLEVEL = 4`.
    fn suse_release(&mut self, text: &str) {
        let name = text.lines().next().unwrap_or_default().trim().to_owned();
        let value = |key: &str| {
            text.lines().find_map(|line| {
                let (found, value) = line.split_once('=')?;
                (found.trim() == key).then(|| value.trim().to_owned())
            })
        };
        let is_enterprise = name.contains("Enterprise");
        self.named_by(if is_enterprise { "sles" } else { "opensuse" }, "/etc/SuSE-release", &name);
        self.os.version = match (value("VERSION"), value("PATCHLEVEL")) {
            (Some(version), Some(level)) if level != "0" => Some(format!("{version}.{level}")),
            (version, _) => version,
        };
        self.os.pretty_name = Some(name);
    }
}

fn id_of_redhat_release(line: &str) -> &'static str {
    [
        ("CentOS", "centos"),
        ("Red Hat", "rhel"),
        ("Fedora", "fedora"),
        ("Scientific", "scientific"),
        ("Rocky", "rocky"),
        ("AlmaLinux", "almalinux"),
        ("Anolis", "anolis"),
        ("Aliyun", "alinux"),
        ("Alibaba", "alinux"),
        ("Kylin", "kylin"),
    ]
    .iter()
    .find(|(text, _)| line.contains(text))
    .map_or("redhat-like", |(_, id)| id)
}

/// `7.9.2009` of `CentOS Linux release 7.9.2009 (Core)`.
fn version_after_release(line: &str) -> String {
    let after = line.split_once("release ").map_or("", |(_, rest)| rest);
    after.split_whitespace().next().unwrap_or_default().to_owned()
}

fn family(tree: &Tree, os: &OsInfo, known: Option<&Known>) -> Family {
    if let Some(known) = known {
        return known.family;
    }
    for like in &os.id_like {
        if let Some(family) = platform::family_named(like) {
            return family;
        }
    }
    let database = PACKAGE_DATABASES.iter().find(|(path, _)| tree.exists(path).unwrap_or(false));
    database.map_or(Family::OtherLinux, |(_, family)| *family)
}

/// Name and version for people: at most two numbers, as the published values have.
fn display(os: &OsInfo, known: Option<&Known>, name: Option<&str>) -> Option<String> {
    let name = match (known.and_then(|known| known.display), name) {
        (Some(name), _) => name,
        (None, Some(name)) => name,
        (None, None) => os.pretty_name.as_deref().or(os.id.as_deref())?,
    };
    let version = os.version.as_deref()?;
    let short: Vec<&str> = version.split('.').take(2).collect();
    Some(format!("{name} {}", short.join(".")))
}
