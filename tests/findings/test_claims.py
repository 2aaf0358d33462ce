"""Claims are decided by the written rule, from paired runs."""

import dataclasses
import math
import subprocess
import tomllib

import factories
import numpy as np
import pytest
from factories import ROOT
from factories import run as run_on_disk
from scipy import stats

from kerascifar.__main__ import main
from kerascifar.common.errors import UserError
from kerascifar.findings import claims
from kerascifar.findings.claims import (
    CONFIRMED,
    CONTRADICTED,
    NO_DIFFERENCE,
    PENDING,
    REFUTED,
    SUPPORTED,
    UNDECIDED,
    Claim,
    Claims,
    Comparison,
)
from kerascifar.findings.metrics import Difference
from kerascifar.findings.statistics import Estimate
from kerascifar.runs import original, records
from kerascifar.training.rows import read as read_experiment


def better(first="A", second="B", first_is="higher", margin=0.5, metric="test_accuracy", **options):
    return Comparison(first, second, metric, first_is, margin, **options)


def runs(shares, seeds=range(6)):
    return [factories.answering(row, seed, share) for seed in seeds for row, share in shares.items()]


def judge(found, *declared, seeds=None):
    table = claims.table(found, Claims(tuple(declared), seeds or {}))
    return claims.verdicts(table).set_index("claim")


@pytest.mark.parametrize(
    ("first_is", "mean", "p_for", "p_against"),
    [
        ("higher", 1.0, stats.t.sf(2, 5), stats.t.cdf(1, 5)),
        ("higher", 0.4, 1.0, stats.t.cdf(-0.2, 5)),  # surely above 0 or not, it does not reach the margin
        ("not higher", 1.0, stats.t.cdf(1, 5), stats.t.sf(2, 5)),
        ("not higher", 0.4, stats.t.cdf(-0.2, 5), 1.0),
        ("other", -1.0, 2 * stats.t.sf(2, 5), stats.t.sf(-1, 5)),
        ("other", 0.4, 1.0, stats.t.cdf(-0.2, 5)),
    ],
)
def test_p_for_and_against(first_is, mean, p_for, p_against):
    """Standard error 0.5, 5 degrees of freedom, margin 0.5."""
    d = Difference(tuple(range(6)), (0.0, 0.0), (mean,) * 6, Estimate(mean, 0.5, 5.0))
    assert better(first_is=first_is).p_for(d) == pytest.approx(p_for)
    assert better(first_is=first_is).p_against(d) == pytest.approx(p_against)


@pytest.mark.parametrize(
    ("first_is", "mean", "error", "holm", "verdict"),
    [
        ("higher", 3.0, 1.0, 0.04, CONFIRMED),
        ("higher", 3.0, 1.0, 0.06, SUPPORTED),
        ("higher", 2.0, 1.0, 0.04, UNDECIDED),  # the interval, ± 2.57, contains 0
        ("higher", -3.0, 1.0, 0.04, REFUTED),
        ("higher", -3.0, 1.0, 0.06, CONTRADICTED),
        ("higher", 0.1, 0.1, 0.04, NO_DIFFERENCE),
        ("not higher", -3.0, 1.0, 0.04, CONFIRMED),
        ("not higher", 0.1, 0.1, 0.04, CONFIRMED),
        ("not higher", 3.0, 1.0, 0.04, REFUTED),
        ("other", -3.5, 1.0, 0.04, CONFIRMED),
        ("other", 0.1, 0.1, 0.04, NO_DIFFERENCE),
        ("other", 0.1, 0.2, 0.04, UNDECIDED),  # the interval, ± 0.51, is not within ± 0.5
    ],
)
def test_the_verdicts(first_is, mean, error, holm, verdict):
    comparison = better(first_is=first_is)
    d = Difference(tuple(range(6)), (0.0, 0.0), (mean,) * 6, Estimate(mean, error, 5.0))
    judged = claims._Decision(
        Claim("C", "w", (comparison,)), (d,), True, (comparison.p_for(d), comparison.p_against(d))
    )
    assert judged.verdict((holm, holm)) == verdict


@pytest.mark.parametrize("first_is", ["higher", "not higher", "other"])
def test_a_measure_that_is_0_in_every_image_decides_nothing(first_is):
    """Fails if a claim is refuted, or confirmed, because its measure cannot see what the claim is about."""
    nothing = Difference(tuple(range(6)), (0.0, 0.0), (0.0,) * 6, Estimate(0.0, math.nan, math.nan), "A's border is 0")
    comparison = better(first_is=first_is, metric="border", of="cat", second_of="dog")
    decision = claims._Decision(
        Claim("C", "w", (comparison,)), (nothing,), True, (comparison.p_for(nothing), comparison.p_against(nothing))
    )
    assert decision.verdict((1.0, 1.0)) == UNDECIDED
    expected = "A's border is 0, so it cannot test the claim."
    assert claims._sentence(decision, UNDECIDED, 1) == expected


def test_a_claim_needs_all_its_comparisons_and_one_that_fails_decides():
    found = runs({"A": 0.75, "B": 0.70, "C": 0.65})
    verdicts = judge(
        found,
        Claim("all", "w", (better("A", "B"), better("B", "C"))),
        Claim("one fails", "w", (better("A", "B"), better("C", "A"), better("B", "C"))),
        Claim("any", "w", (better("C", "A"), better("A", "B")), decided_by="any"),
        Claim("none", "w", (better("C", "A"), better("B", "A")), decided_by="any"),
    )
    assert verdicts["verdict"].tolist() == [CONFIRMED, REFUTED, CONFIRMED, REFUTED]
    assert "clearest of 3 comparisons: C's test accuracy is 9." in verdicts.loc["one fails", "sentence"]
    assert "weakest of 2 comparisons: " in verdicts.loc["all", "sentence"]


def test_a_pending_claim_changes_no_other_verdict():
    """Fails if Holm's method uses the interim p of a claim that lacks seeds: the other's p would not be doubled."""
    found = runs({"A": 0.75, "B": 0.70, "C": 0.60})
    early = [r for r in found if r.name != "C" or r.seed != found[-1].seed]
    one, other = Claim("X", "w", (better("A", "B"),)), Claim("Y", "w", (better("A", "C"),))
    seeds = {"experiment1": tuple(sorted({r.seed for r in found}))}
    table = claims.table(early, Claims((one, other), seeds)).set_index("claim")
    assert table.loc["Y", "verdict"] == PENDING and table.loc["Y", "p for"] < table.loc["X", "p for"]
    assert table.loc["X", "p for (Holm)"] / table.loc["X", "p for"] == pytest.approx(2)


def test_a_claim_pays_for_its_comparisons_once():
    """All: the largest p for it, and k times the smallest against it. Any: the other way round."""
    found = runs({"A": 0.75, "B": 0.74, "C": 0.70})
    one, two = better("A", "B"), better("A", "C")
    table = claims.table(found, Claims((Claim("X", "w", (one, two)), Claim("Y", "w", (one, two), "f", "any")), {}))
    p_for, p_against = table["p for"][:2].tolist(), table["p against"][:2].tolist()
    by_claim = table.set_index("claim").groupby("claim").first()
    assert by_claim.loc["X", "p for (Holm)"] == max(p_for)
    assert by_claim.loc["X", "p against (Holm)"] == pytest.approx(min(1, 2 * min(p_against)))
    assert by_claim.loc["Y", "p for (Holm)"] == pytest.approx(2 * min(p_for))
    assert by_claim.loc["Y", "p against (Holm)"] == max(p_against)


def test_holm_adjusts_over_the_declared_claims_of_a_family():
    """Fails if training another row, or another family, can change a verdict."""
    found = runs({"A": 0.75, "B": 0.70})
    claim = Claim("X", "w", (better(),), "f")
    untrained = [Claim(f"Y{i}", "w", (better(f"no{i}", metric="gap"),), "f") for i in range(9)]
    elsewhere = [Claim(f"Z{i}", "w", (better(f"no{i}", metric="gap"),), "g") for i in range(9)]
    alone, among, beside = (
        claims.table(found, Claims((claim, *others), {}))["p for (Holm)"].iloc[0]
        for others in ((), untrained, elsewhere)
    )
    assert among == pytest.approx(10 * alone) and beside == alone


def test_no_verdict_before_all_declared_seeds_are_trained():
    seeds = {"experiment1": (10, 11, 12, 13)}
    claim = Claim("X", "w", (better(),))
    shares = {"A": 0.75, "B": 0.65}
    early, late = (judge(runs(shares, range(10, end)), claim, seeds=seeds).loc["X"] for end in (13, 14))
    assert early["verdict"] == PENDING
    assert early["sentence"] == "3 of the 4 seeds that a verdict needs have been trained and measured."
    assert late["verdict"] == CONFIRMED and late["seeds"] == "4"
    assert judge(runs(shares, range(2)), claim).loc["X", "verdict"] == PENDING  # fewer than three
    assert "all planned seeds" in judge([], claim).loc["X", "sentence"]


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


def test_a_claim_may_name_the_rows_of_any_experiment():
    found = runs({"A": 0.75, "B": 0.65})
    mine = [factories.record(experiment="mine", seed=r.seed, row={"name": "B"}, results=r.results) for r in found[::2]]
    claim = Claim("X", "w", (better("experiment1/A", "mine/B", "not higher", 2.0, "gap"),))
    assert judge([*found, *mine], claim).loc["X", "verdict"] == CONFIRMED


@pytest.mark.parametrize(
    ("first_is", "mean", "image_error", "needed"),
    [("higher", 1.0, 0.0, 18), ("higher", 0.0, 0.0, 65), ("higher", 1.0, 0.6, None), ("other", -1.0, 0.0, 22)],
)
def test_seeds_needed_have_the_power_to_decide(first_is, mean, image_error, needed):
    """Seeds differ by √2. By simulation: the share of t tests that decide is 80 %, and less with one seed fewer."""
    by_seed = (mean - 1, mean + 1)
    d = Difference((0, 1), (0.0, 0.0), by_seed, Estimate(mean, math.hypot(1.0, image_error), 1.0))
    assert claims.seeds_needed(better(first_is=first_is), d) == needed
    if needed:
        distance = abs(mean) if mean else 0.5
        for n, enough in ((needed - 1, False), (needed, True)):
            drawn = np.random.default_rng(0).normal(distance, math.sqrt(2), (200_000, n))
            alternative = "two-sided" if first_is == "other" else "greater"
            share = (stats.ttest_1samp(drawn, 0, axis=1, alternative=alternative).pvalue <= 0.025).mean()
            assert (share >= 0.8) == enough


def test_seeds_needed_count_the_family():
    by_seed = (1.84, 5.43, 4.25, 8.32, 4.89, 1.89)
    d = Difference(tuple(range(6)), (0.0, 0.0), by_seed, Estimate(float(np.mean(by_seed)), 1.0, 5.0))
    assert [claims.seeds_needed(better(), d, family) for family in (1, 24)] == [7, 9]


@pytest.mark.parametrize(("decided_by", "needed"), [("any", 9), ("all", 7)])
def test_seeds_needed_count_the_comparisons_of_which_one_decides(decided_by, needed):
    """The p of twelve comparisons, of which one is enough, is multiplied by twelve: 0.025 / 12 is 0.05 / 24."""
    claim = Claim("X", "w", (better(),) * 12, decided_by=decided_by)
    by_seed = (1.84, 5.43, 4.25, 8.32, 4.89, 1.89)
    d = Difference(tuple(range(6)), (0.0, 0.0), by_seed, Estimate(float(np.mean(by_seed)), 1.0, 5.0))
    assert claims.seeds_needed(better(), d, factor=claim.factor(toward=True)) == needed


@pytest.mark.parametrize(
    ("first_is", "mean", "toward"),
    [("higher", 0.6, True), ("higher", 0.4, False), ("not higher", 0.6, False), ("other", -0.6, True)],
)
def test_a_difference_leads_toward_a_claim_or_away_from_it(first_is, mean, toward):
    d = Difference((0, 1, 2), (0.0, 0.0), (mean,) * 3, Estimate(mean, 1.0, 2.0))
    assert claims._is_toward(better(first_is=first_is, margin=0.5), d) == toward


def test_an_undecided_claim_says_what_would_decide_it():
    found = [factories.answering("A", s, epochs=50 + 9 * (-1) ** s + s) for s in range(6)]
    found += [factories.answering("B", s, epochs=45) for s in range(6)]
    line = judge(found, Claim("X", "w", (better(metric="epochs", margin=5.0),), note="but")).loc["X"]
    assert line["verdict"] == UNDECIDED and line["sentence"].endswith("seeds would probably decide it.")
    assert line["comparisons"].endswith(", n = 6\nbut")
    assert line["sentence"].startswith("A trains 8 epochs longer than B (95 % interval ")


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
    """Fails if a claim, a margin, a seed or a setting changes after the first run, or a run is older than the plan."""
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
        assert _without(explanations, now) == _without(explanations, then)


def _without(keys, table):
    """The table and its claims without these keys, which decide nothing."""
    plain = {key: value for key, value in table.items() if key not in keys}
    return plain | {"claim": [_without(keys, claim) for claim in table.get("claim", [])]}


BLOCK = """[[claim]]
name = "C"
words = "w"
comparisons = [{ first = "A", second = "B", metric = "test_accuracy", first_is = "higher", margin = 0.5 }]
"""


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
        (BLOCK, "", "there are no claims"),
        ("[[claim]]", "seeds = [20]\n[[claim]]", "seeds must be a table of lists"),
        ("[[claim]]", 'seeds = { experiment1 = ["20"] }\n[[claim]]', "seeds must be a table of lists"),
        ("[[claim]]", "seed = { experiment1 = [20] }\n[[claim]]", 'no key "seed".*"seeds"'),
        ('"A"', "7", "first must be a text in quotes, not 7"),
        ('"test_accuracy"', '["gap"]', "metric must be a text in quotes"),
        (BLOCK.partition("comparisons = ")[2], '["A > B"]', "comparisons must be a list of tables"),
        ("[[claim]]", BLOCK + "[[claim]]", "two claims are named C"),
        ('metric = "test_accuracy"', 'metric = "gap", of = "cat"', "gap is one number per run"),
        ('metric = "test_accuracy"', 'metric = "border", second_of = "dog"', '"second_of" needs a class in "of"'),
    ],
)
def test_a_mistake_in_the_file_is_explained(tmp_path, old, new, message):
    path = tmp_path / "claims.toml"
    path.write_text(BLOCK, encoding="utf-8")
    (claim,) = claims.read(path).claims
    assert claim.comparisons[0].margin == 0.5 and claim.note == "" and claims.read(path).seeds == {}
    path.write_text(BLOCK.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match=message):
        claims.read(path)


def test_findings_judges_the_runs_of_a_folder(tmp_path, capsys):
    for name in ("M6", "M7"):
        zeros = np.zeros(10_000, "uint8")
        predictions = {"test_label": zeros, "test_predicted": zeros}
        run_on_disk(tmp_path / "runs" / name, predictions=predictions, row={"name": name, "model": "model1"})
    (tmp_path / "mine.toml").write_text(BLOCK.replace('"A"', '"M6"').replace('"B"', '"M7"'), encoding="utf-8")
    options = ["--runs", str(tmp_path / "runs")]
    assert main(["findings", *options]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert " C1 " in printed and " nan " not in printed and "pending" in printed
    assert "*confirmed*: supported" in (tmp_path / "runs" / "report" / "findings.md").read_text(encoding="utf-8")
    assert (tmp_path / "runs" / "report" / "findings.csv").is_file()
    before = (tmp_path / "runs" / "report" / "findings.md").read_bytes()
    assert main(["findings", "--claims", str(tmp_path / "mine.toml"), *options]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert " C1 " not in printed and "pending" in printed and "the original says" not in printed
    assert "Runs used: M6, M7 (yours)." in printed and "--details --claims" in printed
    assert (tmp_path / "runs" / "report" / "findings.md").read_bytes() == before  # the original's verdicts stay
    wrong = (tmp_path / "mine.toml").read_text(encoding="utf-8").replace('"M7"', '"M77"')
    (tmp_path / "mine.toml").write_text(wrong, encoding="utf-8")
    assert main(["findings", "--claims", str(tmp_path / "mine.toml"), *options]) == 2
    assert 'there is no row "M77"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("second", "second_of", "words"),
    [
        ("A", "dog", "A's test accuracy is 1.0 points lower than for dog images."),
        ("B", "dog", "A's test accuracy is 1.0 points lower than B's for dog images."),
        ("B", "other classes", "A's test accuracy is 1.0 points lower than B's for those of other classes."),
        ("A", "other classes", "A's test accuracy is 1.0 points lower than for those of other classes."),
        ("B", "cat", "A's test accuracy is 1.0 points lower than B's."),
    ],
)
def test_a_sentence_names_the_row_and_the_images_of_both_sides(second, second_of, words):
    c = Comparison("A", second, "test_accuracy", "higher", 0.5, of="cat", second_of=second_of)
    d = Difference((0,), (1.0, 2.0), (-1.0,), Estimate(-1.0, math.nan, math.nan))
    assert claims._in_words(c, d) == f"For cat images, {words}"


def test_a_row_of_two_experiments_must_be_named_with_one():
    """Fails if the runs of both are mixed."""
    found = [factories.answering(name, s) for name in ("A", "B") for s in range(3)]
    found += [dataclasses.replace(factories.answering("A", s), experiment="mine") for s in range(3)]
    with pytest.raises(UserError, match="A is a row of several experiments.\nExpected one of: experiment1/A, mine/A"):
        judge(found, Claim("C", "w", (better("A", "B"),)))
    assert judge(found, Claim("C", "w", (better("mine/A", "B"),))).loc["C", "seeds"] == "3"


def test_findings_without_a_run_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(records, "PUBLISHED", tmp_path)
    assert main(["findings", "--runs", str(tmp_path)]) == 2
    assert "no claim can be decided" in capsys.readouterr().err


def test_a_sentence_says_that_the_originals_own_figures_have_the_opposite_sign():
    """In the original, M5 trained for 5 epochs less than M1, although it says that augmentation takes longer."""
    found = [factories.answering("M5", s, epochs=58 + s % 2) for s in range(6)]
    found += [factories.answering("M1", s, epochs=30) for s in range(6)]
    longer = better("M5", "M1", metric="epochs", margin=5.0)
    assert judge(found, Claim("X", "w", (longer,))).loc["X", "sentence"].endswith("; original -5, the opposite sign).")
    shorter = [factories.answering("M5", s, epochs=10 + s % 2) for s in range(6)] + found[6:]
    assert judge(shorter, Claim("X", "w", (longer,))).loc["X", "sentence"] == (
        "M5 trains 20 epochs less than M1 (95 % interval 19 … 20; original 5)."
    )


def test_a_figure_of_the_original_that_rounds_to_zero_has_no_sign():
    """Model2 has 0.01 points less than M6 there. Fails on "original 0.0, the opposite sign"."""
    sentence = judge(runs({"Model2": 0.8, "M6": 0.7}), Claim("X", "w", (better("Model2", "M6"),))).loc["X", "sentence"]
    assert sentence.endswith("; original 0.0).")
