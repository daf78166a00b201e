//! Planning: each repair in turn over the staged guest, and every item's judgement of the result.

use super::draft::{Draft, GuestCommand};
use super::edit::Edit;
use super::refusal::{Refusal, codes};
use super::staging::Staging;
use super::{Bundle, Options, Repair, manifest, space};
use crate::{CHECKS, Inspection, Item, Level, Status, find, run};

/// What repairs would do to a guest.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One a repair that was asked for, in the order of planning.
    pub steps: Vec<Step>,
    /// The manifest, after everything else.
    pub closing: Vec<Edit>,
    /// What the items say of the guest as it is.
    pub before: Vec<Item>,
    /// What they will say of it.
    pub after: Vec<Item>,
}

/// What one repair came to.
#[derive(Clone, Debug)]
pub struct Step {
    /// [`Repair::name`].
    pub repair: &'static str,
    /// The first of [`Repair::items`].
    pub item: &'static str,
    /// What it came to.
    pub result: StepResult,
}

/// What a repair came to.
#[derive(Clone, Debug)]
pub enum StepResult {
    /// Its items pass already or say nothing about such a system, what they say is what the caller asked
    /// for, or what they say is not for it to mend: which of these, in a word.
    Skipped(&'static str),
    /// These edits mend its item.
    Planned {
        /// In their order.
        edits: Vec<Edit>,
        /// Programs of the guest that run after all edits.
        commands: Vec<GuestCommand>,
        /// What the item still says afterwards, where it got better and does not pass.
        left: Option<String>,
    },
    /// It is not made.
    Refused(Refusal),
}

impl Step {
    /// Its edits; none unless it is planned.
    pub fn edits(&self) -> &[Edit] {
        match &self.result {
            StepResult::Planned { edits, .. } => edits,
            _ => &[],
        }
    }

    /// The programs that it runs.
    pub fn commands(&self) -> &[GuestCommand] {
        match &self.result {
            StepResult::Planned { commands, .. } => commands,
            _ => &[],
        }
    }
}

impl Plan {
    /// All edits in the order in which they are made.
    pub fn edits(&self) -> Vec<Edit> {
        self.steps.iter().flat_map(Step::edits).chain(&self.closing).cloned().collect()
    }

    /// Programs of the guest that run after the edits.
    pub fn commands(&self) -> Vec<GuestCommand> {
        self.steps.iter().flat_map(Step::commands).cloned().collect()
    }

    /// Whether nothing would be done.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| step.edits().is_empty() && step.commands().is_empty())
    }

    /// Every repair that is refused, with why.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, &Refusal)> {
        self.steps.iter().filter_map(|step| match &step.result {
            StepResult::Refused(refusal) => Some((step.repair, refusal)),
            _ => None,
        })
    }
}

/// Plan `repairs`, in their order, on the guest that `inspection` chose. Reads only.
///
/// A repair that is refused, does not mend its item or makes another one worse leaves no edit.
///
/// # Errors
///
/// A refusal of the whole: an image on which nothing can be repaired.
pub fn plan(
    inspection: &Inspection,
    repairs: &[&'static Repair],
    options: &Options,
    bundle: &Bundle,
) -> Result<Plan, Refusal> {
    let before = run(inspection, CHECKS);
    refuse_whole(inspection, &before)?;
    let mut planner = Planner {
        staging: Staging::new(inspection),
        options,
        bundle,
        now: before.clone(),
        added: space::Added::new(),
    };
    let steps: Vec<Step> = repairs.iter().map(|repair| planner.step(repair)).collect();
    let closing = planner.close(&steps)?;
    Ok(Plan { steps, closing, before, after: planner.now })
}

/// What makes every repair impossible.
fn refuse_whole(inspection: &Inspection, items: &[Item]) -> Result<(), Refusal> {
    if let Some(evidence) = &inspection.windows {
        let reason = format!("a Windows system, and this version repairs Linux: {evidence}");
        return Err(Refusal::new(codes::UNSUPPORTED_OS, reason));
    }
    let system_image = items.iter().find(|item| item.name == "GUESTOS.SystemImage");
    if let Some(item) = system_image.filter(|item| item.value == "Invalid") {
        let code = item.risk_code.as_deref().unwrap_or("SystemImage");
        let reason = format!("nothing to repair: {code}: {}", item.message);
        let refusal = Refusal::new(codes::SYSTEM_IMAGE_INVALID, reason);
        return Err(Refusal { hint: item.suggestion.clone(), ..refusal });
    }
    let Some(guest) = inspection.guest() else {
        let reason = "nothing to repair: no operating system was found";
        return Err(Refusal::new(codes::SYSTEM_IMAGE_INVALID, reason));
    };
    if !guest.os.family.is_linux() {
        let reason = format!("a {:?} system, and kiln repairs Linux", guest.os.family);
        return Err(Refusal::new(codes::UNSUPPORTED_OS, reason));
    }
    let architecture = guest.os.architecture.as_deref().unwrap_or("unknown");
    if !matches!(architecture, "x86_64" | "arm64") {
        let reason = format!("the system is for {architecture}, and instances are x86_64 or arm64");
        return Err(Refusal::new(codes::UNSUPPORTED_ARCH, reason));
    }
    if let Some(deployment) = &guest.ostree_deployment {
        let reason = format!("an ostree system ({deployment}): its files are made from a commit");
        return Err(Refusal::new(codes::IMMUTABLE_OS, reason)
            .hint("change the commit or the build that the image is made from"));
    }
    Ok(())
}

struct Planner<'a> {
    staging: Staging,
    options: &'a Options,
    bundle: &'a Bundle,
    /// What the items say of the guest as it is staged.
    now: Vec<Item>,
    /// Bytes that the edits so far add, by the index of the guest's filesystem.
    added: space::Added,
}

impl Planner<'_> {
    fn step(&mut self, repair: &'static Repair) -> Step {
        let result = self.attempt(repair).unwrap_or_else(StepResult::Refused);
        Step {
            repair: repair.name,
            item: repair.items.first().copied().unwrap_or_default(),
            result,
        }
    }

    fn attempt(&mut self, repair: &Repair) -> Result<StepResult, Refusal> {
        if self.reported(repair).is_empty() {
            let is_not_applicable = |name: &&str| {
                item_of(&self.now, name).is_some_and(|item| item.status == Status::NotApplicable)
            };
            let is_for_none = repair.items.iter().all(is_not_applicable);
            return Ok(StepResult::Skipped(match is_for_none {
                true => "not_applicable",
                false => "already_ok",
            }));
        }
        let mark = self.staging.mark();
        let added = self.added.clone();
        let result = self.attempt_edits(repair);
        if result.is_err() {
            self.staging.rewind(mark);
            self.added = added;
        }
        result
    }

    fn attempt_edits(&mut self, repair: &Repair) -> Result<StepResult, Refusal> {
        let before = codes_of(self.staging.inspection(), repair);
        let mut draft = Draft::new(&mut self.staging, self.options, self.bundle);
        (repair.plan)(&mut draft)?;
        let kept = draft.kept();
        let (edits, commands) = draft.finish();
        if edits.is_empty() && commands.is_empty() {
            let reported = self.reported(repair);
            let is_kept = |item: &&Item| kept.is_some() && item.risk_code.as_deref() == kept;
            if !reported.is_empty() && reported.iter().all(is_kept) {
                return Ok(StepResult::Skipped("as_asked"));
            }
            // A swap partition is the owner's choice, and a boot mode that was declared wrong is
            // nothing on the disk: neither may stop the repairs that instances need.
            let is_tolerable =
                |item: &&Item| rank(item) == MEDIUM || !is_named(item, repair.items.first());
            if reported.iter().all(is_tolerable) {
                return Ok(StepResult::Skipped("nothing_to_do"));
            }
            let reason = reported.first().map_or("nothing to do", |item| item.message.as_str());
            return Err(Refusal::new(
                codes::NOT_MENDED,
                format!("kiln cannot mend this: {reason}"),
            ));
        }
        if let Some(guest) = self.staging.inspection().guest() {
            space::check(&guest.tree.clone(), &edits, &mut self.added)?;
        }
        self.staging.look_again_after(&edits);
        let after = run(self.staging.inspection(), CHECKS);
        let left = if commands.is_empty() {
            self.judge(repair, kept, &before, &after)?
        } else {
            // What the guest's own programs will make of it is seen when they have run.
            None
        };
        self.now = after;
        Ok(StepResult::Planned { edits, commands, left })
    }

    /// Its items that say something is wrong, or could not look.
    fn reported(&self, repair: &Repair) -> Vec<&Item> {
        let items = repair.items.iter().filter_map(|name| item_of(&self.now, name));
        items.filter(|item| rank(item) > 0).collect()
    }

    /// What its items still say, where they are mended, better or as the caller asked (`kept`), and no
    /// other one is worse.
    fn judge(
        &self,
        repair: &Repair,
        kept: Option<&str>,
        codes_before: &[&'static str],
        after: &[Item],
    ) -> Result<Option<String>, Refusal> {
        let worse = worse(&self.now, after);
        if !worse.is_empty() {
            let reason = format!("{} would get worse", worse.join(", "));
            return Err(Refusal::new(codes::REGRESSED, reason));
        }
        let reported = self.reported(repair);
        let left: Vec<&Item> = repair
            .items
            .iter()
            .filter_map(|name| item_of(after, name).filter(|item| rank(item) > 0))
            .collect();
        let Some(worst) = left.first() else { return Ok(None) };
        let is_better = |before: &&Item| {
            let now = after.iter().find(|item| item.name == before.name);
            now.is_none_or(|now| rank(now) < rank(before))
        };
        // A finding less is better too, where another of the same level keeps the item at risk.
        let codes_after = codes_of(self.staging.inspection(), repair);
        let count = |codes: &[&str], code| codes.iter().filter(|found| **found == code).count();
        let has_fewer =
            codes_before.iter().any(|code| count(&codes_after, *code) < count(codes_before, *code));
        let is_changed = self.options.best_effort && left != reported;
        if reported.iter().any(is_better) || has_fewer || is_changed {
            let told =
                |item: &&Item| item.risk_code.clone().unwrap_or_else(|| item.message.clone());
            return Ok(Some(left.iter().map(told).collect::<Vec<_>>().join(", ")));
        }
        let code = worst.risk_code.as_deref().unwrap_or_default();
        if kept.is_some_and(|kept| kept == code) {
            return Ok(Some(code.to_owned()));
        }
        let reason = format!("{} would still say {code}: {}", worst.name, worst.message);
        let refusal = Refusal::new(codes::NOT_MENDED, reason);
        Err(Refusal { hint: worst.suggestion.clone(), ..refusal })
    }

    /// The manifest of what was planned.
    fn close(&mut self, steps: &[Step]) -> Result<Vec<Edit>, Refusal> {
        let nothing = steps.iter().all(|step| step.edits().is_empty());
        if !self.options.backup || nothing {
            return Ok(Vec::new());
        }
        // The manifest itself is not kept aside: it holds what earlier runs did.
        let options = Options { backup: false, ..self.options.clone() };
        let mut draft = Draft::new(&mut self.staging, &options, self.bundle);
        manifest::record(&mut draft, steps)?;
        Ok(draft.finish().0)
    }
}

/// The codes of all that the items of a repair find, one a finding.
fn codes_of(inspection: &Inspection, repair: &Repair) -> Vec<&'static str> {
    let checks = repair.items.iter().filter_map(|name| find(name));
    let outcomes = checks.filter_map(|check| (check.run)(inspection).ok());
    outcomes.flat_map(|outcome| outcome.findings).map(|finding| finding.code).collect()
}

fn is_named(item: &Item, name: Option<&&'static str>) -> bool {
    name.is_some_and(|name| item.name.strip_prefix("GUESTOS.") == Some(*name))
}

fn item_of<'a>(items: &'a [Item], name: &str) -> Option<&'a Item> {
    items.iter().find(|item| item.name.strip_prefix("GUESTOS.") == Some(name))
}

const MEDIUM: u8 = 1;

/// How bad an item is. What could not be looked at is worse than a small risk: a repair that makes an
/// item unreadable has broken something.
fn rank(item: &Item) -> u8 {
    match (item.status, item.risk_level) {
        (Status::Pass | Status::NotApplicable, _) => 0,
        (Status::Risk, Some(Level::Medium)) => MEDIUM,
        (Status::Unknown, _) => 2,
        (Status::Risk, _) => 3,
    }
}

/// The items that are worse in `after`, as `Name (Code)`.
pub fn worse(before: &[Item], after: &[Item]) -> Vec<String> {
    let is_worse = |item: &&Item| {
        let known = before.iter().find(|known| known.name == item.name);
        rank(item) > known.map_or(0, rank)
    };
    let tell = |item: &Item| {
        let why = item.risk_code.as_deref().unwrap_or(&item.message);
        format!("{} ({why})", item.name)
    };
    after.iter().filter(is_worse).map(tell).collect()
}
