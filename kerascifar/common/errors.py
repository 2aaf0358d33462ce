"""The exception for users' mistakes, and the wrapper that prints it as a paragraph and exits with status 2."""

import difflib
import errno
import os
import sys
from collections.abc import Callable, Iterable, Sequence

INTERRUPTED = 130
USER_ERROR = 2


class UserError(Exception):
    """A mistake that the user can correct. The text says what is wrong, what was expected and what to do next."""


def suggest(wrong: str, known: Iterable[str]) -> str:
    """Lists the known names and suggests the closest: `Expected one of: adam, sgd. Did you mean "adam"?`."""
    names = sorted(known)
    close = difflib.get_close_matches(wrong, names, n=1)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    return f"Expected one of: {', '.join(names)}.{hint}"


def printable(text: str) -> str:
    """`text` without control characters, so that a hostile file name or record cannot control the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _from_os(error: OSError) -> str:
    """Explains a failed file operation in one paragraph."""
    advice = {
        errno.ENOSPC: "The disk is full. Free some space, or choose a folder on another disk (--runs, --out).",
        errno.EDQUOT: "The disk quota is used up. Free some space, or choose another folder (--runs, --out).",
        errno.EFBIG: "The file would exceed this process's file size limit. Raise the limit (ulimit -f).",
        errno.EACCES: "It may not be written or read. Change its permissions or choose another place (--runs, --out).",
        errno.EPERM: "It may not be written or read. Change its permissions or choose another place (--runs, --out).",
        errno.EROFS: "The file system is read-only. Choose a writable folder (--runs, --out).",
        errno.ENOTDIR: "A file is in the way of a folder. Move it away or choose another place (--runs, --out).",
        errno.EEXIST: "A file is in the way of a folder. Move it away or choose another place (--runs, --out).",
        errno.EISDIR: "This is a folder. Name a file.",
        errno.ENOENT: "It does not exist. Check the path.",
    }
    where = f"{error.filename}: " if error.filename else ""
    what = f"{where}{error.strerror or error}."
    todo = advice.get(error.errno or 0, "Check the path and the disk.")
    return f"{what}\n{todo}\nFinished results are unchanged."


def run(command: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Runs a command line's `command(argv)` and returns its exit status.

    A `UserError` or a failed file operation is printed as one paragraph on standard error and returns 2. Ctrl-C
    returns 130. A closed pipe (`… | head`) ends the command quietly.
    """
    try:
        return command(argv)
    except UserError as error:
        print(printable(str(error)), file=sys.stderr)
        return USER_ERROR
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(printable(_from_os(error)), file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return INTERRUPTED
