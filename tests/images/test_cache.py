"""A source is verified once; a damaged, unwritable or contested cache does no harm."""

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from kerascifar.common import files
from kerascifar.images import cifar10


def test_a_source_is_verified_once_until_it_changes(broken, own_cache, refusal):
    """Fails if every start verifies again, or if a change of the source goes unnoticed."""
    says = []
    first, second = cifar10.load(broken, say=says.append), cifar10.load(broken, say=says.append)
    assert len(says) == 1 and says[0].startswith("Verifying ")
    assert isinstance(second.images, np.memmap) and (first.images == second.images).all()
    content = bytearray((broken / "data_batch_1.bin").read_bytes())
    content[5] ^= 1
    (broken / "data_batch_1.bin").write_bytes(content)
    assert "data_batch_1.bin has the right size but not the expected content" in refusal(broken)


@pytest.mark.parametrize("change", [lambda content: content[:-9], lambda content: content[:-9] + b"123456789"])
@pytest.mark.parametrize("name", ["train_images.npy", "test_labels.npy", "contents.json"])
def test_a_damaged_cache_is_written_again(shapes, own_cache, name, change):
    """Fails if a changed cache is used, or stays damaged."""
    expected = np.array(cifar10.load(shapes).images)
    path = next(own_cache.glob(f"data-*/{name}"))
    path.write_bytes(change(path.read_bytes()))
    for lines in (1, 0):
        says = []
        assert (cifar10.load(shapes, say=says.append).images == expected).all()
        assert len(says) == lines
    assert not list(own_cache.glob(files.TEMPORARY + "*"))


def test_with_a_read_only_cache_the_images_stay_in_memory(shapes, tmp_path, monkeypatch):
    """Fails if a cache that cannot be written stops the user, or if the images can then be changed."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERASCIFAR_CACHE", str(tmp_path / "file" / "cache"))
    says = []
    dataset = cifar10.load(shapes, say=says.append)
    arrays = (dataset.images, dataset.labels, *cifar10.test_split(dataset))
    assert len(dataset.labels) == 500 and not any(array.flags.writeable for array in arrays)
    assert "cannot be used (Not a directory)" in says[1]


def test_processes_may_fill_the_cache_at_once(shapes, own_cache):
    """Fails if writers disturb each other."""
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
    rename = os.rename

    def too_late(path, target):
        shutil.copytree(path, target)
        rename(path, target)

    monkeypatch.setattr(os, "rename", too_late)
    says = []
    assert isinstance(cifar10.load(shapes, say=says.append).images, np.memmap) and len(says) == 1


def test_leftovers_of_a_killed_process_are_removed_after_a_day(shapes, own_cache):
    """Fails if each kill costs 180 MB for ever, or if the unfinished work of another process is removed."""
    for name, age in (("old", 100_000), ("young", 1000)):
        folder = own_cache / f"{files.TEMPORARY}{name}"
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - age,) * 2)
    cifar10.load(shapes)
    assert [path.name for path in own_cache.glob(files.TEMPORARY + "*")] == [files.TEMPORARY + "young"]
