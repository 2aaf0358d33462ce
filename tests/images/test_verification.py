"""Images from every source are the same; damage of any kind is refused and named."""

import hashlib
import os
import pickle
import shutil
import struct
import tarfile

import numpy as np
import pytest

from kerascifar.images import cifar10, drawn, official, verification
from kerascifar.images.official import BATCHES, BINARY, PYTHON

ROW = 3073


def change(folder, name, changed):
    """Replaces a file, which may be a link, by a changed copy."""
    content = bytearray((folder / name).read_bytes())
    changed(content)
    (folder / name).unlink()
    (folder / name).write_bytes(content)


def exchange(folder, suffix=".bin"):
    first, second = folder / f"data_batch_1{suffix}", folder / f"data_batch_2{suffix}"
    first.rename(folder / "x")
    second.rename(first)
    (folder / "x").rename(second)


def pipe(folder):
    (folder / "data_batch_2.bin").unlink()
    os.mkfifo(folder / "data_batch_2.bin")


def flip(content):
    content[-1] ^= 1


def by_python_2(rows, name):
    """A file as the official one was written: Python 2's strings and the NumPy of its time."""

    def word(text):
        return b"U" + bytes([len(text)]) + text

    return b"".join(
        [
            *(b"\x80\x02}(", word(b"batch_label"), word(name.encode()), word(b"labels"), b"]("),
            *(b"K" + bytes([label]) for label in rows[:, 0]),
            *(b"e", word(b"data"), b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85", word(b"b")),
            *(b"\x87R(K\x01M", struct.pack("<H", len(rows)), b"M\x00\x0c\x86cnumpy\ndtype\n", word(b"u1")),
            *(b"K\x00K\x01\x87R(K\x03", word(b"|"), b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"),
            *(b"T", struct.pack("<i", rows[:, 1:].size), rows[:, 1:].tobytes(), b"tb"),
            *(word(b"filenames"), b"](", *(word(b"a.png") for _ in rows), b"eu."),
        ]
    )


def test_the_python_version_is_the_same_and_only_official_files_are_opened(
    linked, tmp_path, own_cache, monkeypatch, refusal
):
    """Fails if rows come out differently, or if a file is unpickled before its checksum is compared.

    The MD5 of the files made here stand in for the official ones: those contain the names of the single images, which
    are not at hand.
    """
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for path in linked.glob("*.bin"):
        (folder / path.stem).write_bytes(by_python_2(np.fromfile(path, np.uint8).reshape(-1, ROW), path.stem))
    md5 = {batch: hashlib.md5((folder / batch).read_bytes()).hexdigest() for batch in BATCHES}
    monkeypatch.setattr(verification, "MD5", md5)
    assert cifar10.load(folder).fingerprint == {"train": official.TRAIN_SHA256, "test": official.TEST_SHA256}
    exchange(folder, suffix="")
    assert "data_batch_1 holds the content of data_batch_2." in refusal(folder)


class Attack:
    def __reduce__(self):
        return os.mkdir, ("victim",)


def test_a_pickle_with_code_is_not_run(tmp_path, monkeypatch, refusal):
    """Fails if a file is unpickled before its checksum is compared: this one would create a folder."""
    monkeypatch.chdir(tmp_path)
    for batch in BATCHES:
        (tmp_path / batch).write_bytes(pickle.dumps({b"data": Attack(), b"labels": []}))
    assert "data_batch_1 is not the official file and was not opened." in refusal(tmp_path)
    assert not (tmp_path / "victim").exists()
    pickle.loads((tmp_path / "data_batch_1").read_bytes())
    assert (tmp_path / "victim").exists()  # the attack itself works


def test_only_an_official_archive_is_opened(linked, tmp_path, own_cache, monkeypatch, refusal):
    """Fails if another archive is opened, or if an official one is extracted to the disk."""
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=0) as archive:
        for member in linked.glob("*.bin"):
            archive.add(member.resolve(), f"cifar-10-batches-bin/{member.name}")
    before = sorted(tmp_path.rglob("*"))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    message = refusal(path)
    assert "is not an official archive of CIFAR-10, or its download is incomplete. It was not opened." in message
    assert f"Its SHA-256 is {sha256}, expected {BINARY.sha256} (cifar-10-binary.tar.gz) or " in message
    monkeypatch.setattr(verification, "VERSIONS", (BINARY._replace(sha256=sha256), PYTHON))
    assert cifar10.load(path).fingerprint == {"train": official.TRAIN_SHA256, "test": official.TEST_SHA256}
    assert [p for p in sorted(tmp_path.rglob("*")) if own_cache not in (p, *p.parents)] == before


def test_one_flipped_bit_in_the_real_images_is_noticed(linked, refusal):
    """Fails if the content is not compared with the official checksum."""
    change(linked, "data_batch_4.bin", flip)
    message = refusal(linked)
    assert "data_batch_4.bin has the right size but not the expected content: at least one byte differs." in message
    assert "expected 014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48." in message


def test_a_marker_does_not_make_the_real_images_synthetic(linked, shapes):
    """Fails if the marker decides instead of the content."""
    shutil.copy(shapes / "cifar-10-batches-bin" / "synthetic.json", linked)
    dataset = cifar10.load(linked)
    assert (dataset.name, dataset.is_synthetic, dataset.class_names) == ("CIFAR-10", False, cifar10.CLASS_NAMES)


def test_drawn_images_say_that_they_are_synthetic(broken, refusal):
    """Fails if images other than CIFAR-10's can pass for it."""
    dataset = cifar10.load(broken)
    raw = (broken / "test_batch.bin").read_bytes()
    assert (dataset.name, dataset.is_synthetic, dataset.class_names) == ("synthetic shapes", True, drawn.CLASS_NAMES)
    assert len(dataset.labels) == 500 and len(cifar10.test_split(dataset)[1]) == 100
    assert dataset.fingerprint["test"] == hashlib.sha256(raw).hexdigest()
    (broken / "synthetic.json").unlink()
    message = refusal(broken)
    assert "data_batch_1.bin is truncated: 307,300 bytes.\nExpected 30,730,000 bytes: 10,000 rows of 3,073." in message
    assert "--data or KERASCIFAR_DATA" in message


@pytest.mark.parametrize(
    "damage, expected",
    [
        (lambda f: change(f, "data_batch_3.bin", bytearray.pop), "3.bin is truncated: 307,299 bytes.\nExpected 307,3"),
        (lambda f: change(f, "data_batch_3.bin", lambda c: c.append(0)), "3.bin is too long: 307,301 bytes."),
        (
            lambda f: change(f, "data_batch_3.bin", lambda c: c.__setitem__(5000, c[5000] ^ 1)),
            "3.bin has the right size",
        ),
        (lambda f: os.truncate(f / "test_batch.bin", 10**12), "test_batch.bin is too long: 1,000,000,000,000 bytes."),
        (lambda f: (f / "data_batch_5.bin").unlink(), "5.bin is missing.\nExpected six files: data_batch_1.bin, data"),
        (pipe, "data_batch_2.bin is missing."),
        (exchange, "data_batch_1.bin holds the content of data_batch_2."),
        (lambda f: (f / "synthetic.json").write_text("{"), "the marker of drawn images is damaged"),
        (lambda f: (f / "synthetic.json").write_text('{"rows": 3}'), "the marker of drawn images is damaged"),
    ],
)
def test_damage_to_drawn_images_is_named(broken, damage, expected, refusal):
    """Fails if a kind of damage passes, hangs, ends in a traceback, or gets the wrong message."""
    damage(broken)
    message = refusal(broken)
    assert expected in message and str(broken) in message
    assert message.endswith("Nothing was trained and no file was changed.")
