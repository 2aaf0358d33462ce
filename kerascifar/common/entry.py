"""The wrapper of every command: its streams, its errors, its exit status."""

import contextlib
import errno
import gc
import os
import re
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence

from kerascifar.common.errors import UserError, first_line, printable

INTERRUPTED = 130
UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h
USER_ERROR = 2
# In the exceptions of TensorFlow, JAX and PyTorch.
NO_MEMORY = re.compile(r"RESOURCE_?EXHAUSTED|out ?of ?memory|\bOOM\b", re.IGNORECASE)


def run(command: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Runs a command line's `command(argv)` and returns its exit status.

    A `UserError`, a failed file operation or too little memory is printed as one paragraph on standard error and
    returns 2; Ctrl-C returns 130. A closed pipe (`… | head`) ends the command quietly. Any other exception returns 70,
    and its traceback is written to a file. Characters that the output's encoding lacks are replaced.
    """
    stopped = False

    def stop(number: int, frame: object) -> None:
        nonlocal stopped
        stopped = True
        raise KeyboardInterrupt

    _prepare_streams()
    os.environ["MPLBACKEND"] = "agg"  # no command opens a window, and Matplotlib would not start with an unknown one
    if any(option.startswith("e") for option in sys.warnoptions):  # a library's warning must not fail a command
        warnings.simplefilter("default")
        os.environ.pop("PYTHONWARNINGS", None)
    if not os.environ.get("COLUMNS", "").strip("0"):  # 0 columns, as where a terminal has no size: Rich prints nothing
        os.environ.pop("COLUMNS", None)
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, stop)
    try:
        status = command(argv)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        status = _without_output(0)
    except (KeyboardInterrupt, Exception) as error:
        if stopped or isinstance(error, KeyboardInterrupt):  # importing C code may make another exception of Ctrl-C
            status, text = INTERRUPTED, str(error) if isinstance(error, KeyboardInterrupt) else ""
        else:
            status, text = _explained(error)
        with contextlib.suppress(OSError):  # nobody reads it: `… 2>&1 | head`
            print(printable(text) or "\nStopped.", file=sys.stderr)
        status = _without_output(status) if isinstance(error, OSError) else status
    finally:
        if signal.getsignal(signal.SIGINT) is stop:
            signal.signal(signal.SIGINT, before)
    # An interrupted training leaves TensorFlow's iterator in a reference cycle. Freed when Python exits, it would wait
    # forever for its thread, which can no longer run the Python code that loads the next batch.
    gc.collect()
    return status


def _prepare_streams() -> None:
    """Lets the standard streams print any text, and discard it if they are closed (`>&-`)."""
    while (handle := os.open(os.devnull, os.O_RDWR)) < 3:  # otherwise the next file that is opened would be the output
        pass
    os.close(handle)
    for number, name in enumerate(("stdout", "stderr"), 1):
        if (stream := getattr(sys, name)) is None:
            setattr(sys, name, os.fdopen(number, "w", errors="kerascifar", closefd=False))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="kerascifar")


def _without_output(status: int) -> int:
    """Returns `status`, after dropping what standard output still holds, on which Python would fail at exit."""
    if sys.__stdout__ and sys.stdout is sys.__stdout__:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
    return status


def _explained(error: Exception) -> tuple[int, str]:
    """The exit status for an exception, and the paragraph to print."""
    if isinstance(error, UserError):
        return USER_ERROR, str(error)
    if isinstance(error, MemoryError) or NO_MEMORY.search(repr(error)):
        return USER_ERROR, (
            "There is not enough memory for this.\nGive the row a smaller batch_size or model, run fewer jobs at once "
            "(--jobs, --gpus-per-run), or close other programs.\nEvery finished epoch is kept."
        )
    if isinstance(error, OSError):
        return USER_ERROR, _from_os(error)
    found, where = "".join(traceback.format_exception(error)), "could not be written to a file"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="kerascifar-", suffix=".txt", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.write(f"{sys.argv}\n{sys.version}\n{found}")
        found, where = "", f"is in {file.name}"
    except OSError:
        pass
    reason = first_line(error)[:300] if str(error).strip() else "no message"
    return UNEXPECTED, (
        f"{found}Unexpected error: {type(error).__name__}: {reason}\nThis is a bug in kerascifar, not your mistake; "
        f"finished results are unchanged. Its traceback {where}.\nPlease report it, with that traceback and "
        "the output of `kerascifar doctor`."
    )


def _from_os(error: OSError) -> str:
    """Explains a failed file operation in one paragraph."""
    denied = (
        "You do not have permission to read or write there. Change the permissions, or choose another place (--runs, "
        "--out)."
    )
    in_the_way = "A file already exists where a folder is needed. Move it away or choose another place (--runs, --out)."
    no_locks = (
        "Its file system does not support locks, so two commands could train the same run. Use another one (--runs)."
    )
    advice = {
        errno.ENOSPC: "The disk is full. Free some space, or choose a folder on another disk (--runs, --out).",
        errno.EDQUOT: "The disk quota is used up. Free some space, or choose another folder (--runs, --out).",
        errno.EFBIG: "The file would exceed this process's file size limit. Raise the limit (ulimit -f).",
        errno.EACCES: denied,
        errno.EPERM: denied,
        errno.EROFS: "The file system is read-only. Choose a writable folder (--runs, --out).",
        errno.ENOTDIR: in_the_way,
        errno.EEXIST: in_the_way,
        errno.EISDIR: "This is a folder. Name a file.",
        errno.ENOENT: "It does not exist. Check the path.",
        errno.ENAMETOOLONG: "Choose a shorter name.",
        errno.ENOSYS: no_locks,
        errno.ENOLCK: no_locks,
        errno.EOPNOTSUPP: no_locks,
    }
    where = f"{error.filename}: " if error.filename else ""
    what = f"{where}{error.strerror or error}."
    todo = advice.get(error.errno or 0, "Check the path and the disk.")
    return f"{what}\n{todo}\nFinished results are unchanged."
