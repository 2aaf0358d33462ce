"""`python -m kerascifar.cam --class airplane`: see `kerascifar.commands.cam`."""

import sys
from collections.abc import Sequence

from kerascifar.common import entry


def main(argv: Sequence[str] | None = None) -> int:
    """Imports the command here, where Ctrl-C is handled."""
    from kerascifar.commands import cam

    return cam.main(argv)


if __name__ == "__main__":
    sys.exit(entry.run(main))
