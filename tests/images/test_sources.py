"""Places without images are named, and the download is the one that Keras makes."""

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kerascifar.images import sources
from kerascifar.images.official import BINARY, PYTHON


@pytest.mark.parametrize(
    "name, expected",
    [
        ("nowhere", "nowhere does not exist."),
        ("empty", "empty does not contain CIFAR-10."),
        ("x" * 300, "cannot be read"),
    ],
)
def test_a_place_without_data_is_named(tmp_path, name, expected, refusal):
    (tmp_path / "empty").mkdir()
    message = refusal(tmp_path / name)
    assert expected in message and "--data" in message


@pytest.mark.parametrize("folder", [".", "cifar-10-batches-bin", "cifar-10-batches-py"])
@pytest.mark.parametrize("name, version", [("data_batch_4.bin", BINARY), ("test_batch", PYTHON)])
def test_a_folder_of_files_is_found_from_the_folder_above(tmp_path, folder, name, version):
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / name).touch()
    assert sources.locate(tmp_path) == (tmp_path / folder, version)


@pytest.mark.parametrize("name", ["cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"])
def test_an_archive_is_found_in_its_folder(tmp_path, name):
    (tmp_path / name).touch()
    assert sources.locate(tmp_path) == sources.locate(tmp_path / name) == (tmp_path / name, None)


@pytest.mark.parametrize("stem", ["cifar-10-batches-py-target", "cifar-10-batches-py"])
@pytest.mark.parametrize("ending", ["", "_archive", ".tar.gz"])
def test_every_name_that_a_keras_uses_is_found(no_data, stem, ending):
    (no_data / (stem + ending)).touch()
    assert sources.keras_copies() == [no_data / (stem + ending)]


def test_the_download_is_the_one_of_keras():
    """Fails if Keras changes the address, the checksum or the name. Read as text: importing Keras takes seconds."""
    folder = Path(importlib.util.find_spec("keras").submodule_search_locations[0])
    text = (folder / "src" / "datasets" / "cifar10.py").read_text()
    assert f'"{PYTHON.url}"' in text and f'"{PYTHON.sha256}"' in text
    assert f'dirname = "{sources.KERAS_ARCHIVE.removesuffix("_archive")}"' in text


def test_a_download_is_verified_and_kept_where_keras_looks(no_data, tmp_path, monkeypatch, refusal):
    """Fails if Keras is not given a checksum: that of the first answer here is wrong."""
    (tmp_path / "served").write_bytes(b"content")
    served = PYTHON._replace(url=(tmp_path / "served").as_uri())
    monkeypatch.setattr(sources, "PYTHON", served)
    assert "its download failed (Incomplete or corrupted file" in refusal(None)
    monkeypatch.setattr(sources, "PYTHON", served._replace(sha256=hashlib.sha256(b"content").hexdigest()))
    assert sources.download(print) == no_data / "cifar-10-batches-py-target_archive"


@pytest.mark.slow
def test_a_download_loads_keras_with_the_settings_of_the_package(tmp_path):
    """Fails if it imports Keras with the user's keras.json, which may name another backend."""
    home, served = tmp_path / "keras", tmp_path / "served"
    home.mkdir()
    (home / "keras.json").write_text('{"backend": "numpy", "floatx": "float16"}')
    served.write_bytes(b"content")
    code = (
        "from kerascifar.images import sources\n"
        f"digest = {hashlib.sha256(b'content').hexdigest()!r}\n"
        f"sources.PYTHON = sources.PYTHON._replace(url={served.as_uri()!r}, sha256=digest)\n"
        "sources.download(print)\n"
        "import keras; print(keras.backend.backend(), keras.config.floatx())"
    )
    words = [sys.executable, "-c", code]
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run(words, env=environment | {"KERAS_HOME": str(home)}, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["tensorflow float32"], done.stderr
