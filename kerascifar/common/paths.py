"""The locations of the files shipped with the code, in a checkout or in an installed package."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
CHECKOUT = PACKAGE.parent
EXPERIMENTS = PACKAGE / "experiments" if (PACKAGE / "experiments").is_dir() else CHECKOUT / "experiments"


def in_checkout() -> bool:
    """Whether the code runs from a source checkout, where runs can be published, not from an installed package."""
    return EXPERIMENTS.parent == CHECKOUT and (CHECKOUT / "pyproject.toml").is_file()
