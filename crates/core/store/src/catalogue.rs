//! All images in memory, with an index for each filter.
//!
//! A region numbers its images by slots. Each value that a filter may ask for has the set of its
//! slots; a query is the intersection of a few such sets, its total the size of what is left, and
//! only the images of the page itself are looked at.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use kiln_model::{Architecture, Image, ImageStatus, OsType};

use crate::catalogue_names::{Names, has_parts, parts};
use crate::catalogue_set::{Bits, Posting};
use crate::{ImageQuery, Page};

/// A change that the database tells of.
#[derive(Debug)]
pub(crate) enum News {
    /// The image is now this.
    Is(Box<Image>),
    /// There is no such image any more.
    Gone { region: String, id: String },
}

/// The images of all regions, as of one revision.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    regions: HashMap<String, Region>,
    /// All changes up to this one are in.
    pub(crate) revision: i64,
}

impl Catalogue {
    /// Makes a catalogue of images in any order.
    pub(crate) fn load(mut images: Vec<(i64, Image)>, revision: i64) -> Self {
        // Oldest first, so that each goes to the end of the order.
        images.sort_by(|(_, a), (_, b)| compare(a, b));
        let mut catalogue = Self { regions: HashMap::new(), revision };
        for (revision, image) in images {
            catalogue.learn(revision, News::Is(Box::new(image)));
        }
        catalogue
    }

    /// Takes in one change; one that is older than what is known changes nothing.
    pub(crate) fn learn(&mut self, revision: i64, news: News) {
        match news {
            News::Is(image) => {
                let region = self.regions.entry(image.region.clone()).or_default();
                if region.is_older(&image.id, revision) {
                    region.remove(&image.id);
                    region.insert(Arc::new(*image), revision);
                }
            }
            News::Gone { region, id } => {
                if let Some(region) = self.regions.get_mut(&region)
                    && region.is_older(&id, revision)
                {
                    region.remove(&id);
                }
            }
        }
    }

    pub(crate) fn images(&self, query: &ImageQuery) -> Page<Arc<Image>> {
        self.regions
            .get(&query.region)
            .map_or_else(|| Page { total: 0, items: Vec::new() }, |region| region.images(query))
    }

    pub(crate) fn count(&self, owner: &str, region: &str) -> u64 {
        let posting = self
            .regions
            .get(region)
            .and_then(|region| region.terms.get(&Term::Owner(owner.to_owned())));
        posting.map_or(0, |posting| posting.len() as u64)
    }

    pub(crate) fn blob_hashes(&self, region: &str) -> BTreeSet<String> {
        let slots = self.regions.get(region).map(|region| region.slots.as_slice());
        let images = slots.unwrap_or_default().iter().flatten();
        let disks = images.flat_map(|slot| &slot.image.disks);
        disks.filter_map(|disk| disk.blob.as_ref()).map(|blob| blob.hash.clone()).collect()
    }
}

/// A value that a filter may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Term {
    Owner(String),
    SharedWith(String),
    Public,
    Family(String),
    TagKey(String),
    Tag(String, String),
    Status(ImageStatus),
    Architecture(Architecture),
    Os(OsType),
    Snapshot(String),
    Group(String),
    CloudInit(bool),
}

fn terms(image: &Image) -> Vec<Term> {
    let mut terms = vec![
        Term::Owner(image.owner.clone()),
        Term::Status(image.status),
        Term::Architecture(image.architecture),
        Term::Os(image.os_type),
        Term::CloudInit(image.has_cloud_init),
    ];
    terms.extend(image.is_public.then_some(Term::Public));
    terms.extend(image.family.clone().map(Term::Family));
    terms.extend(image.resource_group.clone().map(Term::Group));
    terms.extend(image.shared.keys().cloned().map(Term::SharedWith));
    terms.extend(image.disks.iter().map(|disk| Term::Snapshot(disk.snapshot.clone())));
    for (key, value) in &image.tags {
        terms.push(Term::TagKey(key.clone()));
        terms.push(Term::Tag(key.clone(), value.clone()));
    }
    terms
}

/// The opposite of the order of lists, so that a new image goes to the end.
fn compare(a: &Image, b: &Image) -> Ordering {
    (a.created, Reverse(&a.id)).cmp(&(b.created, Reverse(&b.id)))
}

#[derive(Debug)]
struct Slot {
    image: Arc<Image>,
    revision: i64,
}

#[derive(Debug, Default)]
struct Region {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    by_id: HashMap<String, u32>,
    /// Slots, sorted by `compare`.
    order: Vec<u32>,
    terms: HashMap<Term, Posting>,
    names: Names,
}

impl Region {
    fn image(&self, slot: u32) -> Option<&Arc<Image>> {
        self.slots.get(slot as usize)?.as_ref().map(|slot| &slot.image)
    }

    /// Whether what is known of an image is older than a revision.
    fn is_older(&self, id: &str, revision: i64) -> bool {
        let slot = self.by_id.get(id).and_then(|slot| self.slots.get(*slot as usize)?.as_ref());
        slot.is_none_or(|slot| slot.revision < revision)
    }

    /// How many of the order come before an image.
    fn rank(&self, image: &Image) -> usize {
        self.order.partition_point(|slot| {
            self.image(*slot).is_some_and(|other| compare(other, image) == Ordering::Less)
        })
    }

    fn insert(&mut self, image: Arc<Image>, revision: i64) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            // Four thousand million images do not fit into memory.
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let n_slots = self.slots.len();
        for term in terms(&image) {
            self.terms.entry(term).or_insert_with(Posting::new).insert(slot, n_slots);
        }
        self.names.insert(&image.name, slot, n_slots);
        self.by_id.insert(image.id.clone(), slot);
        let rank = self.rank(&image);
        self.order.insert(rank, slot);
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(Slot { image, revision });
        }
    }

    fn remove(&mut self, id: &str) {
        let Some(slot) = self.by_id.remove(id) else { return };
        let Some(image) = self.image(slot).cloned() else { return };
        let rank = self.rank(&image);
        if self.order.get(rank) == Some(&slot) {
            self.order.remove(rank);
        }
        for term in terms(&image) {
            if let Some(posting) = self.terms.get_mut(&term) {
                posting.remove(slot);
                if posting.len() == 0 {
                    self.terms.remove(&term);
                }
            }
        }
        self.names.remove(&image.name, slot);
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = None;
        }
        self.free.push(slot);
    }

    fn images(&self, query: &ImageQuery) -> Page<Arc<Image>> {
        let mut found = self.visible(query);
        for term in single_terms(query) {
            self.keep(term, &mut found);
        }
        if let Some(statuses) = &query.statuses {
            let mut any = Bits::default();
            for status in statuses {
                self.add(Term::Status(*status), &mut any);
            }
            found.intersect(&any);
        }
        if !query.ids.is_empty() {
            let named = query.ids.iter().filter_map(|id| self.by_id.get(id).copied());
            found.intersect(&named.collect());
        }
        if query.created_from.is_some() || query.created_to.is_some() {
            found.intersect(&self.created_between(query.created_from, query.created_to));
        }
        if let Some(pattern) = &query.name {
            self.keep_named(pattern, &mut found);
        }
        self.page(&found, query.skip, query.take)
    }

    fn add(&self, term: Term, bits: &mut Bits) {
        if let Some(posting) = self.terms.get(&term) {
            posting.add_to(bits);
        }
    }

    fn keep(&self, term: Term, bits: &mut Bits) {
        match self.terms.get(&term) {
            Some(posting) => posting.keep_in(bits),
            None => *bits = Bits::default(),
        }
    }

    fn visible(&self, query: &ImageQuery) -> Bits {
        let mut bits = Bits::default();
        let own = Term::Owner(query.caller.clone());
        if query.scope.public {
            self.add(Term::Public, &mut bits);
        }
        // Shared with its owner is no way to see an image either, where only those of others count.
        if query.scope.shared {
            self.add(Term::SharedWith(query.caller.clone()), &mut bits);
        }
        if let Some(posting) = self.terms.get(&own) {
            posting.remove_from(&mut bits);
        }
        if query.scope.own {
            self.add(own, &mut bits);
        }
        bits
    }

    fn created_between(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> Bits {
        let count = |before: &dyn Fn(Timestamp) -> bool| {
            self.order.partition_point(|slot| {
                self.image(*slot).is_some_and(|image| before(image.created))
            })
        };
        let start = from.map_or(0, |from| count(&|created| created < from));
        let end = to.map_or(self.order.len(), |to| count(&|created| created <= to));
        self.order.get(start..end).unwrap_or_default().iter().copied().collect()
    }

    fn keep_named(&self, pattern: &str, found: &mut Bits) {
        let parts = parts(pattern);
        for part in &parts {
            found.intersect(&self.names.containing(part));
        }
        // Each part is there; of several, their order is still to be seen.
        if parts.len() > 1 {
            let is_named =
                |slot: &u32| self.image(*slot).is_some_and(|image| has_parts(&image.name, &parts));
            *found = found.iter().filter(is_named).collect();
        }
    }

    fn page(&self, found: &Bits, skip: usize, take: usize) -> Page<Arc<Image>> {
        let total = found.count();
        let wanted = take.min(total.saturating_sub(skip));
        let image = |slot: u32| self.image(slot).cloned();
        // To sort few is cheaper than to go through all.
        let items = if wanted == 0 {
            Vec::new()
        } else if total.saturating_mul(32) < self.order.len() {
            let mut images: Vec<_> = found.iter().filter_map(image).collect();
            images.sort_by(|a, b| compare(b, a));
            images.into_iter().skip(skip).take(wanted).collect()
        } else {
            let slots = self.order.iter().rev().copied().filter(|slot| found.contains(*slot));
            slots.skip(skip).take(wanted).filter_map(image).collect()
        };
        Page { total: total as u64, items }
    }
}

/// The filters that are one term each.
fn single_terms(query: &ImageQuery) -> Vec<Term> {
    let mut terms = Vec::new();
    terms.extend(query.owner.clone().map(Term::Owner));
    terms.extend(query.family.clone().map(Term::Family));
    terms.extend(query.architecture.map(Term::Architecture));
    terms.extend(query.os_type.map(Term::Os));
    terms.extend(query.snapshot.clone().map(Term::Snapshot));
    terms.extend(query.resource_group.clone().map(Term::Group));
    terms.extend(query.has_cloud_init.map(Term::CloudInit));
    terms.extend(query.tags.iter().map(|(key, value)| match value {
        Some(value) => Term::Tag(key.clone(), value.clone()),
        None => Term::TagKey(key.clone()),
    }));
    terms
}
