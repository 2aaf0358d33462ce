"""The verdicts in words and figures, and the command that prints them."""

import math

import factories
import numpy as np
import pytest
from factories import CLAIM, better, trained
from factories import run as run_on_disk

from kerascifar.__main__ import main
from kerascifar.findings import rule, verdicts
from kerascifar.findings.claims import Claim, Claims, Comparison
from kerascifar.findings.metrics import Difference
from kerascifar.findings.rule import CONFIRMED, PENDING, REFUTED, UNDECIDED, Decision
from kerascifar.findings.statistics import Estimate
from kerascifar.runs import records


def judge(found, *declared, seeds=None):
    return verdicts.by_claim(rule.decide(found, Claims(tuple(declared), seeds or {}))).set_index("claim")


@pytest.mark.parametrize("first_is", ["higher", "not higher", "other"])
def test_a_measure_that_is_0_in_every_image_decides_nothing(first_is):
    """Fails if a claim is refuted, or confirmed, because its measure cannot see what the claim is about."""
    nothing = Difference(tuple(range(6)), (0.0, 0.0), (0.0,) * 6, Estimate(0.0, math.nan, math.nan), "A's border is 0")
    comparison = better(first_is=first_is, metric="border", of="cat", second_of="dog")
    claim = Claim("C", "w", (comparison,))
    decision = Decision(claim, (nothing,), True, 6, rule._p(claim, (nothing,)))
    assert decision.verdict == UNDECIDED
    assert verdicts.sentence(decision) == "A's border is 0, so it cannot test the claim."


def test_a_claim_needs_all_its_comparisons_and_one_that_fails_decides():
    found = trained({"A": 0.75, "B": 0.70, "C": 0.65})
    judged = judge(
        found,
        Claim("all", "w", (better("A", "B"), better("B", "C"))),
        Claim("one fails", "w", (better("A", "B"), better("C", "A"), better("B", "C"))),
        Claim("any", "w", (better("C", "A"), better("A", "B")), decided_by="any"),
        Claim("none", "w", (better("C", "A"), better("B", "A")), decided_by="any"),
    )
    assert judged["verdict"].tolist() == [CONFIRMED, REFUTED, CONFIRMED, REFUTED]
    assert "clearest of 3 comparisons: C's test accuracy is 9." in judged.loc["one fails", "sentence"]
    assert "weakest of 2 comparisons: " in judged.loc["all", "sentence"]


def test_no_verdict_before_all_declared_seeds_are_trained():
    seeds = {"experiment1": (10, 11, 12, 13)}
    claim = Claim("X", "w", (better(),))
    shares = {"A": 0.75, "B": 0.65}
    early, late = (judge(trained(shares, range(10, end)), claim, seeds=seeds).loc["X"] for end in (13, 14))
    assert early["verdict"] == PENDING
    assert early["sentence"] == "3 of the 4 seeds that a verdict needs have been trained and measured."
    assert early["comparisons"] == "A higher than B, test_accuracy: n = 3 so far"  # without the difference so far
    assert late["verdict"] == CONFIRMED and late["seeds"] == "4"
    assert judge(trained(shares, range(2)), claim).loc["X", "verdict"] == PENDING  # fewer than three
    assert "all planned seeds" in judge([], claim).loc["X", "sentence"]


def test_an_undecided_claim_says_what_would_decide_it():
    found = [factories.answering("A", s, epochs=50 + 9 * (-1) ** s + s) for s in range(6)]
    found += [factories.answering("B", s, epochs=45) for s in range(6)]
    line = judge(found, Claim("X", "w", (better(metric="epochs", margin=5.0),), note="but")).loc["X"]
    assert line["verdict"] == UNDECIDED and line["sentence"].endswith("seeds would probably decide it.")
    assert line["comparisons"].endswith(", n = 6\nbut")
    assert line["sentence"].startswith("A trains 8 epochs longer than B (95 % interval ")


def test_findings_judges_the_runs_of_a_folder(tmp_path, capsys):
    for name in ("M6", "M7"):
        zeros = np.zeros(10_000, "uint8")
        predictions = {"test_label": zeros, "test_predicted": zeros}
        run_on_disk(tmp_path / "runs" / name, predictions=predictions, row={"name": name, "model": "model1"})
    (tmp_path / "mine.toml").write_text(CLAIM.replace('"A"', '"M6"').replace('"B"', '"M7"'), encoding="utf-8")
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
    assert "Runs used: M6, M7 (yours)." in printed
    again = f"In detail: kerascifar findings --details --runs {tmp_path}/runs --claims {tmp_path}/mine.toml, "
    assert again.replace(" ", "") in printed.replace(" ", "")  # a long path may continue on the next line
    assert (tmp_path / "runs" / "report" / "findings.md").read_bytes() == before  # the original's verdicts stay
    wrong = (tmp_path / "mine.toml").read_text(encoding="utf-8").replace('"M7"', '"M77"')
    (tmp_path / "mine.toml").write_text(wrong, encoding="utf-8")
    assert main(["findings", "--claims", str(tmp_path / "mine.toml"), *options]) == 2
    assert 'there is no row "M77"' in capsys.readouterr().err
    for old, new, message in (
        ('"M77"', '"experiment9/M7"', 'there is no row "experiment9/M7"'),
        ("[[claim]]", "seeds = { experimentl = [20] }\n[[claim]]", 'no experiment "experimentl"'),
    ):
        (tmp_path / "mine.toml").write_text(wrong.replace(old, new).replace('"M77"', '"M7"'), encoding="utf-8")
        assert main(["findings", "--claims", str(tmp_path / "mine.toml"), *options]) == 2
        assert message in capsys.readouterr().err


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
    assert verdicts._in_words(c, d) == f"For cat images, {words}"


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
    sentence = judge(trained({"Model2": 0.8, "M6": 0.7}), Claim("X", "w", (better("Model2", "M6"),))).loc[
        "X", "sentence"
    ]
    assert sentence.endswith("; original 0.0).")
