"""Files are whole or absent, whatever happens to the process; a lock ends with its process."""

import errno
import os
import subprocess
import sys
import time

import pytest
from factories import ROOT

from kerascifar.common import entry, files


def process(code, *words):
    """Runs Python code until it has printed a line."""
    started = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys; from pathlib import Path; from kerascifar.common import files\n{code}",
            *words,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    started.stdout.readline()
    return started


def end(started):
    started.kill()
    started.communicate()


HALF = """
with files.replacing(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    print(flush=True)
    sys.stdin.read()
"""


def test_a_writer_killed_half_way_leaves_the_old_file(tmp_path):
    """Fails if a file is written under its own name."""
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    end(process(HALF, str(path)))
    assert path.read_bytes() == b"old"
    (left,) = tmp_path.glob(".unfinished-*")
    files.remove_unfinished(tmp_path, older=60)  # somebody may still be writing it
    assert left.exists()
    files.remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    files.write_text(tmp_path / "a" / "b.txt", "old\n")
    with pytest.raises(ZeroDivisionError):
        files.write(tmp_path / "a" / "b.txt", lambda temporary: (temporary.write_text("new"), 1 / 0))
    assert [(p.name, p.read_text()) for p in (tmp_path / "a").iterdir()] == [("b.txt", "old\n")]


def test_what_is_renamed_is_on_the_disk_before(tmp_path, monkeypatch):
    """Fails if content is not flushed before its name changes, or the folder not after: a power cut would lose it."""
    done = []
    monkeypatch.setattr(files, "flush", lambda path: done.append("file" if path.name != "a" else path.name))
    monkeypatch.setattr(files, "flush_folder", lambda path: done.append(path))
    whole = files.os.replace
    monkeypatch.setattr(files.os, "replace", lambda *names: (done.append("rename"), whole(*names)))
    files.write_text(tmp_path / "a" / "b.txt", "x")
    assert done == [tmp_path, "file", "rename", tmp_path / "a"]


HOLD = """
with files.locked(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_held_by_one_and_ends_with_its_process(tmp_path, monkeypatch):
    """Fails if it waits, if two hold it, or if the file that a killed process leaves blocks."""
    path = tmp_path / "locks" / "a.lock"
    holder = process(HOLD, str(path))
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", lambda seconds: pytest.fail("it waits"))
        with files.locked(path) as mine:
            assert not mine
    end(holder)
    assert path.exists()
    with files.locked(path) as mine:
        assert mine
        with files.locked(path) as again:
            assert not again
    with files.locked(path) as mine:
        assert mine


def test_an_unwritable_folder_is_detected_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        files.check_writable(tmp_path / "file" / "runs")
    files.check_writable(tmp_path / "new" / "runs")
    assert list((tmp_path / "new" / "runs").iterdir()) == []


def test_what_cannot_be_written_is_named_as_the_user_knows_it(tmp_path):
    """Fails if the message names the temporary file, of which the user knows nothing."""
    path = tmp_path / ("写" * 90)  # 270 bytes; a name may have 255
    with pytest.raises(OSError, match="写写写") as refused:
        files.write_text(path, "x")
    assert refused.value.filename == str(path) and list(tmp_path.iterdir()) == []
    path = tmp_path / ("a." + "b" * 250)
    with pytest.raises(OSError, match="bbb") as refused:
        files.write_text(path, "x")
    assert refused.value.filename == str(path)


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, capsys):
    """Fails if the message does not say where locks are missing, or what to do."""

    def refuse(*arguments):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    def command(argv):
        with files.locked(tmp_path / "a.lock"):
            return 0

    monkeypatch.setattr("fcntl.flock", refuse)
    assert entry.run(command) == 2
    told = capsys.readouterr().err
    assert str(tmp_path / "a.lock") in told and "not support locks" in told and "--runs" in told
