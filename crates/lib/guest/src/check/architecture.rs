//! `GUESTOS.Architecture`: for which processor the programs are, confirmed by the kernel.
//!
//! Only x86_64, arm64 and i386 machines exist on the platform.

use super::{Check, Evidence, Finding, Outcome};
use crate::inspect::architecture;
use crate::{Inspection, Result};

pub(super) static ARCHITECTURE: Check = Check {
    name: "Architecture",
    summary: "the programs and the kernel are for a processor that the platform has",
    run,
};

fn run(inspection: &Inspection) -> Result<Outcome> {
    let guest = match super::system(inspection) {
        Ok(guest) => guest,
        Err(outcome) => return Ok(*outcome),
    };
    let programs = guest.os.architecture.as_deref();
    let path = guest.boot.default_entry().and_then(|entry| entry.kernel.as_deref());
    let kernel = match path {
        Some(path) => architecture::of_file(&guest.tree, path)?,
        None => None,
    };
    if programs.is_none()
        && kernel.is_none()
        && let Some(why) = guest.os.why_unread()
    {
        return Ok(Outcome::unknown(None, why));
    }
    let mut evidence: Vec<Evidence> = guest
        .os
        .sources
        .iter()
        .filter(|(_, text)| text.starts_with("is a program for"))
        .map(|(path, text)| Evidence::file(path, text))
        .collect();
    if let (Some(path), Some(kernel)) = (path, kernel) {
        evidence.push(Evidence::file(path, format!("is a kernel for {kernel}")));
    }
    Ok(judge(programs, kernel, inspection.declared.architecture.as_deref()).noting(evidence))
}

fn judge(programs: Option<&str>, kernel: Option<&str>, declared: Option<&str>) -> Outcome {
    // Programs of 32 bit run on a kernel of 64 bit; the instance is what the programs are.
    let Some(found) = programs.or(kernel) else {
        let message = "no program and no kernel tells its processor";
        let findings = vec![Finding::high("Architecture.Unknown", message)];
        return Outcome { findings, ..Outcome::value("Unknown") };
    };
    let mut outcome = Outcome::value(found);
    if !matches!(found, "x86_64" | "arm64" | "i386") {
        let message =
            format!("the programs are for {found}, which the platform has no machines of");
        outcome.findings.push(Finding::high("Architecture.Unknown", message));
    } else if let Some(declared) = declared
        && declared != found
    {
        let text = format!("declared as {declared}, and the programs are for {found}");
        outcome.evidence.push(Evidence::note(text));
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_that_cannot_be_told_is_high() {
        let outcome = judge(None, None, None);
        let worst = outcome.worst().unwrap();
        assert_eq!(worst.code, "Architecture.Unknown");
        assert_eq!(worst.message, "no program and no kernel tells its processor");
        assert_eq!(
            judge(Some("riscv64"), None, None).worst().unwrap().code,
            "Architecture.Unknown"
        );
        assert_eq!(judge(Some("i386"), Some("x86_64"), None), Outcome::value("i386"));
        assert_eq!(judge(None, Some("arm64"), Some("arm64")), Outcome::value("arm64"));
    }
}
