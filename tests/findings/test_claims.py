"""Claims are decided by the written rule, from paired runs."""

import itertools
import math

import factories
import numpy as np
import pytest
from factories import ROOT, record
from factories import run as run_on_disk
from scipy import stats

from kerascifar.__main__ import main
from kerascifar.common.errors import UserError
from kerascifar.findings import claims
from kerascifar.findings.claims import HOLDS, NOT, UNDECIDED, Comparison, Evidence
from kerascifar.runs import measurements
from kerascifar.training.rows import read as read_experiment


def run(name, seed, share=0.7, epochs=50, images=2000):
    """A run that has a share of the images right: the same ones whatever its name, and a few drawn anew by seed."""
    order = np.random.default_rng(0).permutation(images)
    correct = np.zeros(images, bool)
    correct[order[: round(share * images)]] = True
    swapped = np.random.default_rng(seed).integers(0, images, 40)
    correct[swapped] = ~correct[swapped]
    results = {s: {"loss": 1.0, "accuracy": float(correct.mean())} for s in ("train", "validation", "test")}
    made = record(seed=seed, row={"name": name}, results=results, epochs_trained=epochs)
    made.__dict__["predictions"] = {
        "test_label": np.zeros(images, "uint8"),
        "test_predicted": (~correct).astype("uint8"),
    }
    return made


def better(matters=0.5, first_is="higher", metric="test_accuracy"):
    return Comparison("A", "B", metric, first_is, matters)


def test_sign_flip_counts_all_signs():
    assert claims.sign_flip([1.0] * 6) == 2 / 64
    assert claims.sign_flip([1.0] * 5) == 2 / 32 > 0.05  # five seeds can never reach 0.05
    assert claims.sign_flip([1.0, -1.0]) == 1.0 and claims.sign_flip([3.0]) == 1.0
    values = np.random.default_rng(1).normal(0.5, 1, 8)
    signs = np.array(list(itertools.product((-1, 1), repeat=8)))
    assert claims.sign_flip(values) == pytest.approx(np.mean(np.abs(signs @ values) >= abs(values.sum()) - 1e-9))
    assert 0 < claims.sign_flip(np.ones(40)) < 0.001  # not 2^40 arrays


def test_holm_adjusts_step_by_step():
    """Holm 1979: 0.01 · 4, 0.02 · 3, then never less than the one before, at most 1."""
    assert claims.holm([0.02, 0.01, 0.9, 0.025]) == pytest.approx([0.06, 0.04, 0.9, 0.06])
    assert claims.holm([]) == []


def test_mcnemar_looks_only_at_images_that_one_alone_has_right():
    first, second = np.array([1, 1, 1, 1, 1, 1, 0, 0]), np.array([1, 0, 0, 0, 0, 0, 0, 0])
    assert claims.mcnemar(first, second) == pytest.approx(2 / 2**5)
    assert claims.mcnemar(first, first) == 1.0


def test_a_plain_difference_is_found_with_its_interval():
    found = [run(name, seed, share) for seed in range(6) for name, share in (("A", 0.75), ("B", 0.70))]
    e = claims.evidence(better(), found)
    assert e.seeds == tuple(range(6)) and e.mean == pytest.approx(5, abs=0.3)
    assert 3.5 < e.interval[0] < e.mean < e.interval[1] < 6.2
    assert e.sign_flip == 2 / 64 and e.p_zero() < 0.001 and max(e.mcnemar) < 1e-10
    assert e.levels == pytest.approx([100 * np.mean([r.right() for r in found if r.name == name]) for name in "AB"])
    for first_is, verdict in (("higher", HOLDS), ("not higher", NOT), ("other", HOLDS)):
        assert claims.decide(better(first_is=first_is), e, e.p_zero(), e.p_reaching(0.5)[0]) == verdict


def test_the_interval_is_students_t_of_seeds_and_images():
    """By hand: error √(4/4 + 0.25), 3 degrees of freedom; it holds 0 just where the two-sided p is above 0.05."""
    e = Evidence((0, 1, 2, 3), (0.0, 0.0), (2 - 3**0.5, 2 + 3**0.5, 2 - 3**0.5, 2 + 3**0.5), 0.5)
    half = 3.182 * math.sqrt(1.25)
    assert e.interval == pytest.approx((2 - half, 2 + half), abs=0.002)
    edge = Evidence(e.seeds, e.levels, tuple(d + half - 2 for d in e.differences), 0.5)
    assert edge.interval[0] == pytest.approx(0, abs=0.002) and edge.p_zero() == pytest.approx(0.05, abs=0.001)
    assert Evidence((0,), (0.0, 0.0), (9.0,), 1.0).interval == pytest.approx((7.04, 10.96), abs=0.001)
    assert np.isnan(Evidence((0,), (0.0, 0.0), (9.0,), 0.0).interval).all()


def test_only_seeds_that_both_have_are_paired():
    found = [*(run("A", s, 0.75) for s in (0, 1, 2)), *(run("B", s) for s in (2, 1, 5))]
    assert claims.evidence(better(), found).seeds == (1, 2)
    assert claims.evidence(better(), [run("A", 0), run("B", 1)]) is None


@pytest.mark.parametrize(
    "first_is, mean, p_zero, p_reaching, verdict",
    [
        ("higher", 1.0, 0.01, 1.0, HOLDS),
        ("higher", 1.0, 0.06, 1.0, UNDECIDED),  # not after Holm
        ("higher", 0.3, 0.01, 0.4, UNDECIDED),  # sure, but it may not matter
        ("higher", 0.2, 0.01, 0.04, NOT),  # sure, and it does not matter
        ("higher", -1.0, 0.01, 0.001, NOT),
        ("not higher", -1.0, 0.01, 0.001, HOLDS),
        ("not higher", 1.0, 0.01, 1.0, NOT),
        ("not higher", 0.3, 0.5, 0.2, UNDECIDED),
        ("other", -1.0, 0.01, 1.0, HOLDS),
        ("other", 0.0, 0.9, 0.04, NOT),
        ("other", 0.0, 0.9, 0.06, UNDECIDED),
    ],
)
def test_the_rule(first_is, mean, p_zero, p_reaching, verdict):
    e = Evidence(tuple(range(6)), (70.0, 70.0), (mean,) * 6, 0.0)
    assert claims.decide(better(first_is=first_is), e, p_zero, p_reaching) == verdict
    mixed = Evidence(tuple(range(6)), (70.0, 70.0), (-mean, mean, mean, mean, mean, 2 * mean), 0.0)
    if verdict in (HOLDS, NOT) and p_reaching == 1.0:  # what rests on seeds alone
        assert claims.decide(better(first_is=first_is), mixed, p_zero, p_reaching) == UNDECIDED


@pytest.mark.parametrize(
    "first_is, differences, image_error, points",
    [
        ("higher", (9.0, 9.0), 0.1, UNDECIDED),  # two seeds may well be alike by chance
        ("higher", (1.0, 1.0, 1.0), 0.2, HOLDS),  # 4.303 errors are less than 1
        ("higher", (1.0, 1.0, 1.0), 0.24, UNDECIDED),
        ("higher", (0.4, 0.4, 0.4), 0.05, UNDECIDED),  # surely not 0, but it may not matter
        ("higher", (-1.0, -1.0, -1.0), 0.3, NOT),  # up to 0.29
        ("higher", (1.0, 2.0, 3.0), 0.0, UNDECIDED),  # error 1/√3: 2 − 2.48
        ("higher", (2.0, 3.0, 4.0), 0.0, HOLDS),
        ("higher", (2.0, 3.0, 4.0), 0.5, UNDECIDED),  # both errors count
        ("not higher", (-1.0, -1.0, -1.0), 0.3, HOLDS),
        ("not higher", (1.0, 1.0, 1.0), 0.2, NOT),
        ("other", (-1.0, -1.0, -1.0), 0.2, HOLDS),
        ("other", (-0.1, -0.1, -0.1), 0.09, NOT),
        ("other", (-0.1, -0.1, -0.1), 0.1, UNDECIDED),
    ],
)
def test_where_what_is_undecided_points(first_is, differences, image_error, points):
    e = Evidence(tuple(range(len(differences))), (0.0, 0.0), differences, image_error)
    assert claims.so_far(better(first_is=first_is), e) == points
    assert claims.so_far(better(first_is=first_is), None) == UNDECIDED


def test_a_claim_points_where_all_its_comparisons_do(looks):
    found = [run(n, s, x) for s in range(3) for n, x in (("A", 0.80), ("B", 0.70), ("C", 0.60))]
    ab, bc, ca = (Comparison(*names, "test_accuracy", "higher", 0.5) for names in ("AB", "BC", "CA"))
    gap = Comparison("A", "none", "gap", "higher", 0.5)
    declared = [claims.Claim("X", "w", (ab, bc)), claims.Claim("Y", "w", (ab, ca)), claims.Claim("Z", "w", (ab, gap))]
    verdicts = claims.verdicts(claims.table(found, declared))
    assert verdicts["so far"].tolist() == ["for", "against", ""] and set(verdicts["verdict"]) == {UNDECIDED}
    assert verdicts["seeds"].tolist() == ["3", "3", "0"]
    assert "n = 3, about 6 seeds would decide it" in verdicts["evidence"].iloc[0]
    more = [run(n, s, x) for s in range(6) for n, x in (("A", 0.75), ("B", 0.70))]
    decided = claims.table(more, [claims.Claim("X", "w", (ab,), "but")])
    assert claims.verdicts(decided)["evidence"].iloc[0].endswith(", n = 6; but")
    assert decided["verdict"].tolist() == [HOLDS] and decided["so far"].tolist() == [""]


def test_nothing_is_decided_with_fewer_than_six_seeds():
    for n in range(1, 6):
        e = Evidence(tuple(range(n)), (79.0, 70.0), (9.0,) * n, 0.0)
        assert claims.decide(better(), e, 0.0001, 1.0) == UNDECIDED
    assert claims.decide(better(), None, 1.0, 1.0) == UNDECIDED


def test_students_t_counts_seeds_and_images():
    """By hand: mean 2, sd 2 over 4 seeds, 0.5 from the images: error √(4/4 + 0.25)."""
    e = Evidence((0, 1, 2, 3), (0.0, 0.0), (2 - 3**0.5, 2 + 3**0.5, 2 - 3**0.5, 2 + 3**0.5), 0.5)
    t = 2 / math.sqrt(1.25)
    assert e.p_zero() == pytest.approx(2 * stats.t.sf(t, 3))
    above, below = e.p_reaching(3.0)
    assert above == pytest.approx(stats.t.cdf(-1 / math.sqrt(1.25), 3))
    assert below == pytest.approx(stats.t.sf(5 / math.sqrt(1.25), 3))
    one = Evidence((0,), (0.0, 0.0), (9.0,), 0.1)
    assert one.p_zero() == 1.0 and one.p_reaching(0.5) == (1.0, 1.0)


def test_holm_counts_declared_comparisons_without_runs():
    """Fails if training another row can undo a verdict."""
    found = [run(n, s, x) for s in range(6) for n, x in (("A", 0.75), ("B", 0.70))]
    ab = claims.Claim("X", "w", (better(),))
    more = [claims.Claim(f"Y{i}", "w", (Comparison(f"no{i}", "B", "gap", "higher", 1.0),)) for i in range(9)]
    column = "p, no difference (Holm)"
    alone, among = (claims.table(found, declared)[column].iloc[0] for declared in ([ab], [ab, *more]))
    assert among == pytest.approx(10 * alone)


def test_only_full_runs_on_cifar_of_the_two_experiments_count():
    full = run("A", 0)
    found = [
        full,
        factories.record(shortened=True),
        factories.record(dataset=factories.SHAPES),
        factories.record(experiment="mine"),
        run("A", 6),  # one more, that someone trained as six did not decide
    ]
    assert claims.counted(found) == [full]


def test_what_a_run_has_one_number_of_is_compared_over_seeds():
    found = [run(n, s, epochs=e + s) for s in range(6) for n, e in (("A", 60), ("B", 50))]
    e = claims.evidence(better(5, metric="epochs"), found)
    assert e.differences == (10.0,) * 6 and e.mcnemar == ()
    assert claims.decide(better(5, metric="epochs"), e, e.p_zero(), e.p_reaching(5)[0]) == HOLDS


def test_a_seed_that_diverged_is_left_out():
    found = [run(n, s) for s in range(3) for n in "AB"]
    found[2].results["train"]["accuracy"] = math.nan
    assert claims.evidence(better(metric="gap"), found).seeds == (0, 2)


def test_variation_is_what_goes_up_and_down_not_the_fall():
    fall = [3.0, 2.5, 2.0, 1.5, 1.2, *np.linspace(1.1, 0.8, 15)]
    smooth, rough = (
        factories.record(history={"val_loss": losses}) for losses in (fall, fall + 0.1 * np.tile([1, -1], 10))
    )
    assert claims.variation(smooth) < 0.005 and claims.variation(rough) > 0.07
    assert math.isnan(claims.variation(factories.record(history={"val_loss": fall[:9]})))


@pytest.mark.parametrize(
    "first_is, mean, image_error, needed",
    [
        ("higher", 1.0, 0.0, 11),  # sd √2 between the mean and 0, two-sided
        ("higher", 0.0, 0.0, 24),  # … and what matters, 0.5, one-sided
        ("not higher", -0.5, 0.0, 8),
        ("other", -1.0, 0.0, 11),
        ("other", 0.4, 0.0, None),  # more than 100
        ("higher", 1.0, 0.6, None),  # the images alone blur more than that
        ("higher", 9.0, 0.0, 6),
    ],
)
def test_seeds_needed_follow_the_spread_and_the_edge_to_clear(first_is, mean, image_error, needed):
    """By scipy's own test of just so many values, of this mean and spread."""
    e = Evidence((0, 1), (0.0, 0.0), (mean - 1, mean + 1), image_error)
    assert claims.seeds_needed(better(first_is=first_is), e) == needed
    if needed and image_error == 0 and needed > claims.FEWEST:
        edge, way = (0.0, "two-sided") if abs(mean) >= 0.5 and mean != -0.5 else (0.5, "less")
        for n, decides in ((needed - 1, False), (needed, True)):
            values = np.resize([mean - 1, mean + 1, mean], n) if n % 2 else np.resize([mean - 1, mean + 1], n)
            values = mean + (values - values.mean()) / values.std(ddof=1) * math.sqrt(2)
            assert (stats.ttest_1samp(values, edge, alternative=way).pvalue <= 0.05) == decides


def test_seeds_needed_count_the_family():
    e = Evidence(tuple(range(6)), (0.0, 0.0), (1.84, 5.43, 4.25, 8.32, 4.89, 1.89), 0.0)
    alone, among = (claims.seeds_needed(better(), e, family) for family in (1, 24))
    assert alone == 7 and among > alone
    p = stats.t.sf(e.mean / (np.std(e.differences, ddof=1) / math.sqrt(among)), among - 1)
    assert 24 * 2 * p <= 0.05


def test_the_reports_own_difference_stands_beside():
    comparisons = [c for claim in claims.read() for c in claim.comparisons]
    own = {str(c): claims.reported(c) for c in comparisons}
    assert own["M5 higher than M1, epochs"] == 65 - 70
    assert own["Model2 higher than M6, gap"] == pytest.approx((75.43 - 73.93) - (72.57 - 72.74))
    assert own["M6 higher than M7, test_accuracy"] == pytest.approx(72.56 - 67.45)
    of_a_class = Comparison("M6", "M7", "test_accuracy", "higher", 0.5, of="bird")  # the report gives no such figure
    assert math.isnan(own["M4 higher than M1, variation"]) and math.isnan(claims.reported(of_a_class))


def test_a_claim_needs_all_its_comparisons(tmp_path):
    found = [run(n, s, x) for s in range(6) for n, x in (("A", 0.75), ("B", 0.70), ("C", 0.65))]
    ab, bc, ca = (Comparison(*names, "test_accuracy", "higher", 0.5) for names in ("AB", "BC", "CA"))
    table = claims.table(found, [claims.Claim("X", "w", (ab, bc)), claims.Claim("Y", "w", (ab, ca))])
    assert table["verdict"].tolist() == [HOLDS, HOLDS, NOT, NOT]
    assert table["decided"].tolist() == [HOLDS, HOLDS, HOLDS, NOT]
    missing = claims.table(found, [claims.Claim("Z", "w", (Comparison("A", "none", "gap", "higher", 1.0),))])
    assert missing["verdict"].tolist() == [UNDECIDED]
    assert "not trained yet" in claims.verdicts(missing)["evidence"].iloc[0]


def test_the_declared_claims_name_rows_of_the_report():
    rows = {
        r.name for n in ("experiment1", "experiment2") for r in read_experiment(ROOT / f"experiments/{n}.toml").rows
    }
    declared = claims.read()
    assert len({claim.name for claim in declared}) == len(declared) == 14
    assert all({c.first, c.second} <= rows for claim in declared for c in claim.comparisons)


def looking_run(name, seed, border, images=300):
    """A run whose maps have this share of their evidence at the border, ten points more for class 0."""
    made = run(name, seed, 0.8, images=images)
    made.predictions["test_label"] = (np.arange(images) % 10).astype("uint8")
    wrong = np.arange(images) // 10 % 5 == seed % 5  # other images in each seed
    made.predictions["test_predicted"] = np.where(wrong, 99, made.predictions["test_label"]).astype("uint8")
    noise = np.random.default_rng([seed, ord(name)]).normal(0, 0.01, images)
    shares = border + 0.1 * (made.predictions["test_label"] == 0) + noise
    made.__dict__["looks"] = {
        f"gradcam/{measure}": np.where(wrong, 9.0, shares).astype("float16") for measure in ("border", "pointing")
    }
    return made


@pytest.fixture
def looks(monkeypatch):
    monkeypatch.setattr(measurements, "read", lambda record: record.__dict__.get("looks", {}))


def test_where_models_look_is_compared_on_images_that_are_right(looks):
    """Fails if images that are wrong count (their 900 %), or those of other classes."""
    found = [looking_run(n, s, b) for s in range(6) for n, b in (("A", 0.4), ("B", 0.3))]
    one = Comparison("A", "B", "border", "higher", 2.0, of="bird")
    e = claims.evidence(one, found)
    assert e.mean == pytest.approx(10, abs=0.5) and e.interval[0] < e.mean < e.interval[1] and e.mcnemar == ()
    assert claims.decide(one, e, e.p_zero(), e.p_reaching(2)[0]) == HOLDS
    assert claims.evidence(one, [*found[:2], run("A", 7), run("B", 7)]).seeds == (0,)  # not measured: not counted
    assert claims.evidence(one, found[:2]).interval[1] - claims.evidence(one, found[:2]).interval[0] < 1.5


def test_a_class_can_be_compared_with_all_others_of_the_same_runs(looks):
    found = [looking_run("A", s, 0.3) for s in range(6)]
    one = Comparison("A", "A", "border", "higher", 2.0, of="airplane", second_of=claims.OTHERS)
    e = claims.evidence(one, found)
    assert e.mean == pytest.approx(10, abs=0.5) and e.interval[0] > 9 and e.interval[1] < 11
    assert str(one) == "A airplane higher than A other classes, border"
    truck = Comparison("A", "A", "border", "higher", 2.0, of="truck", second_of=claims.OTHERS)
    assert claims.evidence(truck, found).mean == pytest.approx(-10 / 9, abs=0.5)


def test_holm_corrects_claims_about_looking_by_themselves(looks):
    found = [looking_run(n, s, b) for s in range(2) for n, b in (("A", 0.31), ("B", 0.3))]
    accuracy = claims.Claim("X", "w", (better(),))
    focus = claims.Claim("Y", "w", (Comparison("A", "B", "border", "higher", 2.0, of="bird"),))
    column = "p, no difference (Holm)"
    alone = claims.table(found, [focus])[column].tolist()
    assert claims.table(found, [accuracy, focus])[column].tolist()[1:] == alone


def test_runs_measured_on_fewer_images_are_compared_on_those(looks):
    """Fails with arrays of two lengths."""
    found = [looking_run(n, s, b) for s in range(2) for n, b in (("A", 0.4), ("B", 0.3))]
    looks_of_b = found[1].__dict__["looks"]
    looks_of_b["gradcam/border"] = looks_of_b["gradcam/border"][:200]
    e = claims.evidence(Comparison("A", "B", "border", "higher", 2.0, of="bird"), found)
    assert e.seeds == (0, 1) and e.mean == pytest.approx(10, abs=0.5)
    found[1].__dict__["looks"] = {"scorecam/border": looks_of_b["gradcam/border"]}
    assert claims.evidence(Comparison("A", "B", "border", "higher", 2.0), found).seeds == (1,)


def test_by_class_has_a_line_for_every_class_and_measure(looks):
    found = [looking_run(n, s, b) for s in range(3) for n, b in (("A", 0.4), ("B", 0.3))]
    table = claims.by_class(found, "A", "B")
    assert len(table) == 10 and set(table["measure"]) == {"pointing"}  # borders depend on where a model has cells
    line = table.set_index("class").loc["airplane"]
    assert line["A"] == pytest.approx(50, abs=0.5) and line["difference"] == pytest.approx(10, abs=0.5)
    assert line["low"] < 10 < line["high"] and line["p (Holm)"] < 0.05
    assert np.isnan(line["by a spot"])
    for made in found:  # the spot finds six points of the ten
        ours = made.__dict__["looks"]
        ours["centred/pointing"] = ours["gradcam/pointing"] - np.float16(0.04 if made.name == "A" else 0)
    line = claims.by_class(found, "A", "B").set_index("class").loc["airplane"]
    assert line["by a spot"] == pytest.approx(6, abs=0.5) and line["difference"] == pytest.approx(10, abs=0.5)


def test_a_map_is_compared_with_a_spot_in_the_middle_on_the_same_images(looks):
    """Fails if lower deletion is worse, or if images, which differ by up to 100 %, are not paired, or other runs."""
    found = [run("M6", s, 0.8, images=400) for s in range(2)]
    for seed, made in enumerate(found):
        random = np.random.default_rng(seed)
        spot = {measure: random.random(400) for measure in claims.FAITHFUL}
        by = {"gradcam": (0.1, 0.2, 0.4 * seed, 0.0), "layercam": (0.2, -0.2, 0.1, -0.1)}
        made.__dict__["looks"] = {f"centred/{measure}": values for measure, values in spot.items()} | {
            f"{kind}/{measure}": spot[measure] + more + random.normal(0, 0.01, 400)
            for kind, all_more in by.items()
            for measure, more in zip(spot, all_more, strict=True)
        }
    found[1].__dict__["looks"] = {n: v for n, v in found[1].__dict__["looks"].items() if "layercam" not in n}
    table = claims.against_centred([*found, run("M7", 0, 0.8)])
    assert table["map"].tolist() == ["Grad-CAM", "Layer-CAM"] and table["n"].tolist() == [2, 1]
    first = table.iloc[0]
    assert first["road"] == pytest.approx(0.1, abs=0.005) and first["deletion"] == pytest.approx(20, abs=0.5)
    assert 0 < first["road ±"] < 0.02 and abs(first["insertion"]) < first["insertion ±"]
    assert table.iloc[1]["road ±"] == pytest.approx(1.96 * 0.01 / 400**0.5, rel=0.15)  # one seed: images alone
    told = claims.faithful(found)
    assert told.startswith("M6: Grad-CAM is more faithful than a spot in the middle by road, and less by deletion;")
    assert "of 2 maps of the same models (n = 1) the best is Layer-CAM by road, Layer-CAM by deletion, " in told
    assert told.endswith("Layer-CAM by insertion, Grad-CAM by background.")


BLOCK = """[[claim]]
name = "C"
words = "w"
comparisons = [{ first = "A", second = "B", metric = "test_accuracy", first_is = "higher", matters = 0.5 }]
"""


@pytest.mark.parametrize(
    "old, new, told",
    [
        ("test_accuracy", "test_acuracy", "test_accuracy"),
        ('"higher"', '"hihger"', "higher"),
        ("matters", 'kind = "gradcan", matters', "gradcam"),
        ("0.5", "-1", "0 or more"),
        ("0.5", '"x"', "0 or more"),
        ("second", "secnd", "secnd"),
        ("words", "word", "words"),
        ("[[claim]]", "[[claim", "claims.toml"),
    ],
)
def test_a_mistake_in_the_file_is_told(tmp_path, old, new, told):
    path = tmp_path / "claims.toml"
    path.write_text(BLOCK, encoding="utf-8")
    assert claims.read(path)[0].comparisons[0].matters == 0.5 and claims.read(path)[0].note == ""
    path.write_text(BLOCK.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match=told):
        claims.read(path)


def test_findings_judges_the_runs_of_a_folder(tmp_path, capsys):
    for name in ("M6", "M7"):
        zeros = np.zeros(10_000, "uint8")
        predictions = {"test_label": zeros, "test_predicted": zeros}
        run_on_disk(tmp_path / "runs" / name, predictions=predictions, row={"name": name, "model": "model1"})
    assert main(["findings", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    words = " ".join(printed.split())
    assert " C1 " in printed and "n = 1" in words and "nan" not in printed and "not trained yet" in words
    written = (tmp_path / "out" / "findings.md").read_text(encoding="utf-8")
    assert "With fewer than six seeds, nothing is decided" in written
    assert (tmp_path / "out" / "findings.csv").is_file()


def test_findings_without_a_run_says_what_to_do(tmp_path, capsys):
    assert main(["findings", "--runs", str(tmp_path)]) == 2
    assert "no claim can be decided" in capsys.readouterr().err
