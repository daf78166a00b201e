"""Small disks in every format, and the broken ones, made by qemu-img and by hand.

The disk itself is 16 MiB: an MBR with one partition, of which some MiB are random and the rest is
zeros, so that a format which skips zeros and one which does not both have something to do.
"""

import pathlib
import random
import struct
import subprocess

MIB = 1 << 20
SIZE = 16 * MIB
LARGE = 192 * MIB


def write_raw(path, seed):
    """A disk of its own for each seed."""
    content = bytearray(SIZE)
    content[440:444] = struct.pack("<I", seed)
    start, count = 2048, SIZE // 512 - 2048
    content[446:462] = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0x83, b"\xff\xff\xff", start, count)
    content[510:512] = b"\x55\xaa"
    content[2 * MIB : 6 * MIB] = random.Random(seed).randbytes(4 * MIB)
    pathlib.Path(path).write_bytes(content)


def write_large(path, seed):
    """A disk that does not compress, another one for each seed."""
    pathlib.Path(path).write_bytes(random.Random(seed).randbytes(LARGE))


def convert(source, target, form, *options):
    """`target` in the format, made by qemu-img."""
    command = ["qemu-img", "convert", "-f", "raw", "-O", form]
    for option in options:
        command += ["-o", option]
    subprocess.run([*command, str(source), str(target)], check=True)


def make(folder):
    """All disks, by the key that they are uploaded under."""
    folder = pathlib.Path(folder)
    raw = folder / "system.raw"
    write_raw(raw, seed=1)
    write_raw(folder / "data.raw", seed=2)
    convert(raw, folder / "system.qcow2", "qcow2")
    convert(raw, folder / "system.vhd", "vpc", "subformat=dynamic")
    convert(raw, folder / "fixed.vhd", "vpc", "subformat=fixed")
    convert(raw, folder / "system.vhdx", "vhdx")
    convert(raw, folder / "system.vmdk", "vmdk", "subformat=streamOptimized")
    (folder / "empty.raw").write_bytes(b"")
    (folder / "installer.iso").write_bytes(raw.read_bytes())
    short_table(folder / "system.vhd", folder / "table.vhd")
    odd_blocks(folder / "system.vhd", folder / "blocks.vhd")
    truncated = (folder / "system.qcow2").read_bytes()
    (folder / "truncated.qcow2").write_bytes(truncated[: len(truncated) // 2])
    large = folder / "large.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(large), "5G"], check=True)
    return {path.name: path for path in folder.iterdir()}


def short_table(source, target):
    """A dynamic VHD whose block table is too short for its size."""
    change_vhd(source, target, 28, struct.pack(">I", 1))


def odd_blocks(source, target):
    """A dynamic VHD with blocks of 3 MiB, whose table is again long enough."""
    change_vhd(source, target, 32, struct.pack(">I", 3 * MIB))


def change_vhd(source, target, at, value):
    """Change bytes of the dynamic header (it stands at 512) and make its checksum right again."""
    content = bytearray(source.read_bytes())
    header = content[512:1536]
    assert header.startswith(b"cxsparse")
    header[at : at + len(value)] = value
    header[36:40] = bytes(4)
    header[36:40] = struct.pack(">I", ~sum(header) & 0xFFFFFFFF)
    content[512:1536] = header
    target.write_bytes(content)
