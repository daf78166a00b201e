//! Made-up images and queries for tests, alike in each run.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kiln_model::{
    Architecture, Blob, BootMode, Disk, DiskKind, Image, ImageStatus, ImdsSupport, LicenseType,
    OsType, Support, Task, TaskAction, TaskStatus,
};

use crate::{ImageQuery, Scope};

/// A generator of numbers (xorshift); the seed is not 0.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    pub(crate) fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::try_from(self.below(values.len() as u64)).unwrap()]
    }

    /// A value in one of `n` cases.
    pub(crate) fn rarely<T>(&mut self, n: u64, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(n) == 0).then(|| value(self))
    }
}

pub(crate) const OWNERS: [&str; 3] = ["100", "200", "300"];
const STATUSES: [ImageStatus; 3] =
    [ImageStatus::Creating, ImageStatus::Available, ImageStatus::Deprecated];
const FAMILIES: [&str; 3] = ["web", "data", "web-2"];
const VALUES: [&str; 3] = ["a", "b", ""];
const KEYS: [&str; 2] = ["team", "stage"];

pub(crate) fn second(n: u64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + i64::try_from(n).unwrap()).unwrap()
}

pub(crate) fn image(id: &str, owner: &str, name: &str) -> Image {
    let disk = Disk {
        kind: DiskKind::System,
        device: "/dev/xvda".into(),
        size_gib: 20,
        virtual_size: Some(1 << 30),
        format: Some("qcow2".into()),
        declared_format: None,
        source_size: None,
        source: None,
        snapshot: format!("s-{id}"),
        blob: Some(Blob { hash: format!("hash-{id}"), size: 7 }),
        is_stored: true,
        progress: 100,
    };
    Image {
        id: id.into(),
        region: "r1".into(),
        owner: owner.into(),
        name: name.into(),
        description: String::new(),
        family: None,
        version: String::new(),
        architecture: Architecture::X86_64,
        os_type: OsType::Linux,
        platform: "Ubuntu".into(),
        os_name: "Ubuntu".into(),
        boot_mode: BootMode::Uefi,
        license_type: LicenseType::Auto,
        status: ImageStatus::Available,
        progress: 100,
        created: second(0),
        disks: vec![disk],
        detection: None,
        nvme: Support::Supported,
        imds: ImdsSupport::V1,
        has_cloud_init: true,
        tags: BTreeMap::new(),
        resource_group: None,
        shared: BTreeMap::new(),
        is_public: false,
        copied_from: None,
        task: None,
        exports: Vec::new(),
    }
}

/// Image number `n`; few different values, so that filters find something.
pub(crate) fn random_image(dice: &mut Dice, n: u64) -> Image {
    let letters: String = (0..dice.below(6)).map(|_| dice.one_of(&['a', 'B', 'é', '-'])).collect();
    let owner = dice.one_of(&OWNERS);
    let mut image = image(&format!("m-{n}"), owner, &format!("{letters}{n}"));
    image.region = dice.one_of(&["r1", "r1", "r1", "r2"]).into();
    image.created = second(dice.below(50));
    image.family = dice.rarely(2, |dice| dice.one_of(&FAMILIES).into());
    image.status = dice.one_of(&STATUSES);
    image.architecture = dice.one_of(&[Architecture::X86_64, Architecture::Arm64]);
    image.os_type = dice.one_of(&[OsType::Linux, OsType::Windows]);
    image.has_cloud_init = dice.below(2) == 0;
    image.is_public = dice.below(4) == 0;
    image.resource_group = dice.rarely(3, |_| "rg".into());
    for _ in 0..dice.below(3) {
        image.tags.insert(dice.one_of(&KEYS).into(), dice.one_of(&VALUES).into());
    }
    for _ in 0..dice.below(2) {
        image.shared.insert(dice.one_of(&OWNERS).into(), second(0));
    }
    image
}

pub(crate) fn random_query(dice: &mut Dice, n_images: u64) -> ImageQuery {
    let flag = |dice: &mut Dice| dice.below(2) == 0;
    let id = |dice: &mut Dice| format!("m-{}", dice.below(n_images));
    ImageQuery {
        region: dice.one_of(&["r1", "r1", "r2", "r3"]).into(),
        caller: dice.one_of(&OWNERS).into(),
        scope: Scope { own: flag(dice), shared: flag(dice), public: flag(dice) },
        owner: dice.rarely(8, |dice| dice.one_of(&OWNERS).into()),
        ids: dice.rarely(6, |dice| (0..9).map(|_| id(dice)).collect()).unwrap_or_default(),
        name: dice.rarely(2, |dice| {
            let texts =
                ["", "a", "AB", "b-", "1", "12", "ab1", "bab", "É", "*", "a*1", "1*a", "aa*1*2"];
            dice.one_of(&texts).into()
        }),
        family: dice.rarely(8, |dice| dice.one_of(&FAMILIES).into()),
        statuses: dice.rarely(3, |dice| vec![dice.one_of(&STATUSES), dice.one_of(&STATUSES)]),
        architecture: dice.rarely(8, |_| Architecture::Arm64),
        os_type: dice.rarely(8, |_| OsType::Windows),
        snapshot: dice.rarely(30, |dice| format!("s-{}", id(dice))),
        resource_group: dice.rarely(9, |_| "rg".into()),
        tags: dice
            .rarely(6, |dice| {
                let value = dice.rarely(2, |dice| dice.one_of(&VALUES).to_owned());
                vec![(dice.one_of(&KEYS).to_owned(), value)]
            })
            .unwrap_or_default(),
        created_from: dice.rarely(6, |dice| second(dice.below(50))),
        created_to: dice.rarely(6, |dice| second(dice.below(50))),
        has_cloud_init: dice.rarely(8, |dice| dice.below(2) == 0),
        skip: usize::try_from(dice.below(20)).unwrap(),
        take: usize::try_from(dice.below(20)).unwrap(),
    }
}

/// What a query means, without any index.
pub(crate) fn is_meant(query: &ImageQuery, image: &Image) -> bool {
    fn fits<T: PartialEq>(wanted: Option<&T>, value: &T) -> bool {
        wanted.is_none_or(|wanted| wanted == value)
    }
    let is_own = image.owner == query.caller;
    let is_seen = (query.scope.own && is_own)
        || (query.scope.shared && !is_own && image.shared.contains_key(&query.caller))
        || (query.scope.public && !is_own && image.is_public);
    is_seen
        && image.region == query.region
        && fits(query.owner.as_ref(), &image.owner)
        && (query.ids.is_empty() || query.ids.contains(&image.id))
        && query.name.as_ref().is_none_or(|name| is_like(&image.name, name))
        && (query.family.is_none() || query.family == image.family)
        && query.statuses.as_ref().is_none_or(|statuses| statuses.contains(&image.status))
        && fits(query.architecture.as_ref(), &image.architecture)
        && fits(query.os_type.as_ref(), &image.os_type)
        && query.snapshot.as_ref().is_none_or(|id| image.disks.iter().any(|d| d.snapshot == *id))
        && (query.resource_group.is_none() || query.resource_group == image.resource_group)
        && query.tags.iter().all(|(key, value)| match value {
            Some(value) => image.tags.get(key) == Some(value),
            None => image.tags.contains_key(key),
        })
        && query.created_from.is_none_or(|from| image.created >= from)
        && query.created_to.is_none_or(|to| image.created <= to)
        && fits(query.has_cloud_init.as_ref(), &image.has_cloud_init)
}

/// Whether a name contains a pattern, tried at every place.
fn is_like(name: &str, pattern: &str) -> bool {
    fn begins(name: &[char], pattern: &[char]) -> bool {
        match pattern {
            [] => true,
            ['*', rest @ ..] => (0..=name.len()).any(|at| begins(&name[at..], rest)),
            [first, rest @ ..] => name.first() == Some(first) && begins(&name[1..], rest),
        }
    }
    let name: Vec<char> = name.to_lowercase().chars().collect();
    let pattern: Vec<char> = format!("*{}", pattern.to_lowercase()).chars().collect();
    begins(&name, &pattern)
}

pub(crate) fn task(id: &str, owner: &str, created: u64) -> Task {
    Task {
        id: id.into(),
        region: "r1".into(),
        owner: owner.into(),
        action: TaskAction::ImportImage,
        status: TaskStatus::Processing,
        image: format!("m-{id}"),
        format: None,
        is_checked: false,
        is_cancelled: false,
        created: second(created),
        finished: None,
        steps: Vec::new(),
    }
}
