//! Running items and telling what they came to: the one place where an [`Outcome`] or an error
//! becomes an [`Item`].

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use kiln_volume::{Error, Result};

use super::{CHECKS, Check, EXTRA_CHECKS, Item, Level, Outcome, Status};
use crate::{Declared, Family, Guest, Inspection, OsInfo};

/// What reports put before the bare name of an item.
const PREFIX: &str = "GUESTOS.";

/// Items that have something to say where no operating system was found.
const ABOUT_THE_DISK: [&str; 2] = ["SystemImage", "BootMode"];

/// Items that identify any system, Windows and BSD included.
const ABOUT_ANY_SYSTEM: [&str; 3] = ["Platform", "OSVersion", "Architecture"];

/// Items about the vendor's own software and machines, which the vendor does not check on the
/// systems it does not cover.
const VENDOR_ITEMS: [&str; 3] =
    ["CloudAssistant", "SecurityCenterAgent", "SupportMocInstanceTypes"];

/// Judge `inspection` by each of `wanted`. One item a check, in that order: what cannot be looked
/// at, and what makes kiln itself fail, is [`Status::Unknown`] and does not stop the others.
///
/// Each item has a thread: two or three of them wait for the initramfs, which takes nearly all the
/// time of a check, and the others are done long before it is read.
pub fn run(inspection: &Inspection, wanted: &[&Check]) -> Vec<Item> {
    let judge = |check: &Check| item(check.name, outcome(inspection, check));
    thread::scope(|scope| {
        let running: Vec<_> =
            wanted.iter().map(|check| scope.spawn(move || judge(check))).collect();
        // `outcome` catches what an item throws; a panic that gets here is one in `item` itself.
        running
            .into_iter()
            .map(|item| item.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// The item of that name, in whatever case, with or without `GUESTOS.` before it.
pub fn find(name: &str) -> Option<&'static Check> {
    let name = bare(name);
    all().find(|check| check.name.eq_ignore_ascii_case(name))
}

/// The items of these names, each once and in the order of the report; the standard ones where there
/// is no name.
///
/// # Errors
///
/// The first name that no item has.
pub fn select(names: &[String]) -> std::result::Result<Vec<&'static Check>, &str> {
    if names.is_empty() {
        return Ok(CHECKS.to_vec());
    }
    let asked = names
        .iter()
        .map(|name| find(name).map(|check| check.name).ok_or(name.as_str()))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(all().filter(|check| asked.contains(&check.name)).collect())
}

/// The names of items that look like `name`, the likeliest first; for "did you mean".
pub fn suggest(name: &str) -> Vec<&'static str> {
    nearest(bare(name), all().map(|check| check.name))
}

/// Those of `known` that look like `name`, the likeliest first, three at most.
pub(crate) fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let name = name.to_ascii_lowercase();
    let mut near: Vec<(usize, &'static str)> = known
        .filter_map(|known| {
            let item = known.to_ascii_lowercase();
            let distance = distance(&name, &item);
            let is_part = name.len() >= 3 && (item.contains(&name) || name.contains(&item));
            (is_part || distance <= item.len() / 3).then_some((distance, known))
        })
        .collect();
    near.sort_unstable();
    near.into_iter().map(|(_, name)| name).take(3).collect()
}

fn all() -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().chain(EXTRA_CHECKS).copied()
}

fn bare(name: &str) -> &str {
    match name.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => name,
    }
}

/// Edits (insert, remove, replace) between two names. Names are short; a long one is cut.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST_NAME: usize = 64;
    let b: Vec<char> = b.chars().take(LONGEST_NAME).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(LONGEST_NAME).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let best = (diagonal + usize::from(x != *y)).min(*above + 1).min(left + 1);
            diagonal = *above;
            *above = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

fn outcome(inspection: &Inspection, check: &Check) -> Result<Outcome> {
    if let Some(why) = not_applicable(inspection, check.name) {
        return Ok(Outcome::not_applicable(why));
    }
    // A defect of kiln's in one item must not cost the user the other seventeen.
    catch_unwind(AssertUnwindSafe(|| (check.run)(inspection))).unwrap_or_else(|panic| {
        let why = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(Error::unsupported(format!("kiln failed in the item {}: {why}", check.name))
            .hint("this is a defect of kiln: please report it with the layout of the disk"))
    })
}

fn not_applicable(inspection: &Inspection, item: &str) -> Option<String> {
    if ABOUT_THE_DISK.contains(&item) {
        return None;
    }
    let Some(guest) = inspection.guest() else {
        return Some("no operating system found".into());
    };
    if VENDOR_ITEMS.contains(&item) && !is_covered(guest, &inspection.declared) {
        return Some("os_not_covered".into());
    }
    if ABOUT_ANY_SYSTEM.contains(&item) {
        return None;
    }
    match guest.os.family {
        Family::Windows => Some("a Windows system, and this item is about Linux".into()),
        Family::Bsd => Some("a BSD system, and this item is about Linux".into()),
        _ => None,
    }
}

/// Whether the vendor's check looks at such a system at all (published list).
fn is_covered(guest: &Guest, declared: &Declared) -> bool {
    let declared = declared.platform.as_deref().unwrap_or("");
    if declared.eq_ignore_ascii_case("Customized Linux") {
        return false;
    }
    let OsInfo { id, version, variant, architecture, .. } = &guest.os;
    let major: Option<u32> = version.as_deref().and_then(|version| {
        version.split(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty())?.parse().ok()
    });
    let major_in = |from: u32, to: u32| major.is_some_and(|major| (from..=to).contains(&major));
    let is = |text: &str| version.as_deref().is_some_and(|version| version.starts_with(text));
    match id.as_deref().unwrap_or("") {
        "gentoo" | "solaris" | "mars" => false,
        "lifsea" | "lifseaos" => !(major_in(3, 3) || major_in(10, 10)),
        "freebsd" => !(major_in(8, 12) || is("13.0")),
        "coreos" => !major_in(681, 2345),
        "fedora" if variant.as_deref() == Some("coreos") => !major_in(33, 34),
        "windows" => {
            let is_32_bit = architecture.as_deref() == Some("i386");
            !(is("5.2") || is("6.0") || is_32_bit)
        }
        _ => true,
    }
}

fn item(name: &str, outcome: Result<Outcome>) -> Item {
    match outcome {
        Ok(outcome) => from_outcome(name, outcome),
        Err(error) => Item {
            name: format!("{PREFIX}{name}"),
            value: "Unknown".into(),
            status: Status::Unknown,
            risk_level: None,
            risk_code: None,
            message: chain(&error),
            evidence: Vec::new(),
            suggestion: error.hint_text().map(str::to_owned),
        },
    }
}

/// The error with its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

fn from_outcome(name: &str, outcome: Outcome) -> Item {
    let status = outcome.status();
    let mut item = Item {
        name: format!("{PREFIX}{name}"),
        value: outcome.value.clone(),
        status,
        risk_level: None,
        risk_code: None,
        message: String::new(),
        evidence: Vec::new(),
        suggestion: None,
    };
    match status {
        Status::NotApplicable => {
            item.value.clear();
            item.message = outcome.not_applicable.unwrap_or_default();
        }
        Status::Unknown => {
            let (code, why) = outcome.unknown.unwrap_or_default();
            item.risk_code = code.map(str::to_owned);
            item.message = why;
        }
        Status::Pass => {}
        Status::Risk => tell_findings(&mut item, &outcome),
    }
    item.evidence.extend(outcome.evidence);
    // Two findings in one line of a file have been seen in the same place.
    let mut seen = HashSet::new();
    item.evidence.retain(|evidence| seen.insert(evidence.clone()));
    item
}

fn tell_findings(item: &mut Item, outcome: &Outcome) {
    let mut findings: Vec<_> = outcome.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level)); // stable: of equals, the first
    let Some((worst, others)) = findings.split_first() else { return };
    item.risk_level = Some(worst.level);
    item.risk_code = Some(worst.code.to_owned());
    item.message.clone_from(&worst.message);
    if !others.is_empty() {
        item.message.push_str(&format!(" (and {} more)", others.len()));
    }
    item.evidence.extend(worst.evidence.iter().cloned());
    for other in others {
        let text = format!("{} ({:?}): {}", other.code, other.level, other.message);
        let first = other.evidence.first();
        item.evidence.push(super::Evidence {
            path: first.and_then(|seen| seen.path.clone()),
            line: first.and_then(|seen| seen.line),
            text,
        });
        item.evidence.extend(other.evidence.iter().cloned());
    }
    if let Some((_, why)) = &outcome.unknown {
        item.evidence.push(super::Evidence::note(format!("not all could be looked at: {why}")));
    }
    let mut suggestions: Vec<&str> =
        findings.iter().filter_map(|finding| finding.suggestion.as_deref()).collect();
    let mut told = std::collections::HashSet::new();
    suggestions.retain(|text| told.insert(*text));
    item.suggestion = (!suggestions.is_empty()).then(|| suggestions.join("; "));
}

/// How many items came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Nothing wrong.
    pub passed: usize,
    /// At risk, and the instance may not start.
    pub high: usize,
    /// At risk, and start-up speed or configuration suffers.
    pub medium: usize,
    /// Could not be decided.
    pub unknown: usize,
    /// Say nothing about the image.
    pub not_applicable: usize,
}

impl Summary {
    /// Count `items`.
    pub fn of(items: &[Item]) -> Self {
        let mut summary = Self::default();
        for item in items {
            *match (item.status, item.risk_level) {
                (Status::Pass, _) => &mut summary.passed,
                (Status::Risk, Some(Level::Medium)) => &mut summary.medium,
                (Status::Risk, _) => &mut summary.high,
                (Status::Unknown, _) => &mut summary.unknown,
                (Status::NotApplicable, _) => &mut summary.not_applicable,
            } += 1;
        }
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Evidence, Finding};

    fn run_one(run: fn(&Inspection) -> Result<Outcome>) -> Item {
        // `SystemImage` is the name under which an item runs without a system.
        let check = Check { name: "SystemImage", summary: "", run };
        run_all(&Inspection::default(), &check)
    }

    fn run_all(inspection: &Inspection, check: &Check) -> Item {
        super::run(inspection, &[check]).remove(0)
    }

    #[test]
    fn names_are_found_in_any_case_and_with_prefix() {
        for name in ["Fstab", "fstab", "GUESTOS.Fstab", "guestos.FSTAB"] {
            assert_eq!(find(name).map(|check| check.name), Some("Fstab"), "{name}");
        }
        assert!(find("Fstabs").is_none() && find("GUESTOS.").is_none() && find("").is_none());
        assert_eq!(suggest("fstb"), ["Fstab"]);
        assert_eq!(suggest("GUESTOS.clodinit"), ["CloudInit"]);
        assert_eq!(suggest("assistant"), ["CloudAssistant"]);
        assert_eq!(suggest("zzzzzz"), [] as [&str; 0]);
    }

    #[test]
    fn the_worst_finding_leads_and_all_are_told() {
        let item = run_one(|_| {
            let medium = Finding::medium("A.Slow", "slow").suggest("do a");
            let high = Finding::high("A.Dead", "dead").seen(Evidence::line("/x", 3, "y"));
            Ok(Outcome::judged(vec![medium, high], "Valid", "Invalid")
                .noting([Evidence::note("more")]))
        });
        insta::assert_json_snapshot!(item, @r#"
        {
          "name": "GUESTOS.SystemImage",
          "value": "Invalid",
          "status": "risk",
          "riskLevel": "High",
          "riskCode": "A.Dead",
          "message": "dead (and 1 more)",
          "evidence": [
            {
              "path": "/x",
              "line": 3,
              "text": "y"
            },
            {
              "path": null,
              "line": null,
              "text": "A.Slow (Medium): slow"
            },
            {
              "path": null,
              "line": null,
              "text": "more"
            }
          ],
          "suggestion": "do a"
        }
        "#);
    }

    #[test]
    fn an_error_is_unknown_with_its_hint() {
        let item = run_one(|_| Err(Error::corrupt("inode 12 is broken").hint("run fsck")));
        assert_eq!((item.status, item.risk_code), (Status::Unknown, None));
        assert_eq!(item.message, "inode 12 is broken");
        assert_eq!(item.suggestion.as_deref(), Some("run fsck"));
    }

    #[test]
    fn a_panic_is_unknown_and_names_the_item() {
        let item = run_one(|_| panic!("index 3"));
        assert_eq!(item.status, Status::Unknown);
        assert_eq!(item.message, "kiln failed in the item SystemImage: index 3");
    }

    #[test]
    fn without_a_system_only_the_disk_is_judged() {
        let pass = |name| Check { name, summary: "", run: |_| Ok(Outcome::value("x")) };
        for (name, status) in [
            ("SystemImage", Status::Pass),
            ("BootMode", Status::Pass),
            ("Platform", Status::NotApplicable),
            ("Fstab", Status::NotApplicable),
        ] {
            assert_eq!(run_all(&Inspection::default(), &pass(name)).status, status, "{name}");
        }
        let item = run_all(&Inspection::default(), &pass("Fstab"));
        assert_eq!(item.message, "no operating system found");
    }

    #[test]
    fn summaries_count_by_status_and_level() {
        let items = [
            run_one(|_| Ok(Outcome::value("x"))),
            run_one(|_| Ok(Outcome::not_applicable("y"))),
            run_one(|_| Ok(Outcome::unknown(Some("A.B"), "z"))),
            run_one(|_| Ok(Outcome::judged(vec![Finding::medium("A.C", "m")], "a", "b"))),
        ];
        let expected = Summary { passed: 1, high: 0, medium: 1, unknown: 1, not_applicable: 1 };
        assert_eq!(Summary::of(&items), expected);
    }
}
