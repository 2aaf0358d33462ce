"""The one exception for a user's mistake, and the wrapper that turns it into a paragraph and exit status 2."""

import difflib
import errno
import os
import sys
from collections.abc import Callable, Iterable, Sequence

INTERRUPTED = 130
USER_ERROR = 2


class UserError(Exception):
    """A mistake the user can mend. Its text says what was wrong, what was expected and what to do next."""


def suggest(wrong: str, known: Iterable[str]) -> str:
    """The known names, and the likely one: `Expected one of: adam, sgd. Did you mean "adam"?`."""
    names = sorted(known)
    close = difflib.get_close_matches(wrong, names, n=1)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    return f"Expected one of: {', '.join(names)}.{hint}"


def printable(text: str) -> str:
    """`text` without control characters, so that a hostile file name or record cannot steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _from_os(error: OSError) -> str:
    """The paragraph for a failed file operation."""
    advice = {
        errno.ENOSPC: "The disk is full. Free some space, or choose a folder on another disk (--runs, --out).",
        errno.EDQUOT: "The disk quota is used up. Free some space, or choose another folder (--runs, --out).",
        errno.EFBIG: "The file would exceed the size that this process may write. Raise the limit (ulimit -f).",
        errno.EACCES: "It may not be written or read. Change its permissions or choose another place (--runs, --out).",
        errno.EPERM: "It may not be written or read. Change its permissions or choose another place (--runs, --out).",
        errno.EROFS: "The file system is read-only. Choose a folder that can be written (--runs, --out).",
        errno.ENOTDIR: "A file stands where a folder is needed. Move it away or choose another place (--runs, --out).",
        errno.EEXIST: "A file stands where a folder is needed. Move it away or choose another place (--runs, --out).",
        errno.EISDIR: "A folder stands where a file is needed. Name a file.",
        errno.ENOENT: "It does not exist. Check the path.",
    }
    where = f"{error.filename}: " if error.filename else ""
    what = f"{where}{error.strerror or error}."
    todo = advice.get(error.errno or 0, "Check the path and the disk.")
    return f"{what}\n{todo}\nWhat was finished before is untouched."


def run(command: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Runs a command line's `command(argv)` and returns its exit status.

    A `UserError` or a failing file operation is printed as one paragraph on standard error and gives 2; Ctrl-C gives
    130; a closed pipe (`… | head`) ends quietly.
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
