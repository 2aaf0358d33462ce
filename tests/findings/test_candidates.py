"""The questions of choices.toml as they are read."""

import pytest

from kerascifar.common.errors import UserError
from kerascifar.findings import candidates, choices


def test_the_candidates_are_the_originals_rows_but_for_what_is_open():
    """Fails if a candidate changes what the original's table fixes, or takes a seed that decides claims."""
    fixed = ("model", "augment", "loss", "optimizer", "batch_size", "learning_rate")
    files = [candidates.EXPERIMENTS / f"experiment{n}.toml" for n in (1, 2)]
    originals = {row.name: row for path in files for row in candidates.read_experiment(path).rows}
    for asked in candidates.read():
        assert min(asked.seeds) >= 100
        for name, rows in asked.rows.items():
            for like, row in zip(asked.like, rows, strict=True):
                assert row.name == f"{like}_{name}" and row.patience >= choices.PATIENCE
                assert [getattr(row, key) for key in fixed] == [getattr(originals[like], key) for key in fixed]


def test_a_misspelled_key_is_a_users_mistake(tmp_path):
    text = (candidates.EXPERIMENTS / "choices.toml").read_text().replace("patience", "patients", 1)
    (tmp_path / "choices.toml").write_text(text)
    with pytest.raises(UserError, match="patients"):
        candidates.read(tmp_path / "choices.toml")
