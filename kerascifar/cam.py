"""`python -m kerascifar.cam --class airplane`: see `kerascifar.commands.cam`."""

import sys

from kerascifar.commands.cam import main
from kerascifar.common import errors

if __name__ == "__main__":
    sys.exit(errors.run(main))
