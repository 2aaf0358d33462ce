"""What can go wrong with a command ends in a paragraph and its exit status, and nothing that is printed can fail."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from factories import ROOT

from kerascifar.common import entry

PRINT = "print(sys.argv[1]); print(sys.argv[1], file=sys.stderr); return 0"
READER_GONE = "import select; output = select.poll(); output.register(1, 0); output.poll()"  # waits for it


def process(body, *words, redirect="", **variables):
    """Runs a command whose body is Python code; `redirect` is the shell's."""
    code = f"import os, sys, time\nfrom kerascifar.common import entry, errors\ndef command(argv):\n    {body}\n"
    code += "sys.exit(entry.run(command))"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'"$@" {redirect}', "bash", sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
    )


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1:strict", "utf-8"])
def test_any_text_is_printed_in_any_encoding(encoding):
    """Fails if a character that the encoding lacks, or a file name that is not UTF-8, ends the command."""
    text = "◀ ✓ 写真 − é \udcff"
    result = process(PRINT, os.fsencode(text), PYTHONIOENCODING=encoding)
    assert result.returncode == 0, result.stderr
    assert result.stdout == result.stderr
    told = result.stdout.decode(encoding.partition(":")[0]).strip()
    assert told == (text[:-1] + "?" if encoding == "utf-8" else f"< + ?? - {'?' if encoding == 'ascii' else 'é'} ?")


@pytest.mark.parametrize("actions", ["error", "error::DeprecationWarning", "ignore,e"])
def test_a_librarys_warning_is_no_error_of_a_command(actions):
    """PYTHONWARNINGS, as a user has it for other programs; a command's processes do not get it either."""
    body = "import warnings; warnings.warn('x', DeprecationWarning); return 'PYTHONWARNINGS' in os.environ"
    result = process(body, PYTHONWARNINGS=actions)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("columns", ["0", "", "wide"])
def test_a_table_is_printed_also_where_there_are_no_columns(columns):
    """COLUMNS=0, of a terminal without a size. Fails if Rich prints nothing, and the status is 0."""
    body = "from kerascifar.common import terminal; terminal.console().print(70 * 'x'); return 0"
    assert process(body, COLUMNS=columns).stdout.decode() == 70 * "x" + "\n"


def test_an_output_that_is_closed_is_no_error_and_no_file_takes_its_place(tmp_path):
    """Fails if the file that is opened next becomes standard output, and holds what was printed."""
    body = "file = open(sys.argv[2], 'w'); print(sys.argv[1]); sys.stdout.isatty(); os.write(1, b'C'); return 0"
    result = process(body, "x", str(tmp_path / "a"), redirect=">&- 2>&-")
    assert result.returncode == 0 and (tmp_path / "a").read_bytes() == b""


@pytest.mark.parametrize(
    "body, redirect, status, answer",
    [
        ("print('x'); return 0", "> /dev/full", 2, "The disk is full"),
        (f"{READER_GONE}; print('x'); return 0", "| true", 0, ""),
        (f"{READER_GONE}; raise errors.UserError('x')", "2>&1 | true", 2, ""),
    ],
)
def test_an_output_that_takes_no_more_ends_in_the_right_status(body, redirect, status, answer):
    """Fails if Python itself finds out at its end: status 120, and a message without advice."""
    result = process(body, redirect=redirect)
    assert result.returncode == status and answer in result.stderr.decode()
    assert b"Exception ignored" not in result.stderr and b"Traceback" not in result.stderr


def test_an_unexpected_error_has_its_own_status_and_a_file_with_the_traceback(capsys):
    assert entry.run(lambda argv: {}["absent"]) == 70
    told = capsys.readouterr().err
    path = Path(re.search(r"Its traceback is in (\S+)\.\n", told)[1])
    assert "Unexpected error: KeyError: 'absent'" in told and "report" in told and "Traceback" not in told
    found = path.read_text(encoding="utf-8")
    path.unlink()
    assert "Traceback" in found and 'lambda argv: {}["absent"]' in found


def test_a_traceback_that_fits_in_no_file_is_printed(capsys, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/proc/none")
    assert entry.run(lambda argv: 1 // 0) == 70
    told = capsys.readouterr().err
    assert "Traceback" in told and "Unexpected error: ZeroDivisionError" in told


class ResourceExhaustedError(Exception):
    """TensorFlow's, by its name."""


@pytest.mark.parametrize(
    "error, answer",
    [
        (MemoryError(), "smaller batch_size"),
        (ResourceExhaustedError("OOM when allocating tensor with shape[1,2]"), "smaller batch_size"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 3 bytes"), "smaller batch_size"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "smaller batch_size"),
        (
            OSError(errno.ENOSYS, "Function not implemented", "runs/.locks/a.lock"),
            "runs/.locks/a.lock: .*\n.*not support locks",
        ),
        (OSError(errno.ENOLCK, "No locks available", "a.lock"), "not support locks"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a.png"), "shorter name"),
    ],
)
def test_what_a_machine_lacks_is_explained_and_no_fault_of_the_program(error, answer, capsys):
    def command(argv):
        raise error

    assert entry.run(command) == 2
    told = capsys.readouterr().err
    assert re.search(answer, told) and "Unexpected" not in told and "\n\n" not in told


def test_ctrl_c_during_an_import_is_not_reported_as_an_error(capsys):
    """As NumPy does, whose import of C code turns any exception into its own; fails if that is reported as a fault."""

    def command(argv):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("PLEASE READ THIS FOR ADVICE ON HOW TO SOLVE THIS ISSUE!") from None

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert entry.run(command) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.strip() == "Stopped."


INTERRUPTED = """
import sys, time
import numpy as np
from kerascifar.common import entry

def command(argv):
    from kerascifar.common.load_keras import load_keras
    load_keras()
    from kerascifar.training.batches import Batches

    class Slow(Batches):
        def __getitem__(self, number):
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                pass
            return super().__getitem__(number)

    images, labels = np.zeros((640, 32, 32, 3), "uint8"), np.zeros(640, "uint8")
    cycle = [iter(Slow(images, labels, np.arange(640), 4, seed=0).feed()) for _ in range(4)]
    cycle.append(cycle)
    next(cycle[0])
    raise KeyboardInterrupt

sys.exit(entry.run(command))
"""


@pytest.mark.slow
def test_an_interrupted_training_does_not_hang_when_python_exits():
    """Fails if TensorFlow's iterators, whose threads run Python code, are freed only when none can run any more."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], cwd=ROOT, capture_output=True, timeout=120)
    assert done.returncode == entry.INTERRUPTED
