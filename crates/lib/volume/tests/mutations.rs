//! What the fuzz targets do, in small: seeded mutations of sound images must neither panic nor
//! take long, whatever they claim.

mod support;

use kiln_disk::MemSource;
use kiln_fixtures::lvm::{AREA_START, group_text, physical_volume, striped, write_text};
use kiln_fixtures::md::{Member, Version};
use kiln_volume::exercise_volumes;
use support::{Folder, run, run_with};

/// xorshift64: the same numbers on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Spoil one to four of the bytes in `places`, or put a number there that is often a limit.
fn mutate(image: &mut [u8], places: &[std::ops::Range<usize>], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let range = &places[random.below(places.len())];
        let at = range.start + random.below(range.len());
        match random.below(4) {
            0 => image[at] ^= 1 << random.below(8),
            1 => image[at] = random.below(256) as u8,
            2 => image[at..(at + 4).min(range.end)].fill(0xFF),
            _ => image[at..(at + 4).min(range.end)].fill(0),
        }
    }
}

fn survives(sound: &[u8], places: &[std::ops::Range<usize>], n_rounds: usize) {
    let mut random = Random(0x5EED_0000_0000_0001);
    assert!(exercise_volumes(MemSource::shared(sound)) > 0, "the sample is sound");
    for _ in 0..n_rounds {
        let mut image = sound.to_vec();
        mutate(&mut image, places, &mut random);
        exercise_volumes(MemSource::shared(image));
    }
}

#[test]
fn partition_tables_survive() {
    let folder = Folder::new();
    let size = 1 << 20;
    for script in [
        "label: gpt\nstart=64, size=64\nsize=64\nsize=64\n",
        "label: dos\nstart=64, size=64\nstart=128, size=1024, type=5\nstart=192, size=64\n\
         start=320, size=64\nstart=448, size=64\n",
    ] {
        let path = folder.image("disk.img", size);
        run_with("sfdisk", &[path.to_str().unwrap()], script);
        let image = std::fs::read(path).unwrap();
        let end = image.len();
        let records = [128 * 512..129 * 512, 256 * 512..257 * 512, 384 * 512..385 * 512];
        let places = [440..2048, 440..512, 512..604, end - 512..end - 420];
        survives(&image, &[&places[..], &records].concat(), 1500);
    }
}

#[test]
fn physical_volumes_survive() {
    let mut image = physical_volume(2 << 20, "aaaaaabbbbccccddddeeeeffffgggggg");
    let segments = [striped(0, 1, &[("pv0", 0)]), striped(1, 1, &[("pv0", 0), ("pv0", 0)])];
    let text = group_text("vg", 1, &["aaaaaabbbbccccddddeeeeffffgggggg"], &[("lv", &segments)]);
    write_text(&mut image, &text, 512);
    survives(&image, &[512..1024, AREA_START..AREA_START + 64], 1000);
    // The text behind its checksum.
    let mut random = Random(0x5EED_0000_0000_0002);
    for _ in 0..1000 {
        let mut bytes = text.clone().into_bytes();
        let whole = 0..bytes.len();
        mutate(&mut bytes, &[whole], &mut random);
        write_text(&mut image, &String::from_utf8_lossy(&bytes), 512);
        exercise_volumes(MemSource::shared(&image[..]));
    }
}

#[test]
fn raid_members_survive() {
    let member = Member {
        version: Version::V1_2,
        uuid: [9; 16],
        name: "kiln:root",
        level: 1,
        n_disks: 2,
        number: 0,
        n_events: 1,
        data_start_sectors: 64,
    };
    let mut image = vec![0; 1 << 20];
    member.write(&mut image, 512);
    survives(&image, &[4096..4224, 4224..4356], 1000);
}

#[test]
fn fat_survives() {
    let folder = Folder::new();
    for (width, size, data) in
        [("12", 256 << 10, 512 * 4), ("16", 4400 << 10, 512 * 4), ("32", 34 << 20, 0)]
    {
        let path = folder.image("fat.img", size);
        let image = path.to_str().unwrap();
        run("mkfs.vfat", &["-F", width, "-s", "1", image]);
        let file = folder.path("a long file name.txt");
        std::fs::write(&file, vec![1; 3000]).unwrap();
        run("mmd", &["-i", image, "::/a directory"]);
        for to in ["::/", "::/a directory/"] {
            run("mcopy", &["-i", image, file.to_str().unwrap(), to]);
        }
        let sound = std::fs::read(&path).unwrap();
        let sector = |at: usize| usize::from(u16::from_le_bytes([sound[at], sound[at + 1]])) * 512;
        let fat_sectors = match sector(22) / 512 {
            0 => u32::from_le_bytes(sound[36..40].try_into().unwrap()) as usize,
            n => n,
        };
        let (fat, root) = (sector(14), sector(14) + 2 * fat_sectors * 512);
        let places =
            [0..512, 0..64, fat..fat + 64, root..root + 1024, root + data..root + data + 2048];
        // As many rounds as cost about the same to copy.
        survives(&sound, &places, (384 << 20) / sound.len());
    }
}
