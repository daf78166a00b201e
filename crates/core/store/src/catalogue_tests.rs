//! The catalogue against a filter without any index, and the time of its answers.

use std::time::Instant;

use kiln_model::Image;

use crate::catalogue::{Catalogue, News};
use crate::records_samples::{Dice, image, is_meant, random_image, random_query, second};
use crate::{ImageQuery, Scope};

/// What a query finds, and all that it would find.
pub(crate) fn naive<'a>(images: &'a [Image], query: &ImageQuery) -> (u64, Vec<&'a Image>) {
    let mut found: Vec<_> = images.iter().filter(|image| is_meant(query, image)).collect();
    found.sort_by(|a, b| b.created.cmp(&a.created).then(a.id.cmp(&b.id)));
    let total = found.len() as u64;
    (total, found.into_iter().skip(query.skip).take(query.take).collect())
}

fn compare(dice: &mut Dice, catalogue: &Catalogue, images: &[Image], n_queries: u64) -> u64 {
    let mut n_found = 0;
    for _ in 0..n_queries {
        let query = random_query(dice, images.len() as u64);
        let page = catalogue.images(&query);
        let items: Vec<&Image> = page.items.iter().map(AsRef::as_ref).collect();
        assert_eq!((page.total, items), naive(images, &query), "{query:?}");
        n_found += page.total;
    }
    n_found
}

/// Images come, change and go; at each stage the indexes must agree with the images.
#[test]
fn indexes_find_what_a_filter_finds() {
    let mut dice = Dice(7);
    let mut images: Vec<Image> = (0..700).map(|n| random_image(&mut dice, n)).collect();
    let loaded = images.iter().cloned().map(|image| (1, image)).collect();
    let mut catalogue = Catalogue::load(loaded, 1);
    assert!(compare(&mut dice, &catalogue, &images, 1500) > 1000);
    for revision in 2..1200 {
        let at = usize::try_from(dice.below(images.len() as u64)).unwrap();
        if dice.below(3) == 0 {
            let image = images.swap_remove(at);
            catalogue.learn(revision, News::Gone { region: image.region, id: image.id });
        } else if dice.below(2) == 0 {
            let number = images[at].id[2..].parse().unwrap();
            let region = images[at].region.clone();
            images[at] = Image { region, ..random_image(&mut dice, number) };
            catalogue.learn(revision, News::Is(Box::new(images[at].clone())));
        } else {
            images.push(random_image(&mut dice, 1000 + u64::try_from(revision).unwrap()));
            catalogue.learn(revision, News::Is(Box::new(images[images.len() - 1].clone())));
        }
    }
    assert!(compare(&mut dice, &catalogue, &images, 1500) > 1000);
}

/// Fault planted: news that are read a second time, after newer ones.
#[test]
fn old_news_change_nothing() {
    let mut catalogue = Catalogue::load(vec![(5, image("m-1", "100", "new"))], 5);
    catalogue.learn(4, News::Is(Box::new(image("m-1", "100", "old"))));
    catalogue.learn(5, News::Gone { region: "r1".into(), id: "m-1".into() });
    let query = everything("100");
    assert_eq!(catalogue.images(&query).items[0].name, "new");
    catalogue.learn(6, News::Gone { region: "r1".into(), id: "m-1".into() });
    assert_eq!(catalogue.images(&query).total, 0);
}

fn everything(caller: &str) -> ImageQuery {
    let scope = Scope { own: true, shared: true, public: true };
    ImageQuery { region: "r1".into(), caller: caller.into(), scope, take: 50, ..Default::default() }
}

/// No limit is set, as the build is not optimised and the machine may be busy: read the output.
#[test]
fn a_page_of_a_hundred_thousand() {
    let mut dice = Dice(11);
    let images = (0..100_000).map(|n| {
        let mut image = image(&format!("m-{n:06}"), "100", &format!("web-server-{n:06}"));
        image.created = second(n / 3);
        image.family = Some(format!("family-{}", dice.below(10)));
        image.tags.insert("team".into(), format!("team-{}", dice.below(100)));
        (1, image)
    });
    let started = Instant::now();
    let catalogue = Catalogue::load(images.collect(), 1);
    let loading = started.elapsed();
    let base = ImageQuery {
        statuses: Some(vec![kiln_model::ImageStatus::Available]),
        ..everything("100")
    };
    let named = |name: &str| ImageQuery { name: Some(name.into()), ..base.clone() };
    let tags = vec![("team".to_owned(), Some("team-7".to_owned()))];
    let mut lines = vec![format!("load: {loading:?}")];
    for (what, query, total) in [
        ("all", base.clone(), Some(100_000)),
        ("deep page", ImageQuery { skip: 99_950, ..base.clone() }, Some(100_000)),
        ("name of all", named("server"), Some(100_000)),
        ("name of some", named("er-0123"), Some(100)),
        ("name of one", named("099999"), Some(1)),
        ("one letter", named("w"), Some(100_000)),
        ("tag", ImageQuery { tags, ..base.clone() }, None),
        ("family", ImageQuery { family: Some("family-3".into()), ..base.clone() }, None),
    ] {
        let started = Instant::now();
        let page = catalogue.images(&query);
        lines.push(format!("{what}: {:?}, {} in all", started.elapsed(), page.total));
        assert!(page.total > 0 && total.is_none_or(|total| total == page.total), "{lines:?}");
    }
    #[expect(clippy::print_stdout, reason = "a test says what it measured or skipped")]
    {
        println!("{}", lines.join("\n"));
    }
}
