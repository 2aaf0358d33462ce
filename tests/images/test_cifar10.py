"""CIFAR-10 from every source is the same; whatever is not CIFAR-10 is refused with one paragraph that helps."""

import functools
import hashlib
import http.server
import importlib.util
import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest

from kerascifar.common import files
from kerascifar.common.errors import UserError
from kerascifar.images import cifar10, drawn

ROW = 3073
OFFICIAL = {  # ../shared/data/README.md: "SHA-256 of a whole split in this layout"
    "train": "a0181da372c0d63a5920fdbea2ec3f83ecbc552d378218e1cb473cf634941a3b",
    "test": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}


def refusal(path, says=None):
    """The paragraph with which `load` refuses `path`."""
    with pytest.raises(UserError) as refused:
        cifar10.load(path, say=(says if says is not None else []).append)
    return str(refused.value)


@pytest.fixture
def broken(shapes, tmp_path):
    """A copy of the drawn images, to be damaged: the folder of the files."""
    return Path(shutil.copytree(shapes, tmp_path / "copy")) / "cifar-10-batches-bin"


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache for one test."""
    folder = tmp_path / "own cache"
    monkeypatch.setenv("KERASCIFAR_CACHE", str(folder))
    return folder


@pytest.fixture
def linked(real_data, tmp_path):
    """A folder of links to the real files, which a test replaces by damaged copies."""
    found = real_data if (real_data / "data_batch_1.bin").exists() else real_data / "cifar-10-batches-bin"
    if not found.is_dir():
        pytest.skip("needs the real images in the binary version")
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for path in found.glob("*.bin"):
        (folder / path.name).symlink_to(path)
    return folder


# ---- The real images -------------------------------------------------------------------------------------------------


def test_the_real_images_are_the_official_ones(real_data):
    """Fails if rows, colour planes or the order of the files are mixed up. Checksums: those of the official files."""
    dataset = cifar10.load(real_data)
    images, labels = cifar10.test_split(dataset)
    assert (dataset.name, dataset.is_synthetic, dataset.fingerprint) == ("CIFAR-10", False, OFFICIAL)
    assert (dataset.images.shape, dataset.images.dtype) == ((50_000, 32, 32, 3), np.uint8)
    assert (images.shape, images.dtype, labels.dtype) == ((10_000, 32, 32, 3), np.uint8, np.int64)
    assert dataset.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    means = [dataset.images[..., channel].mean() / 255 for channel in range(3)]
    assert means == pytest.approx([0.49139968, 0.48215841, 0.44653091], abs=5e-9)
    assert np.bincount(dataset.labels).tolist() == [5000] * 10 and np.bincount(labels).tolist() == [1000] * 10
    assert isinstance(dataset.images, np.memmap) and not dataset.images.flags.writeable


def test_pixels_are_row_major_planes(real_data):
    """Fails if images are transposed or mirrored: their means and labels would be the same."""
    folder = real_data / "cifar-10-batches-bin" if (real_data / "cifar-10-batches-bin").is_dir() else real_data
    with open(folder / "data_batch_3.bin", "rb") as file:
        file.seek(7 * ROW)
        row = file.read(ROW)
    image = cifar10.load(real_data).images[20_007]
    assert [image[3, 30, c] for c in range(3)] == [row[1 + 1024 * c + 32 * 3 + 30] for c in range(3)]


def test_the_split_of_the_real_images(real_data):
    """Fails if the split drifts: every published record names this validation set."""
    train, validation = cifar10.split(cifar10.load(real_data).labels)
    assert (len(train), len(validation)) == (40_000, 10_000)
    assert cifar10.split_fingerprint(train, validation) == (
        "ded01454bf144ba7673f6fa9b6bf1ccc5e14e6f91f3ee6ec93556cfa36119d27"
    )


def by_python_2(rows, name):
    """A file as the official one was written: Python 2's strings and the NumPy of its time."""
    word = lambda text: b"U" + bytes([len(text)]) + text  # noqa: E731
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


@pytest.fixture
def pickled(linked, tmp_path, monkeypatch):
    """The real images as the Python version's files. Their MD5 stand in for the official ones, as only the names of
    the single images, which are not at hand, tell these files from the official ones."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for path in linked.glob("*.bin"):
        (folder / path.stem).write_bytes(by_python_2(np.fromfile(path, np.uint8).reshape(-1, ROW), path.stem))
    checksums = {hashlib.md5((folder / batch).read_bytes()).hexdigest(): batch for batch in cifar10.BATCHES}
    monkeypatch.setattr(cifar10, "_PICKLE_MD5", checksums)
    return folder


def test_the_python_version_is_the_same_and_only_the_official_files_are_opened(pickled, tmp_path, own_cache):
    """Fails if rows come out differently, files may be exchanged, or a file is unpickled before it is checked."""
    dataset = cifar10.load(pickled)
    assert (dataset.name, dataset.fingerprint) == ("CIFAR-10", OFFICIAL)
    (pickled / "data_batch_1").rename(tmp_path / "first")
    (pickled / "data_batch_2").rename(pickled / "data_batch_1")
    (tmp_path / "first").rename(pickled / "data_batch_2")
    assert "data_batch_1 holds the content of data_batch_2: MD5 " in refusal(pickled)


def archive(path, members):
    """A .tar.gz of (name, bytes or Path)."""
    with tarfile.open(path, "w:gz", compresslevel=0) as tar:
        for name, content in members:
            if isinstance(content, Path):
                tar.add(os.path.realpath(content), name)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_only_an_official_archive_is_opened(linked, tmp_path, own_cache, monkeypatch):
    """Fails if another archive is opened, if an official one is extracted to the disk, or not found in its folder."""
    inside = tmp_path / "download"
    inside.mkdir()
    members = [("../victim", b"overwritten")]
    members += [(f"cifar-10-batches-bin/{path.name}", path) for path in linked.glob("*.bin")]
    path = archive(inside / "cifar-10-binary.tar.gz", members)
    before = sorted(tmp_path.rglob("*"))
    assert "is not an official archive of CIFAR-10, or its download is incomplete. It was not opened." in refusal(
        inside
    )
    official = {hashlib.sha256(path.read_bytes()).hexdigest(): "cifar-10-batches-bin"}
    monkeypatch.setattr(cifar10, "_ARCHIVE_SHA256", official)
    assert cifar10.load(inside).fingerprint == OFFICIAL
    assert [p for p in sorted(tmp_path.rglob("*")) if own_cache not in (p, *p.parents)] == before


def damage(folder, name, change):
    content = bytearray((folder / name).read_bytes())
    change(content)
    (folder / name).unlink()
    (folder / name).write_bytes(content)


def test_a_flipped_bit_in_the_real_images_is_found(linked):
    """Fails if the content is not compared."""
    damage(linked, "data_batch_4.bin", lambda content: content.__setitem__(-1, content[-1] ^ 1))
    message = refusal(linked)
    assert "data_batch_4.bin has the right size but is not the official content: at least one byte differs." in message
    assert "expected 014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48." in message


def test_exchanged_real_files_are_found(linked):
    """Fails if only the content as a whole counts: every index would mean another image."""
    exchange(linked)
    assert "data_batch_1.bin holds the content of data_batch_2.bin." in refusal(linked)


def test_a_truncated_real_file_is_found(linked):
    damage(linked, "test_batch.bin", lambda content: content.pop())
    message = refusal(linked)
    assert "test_batch.bin is truncated: 30,729,999 bytes.\nExpected 30,730,000 bytes: 10,000 rows of 3,073." in message


def test_a_marker_does_not_make_the_real_images_synthetic(linked, shapes):
    """Fails if the marker decides instead of the content."""
    shutil.copy(shapes / "cifar-10-batches-bin" / "synthetic.json", linked)
    dataset = cifar10.load(linked)
    assert (dataset.name, dataset.is_synthetic) == ("CIFAR-10", False)
    assert dataset.class_names[0] == "airplane"


# ---- Drawn images, and damage to them --------------------------------------------------------------------------------


def test_drawn_images_say_that_they_are_synthetic(shapes):
    dataset = cifar10.load(shapes / "cifar-10-batches-bin")
    assert (dataset.name, dataset.is_synthetic, dataset.class_names) == (
        "synthetic shapes",
        True,
        drawn.CLASS_NAMES,
    )
    assert len(dataset.labels) == 500 and len(cifar10.test_split(dataset)[1]) == 100
    raw = (shapes / "cifar-10-batches-bin" / "test_batch.bin").read_bytes()
    assert dataset.fingerprint["test"] == hashlib.sha256(raw).hexdigest()


def test_drawn_images_without_their_marker_are_refused(broken):
    """Fails if images that are not CIFAR-10 can pass without saying so."""
    (broken / "synthetic.json").unlink()
    message = refusal(broken)
    assert "data_batch_1.bin is truncated: 307,300 bytes.\nExpected 30,730,000 bytes: 10,000 rows of 3,073." in message
    assert "--data or KERASCIFAR_DATA" in message


def exchange(folder):
    (folder / "data_batch_1.bin").rename(folder / "x")
    (folder / "data_batch_2.bin").rename(folder / "data_batch_1.bin")
    (folder / "x").rename(folder / "data_batch_2.bin")


def pipe(folder):
    (folder / "data_batch_2.bin").unlink()
    os.mkfifo(folder / "data_batch_2.bin")


@pytest.mark.parametrize(
    "change, expected",
    [
        (
            lambda f: damage(f, "data_batch_3.bin", lambda c: c.pop()),
            "3.bin is truncated: 307,299 bytes.\nExpected 307,3",
        ),
        (
            lambda f: damage(f, "data_batch_3.bin", lambda c: c.append(0)),
            "data_batch_3.bin is too long: 307,301 bytes.",
        ),
        (lambda f: os.truncate(f / "test_batch.bin", 10**12), "test_batch.bin is too long: 1,000,000,000,000 bytes."),
        (lambda f: damage(f, "data_batch_3.bin", lambda c: c.clear()), "data_batch_3.bin is truncated: 0 bytes."),
        (lambda f: damage(f, "test_batch.bin", lambda c: c.__setitem__(2 * ROW, 10)), "has the label 10 in row 2."),
        (
            lambda f: (f / "data_batch_5.bin").unlink(),
            "data_batch_5.bin is missing.\nExpected six files: data_batch_1.bin",
        ),
        (pipe, "data_batch_2.bin is missing."),
        (exchange, "data_batch_1.bin holds the content of data_batch_2.bin."),
        (lambda f: (f / "synthetic.json").write_text("{"), "the marker of drawn images is damaged"),
        (lambda f: (f / "synthetic.json").write_text("[" * 50_000), "the marker of drawn images is damaged"),
        (lambda f: (f / "synthetic.json").write_text(" " * 100_001), "damaged (it is too long)"),
    ],
)
def test_damage_is_named(broken, change, expected):
    """Fails if a kind of damage passes, hangs, ends in a traceback, or is called by another name."""
    change(broken)
    message = refusal(broken)
    assert expected in message and str(broken) in message
    assert message.endswith("Nothing was trained and no file was changed.")


def test_a_flipped_bit_is_found_at_any_place(broken):
    """Fails if some bytes are not compared."""
    random = np.random.default_rng(0)
    for _ in range(40):
        path = broken / f"data_batch_{random.integers(1, 6)}.bin"
        original = path.read_bytes()
        content = bytearray(original)
        content[random.integers(len(content))] ^= 1 << random.integers(8)
        path.write_bytes(content)
        assert path.name in refusal(broken)
        path.write_bytes(original)


@pytest.mark.parametrize(
    "change",
    [
        {"class_names": ["x"] * 10},
        {"class_names": ["<script>", *"bcdefghij"]},
        {"class_names": 3},
        {"rows": None},
        {"rows": dict.fromkeys(cifar10.BATCHES, 10**9)},
        {"rows": dict.fromkeys(cifar10.BATCHES, True)},
        {"sha256": {}},
        {"fingerprint": {"train": "x", "test": "y"}},
        {"fingerprint": {"train": 1, "test": 2}},
    ],
)
def test_a_marker_with_other_values_is_refused(broken, change):
    """Fails if what a marker says is used before it is checked."""
    marker = json.loads((broken / "synthetic.json").read_text())
    (broken / "synthetic.json").write_text(json.dumps(marker | change))
    assert "the marker of drawn images is damaged" in refusal(broken)


def test_a_marker_that_claims_the_official_fingerprint_is_refused(broken):
    """Fails if drawn images could be recorded under CIFAR-10's fingerprint."""
    marker = json.loads((broken / "synthetic.json").read_text())
    (broken / "synthetic.json").write_text(json.dumps(marker | {"fingerprint": OFFICIAL}))
    assert f"Expected {OFFICIAL['train']}." in refusal(broken)


def test_unbalanced_drawn_images_are_refused(broken):
    """Fails if the counts per class are not compared: here a marker fits images of one class too many."""
    damage(broken, "test_batch.bin", lambda content: content.__setitem__(0, (content[0] + 1) % 10))
    marker = json.loads((broken / "synthetic.json").read_text())
    digest = hashlib.sha256((broken / "test_batch.bin").read_bytes()).hexdigest()
    marker["sha256"]["test_batch"] = marker["fingerprint"]["test"] = digest
    (broken / "synthetic.json").write_text(json.dumps(marker))
    assert "the test images per class are" in refusal(broken)


# ---- Hostile files ---------------------------------------------------------------------------------------------------


class Attack:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return open, (str(self.victim), "w")


def test_a_pickle_with_code_is_not_run(tmp_path):
    """Fails if a file is unpickled before its checksum is compared: this one would create a file."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for batch in cifar10.BATCHES:
        (folder / batch).write_bytes(pickle.dumps({b"data": Attack(tmp_path / "victim"), b"labels": []}))
    assert "data_batch_1 is not the official file, and was not opened: MD5 " in refusal(folder)
    assert not (tmp_path / "victim").exists()
    pickle.loads((folder / "data_batch_1").read_bytes())[b"data"].close()  # the attack itself works
    assert (tmp_path / "victim").exists()


@pytest.mark.parametrize("name", ["cifar-10-batches-py/data_batch_1", "cifar-10-python.tar.gz"])
def test_an_oversized_file_is_not_read(tmp_path, name):
    """Fails if a file's size is not looked at first: this one is 1 TB, in no blocks."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    os.truncate(path, 10**12)
    assert f"{path} is too long: 1,000,000,000,000 bytes." in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello"])
def test_a_file_that_is_not_an_archive_is_refused(tmp_path, content):
    path = tmp_path / "cifar-10-python.tar.gz"
    path.write_bytes(content)
    message = refusal(path)
    assert str(path) in message and hashlib.sha256(content).hexdigest() in message


# ---- Where it is looked for ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, expected",
    [
        ("nowhere", "nowhere: does not exist."),
        ("empty", "empty: has no CIFAR-10 in it."),
        ("x" * 300, "cannot be read"),
    ],
)
def test_a_place_without_data_is_named(tmp_path, name, expected):
    (tmp_path / "empty").mkdir()
    message = refusal(tmp_path / name)
    assert expected in message and "--data" in message


@pytest.fixture
def nothing(tmp_path, monkeypatch, own_cache):
    """A user without data, offline. Returns Keras's folder. Nothing is downloaded in a test."""
    monkeypatch.delenv("KERASCIFAR_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(cifar10, "KERAS_URL", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    (tmp_path / "keras" / "datasets").mkdir(parents=True)
    return tmp_path / "keras" / "datasets"


def test_nothing_found_offline_says_what_to_do(nothing, own_cache):
    """Fails if a failed download is a traceback or does not say where data are looked for."""
    message = refusal(None)
    for part in (
        "CIFAR-10 was not found, and its download failed (",
        "--data (not given); KERASCIFAR_DATA (not set)",
        str(nothing),
        str(own_cache),
        "Download https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "`make demo` needs no data",
    ):
        assert part in message


def test_the_environment_comes_before_kerass_cache(nothing, shapes, monkeypatch):
    monkeypatch.setenv("KERASCIFAR_DATA", str(shapes))
    assert cifar10.load().name == "synthetic shapes"


@pytest.mark.parametrize("name", ["cifar-10-batches-py-target", "cifar-10-batches-py"])
def test_a_damaged_copy_in_kerass_cache_is_left_out(nothing, name):
    """Fails if what a killed download left blocks the user, or is not mentioned."""
    folder = nothing / name / "cifar-10-batches-py" if name.endswith("target") else nothing / name
    folder.mkdir(parents=True)
    (folder / "data_batch_1").write_bytes(b"half a file")
    says = []
    message = refusal(None, says)
    assert f"damaged: {nothing / name}" in message
    assert any("data_batch_2 is missing" in line for line in says)


def test_kerass_cache_is_found(nothing, linked, monkeypatch):
    """Fails if Keras's own copy is not used, or if our verified one is not used when the rest has gone."""
    archived = [(f"cifar-10-batches-bin/{path.name}", path) for path in linked.glob("*.bin")]
    path = archive(nothing / "cifar-10-batches-py-target_archive", archived)
    official = {hashlib.sha256(path.read_bytes()).hexdigest(): "cifar-10-batches-bin"}
    monkeypatch.setattr(cifar10, "_ARCHIVE_SHA256", official)
    dataset = cifar10.load()
    assert dataset.fingerprint == OFFICIAL and dataset.source.endswith("target_archive")
    shutil.rmtree(nothing)
    again = cifar10.load()
    assert again.fingerprint == OFFICIAL and again.source.startswith("the verified copy in ")


def test_what_is_downloaded_is_what_keras_downloads():
    """Fails if Keras changes the address, the checksum or the name. Read as text: importing Keras takes seconds."""
    folder = Path(importlib.util.find_spec("keras").submodule_search_locations[0])
    text = (folder / "src" / "datasets" / "cifar10.py").read_text()
    assert f'"{cifar10.KERAS_URL}"' in text and f'"{cifar10.KERAS_SHA256}"' in text
    assert f'dirname = "{cifar10.KERAS_ARCHIVE.removesuffix("_archive")}"' in text


def test_a_download_is_checked_and_kept_where_keras_looks(nothing, tmp_path, monkeypatch):
    """Fails if Keras's checksum is not asked for: the first answer here has another one."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "file").write_bytes(b"content")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path / "served"))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        monkeypatch.setattr(cifar10, "KERAS_URL", f"http://127.0.0.1:{server.server_port}/file")
        assert "its download failed (Incomplete or corrupted file" in refusal(None)
        monkeypatch.setattr(cifar10, "KERAS_SHA256", hashlib.sha256(b"content").hexdigest())
        assert cifar10._download([], print) == nothing / "cifar-10-batches-py-target_archive"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# ---- The cache -------------------------------------------------------------------------------------------------------


def test_importing_loads_no_tensorflow():
    code = "import sys, kerascifar.images.cifar10; print({'keras', 'tensorflow'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_a_source_is_verified_once_until_it_changes(broken, own_cache):
    """Fails if every start verifies anew, or if a change of the source goes unnoticed."""
    says = []
    first, second = cifar10.load(broken, say=says.append), cifar10.load(broken, say=says.append)
    assert len(says) == 1 and says[0].startswith("Verifying ")
    assert isinstance(second.images, np.memmap) and (first.images == second.images).all()
    damage(broken, "data_batch_1.bin", lambda content: content.__setitem__(5, content[5] ^ 1))
    assert "data_batch_1.bin has the right size but is not" in refusal(broken)


@pytest.mark.parametrize("change", [lambda content: content[:-9], lambda content: content[:-9] + b"123456789"])
@pytest.mark.parametrize("name", ["train_images.npy", "test_labels.npy", "contents.json"])
def test_a_damaged_cache_is_built_anew(shapes, own_cache, name, change):
    """Fails if a cache that is not as it was left is believed, or stays broken."""
    expected = np.array(cifar10.load(shapes).images)
    path = next(own_cache.glob(f"data-*/{name}"))
    path.write_bytes(change(path.read_bytes()))
    for lines in (1, 0):
        says = []
        assert (cifar10.load(shapes, say=says.append).images == expected).all()
        assert len(says) == lines
    assert not list(own_cache.glob(files.TEMPORARY + "*"))


def test_without_a_cache_the_images_stay_in_memory(shapes, tmp_path, monkeypatch):
    """Fails if a cache that cannot be written stops the user, or if the images can then be changed."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERASCIFAR_CACHE", str(tmp_path / "file" / "cache"))
    says = []
    dataset = cifar10.load(shapes, say=says.append)
    assert len(dataset.labels) == 500 and not dataset.images.flags.writeable
    assert "cannot be used (Not a directory)" in says[1]


def test_processes_may_fill_the_cache_at_once(shapes, own_cache):
    """Fails if two writers get in each other's way."""
    code = "import sys; from pathlib import Path; from kerascifar.images.cifar10 import load; "
    code += "print(load(Path(sys.argv[1])).images.sum())"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(shapes)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    answers = [process.communicate() for process in running]
    assert {out.strip() for out, _ in answers} == {str(cifar10.load(shapes).images.sum())}
    assert all("cannot be used" not in err for _, err in answers)
    assert len(list(own_cache.glob("data-*"))) == 1 and not list(own_cache.glob(files.TEMPORARY + "*"))


def test_a_cache_filled_by_another_process_a_moment_ago_is_used(shapes, own_cache, monkeypatch):
    """Fails if losing the race for the last step is an error."""
    rename = Path.rename

    def too_late(path, target):
        shutil.copytree(path, target)
        rename(path, target)

    monkeypatch.setattr(Path, "rename", too_late)
    says = []
    assert isinstance(cifar10.load(shapes, say=says.append).images, np.memmap) and len(says) == 1


def test_leftovers_of_a_killed_process_are_removed_after_a_day(shapes, own_cache):
    """Fails if each kill costs 180 MB for ever, or if another process's work of this hour is removed."""
    for name, age in (("old", 100_000), ("young", 1000)):
        (own_cache / f"{files.TEMPORARY}{name}").mkdir(parents=True)
        then = (own_cache / f"{files.TEMPORARY}{name}").stat().st_mtime - age
        os.utime(own_cache / f"{files.TEMPORARY}{name}", (then, then))
    cifar10.load(shapes)
    assert [path.name for path in own_cache.glob(files.TEMPORARY + "*")] == [files.TEMPORARY + "young"]


# ---- Split and scale -------------------------------------------------------------------------------------------------


def test_the_split_is_stratified_and_sorted():
    """Fails if a class is favoured, an index is lost or used twice, or the order is not the official one."""
    labels = np.random.default_rng(2).permutation(np.repeat(np.arange(10), 50))
    train, validation = cifar10.split(labels)
    assert sorted([*train, *validation]) == list(range(500))
    assert np.bincount(labels[validation]).tolist() == [10] * 10
    assert (np.diff(train) > 0).all() and (np.diff(validation) > 0).all()
    assert (train.dtype, validation.dtype) == (np.int64, np.int64)


def test_the_split_is_a_function_of_the_labels_alone():
    """Fails if the global random state, the labels' type or an earlier call has an influence."""
    labels = np.arange(500) % 10
    first = cifar10.split(labels)[1].tolist()
    np.random.seed(7)
    assert cifar10.split(labels.astype(np.uint8))[1].tolist() == first
    assert first[:6] == [1, 10, 14, 25, 26, 28]


def test_the_fingerprint_of_a_split():
    """Fails if training and validation can be told apart no more, or if the byte order is the machine's."""
    expected = hashlib.sha256(struct.pack("<4q", 2, 0, 5, 1)).hexdigest()
    assert cifar10.split_fingerprint(np.array([0, 5]), np.array([1])) == expected
    assert cifar10.split_fingerprint(np.array([0]), np.array([5, 1])) != expected


def test_scaling():
    """Fails if the range or the type is another one, or if scaled images are scaled again."""
    scaled = cifar10.scale(np.array([0, 51, 255], np.uint8))
    assert scaled.dtype == np.float32 and scaled.tolist() == [0.0, np.float32(0.2), 1.0]
    with pytest.raises(ValueError, match="must be uint8"):
        cifar10.scale(scaled)


def test_counts_per_class_are_balanced(real_data):
    """4,000, 1,000 and 1,000 images of every class: the split is stratified."""
    counts = cifar10.class_counts(cifar10.load(real_data))
    assert counts == {"training": [4000] * 10, "validation": [1000] * 10, "test": [1000] * 10}
