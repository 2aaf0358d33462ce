"""A file of claims is read, and its mistakes are explained."""

import subprocess
import tomllib

import factories
import pytest
from factories import CLAIM, ROOT, better

from kerascifar.common.errors import UserError
from kerascifar.findings import claims
from kerascifar.findings.claims import Claim, Claims
from kerascifar.runs import original, records
from kerascifar.training.rows import read as read_experiment


def test_only_declared_seeds_and_experiments_and_full_runs_on_cifar_count():
    full = factories.answering("A", 10)
    others = [
        factories.record(seed=10, shortened=True),
        factories.record(seed=10, dataset=factories.SHAPES),
        factories.record(seed=10, experiment="mine"),
        factories.answering("A", 9),
    ]
    claim = Claim("C", "w", (better("A", "M1"),))
    assert Claims((claim,), {"experiment1": (10, 11)}).counted([full, *others]) == [full]
    assert Claims((claim,), {}).counted([full, *others, factories.answering("B", 10)]) == [full, *others[2:]]


def test_a_row_of_the_users_decides_if_it_has_all_seeds():
    """Claims about M1 and M5 are decided by seeds 20 to 27 (`experiments/claims.toml`)."""

    def of_row(name, seeds, **changes):
        return [factories.record(row={"name": name}, seed=seed, **changes) for seed in seeds]

    declared, eight = claims.read(), range(20, 28)
    published = of_row("M5", eight)
    assert declared.deciding((of_row("M5", eight[:1]), published)) == published
    assert declared.deciding((of_row("M5", eight, shortened=True), published)) == published
    own = of_row("M5", eight, epochs_trained=9)
    assert declared.deciding((own, published)) == own
    of_another = of_row("M1", eight)
    assert declared.deciding((of_another, published)) == of_another + published
    assert declared.deciding((of_row("M5", eight[:1]), [])) == of_row("M5", eight[:1])
    assert declared.deciding((of_row("M5", eight, shortened=True), [])) == []


def test_the_declared_claims_name_rows_of_the_original_or_ours():
    rows = {
        r.name for n in ("experiment1", "experiment2") for r in read_experiment(ROOT / f"experiments/{n}.toml").rows
    }
    declared = claims.read()
    assert len({claim.name for claim in declared.claims}) == len(declared.claims) == 17
    named = {row for claim in declared.claims for c in claim.comparisons for row in (c.first, c.second)}
    assert named - {"M1_slowest", "M1_slower"} <= rows & original.rows().keys()
    assert {claim.family for claim in declared.claims} == {"training", "architecture", "focus"}


def test_the_plan_is_older_than_the_runs_that_it_judges_and_unchanged():
    """Fails if a claim, margin, seed or planned row changes after the first run, or a run is older than the plan."""
    declared = claims.read()
    runs = declared.counted(records.list_records(records.PUBLISHED))

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)

    if not runs or git("cat-file", "-e", f"{declared.frozen}^{{commit}}").returncode:
        pytest.skip("needs runs that decide, and the repository's history")
    for commit in {run.environment["commit"] for run in runs}:
        assert git("merge-base", "--is-ancestor", declared.frozen, commit).returncode == 0, commit
    for name in ("claims", "experiment1", "experiment2"):
        then, now = (
            tomllib.loads(text)
            for text in (
                git("show", f"{declared.frozen}:experiments/{name}.toml").stdout,
                (ROOT / "experiments" / f"{name}.toml").read_text(encoding="utf-8"),
            )
        )
        explanations = {"frozen", "amended", "note", "words"}
        planned = [row["name"] for row in then.get("row", [])]
        if planned:  # a user may have added others
            now["row"] = [row for row in now["row"] if row["name"] in planned]
        assert _without(explanations, now) == _without(explanations, then)


def _without(keys, table):
    """The table and its claims without these keys, which decide nothing."""
    plain = {key: value for key, value in table.items() if key not in keys}
    return plain | {"claim": [_without(keys, claim) for claim in table.get("claim", [])]}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("test_accuracy", "test_acuracy", "test_accuracy"),
        ('"higher"', '"hihger"', "higher"),
        ("margin", 'kind = "gradcan", margin', "gradcam"),
        ("0.5", "-1", "0 or more"),
        ("0.5", '"x"', "0 or more"),
        ("second", "secnd", 'no key "secnd".*"second"'),
        ("words", "word", 'no key "word".*"words"'),
        ('words = "w"', "", 'key "words" is missing'),
        ("words", 'decided_by = "some"\nwords', "any"),
        ("[[claim]]", "[[claim", "claims.toml"),
        ("[[claim]]", "[claim]", "there are no claims"),
        (CLAIM, "", "there are no claims"),
        ("[[claim]]", "seeds = [20]\n[[claim]]", "seeds must be a table of lists"),
        ("[[claim]]", 'seeds = { experiment1 = ["20"] }\n[[claim]]', "seeds must be a table of lists"),
        ("[[claim]]", "seed = { experiment1 = [20] }\n[[claim]]", 'no key "seed".*"seeds"'),
        ('"A"', "7", "first must be text in quotes, not 7"),
        ('"test_accuracy"', '["gap"]', "metric must be text in quotes"),
        (CLAIM.partition("comparisons = ")[2], '["A > B"]', "comparisons must be a list of tables"),
        ("[[claim]]", CLAIM + "[[claim]]", "two claims are named C"),
        ("margin", 'of = "cart", margin', '"cart" is not known. Expected one of: airplane, '),
        ('metric = "test_accuracy"', 'metric = "gap", of = "cat"', "gap is one number per run"),
        ("margin", 'kind = "scorecam", margin', "test_accuracy is not a measure of maps"),
        ('metric = "test_accuracy"', 'metric = "border", second_of = "dog"', '"second_of" needs a class in "of"'),
    ],
)
def test_a_mistake_in_the_file_is_explained(tmp_path, old, new, message):
    path = tmp_path / "claims.toml"
    path.write_text(CLAIM, encoding="utf-8")
    (claim,) = claims.read(path).claims
    assert claim.comparisons[0].margin == 0.5 and claim.note == "" and claims.read(path).seeds == {}
    path.write_text(CLAIM.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match=message):
        claims.read(path)


@pytest.mark.parametrize(
    ("first_is", "second", "classes", "short"),
    [
        ("higher", "B", {}, "A > B"),
        ("not higher", "B", {"of": "cat"}, "cat: A ≤ B"),
        ("higher", "A", {"of": "cat", "second_of": "dog"}, "A: cat > dog"),
        ("other", "B", {"of": "cat", "second_of": "other classes"}, "A (cat) ≠ B (other classes)"),
    ],
)
def test_a_comparison_has_a_short_name_for_charts(first_is, second, classes, short):
    """Fails if the images of one side are taken for the other's, or a sign for another."""
    assert claims.Comparison("A", second, "border", first_is, 2.0, **classes).short == short
