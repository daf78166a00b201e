//! What the items about the vendor's agents share: a program of the right architecture, and a
//! service that starts it.

use kiln_volume::{Result, Tree};

use super::{Evidence, Finding, Outcome};
use crate::{Guest, services};

/// As much of an ELF file as says what it is for.
const HEAD_BYTES: usize = 20;

/// The codes of an agent's item, and what it is called.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) title: &'static str,
    pub(super) not_installed: &'static str,
    pub(super) disabled: &'static str,
    pub(super) wrong_arch: &'static str,
    /// Any of them, enabled, will do.
    pub(super) services: &'static [&'static str],
    pub(super) install: &'static str,
}

/// Judge an agent whose program is at `program`; `None`: nowhere.
pub(super) fn judge(guest: &Guest, agent: &Agent, program: Option<String>) -> Result<Outcome> {
    let Some(path) = program else {
        let finding =
            Finding::medium(agent.not_installed, format!("{} is not installed", agent.title))
                .suggest(agent.install);
        return Ok(Outcome::judged(vec![finding], "Installed", "NotInstalled"));
    };
    let architecture = elf_architecture(&guest.tree, &path)?;
    let expected = guest.os.architecture.as_deref();
    if let (Some(found), Some(expected)) = (architecture, expected)
        && !runs_on(found, expected)
    {
        let message = format!("{path} is a program for {found} on a system for {expected}");
        let finding = Finding::medium(agent.wrong_arch, message)
            .seen(Evidence::file(&path, format!("ELF for {found}")))
            .suggest(format!("install the build for {expected}: {}", agent.install));
        return Ok(Outcome::judged(vec![finding], "Installed", "NotInstalled"));
    }
    let by = services::first_enabled(&guest.tree, agent.services)?;
    let Some((_, by)) = by else {
        let mut finding = Finding::medium(
            agent.disabled,
            format!("{} is installed, and no service starts it", agent.title),
        )
        .suggest(format!("enable {}", agent.services.first().unwrap_or(&"its service")))
        .seen(Evidence::file(&path, "the program"));
        for name in agent.services {
            let state = services::state(&guest.tree, name)?;
            finding = finding.seen(Evidence::note(format!("{name}: {state:?}")));
        }
        return Ok(Outcome { findings: vec![finding], ..Outcome::value("Installed") });
    };
    let notes = [Evidence::file(path, "the program"), Evidence::file(by, "starts it")];
    Ok(Outcome::value("Installed").noting(notes))
}

fn runs_on(program: &str, system: &str) -> bool {
    program == system || (program == "i386" && system == "x86_64")
}

/// Whether `path` is an executable ELF file.
pub(crate) fn is_program(tree: &Tree, path: &str) -> Result<bool> {
    let is_executable = tree.stat(path)?.is_some_and(|stat| stat.mode & 0o111 != 0);
    Ok(is_executable && elf_architecture(tree, path)?.is_some())
}

/// The architecture of an ELF file as kiln names it. `None`: not ELF.
pub(crate) fn elf_architecture(tree: &Tree, path: &str) -> Result<Option<&'static str>> {
    let Some(file) = tree.open(path)? else { return Ok(None) };
    let mut head = [0; HEAD_BYTES];
    let n = file.read_at(0, &mut head)?;
    Ok(architecture_of(&head[..n]))
}

/// The architecture of the ELF file that starts with `bytes`. `None`: not ELF.
pub(crate) fn architecture_of(bytes: &[u8]) -> Option<&'static str> {
    let head: &[u8; HEAD_BYTES] = bytes.first_chunk()?;
    // `e_machine`, little-endian on every architecture that matters here.
    head.starts_with(b"\x7fELF").then(|| match u16::from_le_bytes([head[18], head[19]]) {
        3 => "i386",
        62 => "x86_64",
        183 => "arm64",
        _ => "another architecture",
    })
}

/// The directories in `dir` that start with `prefix`, the highest version first.
pub(crate) fn versions(tree: &Tree, dir: &str, prefix: &str) -> Result<Vec<String>> {
    const MAX_VERSIONS: usize = 1000;
    let mut found: Vec<(Vec<u64>, String)> = Vec::new();
    for entry in tree.list(dir)?.into_iter().take(MAX_VERSIONS) {
        let name = entry.name_lossy();
        let Some(version) = name.strip_prefix(prefix) else { continue };
        let numbers = version
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|part| part.parse().ok())
            .collect::<Vec<u64>>();
        if !numbers.is_empty() {
            found.push((numbers, format!("{dir}/{name}")));
        }
    }
    found.sort();
    Ok(found.into_iter().rev().map(|(_, path)| path).collect())
}
