"""A name means the user's runs, or the published ones if there are none; `--published` means the published ones."""

import factories
import pytest

from kerascifar.common.errors import UserError
from kerascifar.runs import grouping, records, selection

PUBLISHED = grouping.current(records.list_records(records.PUBLISHED))
SEEDS = {name: [r.seed for r in PUBLISHED if r.name == name] for name in ("M1", "M2")}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The user's M1 with seeds 0 and 7, and a shortened trial of Mine; all of the original's rows are published."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 7):
        factories.run(folder / f"experiment1-M1-seed{seed}-1", seed=seed)
    factories.run(folder / "own-Mine-seed0-1", row={"name": "Mine"}, experiment="own", shortened=True)
    return folder


@pytest.mark.parametrize(
    "name, published_only, whose, seeds",
    [
        ("M1", False, "yours", [0, 7]),
        ("M1", True, "published", SEEDS["M1"]),
        ("M1-seed7", False, "yours", [7]),
        (f"M1-seed{SEEDS['M1'][-1]}", False, "published", SEEDS["M1"][-1:]),
        ("M2", False, "published", SEEDS["M2"]),
        ("own-Mine-seed0-1", True, "yours", [0]),
    ],
)
def test_a_name_means_the_users_runs_or_else_the_published_ones(runs, name, published_only, whose, seeds):
    found = selection.find(name, runs, published_only)
    assert {r.folder.parent for r in found} == {runs if whose == "yours" else records.PUBLISHED}
    assert [r.seed for r in found] == seeds


def test_a_published_runs_folder_is_named_even_if_the_users_has_the_same_name(tmp_path):
    """Fails if `verify` or `compare --published` takes the user's run for the published one."""
    name = PUBLISHED[0].folder.name
    factories.run(tmp_path / name)
    for published_only, parent in ((False, tmp_path), (True, records.PUBLISHED)):
        assert selection.find(name, tmp_path, published_only)[0].folder.parent == parent


def test_a_row_and_an_option_may_name_the_seed_but_not_different_ones():
    assert selection.row_and_seed("M6", None) == ("M6", None)
    assert {selection.row_and_seed(*words) for words in (("M6-seed0", None), ("M6", 0), ("M6-seed0", 0))} == {("M6", 0)}
    with pytest.raises(UserError, match="M6-seed0 and --seed 1 name different seeds"):
        selection.row_and_seed("M6-seed0", 1)


def test_an_unknown_name_is_answered_with_known_ones(runs):
    with pytest.raises(UserError, match='"Min" is neither .*\n.*Did you mean "Mine"'):
        selection.find("Min", runs)
    with pytest.raises(UserError, match=r"\nExpected one of: M1-seed0, M1-seed\d+"):
        selection.find("M1-seed99", runs)
    with pytest.raises(UserError, match="nor a row in the published runs.\n"):
        selection.find("Mine", runs, published_only=True)


def test_a_row_of_two_experiments_is_named_with_its_experiment(runs, tmp_path):
    for experiment in ("experiment1", "mine"):
        factories.run(tmp_path / f"{experiment}-M1-seed0-1", experiment=experiment)
    with pytest.raises(UserError, match="several experiments.\nExpected one of: experiment1/M1, mine/M1"):
        selection.find("M1", tmp_path)
    (found,) = selection.find("mine/M1-seed0", tmp_path)
    assert found.experiment == "mine"


def test_a_folder_by_another_path_is_published_too(tmp_path):
    """Fails if a relative path or a link makes a published run the user's, whose measurements may be overwritten."""
    (tmp_path / "link").symlink_to(records.PUBLISHED)
    assert selection.is_published(records.read(tmp_path / "link" / PUBLISHED[0].folder.name))


def test_each_row_is_the_users_or_the_published_one(runs):
    """Fails if runs of both stand in one row, or if a trial hides a published run where only full runs count."""
    chosen = selection.of_every_row(selection.pools(runs, usable=lambda run: not run.shortened))
    assert {r.folder.parent for r in chosen if r.name == "M1"} == {runs}
    assert {r.folder.parent for r in chosen if r.name == "M2"} == {records.PUBLISHED}
    assert "Mine" not in {r.name for r in chosen}


def test_a_row_that_lacks_a_needed_seed_gives_way_to_the_published_one(runs):
    """Fails if one seed of the user's takes the place of published runs that decide a claim."""

    def whose(needed):
        chosen = selection.of_every_row(selection.pools(runs), needed)
        return {r.name: selection.whose(r) for r in chosen}

    assert whose({"experiment1": (0, 7)})["M1"] == "yours"
    assert whose({"experiment1": (0, 1, 7)})["M1"] == "published"
    assert whose({"own": (1,)})["Mine"] == "yours"  # none is published


def test_the_sentence_says_whose_runs_are_used(runs):
    chosen = [*selection.find("M1", runs), *selection.find("M2", runs), *selection.find("Mine", runs)]
    told = "Runs used: M1 (yours); M2 (published); Mine (yours, a shortened trial)."
    assert selection.described(chosen) == told
