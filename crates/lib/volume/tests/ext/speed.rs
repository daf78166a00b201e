//! What is read for what: counted, not timed, so that it holds on any machine.

use std::sync::Arc;

use kiln_disk::Source;
use kiln_fixtures::mounted::{CountingSource, FileSource};
use kiln_volume::Tree;

use crate::images::{Image, many_names, pattern};

#[test]
fn little_is_read_and_in_large_pieces() {
    let image = Image::make(&["mkfs.ext4", "-b", "4096"], 256 << 20);
    {
        let mounted = image.mount("");
        std::fs::write(mounted.join("large"), pattern(32 << 20, 1)).unwrap();
        many_names(&mounted.join("many"), 1000, 20).unwrap();
    }
    let counting = CountingSource::new(FileSource::shared(&image.path()).unwrap());
    let source: Source = Arc::<CountingSource>::clone(&counting);
    let tree = Tree::new(kiln_volume::open_ext(source).unwrap());
    assert_eq!(counting.take_counts(), (1, 1024), "to open is to read the superblock");

    let content = tree.read("/large", 32 << 20).unwrap().unwrap();
    assert!(content == pattern(32 << 20, 1));
    let (n_reads, n_bytes) = counting.take_counts();
    // Descriptors, two blocks of inodes, the root directory; the file itself in a few extents.
    assert!(n_reads < 20, "{n_reads} reads");
    assert!(n_bytes < (32 << 20) + 64 * 1024, "{n_bytes} bytes");

    for entry in tree.list("/many").unwrap() {
        tree.stat([b"/many/", &entry.name[..]].concat()).unwrap().unwrap();
    }
    // 1000 inodes of 256 bytes are 63 blocks, and as many names are 12: each is read once.
    let (n_reads, _) = counting.take_counts();
    assert!(n_reads < 90, "{n_reads} reads");
    tree.stat("/large").unwrap().unwrap();
    assert_eq!(counting.take_counts(), (0, 0), "what was read is kept");
}
