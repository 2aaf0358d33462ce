"""The command draws the focus map of the right image and model, or says why not."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import factories
import numpy as np
import pytest
from factories import ROOT
from PIL import Image

from kerascifar.commands import cam
from kerascifar.common import drawing, entry
from kerascifar.common.errors import UserError
from kerascifar.focus import methods, pictures
from kerascifar.images import cifar10, official
from kerascifar.runs import records, selection

# Records and their choice


def record(name="M6", seed=0, accuracy=0.5, train=official.TRAIN_SHA256, **changes):
    dataset = {**factories.record().dataset, "train": train}
    if train != official.TRAIN_SHA256:
        dataset["name"] = "shapes"
    results = factories.results(accuracy)
    return factories.record(row={"name": name}, seed=seed, dataset=dataset, results=results, **changes)


def store(made, folder, network=None):
    """Writes the record and its model as a run's folder; without a model, a file that is not one."""
    made = dataclasses.replace(made, folder=folder)
    records.write(made, factories.HISTORY, factories.PREDICTIONS, network or _NoModel())
    return records.read(folder)


class _NoModel:
    """Saves itself as a file that is no model."""

    def save(self, path):
        Path(path).write_bytes(b"no model")


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Stores records in folders of their own: the user's runs, or the published ones."""
    monkeypatch.setattr(records, "PUBLISHED", tmp_path / "published")

    def make(*made, pool="runs"):
        return [store(r, tmp_path / pool / f"{i:02}-{r.name}-{r.seed}") for i, r in enumerate(made)]

    return make


@pytest.fixture
def choose(tmp_path, stored):
    return lambda row, seed: selection.to_explain(tmp_path / "runs", False, dataset=None, row=row, seed=seed)


def test_the_default_is_the_best_row_by_validation_accuracy_and_its_lowest_seed(stored, choose):
    """M2 has the best single run, M1 the better mean over its seeds."""
    stored(record("M1", 1, 0.7), record("M1", 0, 0.6), record("M2", 0, 0.71), record("M2", 1, 0.2))
    chosen, why = choose(None, None)
    assert (chosen.name, chosen.seed) == ("M1", 0)
    assert why == "M1, seed 0 of your runs (best mean validation accuracy of a row: 65.00 %)"


def test_a_row_is_judged_by_all_its_seeds_also_those_without_weights(stored, choose):
    """Of published runs only seed 0 has weights: M1's is better, M2's mean over seeds is."""
    pool = stored(
        record("M1", 0, 0.7), record("M1", 1, 0.5), record("M2", 0, 0.65), record("M2", 1, 0.66), pool="published"
    )
    for weightless in (pool[1], pool[3]):
        (weightless.folder / records.MODEL).unlink()
    chosen, why = choose(None, None)
    assert chosen == pool[2]
    assert why == "M2, seed 0 of the published runs (best mean validation accuracy of a row: 65.50 %)"


def test_the_users_runs_come_before_the_published_ones(stored, choose):
    (own,) = stored(record("M1", 0, 0.3))
    published, other = stored(record("M2", 0, 0.9), record("M1", 1, 0.9), pool="published")
    assert choose(None, None)[0] == choose("M1", None)[0] == own
    assert choose("M2", None)[0] == published
    assert choose("M1", 1)[0] == other


def test_full_runs_come_before_shortened_diverged_and_weightless_ones(stored, choose):
    pool = stored(
        record("M1", 0, 0.9, shortened=True),
        record("M2", 0, 0.95, stop="loss not finite"),
        record("M3", 0, 0.4),
        record("M4", 0, 0.97),
    )
    (pool[3].folder / records.MODEL).unlink()
    assert choose(None, None)[0].name == "M3"
    chosen, why = choose("M1", None)
    assert chosen.name == "M1" and "a shortened trial of 2 epochs, not a result" in why
    for row in ("M2", "M4"):
        with pytest.raises(UserError, match=f"--row {row}: no run with saved weights"):
            choose(row, None)
    with pytest.raises(UserError, match="`kerascifar run experiment2 --rows Model4`"):
        choose("Model4", None)
    with pytest.raises(UserError, match="`kerascifar run experiment1 --rows M6 --seeds 0`"):
        choose("M6", 0)


def test_the_published_runs_come_before_a_few_epochs_of_yours(stored, choose):
    """Fails if a model that was trained for a moment is drawn as the best one."""
    stored(record("Tried", 0, 0.2, stop="epoch limit"))
    stored(record("M1", 0, 0.6), pool="published")
    assert choose(None, None)[0].name == "M1"
    assert choose("Tried", None)[0].name == "Tried"


def test_a_candidate_is_chosen_only_by_name(stored, choose):
    stored(record("A", 0, 0.9, experiment="search"), record("M1", 0, 0.5))
    assert choose(None, None)[0].name == "M1"
    assert choose("A", None)[0].name == "A"


def test_a_row_of_two_experiments_is_chosen_with_its_experiment(stored, choose):
    """Fails if the better one of two rows is drawn under a name that both have."""
    stored(record("M1", 0, 0.5), record("M1", 0, 0.9, experiment="mine"))
    assert choose("experiment1/M1", None)[0].experiment == "experiment1"
    with pytest.raises(UserError, match="several experiments.\nExpected one of: experiment1/M1, mine/M1"):
        choose("M1", None)


def test_a_diverged_row_is_not_said_to_be_of_other_images(stored, tmp_path):
    made = stored(record("M1", 0, stop=records.NOT_FINITE), record("M2", 0))
    on_these = dataclasses.replace(drawn_dataset("0"), fingerprint=made[0].fingerprint)
    with pytest.raises(UserError, match="--row M1: no run with saved weights was found"):
        selection.to_explain(tmp_path / "runs", False, dataset=on_these, row="M1", seed=None)


def test_the_message_says_what_is_missing(stored, choose):
    with pytest.raises(UserError, match=r"There is no trained model yet .*\nTrain one: `kerascifar run experiment1"):
        choose("M1", None)
    stored(record("M1", 0), record("Model4", 3))
    with pytest.raises(UserError, match=r'--row Modl4: no .*\nExpected one of: M1, Model4\. Did you mean "Model4"\?'):
        choose("Modl4", None)
    with pytest.raises(UserError, match=r"--seed 1: no .*\nExpected one of: 3\.\nTo train"):
        choose("Model4", 1)
    with pytest.raises(UserError, match=r"--seed 1: no .*\nExpected one of: 0, 3\.\nTo train"):
        choose(None, 1)


# The command


def drawn_dataset(fingerprint=official.TRAIN_SHA256):
    """50,000 images, each of one grey that is its index modulo 251; labels shuffled."""
    values = (np.arange(50_000) % 251).astype(np.uint8)
    pixels = np.broadcast_to(values[:, np.newaxis, np.newaxis, np.newaxis], (50_000, 32, 32, 3))
    labels = np.random.default_rng(5).permutation(np.arange(50_000) % 10)
    return cifar10.Dataset(
        name="CIFAR-10" if fingerprint == official.TRAIN_SHA256 else "shapes",
        class_names=cifar10.CLASS_NAMES,
        images=pixels,
        labels=labels,
        fingerprint={"train": fingerprint, "test": official.TEST_SHA256},
        source="drawn for the tests",
        _test=(pixels[:0], labels[:0]),
    )


@pytest.fixture
def place(tmp_path, monkeypatch, model):
    """A folder with one run of M6 in `runs`, drawn images as the data set, nothing published."""
    store(record("M6", 0, 0.6), tmp_path / "runs" / "m6", model)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(records, "PUBLISHED", tmp_path / "published")
    monkeypatch.setattr(cifar10, "load", lambda path: drawn_dataset())
    return tmp_path


@pytest.fixture
def figures(monkeypatch):
    """The figures that were saved, beside being saved."""
    kept, save = [], drawing.save

    def keep(draw, path):
        kept.append(draw())
        save(lambda: kept[-1], path)

    monkeypatch.setattr(drawing, "save", keep)
    return kept


def run(*argv):
    return entry.run(cam.main, [str(a) for a in argv])


def shown(axes):
    return np.asarray(axes.get_images()[0].get_array())


def first_of(name):
    dataset = drawn_dataset()
    number = cifar10.CLASS_NAMES.index(name)
    return min(i for i in cifar10.split(dataset.labels)[1] if dataset.labels[i] == number)


def test_a_class_is_explained_against_another(place, figures, model):
    assert run("--class", "horse", "--against", "dog") == 0
    assert (place / "runs/report/cam/M6-seed0-horse-not-dog-contrast.png").is_file()
    original, heat, *_ = figures[0].axes
    image = cifar10.scale(np.uint8(shown(original))[np.newaxis])
    expected = methods.focus_maps(model, image, np.array([7]), method="contrast", against=np.array([5]))[0]
    np.testing.assert_allclose(shown(heat), expected, atol=1e-5)
    assert figures[0].get_suptitle().startswith("evidence for: horse, not dog · predicted: ")


def test_class_draws_its_first_validation_image(place, figures, capsys, model):
    assert run("--class", "horse") == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.splitlines() == [
        "M6, seed 0 of your runs (mean validation accuracy of the row: 60.00 %)",
        str(Path("runs/report/cam/M6-seed0-horse.png")),
    ]
    with Image.open(place / "runs/report/cam/M6-seed0-horse.png") as picture:
        assert picture.format == "PNG" and picture.width == 1350
    index = first_of("horse")
    original, heat, overlay, bar = figures[0].axes
    assert (shown(original) == index % 251).all()
    expected = methods.focus_maps(model, cifar10.scale(np.uint8(shown(original))[np.newaxis]), np.array([7]))[0]
    np.testing.assert_allclose(shown(heat), expected, atol=1e-5)
    colours = heat.get_images()[0].get_cmap()(shown(heat))[..., :3]
    np.testing.assert_allclose(shown(overlay), 0.4 * (index % 251) / 255 + 0.6 * colours, atol=1e-5)
    assert bar.get_ylim() == (0, 1)
    # As in CIELAB: the same step of evidence is about the same step of lightness, from black to almost white.
    grey = heat.get_images()[0].get_cmap()(np.linspace(0, 1, 11))[:, :3] ** 2.2 @ [0.2126, 0.7152, 0.0722]
    steps = np.diff(116 * np.cbrt(grey) - 16)
    assert steps.min() > 5 and steps.max() < 2 * steps.min()
    title = figures[0].get_suptitle()
    assert title.startswith("evidence for: horse · predicted: ")
    assert title.splitlines()[1] == f"M6 · seed 0 · CIFAR-10 · validation image {index} (horse)"
    assert heat.get_title() == "focus map (Grad-CAM, layer second)"


def test_index_explains_the_images_own_label(place, figures):
    dataset = drawn_dataset()
    train, validation = cifar10.split(dataset.labels)
    for part, index in (("training", int(train[7])), ("validation", int(validation[7]))):
        assert run("--index", index) == 0
        label = cifar10.CLASS_NAMES[dataset.labels[index]]
        title = figures.pop().get_suptitle()
        assert title.startswith(f"evidence for: {label} ·")
        assert title.endswith(f"· {part} image {index} ({label})")
        assert (place / f"runs/report/cam/M6-seed0-index{index}.png").is_file()


def test_index_with_class_explains_that_class(place, figures):
    assert run("--index", 0, "--class", "frog", "--layer", "first", "--out", "here.svg") == 0
    assert figures[0].get_suptitle().startswith("evidence for: frog ·")
    assert figures[0].axes[1].get_title() == "focus map (Grad-CAM, layer first)"
    assert (place / "here.svg").read_text().startswith("<?xml")


def test_all_draws_the_ten_classes(place, figures):
    assert run("--all") == 0
    assert (place / "runs/report/cam/M6-seed0-all.png").is_file()
    titles = [axes.get_title() for axes in figures[0].axes if axes.get_title()]
    assert [t.split(" —")[0] for t in titles] == list(cifar10.CLASS_NAMES)
    assert [t.splitlines()[1] for t in titles] == [f"validation image {first_of(n)} ({n})" for n in cifar10.CLASS_NAMES]
    assert len(figures[0].axes) == 31  # 10 × 3 tiles and the colour bar
    assert "layer second" in figures[0].get_suptitle()


@pytest.mark.slow
def test_the_published_sheet_is_drawn_by_the_command(place, figures):
    assert run("--all") == 0
    drawn = pictures.class_sheet(records.read(place / "runs" / "m6"), drawn_dataset())
    assert drawing.caption(drawn) == drawing.caption(figures[0])


def test_a_picture_of_the_users_needs_no_data(place, figures, monkeypatch):
    """Without --class, the predicted class is explained. A $ in the name is no formula."""
    monkeypatch.setattr(cifar10, "load", lambda path: pytest.fail("the data set was loaded"))
    Image.new("RGBA", (300, 200), (0, 90, 200, 255)).save(place / "my $cat$.png")
    assert run("--image", "my $cat$.png") == 0
    first = figures[0].get_suptitle().splitlines()[0]
    explained, predicted = first.split(" · ")
    assert predicted.removeprefix("predicted: ").startswith(explained.removeprefix("evidence for: "))
    assert figures[0].get_suptitle().endswith("my $cat$.png, resized to 32×32 pixels")
    assert (shown(figures[0].axes[0]) == [0, 90, 200]).all()
    assert (place / "runs/report/cam/M6-seed0-my__cat_.png").is_file()


def test_synthetic_runs_never_mix_with_cifar(place, figures, monkeypatch, model, capsys):
    """A better synthetic run lies beside M6. It is not taken for CIFAR-10 images, and marked where it is meant."""
    store(record("Demo1", 0, 0.99, train="f" * 64), place / "runs" / "demo", model)
    Image.new("RGB", (32, 32)).save(place / "a.png")
    for argv in (["--class", "cat"], ["--image", "a.png"]):
        assert run(*argv) == 0
        assert figures.pop().get_suptitle().splitlines()[1].startswith("M6 · seed 0 · CIFAR-10 ·")
    assert run("--class", "cat", "--row", "Demo1") == 2
    assert "Demo1 was not trained on the images of CIFAR-10" in capsys.readouterr().err
    monkeypatch.setattr(cifar10, "load", lambda path: drawn_dataset("f" * 64))
    for argv in (["--class", "cat"], ["--image", "a.png", "--data", "shapes"]):
        assert run(*argv) == 0
        figure = figures.pop()
        assert figure.get_suptitle().splitlines()[1].startswith("Demo1 · seed 0 · shapes · SYNTHETIC DATA ·")
        assert "SYNTHETIC DATA" in [text.get_text() for text in figure.texts]
    assert run("--class", "cat", "--row", "M6") == 2


def test_models_of_other_images_are_not_called_missing(place, monkeypatch, capsys):
    """Fails if the user is advised to train a model when only the images are wrong."""
    monkeypatch.setattr(cifar10, "load", lambda path: drawn_dataset("e" * 64))
    assert run("--all", "--row", "M6") == 2
    assert "M6 was not trained on the images of " in capsys.readouterr().err
    assert run("--all") == 2
    assert "No model was trained on the images of " in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--class", "dragon"], '--class "dragon" is not known.\nExpected one of: airplane, automobile'),
        (["--class", "airplan"], 'Did you mean "airplane"?'),
        (["--class", "cat", "--against", "dogg"], '--against "dogg" is not known.'),
        (["--class", "cat", "--against", "cat"], '"cat" cannot be explained against itself.'),
        (["--class", "cat", "--against", "dog", "--method", "saliency"], "--against needs contrastive Grad-CAM"),
        (["--index", "50000"], "--index 50000 is out of range.\nExpected 0 … 49999"),
        (["--index", "-1"], "--index -1 is out of range.\nExpected 0 … 49999"),
        ([], "Choose what to draw with one of: --class NAME"),
        (["--row", "M6"], "Choose what to draw with one of"),
        (["--all", "--against", "cat"], "--all draws every class, so none is left for --against."),
        (["--all", "--class", "cat"], "--all draws every class, but --class only one."),
        (["--image", "a.png", "--index", "1"], "--image names a photo, --index an image of CIFAR-10."),
        (["--image", "nowhere.png"], "nowhere.png does not exist."),
        (["--class", "cat", "--seed", "4"], "--seed 4: no run with saved weights was found."),
        (["--class", "cat", "--layer", "pool"], 'layer "pool" is neither a Conv2D nor an Add layer of model "tiny".'),
        (["--class", "cat", "--out", "a.jpeg"], "a.jpeg: cannot write a picture with the suffix .jpeg."),
        (["--class", "cat", "--out", "runs"], "--out runs is a folder."),
        (["--class", "cat", "--out", "runs/m6/record.json/a.png"], "A file already exists where a folder is needed."),
    ],
)
def test_bad_input_is_one_paragraph_and_exit_2(place, capsys, argv, message):
    before = sorted(place.rglob("*"))
    assert run(*argv) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error and "\n\n" not in error
    assert sorted(place.rglob("*")) == before


def in_a_process(*argv, cwd):
    """The module as `python -m kerascifar.cam` runs it."""
    code = (
        f"import runpy, sys\nsys.argv[1:] = {[str(a) for a in argv]!r}\n"
        "try:\n    runpy.run_module('kerascifar.cam', run_name='__main__')\n"
        "finally:\n    print('tensorflow' in sys.modules, file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True)


def test_help_shows_examples_and_loads_no_tensorflow(tmp_path):
    done = in_a_process("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "--class NAME" in done.stdout and "cam --class cat --against dog " in done.stdout
    assert done.stderr == "False\n"


@pytest.mark.slow
def test_the_real_command_draws_and_says_nothing_else(tmp_path, model):
    """In a process of its own: no chatter of TensorFlow's, no warning; exit status 0."""
    store(record("M6"), tmp_path / "runs" / "m6", model)
    Image.new("RGB", (64, 48), "green").save(tmp_path / "photo.jpg")
    quiet_by_itself = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-m", "kerascifar.cam", "--image", "photo.jpg", "--class", "frog"],
        cwd=tmp_path,
        env={**quiet_by_itself, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "M6, seed 0 of your runs (mean validation accuracy of the row: 50.00 %)"
    assert lines[-1] == str(Path("runs/report/cam/M6-seed0-photo-frog.png"))
    assert done.stderr == ""
    assert (tmp_path / "runs/report/cam/M6-seed0-photo-frog.png").is_file()


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
def test_a_photo_may_have_a_long_name_in_any_script(place):
    """A name may have 255 bytes, not characters: fails on three bytes each, with a message about a temporary file."""
    name = "写" * 80 + ".png"
    Image.new("RGB", (64, 64), "green").save(place / name)
    assert run("--image", name) == 0
    (drawn,) = (place / "runs" / "report" / "cam").iterdir()
    assert "写" * 60 in drawn.name and len(os.fsencode(drawn.name)) <= 255
