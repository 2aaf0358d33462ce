"""Keeps runs where no folder is shared: in S3, Google Cloud Storage or another of pyarrow's file systems, by its URI.

A run is trained in a folder of the node's own. `Storage.push` copies its files to the storage, now and then while it is
trained and when it is finished; `Storage.pull` brings them to where the run goes on, or is read.
"""

import contextlib
import uuid
from pathlib import Path

from kerascifar.common import files
from kerascifar.common.errors import UserError
from kerascifar.runs import records

RESULT = (records.HISTORY, records.PREDICTIONS, records.MODEL, records.RECORD)  # with the last one a folder is whole


class Storage:
    """A folder of runs at `uri`, e.g. "s3://bucket/runs", "gs://bucket/runs", "file:///mnt/runs".

    Options of the file system stand in the URI ("?region=…&endpoint_override=…"); keys come from the environment, as
    they do for other programs.

    Raises:
        UserError: pyarrow is missing, or no such storage is known.
    """

    def __init__(self, uri: str) -> None:
        try:
            from pyarrow import fs
        except ImportError:
            raise UserError("--storage needs pyarrow.\nInstall it: pip install 'kerascifar[cluster]'") from None
        try:
            self._system, self._path = fs.FileSystem.from_uri(uri)
        except (OSError, ValueError) as problem:  # pyarrow's own errors are of these
            raise self._unusable(uri, problem) from None
        self._uri = uri

    @staticmethod
    def _unusable(uri: str, problem: Exception) -> UserError:
        return UserError(
            f"--storage {uri} cannot be used: {problem}\n"
            "Expected a place to write to, e.g. s3://bucket/runs or gs://bucket/runs, and its keys in the environment."
        )

    def check(self) -> None:
        """Raises a `UserError` unless files can be written there."""
        path = f"{self._path}/{files.TEMPORARY}{uuid.uuid4().hex}"
        try:
            self._system.create_dir(self._path)
            self._write(path, b"")
            self._system.delete_file(path)
        except OSError as problem:
            raise self._unusable(self._uri, problem) from None

    def _write(self, path: str, content: bytes) -> None:
        with self._system.open_output_stream(path) as stream:
            stream.write(content)

    def _names(self, run: str) -> set[str]:
        from pyarrow import fs

        found = self._system.get_file_info(fs.FileSelector(f"{self._path}/{run}", allow_not_found=True))
        return {file.base_name for file in found if file.is_file}

    def pull(self, folder: Path) -> None:
        """Copies what is kept of the run `folder.name` into `folder`; nothing where nothing is kept."""
        names = self._names(folder.name)
        for name in sorted(names, key=_order):
            if name.startswith(files.TEMPORARY):
                continue
            with self._system.open_input_stream(f"{self._path}/{folder.name}/{name}") as stream:
                content = stream.read()
            files.write(folder / name, lambda path, content=content: path.write_bytes(content))  # type: ignore[misc]

    def push(self, folder: Path) -> None:
        """Copies the run's files to the storage, each whole or not at all, and removes there what is outdated.

        Somebody else may have got further with the same run: nothing of that is touched, least of all a result.
        """
        remote, there = f"{self._path}/{folder.name}", self._names(folder.name)
        if records.RECORD in there:
            return
        names = {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(files.TEMPORARY)}
        self._system.create_dir(remote)
        for name in sorted(names, key=_order):
            if name in there and name not in RESULT:  # a checkpoint is written once
                continue
            self._write(f"{remote}/{files.TEMPORARY}{name}", (folder / name).read_bytes())
            self._system.move(f"{remote}/{files.TEMPORARY}{name}", f"{remote}/{name}")
        newest = max(names.difference(RESULT), default="")  # checkpoints' names are in the order of their epochs
        for name in (there - names).difference(RESULT):
            if records.RECORD not in names and name >= newest:
                continue
            with contextlib.suppress(FileNotFoundError):
                self._system.delete_file(f"{remote}/{name}")


def _order(name: str) -> int:
    return RESULT.index(name) if name in RESULT else -1
