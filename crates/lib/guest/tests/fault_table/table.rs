//! What a row of the table is, and how it is judged.

use std::collections::BTreeMap;

use kiln_fixtures::phony::Phony;
use kiln_guest::{CHECKS, Declared, EXTRA_CHECKS, Inspection, Item, Level, Status, inspect, run};
use kiln_volume::Layout;

/// Makes a sound guest.
pub(crate) type Base = fn() -> Phony;

/// Plants a fault.
pub(crate) type Fault = fn(&mut Phony);

/// One planted fault.
pub(crate) struct Row {
    /// In the specification's table of planted faults.
    pub(crate) number: u32,
    /// What is planted, in few words.
    pub(crate) what: &'static str,
    /// The sound guest.
    pub(crate) base: Base,
    /// Plants it.
    pub(crate) fault: Fault,
    /// The item that must trip.
    pub(crate) item: &'static str,
    /// With which code.
    pub(crate) code: &'static str,
    /// How bad, or that it cannot be decided.
    pub(crate) grade: Grade,
    /// Other items that trip of necessity, and why they do.
    pub(crate) also: &'static [Also],
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grade {
    High,
    Medium,
    Unknown,
}

/// An item that changes with the row's own: its name, its code (empty: it passes or does not
/// apply), and why.
pub(crate) type Also = (&'static str, &'static str, &'static str);

/// What a look at a disk gives.
pub(crate) struct Looked {
    pub(crate) items: Vec<Item>,
    pub(crate) extra: Vec<Item>,
}

impl Looked {
    pub(crate) fn item(&self, name: &str) -> &Item {
        let full = format!("GUESTOS.{name}");
        let found = self.items.iter().chain(&self.extra).find(|item| item.name == full);
        found.unwrap_or_else(|| panic!("no item {name}"))
    }

    /// Status and code of each item, by name.
    fn verdicts(&self) -> BTreeMap<String, (Status, Option<String>)> {
        let verdict = |item: &Item| {
            let name = item.name.trim_start_matches("GUESTOS.").to_owned();
            (name, (item.status, item.risk_code.clone()))
        };
        self.items.iter().chain(&self.extra).map(verdict).collect()
    }
}

/// Inspect and judge a phony guest.
pub(crate) fn look(guest: &Phony) -> Looked {
    judged(&inspection(guest))
}

/// Inspect a phony guest.
pub(crate) fn inspection(guest: &Phony) -> Inspection {
    let declared = Declared {
        platform: guest.declared.platform.clone(),
        boot_mode: guest.declared.boot_mode.clone(),
        architecture: guest.declared.architecture.clone(),
        nvme: guest.declared.nvme,
    };
    inspect(guest.layout(), declared)
}

/// Inspect and judge a scanned disk.
pub(crate) fn look_at(layout: Layout, declared: Declared) -> Looked {
    judged(&inspect(layout, declared))
}

fn judged(inspection: &Inspection) -> Looked {
    Looked { items: run(inspection, CHECKS), extra: run(inspection, EXTRA_CHECKS) }
}

impl Row {
    /// What is wrong with kiln's answer; empty: nothing.
    pub(crate) fn judge(&self) -> Vec<String> {
        self.compare(&look(&(self.base)()), &look(&self.spoilt()))
    }

    /// The sound guest with the fault planted.
    pub(crate) fn spoilt(&self) -> Phony {
        let mut spoilt = (self.base)();
        (self.fault)(&mut spoilt);
        spoilt
    }

    /// Whether the row's own item says what it must.
    pub(crate) fn compare_item(&self, after: &Looked) -> Vec<String> {
        let mut wrong = Vec::new();
        let item = after.item(self.item);
        let grade = match (item.status, item.risk_level) {
            (Status::Risk, Some(Level::High)) => Some(Grade::High),
            (Status::Risk, Some(Level::Medium)) => Some(Grade::Medium),
            (Status::Unknown, _) => Some(Grade::Unknown),
            _ => None,
        };
        if (grade, item.risk_code.as_deref()) != (Some(self.grade), Some(self.code)) {
            wrong.push(format!(
                "row {} ({}): {} is {grade:?} {:?} and not {:?} {}: {} {:?}",
                self.number,
                self.what,
                self.item,
                item.risk_code,
                self.grade,
                self.code,
                item.message,
                item.evidence,
            ));
        }
        wrong
    }

    /// Compare what kiln says of the sound guest and of the spoilt one.
    pub(crate) fn compare(&self, before: &Looked, after: &Looked) -> Vec<String> {
        let mut wrong = self.compare_item(after);
        let (before, verdicts) = (before.verdicts(), after.verdicts());
        for (name, verdict) in &verdicts {
            if name == self.item {
                continue;
            }
            let code = verdict.1.as_deref().unwrap_or_default();
            match self.also.iter().find(|also| also.0 == name) {
                Some(also) if also.1 == code && Some(verdict) != before.get(name) => {}
                Some(also) => wrong.push(format!(
                    "row {} ({}): {name} should change to `{}` and is {verdict:?}",
                    self.number, self.what, also.1
                )),
                None if Some(verdict) == before.get(name) => {}
                None => wrong.push(format!(
                    "row {} ({}): {name} changed from {:?} to {verdict:?}: {}",
                    self.number,
                    self.what,
                    before.get(name),
                    after.item(name).message,
                )),
            }
        }
        wrong
    }
}

/// A guest whose virtio drivers are not all there at start-up is on no instance type.
pub(crate) const NEEDS_VIRTIO: Also =
    ("SupportMocInstanceTypes", "SupportMocInstanceTypes.Unsupported", "its table needs virtio");
