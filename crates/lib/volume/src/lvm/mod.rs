//! LVM2: physical volumes, the group that their metadata text describes, its logical volumes.
//!
//! Every physical volume may carry the text, and they may disagree after a crash or where a disk
//! was away: the one with the highest `seqno` counts. Older texts stay in the ring of a metadata
//! area, so text is only ever read where the area's header points to.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use kiln_disk::{Result, Source};

use self::group::{Group, Logical, SegmentKind};
use self::mapping::{Mapping, Run};
use crate::layout::{Content, Layout, LvmRun, Notice, NoticeCode, Origin};
use crate::scan::add_volume;

mod group;
mod label;
mod mapping;
mod text;

pub(crate) use label::read as read_label;

/// Metadata text that is read in one scan, however many areas claim to have some.
const MAX_TEXT_BYTES: usize = 64 << 20;
/// Logical volumes of one scan. Each is probed, and a text has room for a hundred thousand.
const MAX_LOGICAL: usize = 1024;
/// Segments and stripes that are followed in one scan. Mirrors may name the same leg over and over,
/// so the size of the text is no bound.
const MAX_PLACES: usize = 1 << 20;
/// A mirror's leg is a volume of stripes; deeper stacks are of other types than kiln reads.
const MAX_DEPTH: u32 = 2;

/// The groups on the volumes of a layout, newest text of each, by id.
#[derive(Default)]
struct Found {
    groups: BTreeMap<String, Group>,
    /// By id: index of the volume.
    physical: HashMap<String, usize>,
    text_bytes: usize,
}

/// Add the logical volumes of all groups on the volumes of `layout`.
pub(crate) fn assemble(layout: &mut Layout) {
    let mut found = Found::default();
    for index in 0..layout.volumes.len() {
        let Some(volume) = layout.volumes.get(index) else { break };
        if volume.content != Content::LvmPhysicalVolume {
            continue;
        }
        let (name, source) = (volume.name.clone(), Arc::clone(&volume.source));
        if let Err(error) = found.add(index, &source, &name, &mut layout.notices) {
            let message = format!("{name}: {error}");
            layout.notices.push(Notice::new(NoticeCode::Corrupt, message));
        }
    }
    let places_left = Cell::new(MAX_PLACES);
    for group in found.groups.values() {
        add_group(layout, group, &found.physical, &places_left);
    }
}

impl Found {
    fn add(
        &mut self,
        index: usize,
        source: &Source,
        name: &str,
        notices: &mut Vec<Notice>,
    ) -> Result<()> {
        let Some(label) = label::read(source)? else { return Ok(()) };
        if label.device_bytes > source.size_bytes() {
            let message = format!(
                "{name}: the physical volume says it has {} bytes and its volume has {}",
                label.device_bytes,
                source.size_bytes()
            );
            notices.push(Notice::new(NoticeCode::Truncated, message));
        }
        if self.physical.contains_key(&label.id) {
            let id = label.id_hyphenated();
            let message = format!("{name}: a second physical volume with the id {id}; not used");
            notices.push(Notice::new(NoticeCode::Info, message));
            return Ok(());
        }
        self.physical.insert(label.id, index);
        for (start, _) in label.metadata_areas {
            match self.add_text(source, start) {
                Ok(()) => {}
                Err(error) => {
                    let message = format!("{name}: {error}");
                    notices.push(Notice::new(NoticeCode::Corrupt, message));
                }
            }
        }
        Ok(())
    }

    fn add_text(&mut self, source: &Source, area_start: u64) -> Result<()> {
        if self.text_bytes > MAX_TEXT_BYTES {
            let message = "the metadata of more volume groups than kiln reads";
            return Err(kiln_disk::Error::unsupported(message));
        }
        let Some(text) = label::read_text(source, area_start)? else { return Ok(()) };
        self.text_bytes = self.text_bytes.saturating_add(text.len());
        let group = Group::from_text(&text)?;
        let newer = |known: &Group| group.seqno > known.seqno;
        if self.groups.get(&group.id).is_none_or(newer) {
            self.groups.insert(group.id.clone(), group);
        }
        Ok(())
    }
}

/// Add the logical volumes of one group, and a notice for what is missing or not read.
fn add_group(
    layout: &mut Layout,
    group: &Group,
    physical: &HashMap<String, usize>,
    places_left: &Cell<usize>,
) {
    let resolver = Resolver { group, physical, volumes: &sources(layout), places_left };
    let mut lost: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, pv) in &group.physical {
        if !physical.contains_key(&pv.id) {
            lost.insert(name, Vec::new());
        }
    }
    let mut readable = Vec::new();
    for (name, lv) in group.logical.iter().filter(|(_, lv)| lv.is_visible) {
        match resolver.runs(lv, MAX_DEPTH) {
            Ok(resolved) => readable.push((name, resolved)),
            Err(Unreadable::Missing(pv)) => lost.entry(pv).or_default().push(name),
            Err(Unreadable::Type(kind)) => {
                let message = format!(
                    "/dev/{}/{name} is of the type {kind}, which kiln does not read",
                    group.name
                );
                layout.notices.push(Notice::new(NoticeCode::LvmUnsupported, message));
            }
            Err(Unreadable::Corrupt(why)) => {
                let message = format!("/dev/{}/{name}: {why}", group.name);
                layout.notices.push(Notice::new(NoticeCode::Corrupt, message));
            }
        }
    }
    for (pv, volumes) in lost {
        layout.notices.push(Notice::new(NoticeCode::LvmMissingPv, missing(group, pv, &volumes)));
    }
    for (name, resolved) in readable {
        let n_logical =
            layout.volumes.iter().filter(|v| matches!(v.origin, Origin::Lvm { .. })).count();
        if n_logical >= MAX_LOGICAL {
            let message =
                format!("volume group {}: volumes beyond {MAX_LOGICAL} left out", group.name);
            layout.notices.push(Notice::new(NoticeCode::Info, message));
            break;
        }
        add_logical(layout, group, name, resolved);
    }
}

fn sources(layout: &Layout) -> Vec<Source> {
    layout.volumes.iter().map(|volume| Arc::clone(&volume.source)).collect()
}

fn missing(group: &Group, pv: &str, volumes: &[&str]) -> String {
    let known = group.physical.get(pv);
    let id = known.map_or(pv.to_owned(), |known| label::hyphenate(&known.id));
    let device = known
        .and_then(|known| known.device.as_deref())
        .map_or(String::new(), |device| format!(" (last seen as {device})"));
    let on_it = if volumes.is_empty() {
        "no logical volume that can be seen lies on it".to_owned()
    } else {
        format!("on it: {}", volumes.join(", "))
    };
    format!("volume group {} lacks the physical volume {id}{device}; {on_it}", group.name)
}

fn add_logical(layout: &mut Layout, group: &Group, name: &str, resolved: Resolved) {
    let path = format!("/dev/{}/{name}", group.name);
    let cut = resolved.runs.iter().find(|run| {
        let length = run.end_on_places();
        run.places.iter().any(|(pv, at)| at.saturating_add(length) > pv.size_bytes())
    });
    if let Some(run) = cut {
        let message = format!(
            "{path}: the {} bytes from byte {} on reach beyond the end of their physical volume",
            run.length_bytes, run.start_bytes
        );
        layout.notices.push(Notice::new(NoticeCode::Truncated, message));
    }
    let origin = Origin::Lvm {
        vg: group.name.clone(),
        lv: name.to_owned(),
        on: resolved.on.into_iter().collect(),
        runs: plain_runs(layout, &resolved.runs).unwrap_or_default(),
    };
    add_volume(layout, path, origin, Arc::new(Mapping::new(resolved.runs)));
}

/// The runs by the numbers of their volumes. `None`: one lies on something else than a volume.
fn plain_runs(layout: &Layout, runs: &[Run]) -> Option<Vec<LvmRun>> {
    let number = |source: &Source| {
        layout.volumes.iter().position(|volume| Arc::ptr_eq(&volume.source, source))
    };
    let plain = |run: &Run| {
        let places = run.places.iter().map(|(source, at)| Some((number(source)?, *at)));
        Some(LvmRun {
            length_bytes: run.length_bytes,
            stripe_bytes: run.stripe_bytes,
            places: places.collect::<Option<_>>()?,
        })
    };
    runs.iter().map(plain).collect()
}

/// A logical volume's bytes, and the volumes they are on.
struct Resolved {
    runs: Vec<Run>,
    on: BTreeSet<usize>,
}

/// Why a logical volume cannot be read.
enum Unreadable<'a> {
    Missing(&'a str),
    Type(&'a str),
    Corrupt(&'static str),
}

struct Resolver<'a> {
    group: &'a Group,
    physical: &'a HashMap<String, usize>,
    volumes: &'a [Source],
    places_left: &'a Cell<usize>,
}

impl<'a> Resolver<'a> {
    fn spend(&self, n_places: usize) -> Result<(), Unreadable<'a>> {
        let left = self.places_left.get().checked_sub(n_places);
        let left =
            left.ok_or(Unreadable::Corrupt("more segments than kiln follows in one scan"))?;
        self.places_left.set(left);
        Ok(())
    }

    fn runs(&self, lv: &'a Logical, depth: u32) -> Result<Resolved, Unreadable<'a>> {
        let mut resolved = Resolved { runs: Vec::new(), on: BTreeSet::new() };
        for segment in &lv.segments {
            self.spend(1)?;
            let bytes = |extents: u64| {
                let overflow = Unreadable::Corrupt("a segment reaches beyond 2^64 bytes");
                extents.checked_mul(self.group.extent_bytes).ok_or(overflow)
            };
            let (start_bytes, length_bytes) =
                (bytes(segment.start_extent)?, bytes(segment.n_extents)?);
            if start_bytes.checked_add(length_bytes).is_none() {
                return Err(Unreadable::Corrupt("a segment reaches beyond 2^64 bytes"));
            }
            match &segment.kind {
                SegmentKind::Striped { stripe_bytes, stripes } => {
                    let places = self.places(stripes, &mut resolved.on)?;
                    if places.len() > 1 && *stripe_bytes == 0 {
                        return Err(Unreadable::Corrupt("stripes without a size"));
                    }
                    let stripe_bytes = *stripe_bytes;
                    resolved.runs.push(Run { start_bytes, length_bytes, stripe_bytes, places });
                }
                SegmentKind::Mirrored { legs } => {
                    let leg = self.leg(legs, segment.n_extents, depth)?;
                    resolved.on.extend(leg.on);
                    resolved.runs.push(Run {
                        start_bytes,
                        length_bytes,
                        stripe_bytes: 0,
                        places: vec![(Arc::new(Mapping::new(leg.runs)), 0)],
                    });
                }
                SegmentKind::Other(kind) => return Err(Unreadable::Type(kind)),
            }
        }
        Ok(resolved)
    }

    fn places(
        &self,
        stripes: &'a [(String, u64)],
        on: &mut BTreeSet<usize>,
    ) -> Result<Vec<(Source, u64)>, Unreadable<'a>> {
        let mut places = Vec::new();
        self.spend(stripes.len())?;
        for (pv, extent) in stripes {
            let known = self.group.physical.get(pv);
            let known =
                known.ok_or(Unreadable::Corrupt("a stripe on a volume that is not listed"))?;
            let index = self.physical.get(&known.id).ok_or(Unreadable::Missing(pv))?;
            let source = self.volumes.get(*index).ok_or(Unreadable::Missing(pv))?;
            let start = extent
                .checked_mul(self.group.extent_bytes)
                .and_then(|bytes| bytes.checked_add(known.start_bytes))
                .ok_or(Unreadable::Corrupt("a stripe beyond 2^64 bytes"))?;
            on.insert(*index);
            places.push((Arc::clone(source), start));
        }
        if places.is_empty() {
            return Err(Unreadable::Corrupt("a segment without a stripe"));
        }
        Ok(places)
    }

    /// The first leg of a mirror that can be read; every one holds all of it.
    fn leg(
        &self,
        legs: &'a [String],
        n_extents: u64,
        depth: u32,
    ) -> Result<Resolved, Unreadable<'a>> {
        let mut reason = Unreadable::Corrupt("a mirror without a leg");
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Unreadable::Corrupt("mirrors of mirrors"));
        };
        for leg in legs {
            let Some(lv) = self.group.logical.get(leg) else { continue };
            if lv.n_extents() < n_extents {
                reason = Unreadable::Corrupt("a mirror's leg is shorter than the mirror");
                continue;
            }
            match self.runs(lv, depth) {
                Ok(resolved) => return Ok(resolved),
                Err(why) => reason = why,
            }
        }
        Err(reason)
    }
}
