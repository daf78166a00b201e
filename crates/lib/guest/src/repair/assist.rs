//! `assist`: an agent that runs the user's commands in the instance is there and starts.
//!
//! The vendor's from the bundle, as a package or an archive; where there is none, kiln's own, which
//! the caller hands over with the bundle. Where an agent is there and only held back, its service is
//! enabled and nothing installed.

use std::sync::Arc;

use kiln_volume::Error;

use super::bundle::Key;
use super::edit::{Attributes, Content};
use super::package::{Body, PackedFile, archive, install};
use super::refusal::{Refusal, codes};
use super::service::{self, Run, Service};
use super::{Draft, Repair, Stop, units};
use crate::check::agent;
use crate::check::cloud_assistant::{CLOUD_ASSISTANT, HOMES, OWN_PROGRAM, OWN_SERVICE};
use crate::services;

pub(super) static ASSIST: Repair = Repair {
    name: "assist",
    items: &["CloudAssistant"],
    summary: "install and enable the Cloud Assistant agent, or kiln's own",
    plan,
};

const REASON: &str = "instances are managed through the Cloud Assistant agent";
const PROGRAM: &str = "aliyun-service";
/// What the vendor calls its package, for Debian's family and for others.
const PACKAGES: [&str; 2] = ["aliyun-assist", "aliyun_assist"];
/// Where the unit and people find the program of the newest version.
const LINK: &str = "/usr/sbin/aliyun-service";
/// The port that an instance's host talks to kiln's own agent on.
const OWN_PORT: &str = "/dev/virtio-ports/kiln";

fn plan(draft: &mut Draft) -> Result<(), Stop> {
    let outcome = (CLOUD_ASSISTANT.run)(draft.inspection())?;
    match outcome.worst().map(|finding| finding.code) {
        None => Ok(()),
        Some("CloudAssistant.Disabled") => start(draft),
        Some(_) => install_agent(draft),
    }
}

/// Enable what is installed. The program may be all that is left of an installation.
fn start(draft: &mut Draft) -> Result<(), Stop> {
    for name in ["aliyun.service", PROGRAM, OWN_SERVICE] {
        if units::enable(draft, name, REASON)? {
            return Ok(());
        }
    }
    match newest(draft)? {
        Some(program) => Ok(vendors_service(draft, &program)?),
        None => Ok(own_service(draft)?),
    }
}

fn install_agent(draft: &mut Draft) -> Result<(), Stop> {
    let key = Key::of(draft.guest()?);
    let architecture = key.architecture().to_owned();
    let bundle = draft.bundle();
    if let Some(name) = PACKAGES.into_iter().find(|name| bundle.has_package(&key, name)) {
        retire_foreign(draft, &architecture)?;
        install(draft, &[name], REASON)?;
        if draft.options().exec {
            return Ok(());
        }
        return match newest(draft)? {
            Some(program) => Ok(vendors_service(draft, &program)?),
            None => Err(no_agent_in(name)),
        };
    }
    if let Some((file, bytes)) = bundle.files_of_agent("assist", &architecture).next() {
        retire_foreign(draft, &architecture)?;
        return from_archive(draft, file, bytes, &architecture);
    }
    match bundle.own_agent(&architecture) {
        Some(program) => own_agent(draft, program),
        None => {
            let reason = format!(
                "the bundle has no agent for {architecture} in assist/{architecture}/, and this kiln \
                 has none of its own for it"
            );
            Err(Refusal::new(codes::NO_BUNDLE, reason)
                .hint(
                    "put the vendor's package or archive there and give the directory as --bundle",
                )
                .into())
        }
    }
}

fn no_agent_in(what: &str) -> Stop {
    let reason = format!("{what} of the bundle has no {PROGRAM} for the guest's architecture");
    Refusal::new(codes::NO_BUNDLE, reason).into()
}

/// The program of the newest version that is installed.
fn newest(draft: &Draft) -> Result<Option<String>, Error> {
    let tree = draft.tree()?;
    for home in HOMES {
        for version in agent::versions(tree, home, "")? {
            let path = format!("{version}/{PROGRAM}");
            if agent::is_program(tree, &path)? {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

/// The newest version is the one that counts, even where it cannot run.
fn retire_foreign(draft: &mut Draft, architecture: &str) -> Result<(), Error> {
    while let Some(path) = newest(draft)? {
        if agent::elf_architecture(draft.tree()?, &path)? == Some(architecture) {
            break;
        }
        draft.retire(&path, "a program for another architecture hides those that run")?;
    }
    Ok(())
}

/// Unpack the directory of the archive that has the program to where a version has its home.
fn from_archive(
    draft: &mut Draft,
    file: &str,
    bytes: &Arc<[u8]>,
    architecture: &str,
) -> Result<(), Stop> {
    let files = archive(bytes).map_err(|error| error.in_location(file))?;
    let is_it = |packed: &&PackedFile| {
        packed.path.rsplit('/').next() == Some(PROGRAM)
            && matches!(&packed.body, Body::File(content)
                if agent::architecture_of(content.bytes()) == Some(architecture))
    };
    let Some(program) = files.iter().find(is_it) else { return Err(no_agent_in(file)) };
    let directory = program.path.trim_end_matches(PROGRAM);
    let Some(version) = version_in(directory).or_else(|| version_in(file)) else {
        let reason = format!("{file}: neither its name nor a directory in it has the version");
        return Err(Refusal::new(codes::NO_BUNDLE, reason)
            .hint(format!("name it like aliyun-assist-2.2.3.967.tar.gz: {file}"))
            .into());
    };
    let home = format!("{}/{version}", HOMES[0]);
    let reason = format!("install Cloud Assistant {version}: {REASON}");
    for packed in &files {
        let Some(rest) = packed.path.strip_prefix(directory).filter(|rest| !rest.is_empty()) else {
            continue;
        };
        let (path, attributes) = (format!("{home}/{rest}"), Attributes::root(packed.mode));
        match &packed.body {
            Body::Directory => draft.install_directory(&path, attributes, &reason)?,
            Body::Symlink(target) => draft.install_link(&path, target, &reason)?,
            Body::File(content) => {
                let is_program = rest == PROGRAM;
                let mode = if is_program { packed.mode | 0o755 } else { packed.mode };
                let content = content.clone().from_source(file);
                draft.install_file(&path, content, Attributes::root(mode), &reason)?;
            }
        }
    }
    match newest(draft)? {
        Some(program) => Ok(vendors_service(draft, &program)?),
        None => Err(no_agent_in(file)),
    }
}

/// A run of numbers with dots that is a version: the last one of the text.
fn version_in(text: &str) -> Option<&str> {
    let mut parts =
        text.split(|c: char| !c.is_ascii_digit() && c != '.').map(|part| part.trim_matches('.'));
    parts.rfind(|part| part.contains('.'))
}

/// Link and service of the vendor's agent, where its package left them to its own scripts.
fn vendors_service(draft: &mut Draft, program: &str) -> Result<(), Error> {
    draft.install_link(LINK, program, REASON)?;
    for name in ["aliyun.service", PROGRAM] {
        if units::enable(draft, name, REASON)? {
            return Ok(());
        }
    }
    let has_systemd = services::has_systemd(draft.tree()?)?;
    let vendors = Service {
        name: if has_systemd { "aliyun" } else { PROGRAM },
        description: "Cloud Assistant",
        command: LINK,
        run: Run::Always(None),
    };
    service::add(draft, &vendors, REASON)
}

fn own_agent(draft: &mut Draft, program: &Arc<[u8]>) -> Result<(), Stop> {
    let content = Content::sharing(Arc::clone(program)).from_source("kiln's own agent");
    draft.install_file(OWN_PROGRAM, content, Attributes::root(0o755), REASON)?;
    Ok(own_service(draft)?)
}

fn own_service(draft: &mut Draft) -> Result<(), Error> {
    let own = Service {
        name: OWN_SERVICE,
        description: "kiln's agent",
        command: &format!("{OWN_PROGRAM} assist"),
        // Without a host that speaks to it there is nothing for it to do.
        run: Run::Always(Some(OWN_PORT)),
    };
    service::add(draft, &own, REASON)
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn versions_are_found_in_directories_and_file_names() {
        for (text, version) in [
            ("/2.2.3.967/", Some("2.2.3.967")),
            ("/aliyun-assist/2.2.3.967/", Some("2.2.3.967")),
            ("assist/x86_64/aliyun_assist_2.2.3.967.tar.gz", Some("2.2.3.967")),
            ("assist/x86_64/agent.tar.gz", None),
            ("/", None),
        ] {
            assert_eq!(version_in(text), version, "{text}");
        }
    }
}
