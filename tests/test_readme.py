"""README shows what was measured, not what somebody typed."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_table_of_speeds_is_the_benchmarks():
    """Fails if a figure in README is not the one in benchmarks/bench.md, which `make bench` writes."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- bench -->\n(.*)<!-- /bench -->", readme, re.S)[1]
    measured = ROOT / "benchmarks" / "bench.md"
    assert shown == (measured.read_text(encoding="utf-8") if measured.is_file() else "")
