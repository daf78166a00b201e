//! What the fuzz targets start from: small images by the tools that make real ones, and texts as
//! distributions write them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use kiln_fixtures::cpio::Cpio;
use kiln_fixtures::{kernel_image, lvm};

use crate::host::workspace;

const BLOCK_BYTES: usize = 4096;

/// Disk images: target and the commands that make `out` in an empty folder. `raw` is there.
const IMAGES: &[(&str, &str)] = &[
    ("disk_qcow2", "qemu-img convert -O qcow2 -o cluster_size=512 raw out"),
    ("disk_qcow2", "qemu-img convert -c -O qcow2 -o cluster_size=4k raw out"),
    ("disk_qcow2", "qemu-img convert -c -O qcow2 -o cluster_size=4k,compression_type=zstd raw out"),
    ("disk_qcow2", "qemu-img convert -O qcow2 -o cluster_size=16k,extended_l2=on raw out"),
    ("disk_qcow2", "qemu-img convert -O qcow2 -o compat=0.10,cluster_size=1k raw out"),
    ("disk_qcow2", "qemu-img create -q -f qcow2 -u -b base -F raw out 1M"),
    ("disk_vhd", "qemu-img create -q -f vpc out 8M"),
    ("disk_vhd", "qemu-img create -q -f vpc -o subformat=fixed,force_size out 64k"),
    ("disk_vhdx", "qemu-img convert -O vhdx -o block_size=1M raw out"),
    ("disk_vmdk", "qemu-img convert -O vmdk raw out"),
    ("disk_vmdk", "qemu-img convert -O vmdk -o subformat=streamOptimized raw out"),
    (
        "disk_vmdk",
        "qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentSparse out.vmdk 1M; mv out.vmdk out",
    ),
    ("fs_ext", "mke2fs -q -t ext4 -O ^metadata_csum,^64bit -d tree out 2M"),
    ("fs_ext", "mke2fs -q -t ext4 -O inline_data,^metadata_csum -I 256 -d tree out 4M"),
    ("fs_ext", "mke2fs -q -t ext3 -d tree out 4M"),
    ("fs_ext", "mke2fs -q -t ext2 -b 1024 -d tree out 1M"),
    ("fs_xfs", "truncate -s 320M out; mkfs.xfs -q -p proto out"),
    ("fs_xfs", "truncate -s 320M out; mkfs.xfs -q -m crc=0 -p proto out"),
    ("fs_btrfs", "truncate -s 16M out; mkfs.btrfs -q --mixed --nodesize 4096 --rootdir tree out"),
    ("fs_fat", "truncate -s 1M out; mkfs.vfat out; mcopy -s -i out tree/* ::"),
    ("fs_fat", "truncate -s 8M out; mkfs.vfat -F 16 -s 1 out; mcopy -s -i out tree/* ::"),
    ("fs_fat", "truncate -s 36M out; mkfs.vfat -F 32 -s 1 out; mcopy -s -i out tree/* ::"),
    (
        "volume_scan",
        "truncate -s 4M out; echo 'label: gpt\n start=2048, size=2048\n size=1024, type=uefi' | sfdisk -q out; \
         mke2fs -q -t ext2 -d tree part 1M; dd if=part of=out bs=1M seek=1 conv=notrunc",
    ),
    (
        "volume_scan",
        "truncate -s 4M out; echo 'label: dos\n start=2048, size=1024\n type=5\n size=100\n size=100' | \
         sfdisk -q out",
    ),
    ("volume_scan", "truncate -s 4M out; mkswap out"),
    ("guest_initramfs", "cp cpio out"),
    ("guest_initramfs", "gzip -c cpio > out"),
    ("guest_initramfs", "bzip2 -c cpio > out"),
    ("guest_initramfs", "xz --check=crc32 -c cpio > out"),
    ("guest_initramfs", "xz --format=lzma -c cpio > out"),
    ("guest_initramfs", "zstd -q -c cpio > out"),
    ("guest_initramfs", "lz4 -q -l -c cpio > out"),
    ("guest_initramfs", "lz4 -q -c cpio > out"),
    ("guest_initramfs", "lzop -c cpio > out"),
    ("guest_initramfs", "cp cpio out; xz --check=crc32 -c cpio >> out"),
    ("guest_segment", "printf '\\0' > out; cat cpio >> out; xz --check=crc32 -c cpio >> out"),
    (
        "guest_kmod",
        "mkdir -p d/lib/modules/6.1; touch d/lib/modules/6.1/modules.order; depmod -b d 6.1; \
         cp d/lib/modules/6.1/modules.alias.bin out",
    ),
    (
        "guest_rpm",
        "rpm --define '_db_backend sqlite' --dbpath $PWD/db --initdb; printf '\\0' > out; \
         cat db/rpmdb.sqlite >> out",
    ),
    ("package_deb", DEB),
    ("package_rpm", RPM),
];

/// Uncompressed, so that a changed byte is a changed byte of the archive.
const DEB: &str = "mkdir -p d/DEBIAN d/etc; cp file d/etc/f 2>/dev/null || echo x > d/etc/f; \
    ln -s f d/etc/l; ln d/etc/f d/etc/h; printf '/etc/f\\n' > d/DEBIAN/conffiles; \
    printf 'Package: a\\nVersion: 1:2-3\\nArchitecture: all\\nMaintainer: N <n@example.com>\\n' \
    > d/DEBIAN/control; \
    printf 'Depends: b (>= 1) | c\\nProvides: e (= 2)\\nDescription: x\\n' >> d/DEBIAN/control; \
    dpkg-deb --root-owner-group -Znone -b d out";
const RPM: &str = "printf 'Name: a\\nVersion: 1\\nRelease: 2\\nSummary: x\\nLicense: x\\n\
    BuildArch: noarch\\nRequires: b >= 1, (c and (d or e))\\n%%description\\nx\\n%%install\\n\
    mkdir -p %%{buildroot}/etc; echo x > %%{buildroot}/etc/f; ln -s f %%{buildroot}/etc/l\\n\
    %%files\\n%%config /etc/f\\n/etc/l\\n' > a.spec; \
    HOME=$PWD rpmbuild -bb --quiet --define \"_topdir $PWD/t\" --define '_binary_payload w.ufdio' a.spec; \
    cp t/RPMS/noarch/*.rpm out";

/// Targets whose inputs are only the used blocks of an image.
const SPARSE: &[&str] = &["disk_vhdx", "fs_ext", "fs_xfs", "fs_btrfs", "fs_fat", "volume_scan"];

const GRUB_CFG: &str = r#"
if [ -s $prefix/grubenv ]; then load_env; fi
if [ "${next_entry}" ] ; then set default="${next_entry}"; set next_entry=; save_env next_entry
else set default="${saved_entry}"; fi
function load_video { if [ x$feature_all_video_module = xy ]; then insmod all_video; fi }
search --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1 11111111-2222-4333-8444-555555555555
set timeout=5
menuentry 'Debian' --class debian $menuentry_id_option 'gnulinux-simple' {
	load_video
	linux /boot/vmlinuz-6.1.0 root=UUID=11111111-2222-4333-8444-555555555555 ro quiet "a b"
	initrd /boot/initrd.img-6.1.0
}
submenu 'Advanced' { menuentry 'b' --unrestricted { linux16 ($root)/boot/vmlinuz-6.1.0 \
 root=/dev/vda1; } }
for x in a b c; do echo $x; done
while false; do true; done
configfile $prefix/custom.cfg
source /boot/grub/grub.cfg
blscfg
"#;

/// Texts: target, what stands before (the byte that chooses a file), and the text.
const TEXTS: &[(&str, u8, &str)] = &[
    (
        "guest_boot_entries",
        0,
        "default saved\ntimeout 5\ntitle a\nroot (hd0,0)\nkernel /boot/vmlinuz-6.1.0 root=/dev/vda1\ninitrd /i\nsavedefault\n",
    ),
    (
        "guest_boot_entries",
        1,
        "DEFAULT a\nTIMEOUT 10\nLABEL a\n  MENU LABEL A\n  LINUX /boot/vmlinuz-6.1.0\n  APPEND initrd=/i root=/dev/vda1\nINCLUDE b\n",
    ),
    ("guest_boot_entries", 3, "default debian*\ntimeout menu-force\neditor no\n"),
    (
        "guest_boot_entries",
        4,
        "title a\nversion 6.1.0\nsort-key x\nlinux /vmlinuz\ninitrd /i\noptions root=/dev/vda1\n",
    ),
    (
        "guest_boot_entries",
        7,
        "search.fs_uuid 1111 root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n",
    ),
    ("guest_syntax", 0, "ID=\"debian\"\nVERSION_ID='12'\nPRETTY_NAME=\"Debian \\\"12\\\"\"\n"),
    (
        "guest_syntax",
        1,
        "UUID=a / ext4 defaults,errors=remount-ro 0 1\n/dev/vdb1\t/mnt\\040x xfs nofail,x-systemd.device-timeout=1 0 0\nLABEL=s none swap sw 0 0\n",
    ),
    (
        "guest_syntax",
        2,
        "users:\n  - default\ndisable_root: false\ndatasource_list: [ AliYun, None ]\ncloud_init_modules:\n - seed_random\nx: &a {b: *a, c: |\n  text\n}\n",
    ),
    (
        "guest_syntax",
        4,
        "network:\n  version: 2\n  ethernets:\n    eth0: {dhcp4: true, match: {macaddress: '52:54:00:12:34:56'}}\n",
    ),
    (
        "guest_syntax",
        5,
        "auto lo eth0\niface eth0 inet static\n address 10.0.0.1/24\nsource /etc/network/interfaces.d/*\n",
    ),
    ("guest_syntax", 6, "[Match]\nName=eth*\n[Network]\nDHCP=yes\n"),
    ("guest_syntax", 7, "[connection]\nid=eth0\ntype=ethernet\n[ipv4]\nmethod=auto\n"),
    ("guest_syntax", 9, "DEVICE=eth0\nBOOTPROTO=\"dhcp\"\nHWADDR=52:54:00:12:34:56\n"),
    (
        "guest_syntax",
        12,
        "Port 22\nPermitRootLogin=yes\nMatch User a\n  PasswordAuthentication no\nInclude /etc/ssh/sshd_config.d/*.conf\n",
    ),
    ("guest_syntax", 15, "root:$6$salt$hash:19000:0:99999:7:::\nbin:*:19000::::::\n"),
    (
        "guest_syntax",
        25,
        "[Unit]\nAfter=a\n[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\nAlias=b.service\n",
    ),
    (
        "guest_syntax",
        42,
        "kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio.ko.xz\n",
    ),
    (
        "guest_segment",
        1,
        "kernel/a.ko.xz: kernel/virtio_blk.ko\nkernel/virtio_blk.ko: kernel/virtio.ko\n\
         kernel/virtio.ko:\nkernel/nvme.ko: kernel/nvme-core.ko\nkernel/nvme-core.ko:\n",
    ),
    ("guest_segment", 3, "softdep virtio_blk pre: nvme\nsoftdep nvme post: a virtio-blk\n"),
    (
        "guest_index",
        b'v',
        "irtio:d00000002v* virtio_blk\nvirtio:d* a\nvirtio b\nvirtio b\npci:v[0-9a-f]* c\n",
    ),
    ("guest_kernel", b'#', "\nCONFIG_VIRTIO_BLK=m\n# CONFIG_X is not set\nCONFIG_S=\"a\"\n"),
    (
        "guest_packages",
        b'P',
        "ackage: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-1\nConffiles:\n /etc/bash 0123\n\n",
    ),
    ("guest_packages", b'P', ":busybox\nV:1.36-r0\nA:x86_64\nF:bin\nR:busybox\n\n"),
    ("guest_packages", b'%', "NAME%\nbash\n\n%VERSION%\n5.2-1\n\n%ARCH%\nx86_64\n\n"),
];

/// Texts of templates, without a byte that chooses. What they are worked out with stands before.
const TEMPLATE_TEXTS: &[(&str, &str)] = &[
    (
        "oos_jq",
        "{\"a\": [{\"b\": 1}, {\"b\": \"x\"}]}\n.a[] | select(.b == 1) | {c: .b, d: \"\\(.b)\"}",
    ),
    (
        "oos_jq",
        "[1, 2, 3]\nreduce .[] as $x (0; . + $x) | def f($n): if $n > 3 then . else f($n + 1) end; f(.)",
    ),
    ("oos_jq", "\"a,b\"\nsplit(\",\") | map(test(\"[ab]\"; \"i\")) | to_entries | @json"),
    (
        "oos_selector",
        "{\"Images\": {\"Image\": [{\"ImageId\": \"m-1\", \"Size\": 20}]}}\nImages.Image[0].ImageId",
    ),
    (
        "oos_selector",
        "{\"Items\": [{\"Name\": \"a\", \"Value\": null}]}\n.Items[]? | select(.Name == \"a\") | .Value",
    ),
    ("oos_selector", "{\"a-b\": {\"c\": [1, [2]]}}\n.[\"a-b\"].c[-1][0]"),
    ("oos_selector", "{\"Code\": \"x\"}\n.Code|tostring"),
    (
        "oos_expr",
        "{\"a\": \"x\", \"n\": 7, \"l\": [1, 2]}\n{\"c\": {\"Fn::Equals\": [\"{{ n }}\", 7]}}\n\
         {\"k\": \"{{ a }}-{{ t.l }}\", \"f\": {\"Fn::If\": [\"c\", \"{{ l }}\", {\"Fn::Join\": [\"_\", [\"{{a}}\", \"b\"]]}]}}",
    ),
    (
        "oos_expr",
        "{\"l\": [3, 1], \"s\": \"a,b\"}\n{}\n\
         [{\"Fn::Sum\": \"{{ l }}\"}, {\"Fn::Split\": [\",\", \"{{ s }}\"]}, {\"Fn::Jq\": [\"All\", \".[]\", \"{{ l }}\"]}]",
    ),
    (
        "oos_expr",
        "{\"p\": \"{{oos:x}} and {{ oos:y }}\"}\n{}\n{{ p }} {{ ACS::RegionId }} {{{ t.a[0].b }}}",
    ),
];

/// Write the seeds of all targets into `corpus`, a folder each.
///
/// # Errors
///
/// What the first failing tool says.
pub(crate) fn make(corpus: &Path) -> Result<()> {
    for (number, (target, script)) in IMAGES.iter().enumerate() {
        let seed = corpus.join(target).join(format!("seed-{number:02}"));
        if !seed.exists() {
            let image = image(script).with_context(|| format!("a seed of {target}"))?;
            let image = if SPARSE.contains(target) { used_blocks(&image) } else { image };
            write(&seed, &image)?;
        }
    }
    for (number, (target, first, text)) in TEXTS.iter().enumerate() {
        let bytes: Vec<u8> = std::iter::once(*first).chain(text.bytes()).collect();
        write(&corpus.join(target).join(format!("text-{number:02}")), &bytes)?;
    }
    for (number, (target, text)) in TEMPLATE_TEXTS.iter().enumerate() {
        write(&corpus.join(target).join(format!("text-{number:02}")), text.as_bytes())?;
    }
    templates(corpus)?;
    let grub = format!(
        "{GRUB_CFG}\0# GRUB Environment Block\nsaved_entry=gnulinux-simple\n###\0{}",
        TEXTS[3].2
    );
    write(&corpus.join("guest_grub/text"), grub.as_bytes())?;
    let kernel = corpus.join("guest_kernel");
    write(&kernel.join("bzimage"), &kernel_image::bzimage_ikconfig("6.1.0", "CONFIG_A=y\n"))?;
    write(&kernel.join("i386"), &kernel_image::bzimage_i386("6.1.0"))?;
    write(&kernel.join("arm64"), &kernel_image::arm64_image("6.1.0"))?;
    write(&kernel.join("zboot"), &kernel_image::arm64_zboot("6.1.0"))?;
    recorded_machines(&corpus.join("compute_console"))?;
    let segment = lvm::striped(0, 2, &[("pv0", 0)]);
    let group =
        lvm::group_text("vg", 1, &["aaaaaabbbbccccddddeeeeffffgggggg"], &[("root", &[segment])]);
    write(&corpus.join("guest_rpm/ndb"), &ndb())?;
    write(&corpus.join("volume_lvm/group"), group.as_bytes())
}

/// The templates that kiln ships; an example of each function, as the code has it.
fn templates(corpus: &Path) -> Result<()> {
    for own in kiln_oos::library::SHIPPED {
        write(&corpus.join("oos_template").join(own.name.replace("::", "-")), own.text.as_bytes())?;
    }
    for function in kiln_oos::functions::Function::ALL {
        let text = format!("{{}}\n{{}}\n{{\"{}\": {}}}", function.name(), function.example().0);
        write(&corpus.join("oos_expr").join(function.name().replace("::", "-")), text.as_bytes())?;
    }
    Ok(())
}

/// What real machines said, from the tests of kiln-compute; before it the byte that chooses.
fn recorded_machines(corpus: &Path) -> Result<()> {
    let recorded = workspace().join("crates/core/compute/src/boot/recorded");
    for entry in fs::read_dir(&recorded).with_context(|| recorded.display().to_string())? {
        let entry = entry?;
        let is_console = entry.path().extension().is_some_and(|suffix| suffix == "console");
        let choice = if is_console { 0xff } else { 0xfe };
        let bytes = [&[choice][..], &fs::read(entry.path())?].concat();
        write(&corpus.join(entry.file_name()), &bytes)?;
    }
    Ok(())
}

/// The choice of ndb, one slot, and the package header it leads to. Debian's rpm has no ndb.
fn ndb() -> Vec<u8> {
    let data = b"bash\x005.2\x001\x00x86_64\x00";
    let mut header = [4, data.len() as u32].map(u32::to_be_bytes).concat();
    for (tag, offset) in [(1000, 0), (1001, 5), (1002, 9), (1022, 11)] {
        header.extend([tag, 6, offset, 1].map(u32::to_be_bytes).concat());
    }
    header.extend(data);
    let mut file = vec![0; 4096];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"RpmP");
    put(12, &1_u32.to_le_bytes());
    put(32, b"Slot");
    put(48, b"Slot");
    put(52, &[1, 4096 / 16, 9].map(u32::to_le_bytes).concat());
    file.extend(b"BlbS");
    file.extend([1, 1, header.len() as u32].map(u32::to_le_bytes).concat());
    file.extend(header);
    file.resize(file.len().next_multiple_of(16), 0);
    file.insert(0, 1);
    file
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    fs::write(path, bytes).with_context(|| path.display().to_string())
}

/// What `script` leaves in `out`.
fn image(script: &str) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let tree = folder.path().join("tree");
    fs::create_dir_all(tree.join("etc/deep"))?;
    fs::write(tree.join("etc/os-release"), "ID=debian\n")?;
    fs::write(tree.join("etc/a long name of a file"), vec![b'x'; 9000])?;
    for number in 0..40 {
        fs::write(tree.join(format!("etc/deep/{number}")), "")?;
    }
    fs::write(
        folder.path().join("proto"),
        "/\n0 0\nd--755 0 0\nfile ---644 0 0 cpio\nlink l--777 0 0 file\n$\n",
    )?;
    let early = Cpio::new().file("kernel/x86/microcode/GenuineIntel.bin", [0; 64]);
    fs::write(folder.path().join("early"), early.finish())?;
    let cpio =
        Cpio::new().file("etc/fstab", "x").file("lib/a.ko", [1; 300]).symlink("bin", "usr/bin");
    fs::write(folder.path().join("cpio"), cpio.finish())?;
    let mut raw = vec![0; 1 << 20];
    raw[..600].fill(b'a');
    raw[300_000..301_000].fill(b'b');
    fs::write(folder.path().join("raw"), raw)?;
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(folder.path()).stdin(Stdio::null());
    let output = command.env("PATH", path()).output()?;
    ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(fs::read(folder.path().join("out"))?)
}

/// With the folders where mkfs and depmod are, which a user's own does not name.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// The form that the target reads: the number of each block that is not zero, and the block.
fn used_blocks(image: &[u8]) -> Vec<u8> {
    let blocks = (0_u32..).zip(image.chunks(BLOCK_BYTES));
    let used = blocks.filter(|(_, block)| block.iter().any(|&byte| byte != 0));
    let mut out = Vec::new();
    for (number, block) in used {
        out.extend(number.to_le_bytes());
        out.extend(block);
    }
    out
}
