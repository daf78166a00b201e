//! Every format against the tool that everybody uses: `qemu-img` writes it, kiln reads it, and both
//! must see the same bytes and the same holes.

mod disks;

use disks::{Disks, SIZE_BYTES};
use kiln_disk::{ExtentKind, Format, OpenOptions, map, open};

/// Convert the patterned disk, read it back and compare; `expected` is `Image::format`.
#[track_caller]
fn same_bytes(disks: &Disks, name: &str, expected: Format, arguments: &[&str]) {
    let path = disks.convert(name, arguments);
    let image = open(path.to_str().unwrap(), &OpenOptions::default()).unwrap();
    assert_eq!(image.format, expected, "{name}");
    disks.compare(name, &*image.source);
    let finer = matches!(expected, Format::Vhd | Format::Vhdx);
    disks.compare_map(name, &path, &*image.source, finer);
    assert!(image.bytes_read() > 0, "{name}");
}

#[test]
fn raw() {
    let disks = Disks::new();
    let image = open(disks.raw().to_str().unwrap(), &OpenOptions::default()).unwrap();
    assert_eq!((image.format, image.notes.len()), (Format::Raw, 0));
    disks.compare("raw", &*image.source);
    disks.compare_map("raw", disks.raw(), &*image.source, false);
}

#[test]
fn qcow2_in_every_form() {
    let disks = Disks::new();
    for (name, options) in [
        ("v2", "compat=0.10"),
        ("v3", "compat=1.1"),
        ("lazy", "compat=1.1,lazy_refcounts=on"),
        ("extended", "extended_l2=on"),
        ("extended16k", "extended_l2=on,cluster_size=16k"),
        ("c512", "cluster_size=512"),
        ("c4k", "cluster_size=4k"),
        ("c2M", "cluster_size=2M"),
        ("falloc", "preallocation=falloc"),
        ("metadata", "preallocation=metadata"),
    ] {
        same_bytes(
            &disks,
            &format!("{name}.qcow2"),
            Format::Qcow2,
            &["-O", "qcow2", "-o", options],
        );
    }
    for (name, options) in [
        ("v2c", "compat=0.10"),
        ("zlib", "compression_type=zlib"),
        ("zstd", "compression_type=zstd"),
        ("zlib512", "compression_type=zlib,cluster_size=512"),
        ("zstd2M", "compression_type=zstd,cluster_size=2M"),
        ("zlib2M", "compression_type=zlib,cluster_size=2M"),
    ] {
        let arguments = ["-c", "-O", "qcow2", "-o", options];
        same_bytes(&disks, &format!("{name}.qcow2"), Format::Qcow2, &arguments);
    }
}

/// base.qcow2 is shorter than the disk, mid holds a part, top another part and zeroes.
#[test]
fn a_chain_of_three_with_a_shorter_base() {
    let disks = Disks::new();
    let at = |name: &str| disks.path(name);
    disks.qemu_img(&["convert", "-O", "qcow2", disks.raw().to_str().unwrap(), &at("base.qcow2")]);
    disks.qemu_img(&["resize", "--shrink", "-q", &at("base.qcow2"), "20M"]);
    let size = SIZE_BYTES.to_string();
    let create = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"];
    let chained = |options: &str, below: &str, name: &str| {
        let rest = [below, "-o", options, &at(name), &size];
        disks.qemu_img(&[&create[..], &rest[..]].concat());
    };
    chained("cluster_size=64k", "base.qcow2", "mid.qcow2");
    disks.qemu_io(&at("mid.qcow2"), &["write -P 17 1M 300k", "write -P 18 19M 3M"]);
    chained("extended_l2=on", "mid.qcow2", "top.qcow2");
    disks.qemu_io(
        &at("top.qcow2"),
        &["write -P 33 1100k 5k", "write -z 8M 1M", "write -P 34 39M 64k", "discard 3M 1M"],
    );
    let image = open(&at("top.qcow2"), &OpenOptions::default()).unwrap();
    let chain: Vec<_> = image.chain.iter().map(|link| link.format).collect();
    assert_eq!(chain, [Format::Qcow2, Format::Qcow2]);
    let expected = disks.flattened("top.qcow2");
    disks::compare_bytes("chain", &expected, &*image.source);
    let data: u64 = map(&*image.source)
        .map(|item| item.unwrap().1)
        .filter(|extent| extent.kind == ExtentKind::Data)
        .map(|extent| extent.length_bytes)
        .sum();
    assert!(data < SIZE_BYTES / 2, "the map of the chain has {data} bytes of data");
}

#[test]
fn vhd_fixed_and_dynamic() {
    let disks = Disks::new();
    for (name, options) in
        [("dynamic", "subformat=dynamic,force_size=on"), ("fixed", "subformat=fixed,force_size=on")]
    {
        same_bytes(&disks, &format!("{name}.vhd"), Format::Vhd, &["-O", "vpc", "-o", options]);
    }
    // Without force_size qemu-img rounds the disk up to a geometry, and kiln must see that size.
    let path = disks.convert("geometry.vhd", &["-O", "vpc"]);
    let image = open(path.to_str().unwrap(), &OpenOptions::default()).unwrap();
    assert_eq!(image.notes, [""; 0]);
    disks::compare_bytes("geometry", &disks.flattened("geometry.vhd"), &*image.source);
}

#[test]
fn vhdx_fixed_and_dynamic() {
    let disks = Disks::new();
    for (name, options) in [
        ("dynamic", "subformat=dynamic"),
        ("small", "subformat=dynamic,block_size=1M"),
        ("large", "subformat=dynamic,block_size=256M"),
        ("fixed", "subformat=fixed"),
    ] {
        same_bytes(&disks, &format!("{name}.vhdx"), Format::Vhdx, &["-O", "vhdx", "-o", options]);
    }
}

#[test]
fn vmdk_in_every_subformat() {
    let disks = Disks::new();
    for subformat in [
        "monolithicSparse",
        "streamOptimized",
        "monolithicFlat",
        "twoGbMaxExtentSparse",
        "twoGbMaxExtentFlat",
    ] {
        let option = format!("subformat={subformat}");
        let name = format!("{subformat}.vmdk");
        same_bytes(&disks, &name, Format::Vmdk, &["-O", "vmdk", "-o", &option]);
        let image = open(&disks.path(&name), &OpenOptions::default()).unwrap();
        assert_eq!(image.variant, subformat);
    }
    let option = "subformat=monolithicSparse,zeroed_grain=on";
    same_bytes(&disks, "zeroed.vmdk", Format::Vmdk, &["-O", "vmdk", "-o", option]);
}

/// 9 GiB: beyond a chunk of a VHDX block table, an extent of 2 GiB and 32-bit offsets.
#[test]
fn seams_that_only_large_disks_have() {
    const GIB: u64 = 1 << 30;
    let disks = Disks::small();
    for (name, format, options) in [
        ("large.vhdx", "vhdx", "block_size=1M"),
        ("large.vhd", "vpc", "force_size=on"),
        ("sparse.vmdk", "vmdk", "subformat=monolithicSparse"),
        ("split.vmdk", "vmdk", "subformat=twoGbMaxExtentSparse"),
        ("flat.vmdk", "vmdk", "subformat=twoGbMaxExtentFlat"),
        ("large.qcow2", "qcow2", "cluster_size=64k"),
        ("small.qcow2", "qcow2", "cluster_size=512"),
    ] {
        let path = disks.path(name);
        disks.qemu_img(&["create", "-q", "-f", format, "-o", options, &path, "9G"]);
        disks.qemu_io(&path, &["write -P 1 4193800k 1000k", "write -P 2 8191M 2M"]);
        let image = open(&path, &OpenOptions::default()).unwrap();
        assert_eq!(image.source.size_bytes(), 9 * GIB, "{name}");
        let written = [(4_193_800 << 10, 1000 << 10, 1_u8), (8 * GIB - (1 << 20), 2 << 20, 2)];
        for (at, length, value) in written {
            let mut bytes = vec![9; 512 + length + 512];
            image.source.read_at(at - 512, &mut bytes).unwrap();
            let inside = bytes[512..512 + length].iter().all(|byte| *byte == value);
            let around = bytes[..512].iter().chain(&bytes[512 + length..]).all(|byte| *byte == 0);
            assert!(inside && around, "{name} at {at}");
        }
        let data: u64 = map(&*image.source)
            .map(|item| item.unwrap().1)
            .filter(|extent| extent.kind == ExtentKind::Data)
            .map(|extent| extent.length_bytes)
            .sum();
        assert!((3000 << 10..16 << 20).contains(&data), "{name}: {data} bytes of data");
    }
}

/// One image serves all threads: caches and decoders are shared, reads must not mix.
#[test]
fn threads_share_an_image() {
    let disks = Disks::new();
    let path = disks.convert("shared.qcow2", &["-c", "-O", "qcow2"]);
    let image = open(path.to_str().unwrap(), &OpenOptions::default()).unwrap();
    std::thread::scope(|scope| {
        for seed in 1..=4 {
            let (source, expected) = (&*image.source, disks.bytes());
            scope.spawn(move || {
                let mut random = disks::Random(seed);
                let mut buf = vec![0; 5000];
                for _ in 0..2000 {
                    let at = random.next() % (SIZE_BYTES - 5000);
                    source.read_at(at, &mut buf).unwrap();
                    assert!(buf == expected[at as usize..][..5000], "at {at}");
                }
            });
        }
    });
}
