"""Keeps runs where nodes share no folder: in S3, Google Cloud Storage or another file system of pyarrow, by its URI.

A run is trained in a temporary folder on its node. `Storage.push` copies its files to the storage while it is trained
and when it is finished; `Storage.pull` copies them back to resume the run or to read it.
"""

import contextlib
import uuid
from pathlib import Path

from kerascifar.common import files
from kerascifar.common.errors import UserError
from kerascifar.runs import records

RESULT = (records.HISTORY, records.PREDICTIONS, records.MODEL, records.RECORD)  # the last one makes a folder complete


class Storage:
    """A writable folder of runs at `uri`, e.g. "s3://bucket/runs", "gs://bucket/runs", "file:///mnt/runs".

    The URI holds the file system's options ("?region=…&endpoint_override=…"); keys come from the environment.

    Raises:
        UserError: pyarrow is missing, or `uri` is not a place to write to.
    """

    def __init__(self, uri: str) -> None:
        try:
            from pyarrow import fs
        except ImportError:
            raise UserError("--storage needs pyarrow.\nInstall it: pip install 'kerascifar[cluster]'") from None
        try:
            self._system, self._path = fs.FileSystem.from_uri(uri)
            self._system.create_dir(self._path)
            probe = f"{self._path}/{files.TEMPORARY}{uuid.uuid4().hex}"
            self._write(probe, b"")
            self._system.delete_file(probe)
        except (OSError, ValueError) as error:  # pyarrow's own errors derive from these
            raise UserError(
                f"--storage {uri} cannot be used: {error}\nExpected a place to write to, "
                "e.g. s3://bucket/runs or gs://bucket/runs, and its keys in the environment."
            ) from None

    def _write(self, path: str, content: bytes) -> None:
        with self._system.open_output_stream(path) as stream:
            stream.write(content)

    def _names(self, run_id: str) -> set[str]:
        from pyarrow import fs

        entries = self._system.get_file_info(fs.FileSelector(f"{self._path}/{run_id}", allow_not_found=True))
        return {entry.base_name for entry in entries if entry.is_file}

    def pull(self, folder: Path) -> None:
        """Copies the files of the run `folder.name` into `folder`, if the storage has any."""
        names = _in_order(self._names(folder.name))
        try:
            for name in names:
                with (
                    self._system.open_input_stream(f"{self._path}/{folder.name}/{name}") as stream,
                    files.replacing(folder / name) as path,
                ):
                    path.write_bytes(stream.read())
        except OSError:
            if names == _in_order(self._names(folder.name)):
                raise
            self.pull(folder)  # another worker has removed an older checkpoint meanwhile

    def push(self, folder: Path) -> None:
        """Copies the run's files to the storage, each whole or not at all, and removes outdated ones there.

        Another worker may be further ahead with the same run: its newer checkpoints and its result stay untouched.
        """
        remote, stored = f"{self._path}/{folder.name}", self._names(folder.name)
        if records.RECORD in stored:
            return
        local = _in_order({path.name for path in folder.iterdir() if path.is_file()})
        self._system.create_dir(remote)
        for name in local:
            if name in stored and name not in RESULT:  # a checkpoint never changes
                continue
            self._write(f"{remote}/{files.TEMPORARY}{name}", (folder / name).read_bytes())
            self._system.move(f"{remote}/{files.TEMPORARY}{name}", f"{remote}/{name}")
        newest = max(set(local).difference(RESULT), default="")  # names of checkpoints sort by epoch
        for name in stored.difference(local, RESULT):
            if records.RECORD in local or name < newest:
                with contextlib.suppress(FileNotFoundError):
                    self._system.delete_file(f"{remote}/{name}")


def _in_order(names: set[str]) -> list[str]:
    """The whole files among `names`, in the order in which to copy them: the record last."""
    whole = (name for name in names if not name.startswith(files.TEMPORARY))
    return sorted(whole, key=lambda name: RESULT.index(name) if name in RESULT else -1)
