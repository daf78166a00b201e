//! A volume group as its metadata text describes it.
//!
//! Names and meanings: LVM2, lib/format_text/import_vsn1.c; the segment types' fields are in
//! lib/striped, lib/mirror, lib/raid and lib/snapshot.

use std::collections::{BTreeMap, BTreeSet};

use kiln_disk::{Error, Result};

use super::text::{Section, Value, parse};

const SECTOR_BYTES: u64 = 512;

/// A volume group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) id: String,
    /// Every change of the group counts one up.
    pub(crate) seqno: u64,
    pub(crate) extent_bytes: u64,
    /// By the name that segments use (`pv0`).
    pub(crate) physical: BTreeMap<String, Physical>,
    pub(crate) logical: BTreeMap<String, Logical>,
}

/// A physical volume of a group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Physical {
    /// 32 characters, without hyphens.
    pub(crate) id: String,
    /// First byte of its first extent.
    pub(crate) start_bytes: u64,
    /// Where it was last seen, on the machine that wrote the text.
    pub(crate) device: Option<String>,
}

/// A logical volume.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Logical {
    /// Not a part of another one.
    pub(crate) is_visible: bool,
    /// By start, without gaps.
    pub(crate) segments: Vec<Segment>,
}

/// A run of extents of a logical volume.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Segment {
    pub(crate) start_extent: u64,
    pub(crate) n_extents: u64,
    pub(crate) kind: SegmentKind,
}

/// How a segment's extents are stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SegmentKind {
    /// Over one or several places: physical volume and first extent there.
    Striped { stripe_bytes: u64, stripes: Vec<(String, u64)> },
    /// Whole copies, in other logical volumes.
    Mirrored { legs: Vec<String> },
    /// A type that kiln does not read.
    Other(String),
}

impl Group {
    /// The group in `text`.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the text breaks its syntax or lacks what every group has.
    pub(crate) fn from_text(text: &[u8]) -> Result<Self> {
        let sections = parse(text)?;
        let found = sections.iter().find_map(|(name, value)| {
            let section = value.as_section()?;
            section.contains_key("extent_size").then_some((name, section))
        });
        let (name, section) =
            found.ok_or_else(|| Error::corrupt("LVM metadata text without a volume group"))?;
        let extent_bytes = number(section, "extent_size")?.saturating_mul(SECTOR_BYTES);
        if extent_bytes == 0 || extent_bytes > 1 << 40 {
            return Err(Error::corrupt(format!("LVM extents of {extent_bytes} bytes")));
        }
        let mut group = Self {
            name: name.clone(),
            id: text_of(section, "id")?.to_owned(),
            seqno: number(section, "seqno")?,
            extent_bytes,
            physical: BTreeMap::new(),
            logical: BTreeMap::new(),
        };
        for (name, pv) in subsections(section, "physical_volumes") {
            group.physical.insert(name.clone(), Physical::decode(pv)?);
        }
        for (name, lv) in subsections(section, "logical_volumes") {
            group.logical.insert(name.clone(), Logical::decode(lv)?);
        }
        group.mark_snapshots(section);
        Ok(group)
    }

    /// What a snapshot has copied lies in a visible striped volume, which another, hidden one
    /// names as its `cow_store`. Read as it stands it would be taken for garbage.
    fn mark_snapshots(&mut self, section: &Section) {
        let stores: BTreeSet<&str> = subsections(section, "logical_volumes")
            .flat_map(|(_, lv)| lv.values().filter_map(Value::as_section))
            .filter_map(|segment| segment.get("cow_store")?.as_text())
            .collect();
        for store in stores {
            for segment in self.logical.get_mut(store).iter_mut().flat_map(|lv| &mut lv.segments) {
                segment.kind = SegmentKind::Other("snapshot".to_owned());
            }
        }
    }
}

impl Physical {
    fn decode(section: &Section) -> Result<Self> {
        Ok(Self {
            id: text_of(section, "id")?.replace('-', ""),
            start_bytes: number(section, "pe_start")?.saturating_mul(SECTOR_BYTES),
            device: section.get("device").and_then(Value::as_text).map(str::to_owned),
        })
    }
}

impl Logical {
    fn decode(section: &Section) -> Result<Self> {
        let status = section.get("status").map(Value::as_list).unwrap_or_default();
        let mut segments = Vec::new();
        for (name, value) in section {
            if let (true, Some(segment)) = (name.starts_with("segment"), value.as_section()) {
                segments.push(Segment::decode(segment)?);
            }
        }
        segments.sort_by_key(|segment| segment.start_extent);
        let mut next = 0_u64;
        for segment in &segments {
            if segment.start_extent != next {
                return Err(Error::corrupt(format!(
                    "an LVM segment starts at extent {}, the one before it ends at {next}",
                    segment.start_extent
                )));
            }
            next = next.saturating_add(segment.n_extents);
        }
        let is_visible = status.iter().any(|flag| flag.as_text() == Some("VISIBLE"));
        Ok(Self { is_visible, segments })
    }

    pub(crate) fn n_extents(&self) -> u64 {
        self.segments.iter().fold(0, |sum, segment| segment.n_extents.saturating_add(sum))
    }
}

impl Segment {
    fn decode(section: &Section) -> Result<Self> {
        let kind = text_of(section, "type")?;
        let pairs = |name| section.get(name).map(Value::as_list).unwrap_or_default();
        let kind = match kind {
            "striped" | "linear" => SegmentKind::Striped {
                stripe_bytes: match section.get("stripe_size").and_then(Value::as_u64) {
                    Some(sectors) => sectors.saturating_mul(SECTOR_BYTES),
                    None => 0,
                },
                stripes: places(pairs("stripes")),
            },
            "mirror" => SegmentKind::Mirrored {
                legs: places(pairs("mirrors")).into_iter().map(|(leg, _)| leg).collect(),
            },
            "raid1" => SegmentKind::Mirrored { legs: images(pairs("raids")) },
            other => SegmentKind::Other(other.to_owned()),
        };
        Ok(Self {
            start_extent: number(section, "start_extent")?,
            n_extents: number(section, "extent_count")?,
            kind,
        })
    }
}

/// Alternating names and numbers.
fn places(values: &[Value]) -> Vec<(String, u64)> {
    let pair = |pair: &[Value]| match pair {
        [name, extent] => Some((name.as_text()?.to_owned(), extent.as_u64()?)),
        _ => None,
    };
    values.chunks(2).filter_map(pair).collect()
}

/// Alternating metadata and data volumes; the data ones.
fn images(values: &[Value]) -> Vec<String> {
    let image = |pair: &[Value]| pair.get(1)?.as_text().map(str::to_owned);
    values.chunks(2).filter_map(image).collect()
}

fn subsections<'a>(
    section: &'a Section,
    name: &str,
) -> impl Iterator<Item = (&'a String, &'a Section)> + use<'a> {
    let inner = section.get(name).and_then(Value::as_section);
    inner.into_iter().flatten().filter_map(|(name, value)| Some((name, value.as_section()?)))
}

fn number(section: &Section, name: &str) -> Result<u64> {
    section
        .get(name)
        .and_then(Value::as_u64)
        .ok_or_else(|| Error::corrupt(format!("LVM metadata text without a number {name}")))
}

fn text_of<'a>(section: &'a Section, name: &str) -> Result<&'a str> {
    section
        .get(name)
        .and_then(Value::as_text)
        .ok_or_else(|| Error::corrupt(format!("LVM metadata text without a string {name}")))
}
