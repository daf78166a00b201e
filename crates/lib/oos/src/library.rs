//! The templates that kiln ships: a cloud product action, or a public template to start by name.
//!
//! A product action such as `ACS::ECS::RunCommand` is no code of the engine but a template that it
//! runs as a child; the template here is its definition. They are part of the program, so that
//! what a template means does not depend on what is installed beside it.
//!
//! # The rule of cleaning up
//!
//! Who fails leaves behind what it was asked for, as far as it is sound, and nothing else:
//!
//! * Means to an end (an instance, a disk, a snapshot, a network) are deleted by the template that
//!   made them, whichever later task fails or is cancelled.
//! * A product that never became usable (an image that was not available in time) is deleted by
//!   the action that made it: the task that called the action learns its ID only on success.
//! * A sound product stays, also where a later step fails: its ID is among the outputs, which are
//!   evaluated in any case. To lose the image because a copy of it failed would help nobody.
//!
//! A task that can leave something behind says where its clean-up begins, in `OnError` and
//! `OnCancel`; the clean-up is a tail of the list, and success ends before it or passes through it.
//! A task that makes something by one call names a clean-up for `OnCancel` as well: the call under
//! way comes to its end, and what it made would be nobody's. Where it made nothing the ID is null,
//! and a deletion without its ID is refused by the service and deletes nothing.
//! A clean-up task carries `Risk: Normal`, since nobody has to agree to the deletion of what the
//! run itself has made.

/// Which of the two kinds a shipped template is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// A cloud product action: the `Action` of a task, as in `ACS::ECS::RunCommand`.
    Action,
    /// A template that a user starts, or a task names in `TemplateName`, as in
    /// `ACS-ECS-RepairImage`.
    Public,
}

/// One shipped template.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// Its name, as it is listed. Names are compared without regard to letter case.
    pub name: &'static str,
    /// Whether a task or a user calls it.
    pub category: Category,
    /// The template itself, in YAML.
    pub text: &'static str,
}

/// The product action `ACS::ECS::<name>`.
macro_rules! action {
    ($name:literal) => {
        Shipped {
            name: concat!("ACS::ECS::", $name),
            category: Category::Action,
            text: include_str!(concat!("../library/actions/ACS-ECS-", $name, ".yml")),
        }
    };
}

/// The public template `ACS-ECS-<name>`.
macro_rules! public {
    ($name:literal) => {
        Shipped {
            name: concat!("ACS-ECS-", $name),
            category: Category::Public,
            text: include_str!(concat!("../library/public/ACS-ECS-", $name, ".yml")),
        }
    };
}

/// All of them, in the order of their names (in lower case, byte by byte).
pub const SHIPPED: &[Shipped] = &[
    public!("BulkyCopyImage"),
    public!("BulkyCreateImage"),
    public!("BulkyDeleteImage"),
    public!("BulkyRebootInstances"),
    public!("BulkyRepairImage"),
    public!("BulkyRunCommand"),
    public!("BulkyStartInstances"),
    public!("BulkyStopInstances"),
    public!("BulkyUpdateImage"),
    public!("CopyImage"),
    public!("CreateAndCopyImage"),
    public!("CreateImage"),
    public!("CreateImageAndUpdateLaunchTemplates"),
    public!("DeleteImage"),
    public!("RepairImage"),
    public!("UpdateAndCopyImage"),
    public!("UpdateImage"),
    action!("AttachDisk"),
    action!("CopyImage"),
    action!("CreateImage"),
    action!("CreateImageForSystemDisk"),
    action!("CreateSnapshot"),
    action!("DeleteImage"),
    action!("DeleteImageByName"),
    action!("DeleteInstance"),
    action!("DetachDisk"),
    action!("InstallCloudAssistant"),
    action!("InvokeCommand"),
    action!("ModifyCreditSpecification"),
    action!("ModifyInstanceAutoRenewAttribute"),
    action!("ModifyPrepaySpec"),
    action!("RebootInstance"),
    action!("ReplaceSystemDisk"),
    action!("ResetDisk"),
    action!("RunCommand"),
    action!("RunImageTemplateCommand"),
    action!("RunInstances"),
    action!("StartInstance"),
    action!("StopInstance"),
    action!("TagInstanceByLinuxKernelVersion"),
    action!("UpdateLaunchTemplate"),
];

/// The template of this name, in any letter case.
///
/// `ACS::ECS::CreateImage` and `ACS-ECS-CreateImage` are two templates: the action, and the public
/// template that calls it.
pub fn find(name: &str) -> Option<&'static Shipped> {
    SHIPPED.iter().find(|shipped| shipped.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use saphyr_parser::{Event, Parser};

    use super::*;

    /// The bound that the service sets for a template.
    const MAX_BYTES: usize = 64 * 1024;

    /// Strictly in order is also: no name is there twice, in whatever letter case.
    #[test]
    fn names_are_in_order_and_unique() {
        let names: Vec<_> = SHIPPED.iter().map(|shipped| shipped.name.to_lowercase()).collect();
        for pair in names.windows(2) {
            assert!(pair[0] < pair[1], "{} stands before {}", pair[0], pair[1]);
        }
    }

    /// A file that nobody added to the table would be a template that is not shipped.
    #[test]
    fn every_file_is_in_the_table() {
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("library");
        for (folder, category) in [("actions", Category::Action), ("public", Category::Public)] {
            let files: BTreeSet<_> = fs::read_dir(library.join(folder))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            let table: BTreeSet<_> = SHIPPED
                .iter()
                .filter(|shipped| shipped.category == category)
                .map(|shipped| format!("{}.yml", shipped.name.replace("::", "-")))
                .collect();
            assert_eq!(files, table, "{folder}");
        }
    }

    #[test]
    fn found_in_any_letter_case_and_only_by_its_own_name() {
        for (asked, found) in [
            ("ACS-ECS-RepairImage", Some(("ACS-ECS-RepairImage", Category::Public))),
            ("acs-ecs-repairimage", Some(("ACS-ECS-RepairImage", Category::Public))),
            ("ACS::ECS::RunCommand", Some(("ACS::ECS::RunCommand", Category::Action))),
            ("acs::Ecs::RUNCOMMAND", Some(("ACS::ECS::RunCommand", Category::Action))),
            // Both of this pair are there, and each answers to its own name.
            ("ACS::ECS::CreateImage", Some(("ACS::ECS::CreateImage", Category::Action))),
            ("ACS-ECS-CreateImage", Some(("ACS-ECS-CreateImage", Category::Public))),
            ("ACS-ECS-RunCommand", None),
            ("ACS::ECS::RepairImage", None),
            ("RunCommand", None),
            ("ACS::ECS::RunCommand ", None),
            ("", None),
        ] {
            let got = find(asked).map(|shipped| (shipped.name, shipped.category));
            assert_eq!(got, found, "{asked:?}");
        }
    }

    /// Each text is one plain YAML document: no anchors, aliases or tags, whose meaning would hang
    /// on more than the template language says, and nothing that only some readers can read.
    #[test]
    fn texts_are_plain_yaml() {
        for shipped in SHIPPED {
            let name = shipped.name;
            assert!(shipped.text.len() < MAX_BYTES, "{name}: {} bytes", shipped.text.len());
            assert!(shipped.text.is_ascii(), "{name}: not ASCII");
            assert!(shipped.text.starts_with("FormatVersion: OOS-2019-06-01\n"), "{name}");

            let mut documents = 0;
            for event in Parser::new_from_str(shipped.text) {
                let (event, at) = event.unwrap_or_else(|error| panic!("{name}: {error}"));
                let line = at.start.line();
                match event {
                    Event::DocumentStart(_) => documents += 1,
                    Event::Alias(_) => panic!("{name}: alias in line {line}"),
                    Event::Scalar(_, _, anchor, tag)
                    | Event::SequenceStart(anchor, tag)
                    | Event::MappingStart(anchor, tag) => {
                        assert!(
                            anchor == 0 && tag.is_none(),
                            "{name}: anchor or tag in line {line}"
                        );
                    }
                    _ => {}
                }
            }
            assert_eq!(documents, 1, "{name}");
        }
    }

    /// The lines of `text` that name a task, an action or a template which is not there.
    ///
    /// It looks at lines, which is enough for texts that are laid out as ours are; what a template
    /// means is for the checker to judge.
    fn dangling(text: &str) -> Vec<&str> {
        let is_task = |name: &str| text.contains(&format!("\n  - Name: {name}\n"));
        let is_there = |key: &str, value: &str| match key {
            "OnError" | "OnSuccess" | "OnCancel" | "NextTask" | "DefaultTask" => {
                matches!(value, "ACS::END" | "ACS::NEXT") || is_task(value)
            }
            "Action" => value.split("::").count() == 2 || find(value).is_some(),
            "TemplateName" => find(value).is_some(),
            _ => true,
        };
        text.lines()
            .filter(|line| {
                line.trim_start().split_once(": ").is_some_and(|(key, value)| !is_there(key, value))
            })
            .collect()
    }

    /// One end of a jump, one action, one template is broken at a time.
    #[test]
    fn a_dangling_name_is_noticed() {
        let sound = find("ACS-ECS-BulkyRepairImage").unwrap().text.to_owned()
            + find("ACS-ECS-UpdateImage").unwrap().text;
        assert_eq!(dangling(&sound), [""; 0]);
        for (right, wrong) in [
            ("OnError: deleteStack", "OnError: deleteStock"),
            ("OnCancel: deleteInstance", "OnCancel: deleteInstanc"),
            ("Action: ACS::ECS::CreateImage", "Action: ACS::ECS::CreateImages"),
            ("TemplateName: ACS-ECS-RepairImage", "TemplateName: ACS::ECS::RepairImage"),
        ] {
            let broken = sound.replacen(right, wrong, 1);
            let found: Vec<_> = dangling(&broken).iter().map(|line| line.trim()).collect();
            assert_eq!(found, [wrong]);
        }
    }

    #[test]
    fn what_a_template_names_is_there() {
        for shipped in SHIPPED {
            assert_eq!(dangling(shipped.text), [""; 0], "{}", shipped.name);
        }
    }
}
