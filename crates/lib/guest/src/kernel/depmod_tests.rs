//! The indexes that kiln writes are those that depmod writes, and modprobe resolves through them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::process::Command;

use kiln_fixtures::module::Module;

use super::depmod::{ModuleIndex, builtin_index};
use super::*;

const K: &str = "6.1.0";

/// Modules with keys that are hard on a trie: prefixes of each other, wildcards, brackets, dashes,
/// one alias of several modules, one alias twice in a module.
fn awkward() -> Vec<(&'static str, Module)> {
    let module = |name: &str| Module::new(name, K);
    vec![
        ("kernel/a/crc32c-intel.ko", module("crc32c-intel").alias("crc32c").alias("crypto-crc32c")),
        ("kernel/a/crc32c_generic.ko", module("crc32c_generic").alias("crc32c").alias("crc32c")),
        ("kernel/b/v.ko", module("v").alias("*").alias("a*").alias("a")),
        ("kernel/b/virtio.ko", module("virtio").depends(&["v"])),
        (
            "kernel/b/virtio-ring.ko",
            module("virtio-ring").depends(&["virtio", "v"]).alias("virtio-x:[0-9a-f]-*"),
        ),
        (
            "kernel/b/virtio_blk.ko",
            module("virtio_blk")
                .depends(&["virtio-ring", "virtio"])
                .alias("virtio:d00000002v*")
                .info("softdep=pre: crc32c"),
        ),
        ("extra/z.ko", module("z").alias("broken[").alias("pci:v*d*sv*sd*bc01sc08i02*")),
        (
            "kernel/b/dm-mod.ko",
            module("dm-mod").alias("devname:mapper/control").alias("char-major-10-236"),
        ),
        ("kernel/b/~last.ko", module("~last").alias("~")),
    ]
}

/// A module directory of `modules`, indexed by depmod.
fn indexed_by_depmod(modules: &[(&str, Vec<u8>)], order: &str, builtin: &str) -> tempfile::TempDir {
    let top = tempfile::tempdir().unwrap();
    let dir = top.path().join("lib/modules").join(K);
    for (path, bytes) in modules {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::write(dir.join("modules.order"), order).unwrap();
    fs::write(dir.join("modules.builtin"), builtin).unwrap();
    let run = Command::new("/usr/sbin/depmod").arg("-b").arg(top.path()).arg(K).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    top
}

fn sample() -> tempfile::TempDir {
    let modules: Vec<_> = awkward().into_iter().map(|(path, m)| (path, m.build())).collect();
    let order: String = modules.iter().map(|(path, _)| format!("{path}\n")).collect();
    indexed_by_depmod(&modules, &order, "kernel/drivers/nvme/host/nvme-core.ko\nkernel/x/nv.ko\n")
}

fn read(dir: &Path) -> ModuleIndex {
    ModuleIndex::read(&|name| fs::read(dir.join(name)).ok())
}

fn all_files(index: &ModuleIndex) -> HashMap<String, String> {
    index.modules.iter().map(|module| (module.name.clone(), module.path.clone())).collect()
}

/// Lines of a text without regard to their order: that of symbols is one of depmod's hash table.
fn sorted(bytes: &[u8]) -> Vec<String> {
    let mut lines: Vec<_> = String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn assert_as_depmod(index: &ModuleIndex, dir: &Path) {
    let files = index.files().unwrap();
    let names: BTreeSet<&str> = files.iter().map(|(name, _)| *name).collect();
    assert!(names.contains("modules.dep.bin") && names.contains("modules.devname"), "{names:?}");
    for (name, bytes) in files {
        let theirs = fs::read(dir.join(name)).unwrap();
        match name {
            "modules.symbols" => assert_eq!(sorted(&bytes), sorted(&theirs)),
            _ => assert_eq!(
                String::from_utf8_lossy(&bytes).escape_debug().to_string(),
                String::from_utf8_lossy(&theirs).escape_debug().to_string(),
                "{name}"
            ),
        }
        assert!(name == "modules.symbols" || bytes == theirs, "{name} differs in bytes");
    }
}

#[test]
fn indexes_are_byte_for_byte_those_of_depmod() {
    let top = sample();
    let dir = top.path().join("lib/modules").join(K);
    let index = read(&dir);
    assert_eq!(index.modules.len(), 9);
    let chosen = index.choose(&ModuleIndex::default(), &all_files(&index));
    assert_eq!(chosen, index);
    assert_as_depmod(&chosen, &dir);
    let builtin = fs::read_to_string(dir.join("modules.builtin")).unwrap();
    let theirs = fs::read(dir.join("modules.builtin.bin")).unwrap();
    assert_eq!(builtin_index(&builtin).unwrap(), theirs);
}

/// A choice of the lines is what depmod writes over the chosen modules.
#[test]
fn a_choice_is_what_depmod_makes_of_the_chosen() {
    let top = sample();
    let index = read(&top.path().join("lib/modules").join(K));
    let all = awkward();
    for left_out in ["v", "virtio", "crc32c_intel", "z", "dm_mod"] {
        let mut kept = all_files(&index);
        kept.remove(left_out).unwrap();
        let modules: Vec<_> = all
            .iter()
            .filter(|(path, _)| kept.values().any(|kept| kept == path))
            .map(|(path, module)| (*path, module.build()))
            .collect();
        let order: String = all.iter().map(|(path, _)| format!("{path}\n")).collect();
        let theirs = indexed_by_depmod(&modules, &order, "");
        let chosen = index.choose(&ModuleIndex::default(), &kept);
        assert_as_depmod(&chosen, &theirs.path().join("lib/modules").join(K));
    }
}

/// Without the text files, the binary ones tell the same.
#[test]
fn the_binary_forms_are_read_where_the_texts_are_missing() {
    let top = sample();
    let dir = top.path().join("lib/modules").join(K);
    let index = read(&dir);
    for name in ["modules.dep", "modules.alias", "modules.symbols"] {
        fs::remove_file(dir.join(name)).unwrap();
    }
    let again = read(&dir);
    let deps = |index: &ModuleIndex| -> BTreeMap<String, Vec<String>> {
        index.modules.iter().map(|m| (m.name.clone(), m.needs.clone())).collect()
    };
    assert_eq!(deps(&again), deps(&index));
    let set = |pairs: &[(String, String)]| -> BTreeSet<(String, String)> {
        pairs.iter().map(|(a, m)| (a.replace("virtio-x", "virtio_x"), m.clone())).collect()
    };
    assert_eq!(again.symbols.len(), index.symbols.len());
    assert!(set(&again.aliases).contains(&("virtio_x:[0-9a-f]_*".into(), "virtio_ring".into())));
}

/// What modprobe finds through indexes that kiln wrote, texts removed.
#[test]
fn modprobe_resolves_through_them() {
    let top = sample();
    let dir = top.path().join("lib/modules").join(K);
    let index = read(&dir);
    for (name, bytes) in index.files().unwrap() {
        fs::write(dir.join(name), bytes).unwrap();
    }
    for name in ["modules.dep", "modules.alias", "modules.symbols"] {
        fs::remove_file(dir.join(name)).unwrap();
    }
    let modprobe = |args: &[&str]| {
        let mut command = Command::new("/usr/sbin/modprobe");
        command.arg("-d").arg(top.path()).args(["-S", K, "-C", "/nowhere"]).args(args);
        let run = command.output().unwrap();
        let text = String::from_utf8(run.stdout).unwrap();
        let base = |line: &str| line.rsplit('/').next().unwrap_or(line).trim().to_owned();
        text.lines().map(base).collect::<Vec<_>>()
    };
    // The soft dependency on an alias of two modules as well.
    assert_eq!(
        modprobe(&["--show-depends", "virtio_blk"]),
        [
            "v.ko",
            "virtio.ko",
            "virtio-ring.ko",
            "crc32c-intel.ko",
            "crc32c_generic.ko",
            "v.ko",
            "virtio_blk.ko"
        ]
    );
    assert_eq!(modprobe(&["-R", "virtio:d00000002v00001AF4"]), ["v", "virtio_blk"]);
    assert_eq!(
        modprobe(&["-R", "crc32c"]),
        ["crc32c_intel", "crc32c_generic", "crc32c_generic", "v"]
    );
    assert_eq!(modprobe(&["--show-depends", "symbol:dm_mod_symbol"]), ["dm-mod.ko"]);
}

/// What goes in comes out, for keys made of few characters, so that many share a prefix.
#[test]
fn written_indexes_are_read_back() {
    let mut state = 9_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    for _ in 0..300 {
        let mut index = IndexWriter::new();
        let mut wanted: BTreeMap<String, Vec<(u32, String)>> = BTreeMap::new();
        for number in 0..random(60) {
            let key: String =
                (0..random(6)).map(|_| char::from(b"ab*[\x01\x7F"[random(6)])).collect();
            let (value, priority) = (format!("m{number}"), random(3) as u32);
            index.insert(&key, &value, priority).unwrap();
            wanted.entry(key).or_default().insert(0, (priority, value));
        }
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        index_entries(&index.finish().unwrap(), &mut |key, value| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            found.entry(text(key)).or_default().push(text(value));
        })
        .unwrap();
        let ordered = wanted.into_iter().map(|(key, mut values)| {
            values.sort_by_key(|(priority, _)| *priority);
            (key, values.into_iter().map(|(_, value)| value).collect::<Vec<_>>())
        });
        assert_eq!(found, ordered.collect::<BTreeMap<_, _>>());
    }
}

#[test]
fn what_the_format_cannot_hold_is_refused() {
    let message =
        |key: &str, value: &str| IndexWriter::new().insert(key, value, 0).unwrap_err().to_string();
    assert_eq!(
        message("a\u{e4}", ""),
        "`a\\u{e4}` cannot be in a module index: only ASCII without NUL can"
    );
    assert!(message("a", "b\0").starts_with("`b\\u{0}` cannot be"));
    assert_eq!(
        message(&"k".repeat(1024), ""),
        "a module index has keys of up to 1023 bytes and values of up to 1 MiB, not 1024"
    );
    // The deepest trie: every prefix of the longest key is a key.
    let mut index = IndexWriter::new();
    let longest = "k".repeat(1023);
    for end in 0..=longest.len() {
        index.insert(&longest[..end], "m", 1).unwrap();
    }
    let mut n_found = 0;
    index_entries(&index.finish().unwrap(), &mut |_, _| n_found += 1).unwrap();
    assert_eq!(n_found, 1024);
    assert_eq!(IndexWriter::new().finish().unwrap(), b"\xB0\x07\xF4\x57\0\x02\0\x01\0\0\0\x0C");
}
