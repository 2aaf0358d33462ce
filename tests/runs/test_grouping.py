"""Which runs tables show, and in which order."""

import factories

from kerascifar.runs import grouping, records


def test_a_full_run_comes_before_a_later_shortened_one(tmp_path):
    full = factories.run(tmp_path / "a", environment={"finished": "2026-01-01"})
    factories.run(tmp_path / "b", environment={"finished": "2026-01-02"}, shortened=True)
    factories.run(tmp_path / "c", seed=1, shortened=True)
    other = factories.run(tmp_path / "d", row={"name": "M2"}, shortened=True)
    assert grouping.current(records.list_records(tmp_path)) == [full, other]


def test_only_runs_of_one_configuration_stand_together(tmp_path):
    """Fails if seed 1 of an earlier learning rate, or of other layers, is averaged with seed 0 of the present one."""
    factories.run(tmp_path / "a", seed=1, row={"learning_rate": 0.1}, environment={"finished": "2026-01-01"})
    factories.run(tmp_path / "b", seed=2, basis="other layers", environment={"finished": "2026-01-02"})
    now = [factories.run(tmp_path / str(s), seed=s, environment={"finished": f"2026-01-0{3 + s}"}) for s in (0, 3)]
    assert grouping.current(records.list_records(tmp_path)) == now


def test_rows_are_listed_as_people_count_and_candidates_last(tmp_path):
    runs = [factories.run(tmp_path / name, row={"name": name}) for name in ("M10", "M9", "M2")]
    runs.append(factories.run(tmp_path / "candidate", row={"name": "M1"}, experiment="choices"))
    assert [r.name for r in grouping.current(runs)] == ["M2", "M9", "M10", "M1"]


def test_synthetic_runs_never_stand_beside_real_ones(tmp_path):
    """Fails if a later run of the same row and seed on drawn shapes hides the one on CIFAR-10."""
    real = factories.run(tmp_path / "a", environment={"finished": "2026-01-01"})
    shapes = {"name": "synthetic shapes", "class_names": ["x"] * 10, "train": "0", "test": "0"}
    drawn = [factories.run(tmp_path / str(seed), dataset=shapes, seed=seed) for seed in (0, 1)]
    assert grouping.current([real, *drawn]) == [real]
    assert grouping.current(drawn) == drawn
