"""The exception for users' mistakes, and texts that a terminal can show."""

import codecs
import difflib
from collections.abc import Iterable

LISTED = 20  # names in a message
# Printed instead of these where the output's encoding lacks them; "?" stands for any other.
PLAIN = dict(zip("◀✓✗·×±−–—…", "<+-|x~---.", strict=True))


class UserError(Exception):
    """A mistake that the user can correct. The text says what is wrong, what was expected and what to do next."""


def suggest(wrong: str, known: Iterable[str]) -> str:
    """Lists the known names and suggests the closest: `Expected one of: adam, sgd. Did you mean "adam"?`.

    A set is sorted; of more than `LISTED` names, only the first are listed. Without any, it says so.
    """
    names = sorted(known) if isinstance(known, set) else list(dict.fromkeys(known))
    if not names:
        return "There are none."
    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(wrong, names, n=1)
    close = close or [folded[name] for name in difflib.get_close_matches(wrong.casefold(), folded, n=1)]
    hint = f' Did you mean "{close[0]}"?' if close else ""
    more = f" and {others} other{'s' * (others > 1)}" if (others := len(names) - LISTED) > 0 else ""
    return f"Expected one of: {', '.join(names[:LISTED])}{more}.{hint}"


def printable(text: str) -> str:
    """`text` without control characters, so that a hostile file name or record cannot control the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def first_line(error: object) -> str:
    """The first line of an exception's text, or of any other; the name of its class if the text is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Replaces characters that the encoding lacks; see the module `codecs`."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end


codecs.register_error("kerascifar", _replaced)


def encodable(text: str, encoding: str) -> str:
    """`text`, with plain signs in place of those that the encoding lacks."""
    return text.encode(encoding, "kerascifar").decode(encoding)
