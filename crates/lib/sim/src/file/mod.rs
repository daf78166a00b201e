//! The world file: what exists at the start, how long things take, and what goes wrong.

mod fields;
mod parts;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    commands::{MAX_TEXT_BYTES, Outcome, Script, public_commands},
    error::{ApiFault, WorldError},
    faults::{Calls, Fault, Nth},
    images::CheckItem,
    operations,
    regions::Region,
    resources::ResourceKind,
    world::{MAX_RESOURCES, World},
    yaml::{self, Node},
};
use fields::{Fields, entries, items, text, wrong};

/// Regions of a world whose file names none.
const REGIONS: &[&str] = &["cn-hangzhou", "cn-beijing", "cn-shanghai", "cn-shenzhen"];
/// Scripts of outputs and of faults.
const MAX_SCRIPTS: usize = 1000;
/// Regions of a world.
const MAX_REGIONS: usize = 100;

/// How long each transition takes, in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delays {
    pub(crate) instance_start: u32,
    pub(crate) instance_stop: u32,
    pub(crate) reboot: u32,
    pub(crate) disk: u32,
    pub(crate) snapshot: u32,
    pub(crate) image: u32,
    pub(crate) check: u32,
    pub(crate) copy: u32,
    pub(crate) export: u32,
    pub(crate) invocation: u32,
    pub(crate) stack: u32,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            instance_start: 20,
            instance_stop: 10,
            reboot: 10,
            disk: 5,
            snapshot: 30,
            image: 60,
            check: 30,
            copy: 120,
            export: 120,
            invocation: 5,
            stack: 20,
        }
    }
}

/// What a file has was there before every rehearsal.
pub(crate) fn long_ago() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

pub(crate) fn parse(text: &str) -> Result<World, WorldError> {
    let root = yaml::parse(text)?;
    let mut fields = Fields::of(&root, "")?;
    let regions = fields.get("regions").map(read_regions).transpose()?;
    let regions = regions.unwrap_or_else(|| REGIONS.iter().map(|id| Region::new(id)).collect());
    let delays = fields.get("delays").map(read_delays).transpose()?.unwrap_or_default();
    let mut world = World::empty(regions, delays);
    world.commands = public_commands();
    world.check_items = vec![CheckItem {
        name: "SystemImage".into(),
        value: "Valid".into(),
        risk_level: None,
        risk_code: None,
    }];
    let mut read_list = |name: &'static str, read: ReadPart| -> Result<(), WorldError> {
        let Some(node) = fields.get(name) else { return Ok(()) };
        for (index, item) in items(node, name)?.iter().enumerate() {
            read(&mut world, item, &format!("{name}[{index}]"))?;
            if world.n_resources() > MAX_RESOURCES {
                let reason = format!("a world has {MAX_RESOURCES} resources at most");
                return Err(wrong(item, &format!("{name}[{index}]"), reason));
            }
        }
        Ok(())
    };
    // Disks name instances, instances name images, and images name snapshots.
    read_list("snapshots", parts::read_snapshot)?;
    read_list("images", parts::read_image)?;
    read_list("instances", parts::read_instance)?;
    read_list("disks", parts::read_disk)?;
    read_list("commands", parts::read_command)?;
    read_list("launchTemplates", parts::read_launch_template)?;
    read_list("scalingConfigurations", parts::read_scaling_configuration)?;
    read_list("outputs", read_script)?;
    read_list("faults", read_fault)?;
    if let Some(node) = fields.get("newImages") {
        read_new_images(&mut world, node)?;
    }
    parts::add_system_disks(&mut world);
    fields.finish()?;
    Ok(world)
}

/// Reads one item of a list into the world.
type ReadPart = fn(&mut World, &Node, &str) -> Result<(), WorldError>;

/// A region is its identifier, or that and its zones.
fn read_regions(node: &Node) -> Result<Vec<Region>, WorldError> {
    let mut regions: Vec<Region> = Vec::new();
    for (index, item) in items(node, "regions")?.iter().enumerate() {
        let path = format!("regions[{index}]");
        let region = match &item.content {
            yaml::Content::Scalar { .. } => Region::new(&text(item, &path)?),
            _ => {
                let mut fields = Fields::of(item, &path)?;
                let mut region = Region::new(&fields.required("id")?);
                if let Some(zones) = fields.get("zones") {
                    let zones = items(zones, &fields.path("zones"))?;
                    let read = |zone| text(zone, &format!("{path}.zones"));
                    region.zones = zones.iter().map(read).collect::<Result<_, _>>()?;
                }
                fields.finish()?;
                region
            }
        };
        if regions.iter().any(|known| known.id == region.id) || regions.len() >= MAX_REGIONS {
            let reason = format!("each of at most {MAX_REGIONS} regions is named once");
            return Err(wrong(item, &path, reason));
        }
        regions.push(region);
    }
    match regions.is_empty() {
        true => Err(wrong(node, "regions", "one region at least is needed")),
        false => Ok(regions),
    }
}

fn read_delays(node: &Node) -> Result<Delays, WorldError> {
    let mut delays = Delays::default();
    let mut fields = Fields::of(node, "delays")?;
    for (name, delay) in [
        ("instanceStart", &mut delays.instance_start),
        ("instanceStop", &mut delays.instance_stop),
        ("reboot", &mut delays.reboot),
        ("disk", &mut delays.disk),
        ("snapshot", &mut delays.snapshot),
        ("image", &mut delays.image),
        ("check", &mut delays.check),
        ("copy", &mut delays.copy),
        ("export", &mut delays.export),
        ("invocation", &mut delays.invocation),
        ("stack", &mut delays.stack),
    ] {
        *delay = fields.seconds(name)?.unwrap_or(*delay);
    }
    fields.finish()?;
    Ok(delays)
}

fn read_new_images(world: &mut World, node: &Node) -> Result<(), WorldError> {
    let mut fields = Fields::of(node, "newImages")?;
    if let Some(items) = fields.get("checkItems") {
        world.check_items = read_check_items(items, "newImages.checkItems")?;
    }
    fields.finish()
}

/// `name: value`, or `name: {value, riskLevel, riskCode}`.
fn read_check_items(node: &Node, path: &str) -> Result<Vec<CheckItem>, WorldError> {
    let mut found = Vec::new();
    for (name, item) in entries(node, path)? {
        let path = format!("{path}.{name}");
        let plain =
            |value| CheckItem { name: name.clone(), value, risk_level: None, risk_code: None };
        found.push(match &item.content {
            yaml::Content::Scalar { .. } => plain(text(item, &path)?),
            _ => {
                let mut fields = Fields::of(item, &path)?;
                let mut item = plain(fields.required("value")?);
                item.risk_level =
                    fields.one_of("riskLevel", &["High", "Medium"])?.map(str::to_owned);
                item.risk_code = fields.text("riskCode")?;
                fields.finish()?;
                item
            }
        });
    }
    Ok(found)
}

fn read_script(world: &mut World, node: &Node, path: &str) -> Result<(), WorldError> {
    let mut fields = Fields::of(node, path)?;
    let command = fields.text("command")?;
    let content = fields.text("content")?;
    let exit_code = fields.number("exitCode", -1..=255)?.unwrap_or(0);
    let output = fields.long_text("output", MAX_TEXT_BYTES / 4)?.unwrap_or_default();
    let outcome = fields.one_of("status", Outcome::NAMES)?;
    let otherwise = if exit_code == 0 { Outcome::Success } else { Outcome::Failed };
    let outcome = outcome.and_then(Outcome::named).unwrap_or(otherwise);
    if command.is_none() && content.is_none() {
        let reason = "`command` or `content` is needed, to say of which commands this is";
        return Err(fields.wrong("command", reason));
    }
    if (outcome == Outcome::Success) != (exit_code == 0) {
        let reason = "status Success has exit code 0, and no other status has";
        return Err(fields.wrong("exitCode", reason));
    }
    if world.scripts.len() >= MAX_SCRIPTS {
        return Err(wrong(node, path, format!("more than {MAX_SCRIPTS} outputs")));
    }
    fields.finish()?;
    world.scripts.push(Script { command, content, exit_code, output, outcome });
    Ok(())
}

fn read_fault(world: &mut World, node: &Node, path: &str) -> Result<(), WorldError> {
    if world.faults.len() >= MAX_SCRIPTS {
        return Err(wrong(node, path, format!("more than {MAX_SCRIPTS} faults")));
    }
    let mut fields = Fields::of(node, path)?;
    let api = fields.text("api")?;
    let kinds = ResourceKind::ALL.map(ResourceKind::name);
    let resource = fields.one_of("resource", &kinds)?;
    let nth = read_nth(&mut fields)?;
    let fault = match (api, resource) {
        (Some(api), None) => read_call_fault(&mut fields, &api, nth)?,
        (None, Some(resource)) => read_end(&mut fields, resource, nth)?,
        _ => return Err(fields.wrong("api", "either `api` or `resource` is needed")),
    };
    fields.finish()?;
    world.faults.push(fault);
    Ok(())
}

fn read_nth(fields: &mut Fields<'_>) -> Result<Nth, WorldError> {
    match fields.text("nth")?.as_deref() {
        None => Ok(Nth::Only(1)),
        Some("every") => Ok(Nth::Every),
        Some(number) => match number.parse() {
            Ok(number) if number > 0 => Ok(Nth::Only(number)),
            _ => Err(fields.wrong("nth", "a whole number from 1, or `every`")),
        },
    }
}

fn read_end(fields: &mut Fields<'_>, resource: &str, nth: Nth) -> Result<Fault, WorldError> {
    let resource = ResourceKind::ALL.into_iter().find(|kind| kind.name() == resource);
    let can_fail = [
        ResourceKind::Instance,
        ResourceKind::Snapshot,
        ResourceKind::Image,
        ResourceKind::Stack,
        ResourceKind::Invocation,
    ];
    let Some(resource) = resource.filter(|kind| can_fail.contains(kind)) else {
        let names = can_fail.map(ResourceKind::name).join(", ");
        return Err(fields.wrong("resource", format!("only these can end badly: {names}")));
    };
    match fields.one_of("ends", &["failed"])? {
        Some(_) => Ok(Fault::Ends { resource, nth }),
        None => Err(fields.wrong("ends", "`ends: failed` is needed")),
    }
}

fn read_call_fault(fields: &mut Fields<'_>, api: &str, nth: Nth) -> Result<Fault, WorldError> {
    let service = fields.text_or("service", "ECS")?;
    let Some(operation) = operations::find(&service, api) else {
        let closest = operations::closest(api).join(", ");
        let reason = format!("`{service}` has no such operation here; close to it are {closest}");
        return Err(fields.wrong("api", reason));
    };
    let on = Calls { service: operation.service.to_owned(), api: operation.api.to_owned(), nth };
    let has_effect = fields.flag("effect")?.unwrap_or(false);
    let n_calls = fields.number("throttle", 1..=1_000_000)?;
    let (status, code) = match has_effect {
        true => (503, "ServiceUnavailable"),
        false => (500, "InternalError"),
    };
    let message = "The request processing has failed, as the world file scripts it.";
    let status =
        fields.number("status", 400..=599)?.and_then(|s| u16::try_from(s).ok()).unwrap_or(status);
    let code = fields.text_or("code", code)?;
    let answer = ApiFault::new(status, &code, fields.text_or("message", message)?);
    match n_calls.map(i64::unsigned_abs) {
        Some(_) if has_effect => {
            Err(fields.wrong("throttle", "a throttled call has no effect: leave one of them out"))
        }
        Some(n_calls) => Ok(Fault::Throttle { on, n_calls }),
        None if has_effect => Ok(Fault::LoseAnswer { on, answer }),
        None => Ok(Fault::Refuse { on, answer }),
    }
}

#[cfg(test)]
mod tests;
