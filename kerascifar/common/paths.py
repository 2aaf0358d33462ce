"""Where the files beside the code are: at the top of a checkout, or inside an installed package."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
CHECKOUT = PACKAGE.parent
EXPERIMENTS = PACKAGE / "experiments" if (PACKAGE / "experiments").is_dir() else CHECKOUT / "experiments"


def in_checkout() -> bool:
    """Whether this is a checkout of the source, where runs can be published, rather than an installed package."""
    return EXPERIMENTS.parent == CHECKOUT and (CHECKOUT / "pyproject.toml").is_file()
