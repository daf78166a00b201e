//! The check of an image after its import. It never changes how the import ended.

use std::sync::Arc;

use kiln_guest::Declared;
use kiln_model::{
    Architecture, BootMode, Detection, DetectionItem, DetectionStatus, Image, Support,
};
use kiln_sandbox::{Limits, Report, Request};
use kiln_store::StoreError;
use serde_json::Value;

use super::fault::{Fault, Outcome, Stop};
use super::work::{Fate, Inner, on_thread};

/// The most items that are taken from a report, and the longest text of one: the report is made from
/// foreign data.
const MAX_ITEMS: usize = 64;
const MAX_TEXT_CHARS: usize = 256;

/// Check the image of a task. It is done in any case: an image that could not be checked has a
/// finished check without items, which says why.
pub(super) async fn check(inner: &Arc<Inner>, task: &str) -> Result<Outcome, StoreError> {
    let Some(task) = inner.records.task(task).await?.map(|task| task.value) else {
        return Ok(Outcome::Done);
    };
    let Some(image) = inner.records.image(&task.region, &task.image).await? else {
        return Ok(Outcome::Done);
    };
    let found = run(inner, &image.value).await;
    let result = match &found {
        Ok(report) => Ok(items(&report.answer)),
        Err(Stop::Fault(fault)) if fault.is_passing => {
            return Ok(Outcome::Failed(fault.clone()));
        }
        Err(Stop::Fault(fault)) => Err(fault.message.clone()),
        Err(Stop::Cancelled) => Err("the check was cut off".to_owned()),
    };
    inner
        .change(&task.id, |_, image| {
            let Some(image) = image else { return Fate::Untouched };
            learn(image, &result);
            Fate::Write
        })
        .await?;
    Ok(Outcome::Done)
}

async fn run(inner: &Arc<Inner>, image: &Image) -> Result<Report, Stop> {
    let disk = image.disks.first().and_then(|disk| disk.blob.as_ref());
    let blob = disk.ok_or_else(|| Fault::lasting("InternalError", "the image has no disk"))?;
    let stored = inner.blobs.location(&image.region, &blob.hash)?;
    let (program, declared) = (inner.settings.program.clone(), declared(image));
    let location = image.id.clone();
    let work = on_thread(move || {
        let source = super::object::source(&stored)?;
        let request = Request { source, location, declared, items: Vec::new() };
        kiln_sandbox::check(&program, &request, &Limits::default()).map_err(Stop::from)
    });
    work.await
        .unwrap_or_else(|error| Err(Fault::lasting("InternalError", error.to_string()).into()))
}

fn declared(image: &Image) -> Declared {
    let boot_mode = match image.boot_mode {
        BootMode::Bios => "BIOS",
        BootMode::Uefi => "UEFI",
        BootMode::UefiPreferred => "UEFI-Preferred",
    };
    let architecture = match image.architecture {
        Architecture::I386 => "i386",
        Architecture::X86_64 => "x86_64",
        Architecture::Arm64 => "arm64",
    };
    Declared {
        platform: Some(image.platform.clone()),
        boot_mode: Some(boot_mode.to_owned()),
        architecture: Some(architecture.to_owned()),
        nvme: image.nvme == Support::Supported,
    }
}

/// The items of a report as the API shows them: the bare name, and a risk only where there is one.
fn items(answer: &Value) -> Vec<DetectionItem> {
    let text = |item: &Value, key: &str| {
        item.get(key)
            .and_then(Value::as_str)
            .map(|text| text.chars().take(MAX_TEXT_CHARS).collect())
    };
    let all = answer.get("items").and_then(Value::as_array).into_iter().flatten().take(MAX_ITEMS);
    all.filter_map(|item| {
        let name: String = text(item, "name")?;
        let status = item.get("status").and_then(Value::as_str)?;
        if status == "not_applicable" {
            return None;
        }
        let is_risk = status == "risk";
        Some(DetectionItem {
            name: name.trim_start_matches("GUESTOS.").to_owned(),
            value: text(item, "value")
                .filter(|it: &String| !it.is_empty())
                .unwrap_or_else(|| "Unknown".to_owned()),
            risk_level: text(item, "riskLevel").filter(|_| is_risk),
            risk_code: text(item, "riskCode").filter(|_| is_risk),
        })
    })
    .collect()
}

/// Write down what a check found, and what follows from it for the image itself.
fn learn(image: &mut Image, result: &Result<Vec<DetectionItem>, String>) {
    let (items, fault) = match result {
        Ok(items) => (items.clone(), None),
        Err(fault) => (Vec::new(), Some(fault.clone())),
    };
    let value =
        |name: &str| items.iter().find(|item| item.name == name).map(|item| item.value.as_str());
    if value("Nvme") == Some("Supported") {
        image.nvme = Support::Supported;
    }
    image.has_cloud_init = value("CloudInit") == Some("Installed");
    if let Some(found) = value("BootMode").and_then(boot_mode) {
        image.boot_mode = found;
    }
    let known = |name: &str| value(name).filter(|it| *it != "Unknown").map(str::to_owned);
    if let Some(version) = known("OSVersion") {
        image.os_name.clone_from(&version);
        image.tags.insert("acs:ecs:image:osVersion".to_owned(), version);
    }
    if let Some(kernel) = known("KernelVersion") {
        image.tags.insert("acs:ecs:image:kernelVersion".to_owned(), kernel);
    }
    image.detection = Some(Detection { status: DetectionStatus::Finished, items, fault });
}

/// The boot mode of an image that was found to start so.
fn boot_mode(value: &str) -> Option<BootMode> {
    match value {
        "UEFI" => Some(BootMode::Uefi),
        "UEFI,LEGACY" => Some(BootMode::UefiPreferred),
        "LEGACY" => Some(BootMode::Bios),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_item_says_is_a_boot_mode_and_the_rest_is_left_as_declared() {
        for (value, expected) in [
            ("LEGACY", Some(BootMode::Bios)),
            ("UEFI", Some(BootMode::Uefi)),
            ("UEFI,LEGACY", Some(BootMode::UefiPreferred)),
            ("Unknown", None),
        ] {
            assert_eq!(boot_mode(value), expected, "{value}");
        }
    }

    #[test]
    fn items_have_their_bare_names_and_risks_only_where_there_is_one() {
        let long = "x".repeat(1000);
        let answer = json!({ "items": [
            { "name": "GUESTOS.Nvme", "status": "risk", "value": "Unsupported",
              "riskLevel": "High", "riskCode": "NVMe.NotInstallded" },
            { "name": "GUESTOS.Fstab", "status": "unknown", "value": "",
              "riskLevel": null, "riskCode": "Fstab.Unreadable" },
            { "name": "GUESTOS.BCD", "status": "not_applicable", "value": "" },
            { "name": "GUESTOS.OSVersion", "status": "pass", "value": long },
            { "status": "pass" }, 7,
        ]});
        let items = items(&answer);
        let names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, ["Nvme", "Fstab", "OSVersion"]);
        assert_eq!(items[0].risk_code.as_deref(), Some("NVMe.NotInstallded"));
        assert_eq!((items[1].value.as_str(), &items[1].risk_code), ("Unknown", &None));
        assert_eq!(items[2].value.chars().count(), MAX_TEXT_CHARS);
    }
}
