"""Figures hold the record's numbers, say what they show, and are written whole, the same each time."""

import math
import os
import stat
import sys

import factories
import numpy as np
import pytest
from PIL import Image

from kerascifar.common import drawing
from kerascifar.common.errors import UserError
from kerascifar.findings import metrics
from kerascifar.images import cifar10, official
from kerascifar.output import figures

HISTORY = {
    "loss": [2.0, 1.5, 1.25, 1.0],
    "accuracy": [0.25, 0.5, 0.625, 0.75],
    "val_loss": [1.75, 1.5, 1.375, 1.625],
    "val_accuracy": [0.3, 0.45, 0.55, 0.5],
}


def made(history=HISTORY, train=official.TRAIN_SHA256, **changes):
    """A record of row M6 with this history; other training images than CIFAR-10's make it synthetic."""
    dataset = {**factories.record().dataset, "train": train}
    if train != official.TRAIN_SHA256:
        dataset["name"] = "shapes"
    values = {"row": {"name": "M6"}, "epochs_trained": len(history["loss"]), "epoch_kept": 3, "dataset": dataset}
    return factories.record(history=history, **{**values, **changes})


def named(history, name):
    return made(history, row={"name": name})


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def texts(figure):
    return [text.get_text() for text in figure.texts]


def test_training_statistics_draw_the_history():
    """Fails if training and validation are swapped, epochs count from 0, or accuracy is not in percent."""
    loss, accuracy = figures.training_statistics(made()).axes
    assert (loss.get_xlabel(), loss.get_ylabel()) == ("epoch", "loss (cross-entropy, nats)")
    assert (accuracy.get_xlabel(), accuracy.get_ylabel()) == ("epoch", "accuracy (%)")
    for axes, label, expected in [
        (loss, "training", [2.0, 1.5, 1.25, 1.0]),
        (loss, "validation", [1.75, 1.5, 1.375, 1.625]),
        (accuracy, "training", [25.0, 50.0, 62.5, 75.0]),
        (accuracy, "validation", [30.0, 45.0, 55.0, 50.0]),
    ]:
        line = lines(axes)[label]
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-12)
    assert loss.get_lines()[0].get_color() == accuracy.get_lines()[0].get_color() == figures.TRAINING
    assert loss.get_lines()[1].get_color() == accuracy.get_lines()[1].get_color() == figures.VALIDATION


def test_the_kept_epoch_is_marked_and_named_in_the_legend():
    for axes in figures.training_statistics(made()).axes:
        assert lines(axes)["kept: epoch 3"].get_xdata() == [3, 3]
        assert [t.get_text() for t in axes.get_legend().get_texts()] == ["training", "validation", "kept: epoch 3"]


@pytest.mark.parametrize(
    "changes, title",
    [
        ({}, "M6 · seed 0 · CIFAR-10 · Adam 0.001, batch 256"),
        ({"seed": 2, "shortened": True}, "M6 · seed 2 · CIFAR-10 · shortened run · Adam 0.001, batch 256"),
        (
            {"row": {"name": "Model4", "model": "model4"}},
            "Model4 · seed 0 · CIFAR-10 · 2 BatchNorm (conv 2, 4), 2 Dropout",
        ),
        ({"train": "f" * 64}, "M6 · seed 0 · shapes · SYNTHETIC DATA · Adam 0.001, batch 256"),
    ],
)
def test_the_title_says_what_is_shown(changes, title):
    figure = figures.training_statistics(made(**changes))
    assert figure.get_suptitle() == title
    assert ("SYNTHETIC DATA" in texts(figure)) == ("train" in changes)


def test_one_epoch_shows_as_points():
    """A line of one point draws nothing: it needs markers, and room around them."""
    history = {key: values[:1] for key, values in HISTORY.items()}
    for axes in figures.training_statistics(made(history, epoch_kept=1)).axes:
        assert lines(axes)["training"].get_marker() == "o"
        assert axes.get_xlim() == (0.5, 1.5)
        assert [tick for tick in axes.get_xticks() if 0.5 <= tick <= 1.5] == [1.0]


def test_long_runs_have_no_markers():
    history = {key: list(np.linspace(1, 0.5, 30)) for key in HISTORY}
    loss = figures.training_statistics(made(history)).axes[0]
    assert lines(loss)["training"].get_marker() == "None"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None])
def test_a_loss_that_is_not_finite_leaves_a_gap(tmp_path, bad):
    """And it is drawn without a warning: warnings are errors here."""
    history = {**HISTORY, "loss": [2.0, bad, 1.25, bad], "val_loss": [bad] * 4}
    figure = figures.training_statistics(made(history))
    np.testing.assert_array_equal(lines(figure.axes[0])["training"].get_ydata(), [2.0, math.nan, 1.25, math.nan])
    assert np.isnan(lines(figure.axes[0])["validation"].get_ydata()).all()
    drawing.save(lambda: figure, tmp_path / "gap.png")


def test_an_isolated_value_between_gaps_is_visible():
    """Long runs are drawn without markers, which would hide a single point between two gaps."""
    history = {key: [1.0] * 30 for key in HISTORY}
    history["loss"] = [math.nan] * 10 + [1.0] + [math.nan] * 19
    loss = figures.training_statistics(made(history)).axes[0]
    assert lines(loss)["training"].get_marker() == "o"


def test_augmentation_is_compared_on_the_same_axes():
    """Left without, right with augmentation; both columns have the limits that hold both."""
    longer = {key: [*values, 3 * values[-1]] for key, values in HISTORY.items()}
    figure = figures.augmentation_comparison(named(HISTORY, "M1"), named(longer, "M5"))
    grid = np.array(figure.axes).reshape(2, 2)
    assert grid[0, 0].get_title() == "no augmentation\nM1 · seed 0 · CIFAR-10 · Adam 0.001, batch 256"
    assert grid[0, 1].get_title() == "augmentation\nM5 · seed 0 · CIFAR-10 · Adam 0.001, batch 256"
    assert len(lines(grid[0, 0])["training"].get_xdata()) == 4
    assert len(lines(grid[0, 1])["training"].get_xdata()) == 5
    for row, top in zip(grid, (4.875, 225.0), strict=True):
        assert row[0].get_ylim() == row[1].get_ylim()
        assert row[0].get_ylim()[1] >= top
    assert {axes.get_xlim() for axes in figure.axes} == {(0.5, 5.5)}
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss (cross-entropy, nats)", "", "accuracy (%)", ""]


def test_over_seeds_each_is_faint_and_the_median_bold_while_half_are_there():
    """By hand: at epochs 1 and 2 the median of three, at 3 of the two that are left; one alone has no median."""
    curves = ([3.0, 2.0], [2.0, 1.0, 0.5], [1.0, 0.5, 0.25, 0.125])
    runs = [
        made(dict.fromkeys(HISTORY, values), seed=seed, epoch_kept=len(values) - 1)
        for seed, values in enumerate(curves)
    ]
    figure = figures.training_statistics(*runs)
    loss = figure.axes[0]
    median = lines(loss)["training, median"]
    assert median.get_xdata().tolist() == [1, 2, 3] and median.get_ydata().tolist() == [2.0, 1.0, 0.375]
    faint = [line for line in loss.get_lines() if line.get_alpha() == 0.25]
    shown = [line.get_ydata()[: len(values)].tolist() for line, values in zip(faint, curves, strict=False)]
    assert shown == [list(values) for values in curves] and len(faint) == 6
    assert lines(loss)["kept"].get_xdata().tolist() == [1, 2, 3]
    assert figure.get_suptitle() == "M6 · 3 seeds · CIFAR-10 · Adam 0.001, batch 256"


def test_the_overview_has_a_dot_per_seed_their_mean_and_the_originals_cross():
    """The original's test accuracy of M6 is 72.56. A row with other settings has no cross: it is another row."""
    shares = {("M6", 0.001): [0.73, 0.74], ("M5", 0.01): [0.5]}
    runs = [
        made(
            row={"name": name, "augment": True, "batch_size": 512, "learning_rate": rate},
            seed=seed,
            results=factories.results(a),
        )
        for (name, rate), values in shares.items()
        for seed, a in enumerate(values)
    ]
    figure = figures.beside_original(runs)
    assert [axes.get_xlabel() for axes in figure.axes] == ["test accuracy (%)", "training accuracy (%)", "epochs"]
    axes = figure.axes[0]
    labels = [tick.get_text().split("\n") for tick in axes.get_yticklabels()]
    assert [name for name, _ in labels] == ["M6", "M5"] and labels[1][1] == "Adam 0.01, batch 512, augmented"
    shown = {marker: [line.get_xdata() for line in axes.get_lines() if line.get_marker() == marker] for marker in "o|X"}
    assert [x.tolist() for x in shown["o"]] == [[73.0, 74.0], [50.0]]
    assert [float(x[0]) for x in shown["|"]] == [73.5, 50.0] and [float(x[0]) for x in shown["X"] if x[0] == x[0]] == [
        72.56
    ]


def test_confusion_counts_labels_in_rows(tmp_path):
    """Fails if labels and predictions are exchanged: of two images of class 1, one is predicted as 2."""
    run = factories.run(tmp_path / "a")
    shares = metrics.confusion([run])
    assert shares[1].tolist() == [0, 50, 50] + [0] * 7 and shares.sum() == 200
    axes = figures.confusion([run]).axes[0]
    assert {(t.get_position(), t.get_text()) for t in axes.texts} >= {((1, 1), "50"), ((2, 1), "50"), ((0, 0), "100")}


def test_classes_are_averaged_over_seeds():
    group = [
        made(seed=s, per_class={"test": dict.fromkeys(cifar10.CLASS_NAMES, share)}) for s, share in ((0, 0.5), (1, 0.7))
    ]
    figure = figures.per_class([group, [made(row={"name": "Model4"})]])
    assert figure.axes[0].containers[0][0].get_height() == pytest.approx(60.0)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [
        "M6 (Adam 0.001, batch 256), 2 seeds",
        "Model4 (Adam 0.001, batch 256), 1 seed",
    ]


def test_a_comparison_with_synthetic_data_is_marked():
    assert "SYNTHETIC DATA" in texts(figures.augmentation_comparison(made(), made(train="f" * 64)))
    assert "SYNTHETIC DATA" not in texts(figures.augmentation_comparison(made(), made()))


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_record_gives_the_same_file(tmp_path, suffix):
    """Fails on a date, a library version or a random identifier in the file."""
    paths = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    for path in paths:
        drawing.save(lambda: figures.training_statistics(made()), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    for word in (b"Matplotlib v", b"matplotlib.org", b"/CreationDate", b"<dc:date>"):
        assert word not in paths[0].read_bytes()


def test_a_png_has_150_dots_per_inch(tmp_path):
    drawing.save(lambda: figures.training_statistics(made()), tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.size == (1350, 570)


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "curves.png"
    path.write_bytes(b"old")
    figure = figures.training_statistics(made())
    figure.savefig = lambda target, **_: (target.write_bytes(b"half"), 1 / 0)
    with pytest.raises(ZeroDivisionError):
        drawing.save(lambda: figure, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name, what", [("a.txt", r"the suffix \.txt"), ("a", "no suffix")])
def test_another_suffix_is_refused(tmp_path, name, what):
    with pytest.raises(
        UserError, match=rf"cannot write a picture with {what}\.\nExpected a name that ends in one of: \.png"
    ):
        drawing.save(lambda: figures.training_statistics(made()), tmp_path / name)


def test_pyplot_is_not_loaded(python):
    """It would choose a window system and cost time. Its loading is seen in a fresh interpreter."""
    code = (
        "import sys, kerascifar.output.figures; print(*(m in sys.modules for m in ('matplotlib.pyplot', 'tensorflow')))"
    )
    assert python(code) == "False False\n"


@pytest.fixture
def python():
    import subprocess

    def run(code):
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    return run


def test_a_steep_start_does_not_spoil_the_axis_of_a_long_run():
    """By hand: from epoch 6 on, the curves lie in 0.5 … 1, and a twentieth of that is left free on each side."""
    history = {key: [90.0] * 5 + list(np.linspace(1, 0.5, 25)) for key in HISTORY}
    loss = figures.training_statistics(made(history)).axes[0]
    assert loss.get_ylim() == pytest.approx((0.475, 1.025))
    assert figures.training_statistics(made({k: v[:15] for k, v in history.items()})).axes[0].get_ylim()[1] > 90


def test_a_figure_says_what_it_shows():
    """Fails if a conclusion is typed: the losses are those of HISTORY, the shares those of the records."""
    assert figures.training_statistics(made()).get_supxlabel() == (
        "Kept: epoch 3 of 4. In the last epoch, the validation loss was 0.250 nats above its lowest value."
    )
    pair = figures.augmentation_comparison(named(HISTORY, "M1"), named({**HISTORY, "val_loss": [3, 2, 1, 2]}, "M5"))
    assert pair.get_supxlabel() == (
        "Validation loss at the kept epoch: 1.000 nats in epoch 3 without augmentation, 1.000 nats in epoch 3 with it."
    )
    shares = dict.fromkeys(cifar10.CLASS_NAMES, 0.5)
    groups = [[made(per_class={"test": shares | {"ship": 0.75, "cat": 0.25}})], [made(per_class={"test": shares})]]
    assert figures.per_class(groups).get_supxlabel() == (
        "M6 is best at ship (75 %), worst at cat (25 %). M6 differs most from it at cat, by +25 points."
    )


needs_shell = pytest.mark.skipif(os.name != "posix", reason="the stand-in for dot is a shell script")


def fake_dot(folder, script):
    path = folder / "dot"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_without_dot_the_diagram_is_left_out_with_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert figures.graphviz_missing() == (
        "Architecture diagrams are left out: Graphviz's program dot is missing "
        "(Debian: apt install graphviz; macOS: brew install graphviz; Windows: winget install graphviz)."
    )
    assert figures.architecture(None, tmp_path / "model.png") == figures.graphviz_missing()
    assert list(tmp_path.iterdir()) == []


@needs_shell
def test_a_broken_dot_is_named(tmp_path, monkeypatch):
    fake_dot(tmp_path, "echo libgvc.so is gone >&2; exit 127")
    monkeypatch.setenv("PATH", str(tmp_path))
    line = figures.graphviz_missing()
    assert line is not None and line.startswith(
        "Architecture diagrams are left out: Graphviz's program dot is installed"
    )
    assert "\n" not in line


def test_without_pydot_the_line_names_it(monkeypatch):
    monkeypatch.setattr(figures.importlib.util, "find_spec", lambda name: None)
    assert figures.graphviz_missing() == (
        "Architecture diagrams are left out: the Python package pydot is missing (pip install pydot)."
    )


@needs_shell
@pytest.mark.parametrize(
    "script, reason",
    [
        (
            'case "$*" in *png*) echo "png not recognized" >&2; exit 1;; *) exec cat;; esac',
            "png not recognized",
        ),
        ("exit 0", "no picture"),
        ("sleep 600", "timed out"),
    ],
)
def test_a_dot_that_draws_nothing_is_left_out_in_time(tmp_path, monkeypatch, script, reason):
    """Fails if another format than the diagram's is probed, if success is believed, or if it is waited for."""
    fake_dot(tmp_path, f'PATH="{os.environ["PATH"]}"; {script}')
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(figures, "PATIENCE", 0.5 if "sleep" in script else factories.HANG)
    line = figures.graphviz_missing()
    assert line is not None and reason in line and "\n" not in line
    assert figures.architecture(None, tmp_path / "a.png") == line and not (tmp_path / "a.png").exists()


@needs_shell
def test_a_dot_that_fails_on_the_diagram_alone_is_left_out_too(tmp_path, monkeypatch):
    """The probe is drawn, the model is not: as with a font or a size that Graphviz cannot handle."""
    import keras

    # The probe stands on standard input; Keras and pydot name a file. Keras first asks for PostScript.
    fake_dot(tmp_path, "case $* in -Tpng) printf '\\211PNG';; *-Tps*) ;; *) echo 'too large' >&2; exit 1;; esac")
    monkeypatch.setenv("PATH", str(tmp_path))
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()])
    assert figures.graphviz_missing() is None
    assert "Graphviz's program dot fails (" in (figures.architecture(model, tmp_path / "a.png") or "")
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize("name", [r"a $\\wrong$ b", "x_$^", r"\\frac{1}"])
def test_a_name_is_no_formula(tmp_path, name):
    """Folder names stand in the legend; fails with Matplotlib's ParseException."""
    runs = [made()]
    drawing.save(lambda: figures.compared({name: runs, "other": runs}), tmp_path / "a.png")
    assert name in Image.open(tmp_path / "a.png").text["Description"]


def test_a_users_matplotlibrc_changes_no_figure(tmp_path):
    """Fails if a setting is read when the figure is drawn or saved; with usetex, LaTeX would be needed."""
    import matplotlib

    drawing.save(lambda: figures.training_statistics(made()), tmp_path / "plain.png")
    theirs = {"text.usetex": True, "savefig.bbox": "tight", "font.size": 30.0, "axes.facecolor": "black"}
    with matplotlib.rc_context(theirs):
        drawing.save(lambda: figures.training_statistics(made()), tmp_path / "theirs.png")
        assert matplotlib.rcParams["text.usetex"] and matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "theirs.png").read_bytes()


@needs_shell
def test_what_dot_is_told_names_layers_activations_and_shapes(tmp_path, monkeypatch):
    """A stand-in for dot writes what it was given: runs where Graphviz is missing, too."""
    import keras

    (tmp_path / "bin").mkdir()
    # pydot hands dot a file in DOT language as its last argument, and reads the picture from standard output.
    fake_dot(tmp_path / "bin", 'printf \'\\211PNG\'; for last; do :; done; if [ -f "$last" ]; then cat "$last"; fi')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3, activation="relu", name="only_convolution")]
    )
    path = tmp_path / "out" / "model.png"
    assert figures.architecture(model, path) is None
    told = path.read_text(errors="replace")
    for word in ("only_convolution", "Conv2D", "relu", "(None, 32, 32, 3)", "(None, 30, 30, 4)"):
        assert word in told
    assert list(path.parent.iterdir()) == [path]


def test_the_diagram_is_a_picture(tmp_path):
    if (reason := figures.graphviz_missing()) is not None:
        pytest.skip(reason)
    import keras

    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()])
    assert figures.architecture(model, tmp_path / "model.png") is None
    with Image.open(tmp_path / "model.png") as image:
        assert image.format == "PNG" and min(image.size) > 100


def test_pictures_stand_side_by_side_with_their_titles():
    images = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), "uint8")
    figure = figures.pictures(images, list("abcdefg"), columns=5)
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(figure.axes) == 10 and [axes.get_title() for axes in drawn] == list("abcdefg")
    assert (drawn[6].images[0].get_array() == images[6]).all()
