"""Where a trained run looks on the test images, measured (`focus.py`) and kept beside its record, in `focus.npz`.

For each kind of map (the methods of `maps.py`, and two baselines that know nothing of the model) and each test image:

- road: remove and debias, (LeRF − MoRF) / 2; higher is more faithful, chance is 0
- deletion, insertion: areas under the label's probability; lower and higher are more faithful
- border: share of the evidence in the outermost four pixels; a level map has 0.4375
- pointing: share of a mosaic's evidence in the label's quarter; chance is 0.25
- background: whether the label is still predicted after the half of the image with the least evidence was replaced
  by that of an image of another class
- likeness: rank correlation with the map of the same model with random weights; a map of what was learned has about 0

and once per run `mosaic_right`: whether the label is predicted on the mosaic. All are for the true label, whether it is
predicted or not. Maps are not normalised, and are brought to one grid of 6×6 (Models 2 to 6 have no finer one) before
they are enlarged, so that rows and methods can be compared. Empty maps, with no evidence at all, have NaN for a share.
"""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar import files, focus, maps, records
from kerascifar.errors import UserError
from kerascifar.records import Record

if TYPE_CHECKING:
    import keras
    import pandas as pd

FOCUS = "focus.npz"
GRID = 6
AT_ONCE = 1000  # images: bounds the memory, and progress is shown after each
BASELINES: dict[str, Callable[[int], np.ndarray]] = {"random": focus.random_maps, "centred": focus.centred_maps}
KINDS = (*maps.METHODS, *BASELINES)
MEASURES = ("road", "deletion", "insertion", "border", "pointing", "background", "likeness")
NOTE = (__doc__ or "").partition("\n\n")[2].strip()


def read(record: Record) -> dict[str, np.ndarray]:
    """What was measured of a run: "<kind>/<measure>" and "mosaic_right", each float16 (images,); else nothing.

    Raises:
        UserError: the file is damaged, or belongs to another run.
    """
    path = record.folder / FOCUS
    if not path.is_file():
        return {}
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        of = str(found.pop("of"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged ({error}). Move it away and measure again.") from None
    if of != _of(record):
        raise UserError(f"{path} belongs to another run. Move it away and measure again.")
    return found


def _of(record: Record) -> str:
    """What ties the file to its run: the same predictions of the same test images."""
    return f"{record.label} {record.basis} {record.results['test']}"


def missing(record: Record, kinds: Sequence[str], count: int) -> list[str]:
    """The kinds of map that are not yet measured on so many images."""
    there = read(record)
    return [kind for kind in kinds if len(there.get(f"{kind}/road", ())) < count]


def measure(
    record: Record,
    images: np.ndarray,
    labels: np.ndarray,
    kinds: Sequence[str],
    tick: Callable[[str], object] = str,
) -> None:
    """Measures what is missing, and adds it to the run's file after each kind of map, so that it can be interrupted.

    Args:
        images: float32 (n, 32, 32, 3), 0..1: the first n test images.
        labels: int64 (n,).
        tick: called with the kind after every `AT_ONCE` images.
    """
    network = records.load_model(record)
    for kind in missing(record, kinds, len(images)):
        made = _measured(network, images, labels, kind, partial(tick, kind))
        whole = read(record)
        for name, values in made.items():
            if len(whole.get(name, ())) <= len(values):  # what is of the run alone may be of more images already
                whole[name] = values.astype("float16")
        whole["of"] = np.array(_of(record))
        files.write(record.folder / FOCUS, partial(np.savez_compressed, **whole))  # type: ignore[arg-type]


def parts(count: int) -> Iterator[slice]:
    """The images that are measured together."""
    return (slice(start, start + AT_ONCE) for start in range(0, count, AT_ONCE))


def _measured(
    network: "keras.Sequential", images: np.ndarray, labels: np.ndarray, kind: str, tick: Callable[[], object]
) -> dict[str, np.ndarray]:
    """All measures of one kind of map."""

    def predict(pictures: np.ndarray) -> np.ndarray:
        return np.asarray(network.predict(pictures, batch_size=500, verbose=0))

    fresh = _with_random_weights(network)
    mosaics, quarter, _ = focus.mosaics(images, labels)
    swapped = focus.partners(labels)
    found: dict[str, list[np.ndarray]] = {}
    for part in parts(len(images)):
        x, y = images[part], labels[part]
        shown = _maps(network, x, y, kind)
        values = {
            "road": focus.road(predict, x, y, shown),
            "border": focus.border_share(shown),
            "pointing": focus.pointing(_maps(network, mosaics[part], y, kind), quarter[part]),
            "background": predict(focus.with_background(x, images[swapped[part]], shown)).argmax(axis=1) == y,
        }
        values["deletion"], values["insertion"] = focus.deletion_and_insertion(predict, x, y, shown)
        if kind in maps.METHODS:
            values["likeness"] = focus.likeness(shown, _maps(fresh, x, y, kind))
        values = {f"{kind}/{name}": value for name, value in values.items()}
        values["mosaic_right"] = predict(mosaics[part]).argmax(axis=1) == y
        for name, value in values.items():
            found.setdefault(name, []).append(value)
        tick()
    return {name: np.concatenate(values) for name, values in found.items()}


def _maps(network: "keras.Sequential", images: np.ndarray, labels: np.ndarray, kind: str) -> np.ndarray:
    if kind in BASELINES:
        return BASELINES[kind](len(images))
    return maps.enlarged(maps.coarsened(maps.evidence(network, images, labels, method=kind), GRID))


def _with_random_weights(network: "keras.Sequential") -> "keras.Sequential":
    """The same layers, initialised anew from a fixed seed."""
    import keras

    keras.utils.set_random_seed(0)
    return keras.models.clone_model(network)


def table(found: Sequence[Record]) -> "pd.DataFrame":
    """Per row and kind of map the mean of every measure over images and seeds; in percent but for road and likeness.

    A row's kinds are compared on the images that all of them were measured on.
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for experiment, name in dict.fromkeys((r.experiment, r.name) for r in found):
        runs = [values for r in found if (r.experiment, r.name) == (experiment, name) and (values := read(r))]
        kinds = [kind for kind in KINDS if any(f"{kind}/road" in run for run in runs)]
        count = min((len(run[f"{kind}/road"]) for run in runs for kind in kinds if f"{kind}/road" in run), default=0)
        for kind in kinds:
            those = [run for run in runs if f"{kind}/road" in run]

            def mean(value: str, those: list[dict[str, np.ndarray]] = those, count: int = count) -> float:
                runs_values = [run[value][:count].astype("float64") for run in those if value in run]
                means = [float(v[~np.isnan(v)].mean()) for v in runs_values if not np.isnan(v).all()]
                return float(np.mean(means)) if means else np.nan

            line: dict[str, Any] = {"row": name, "map": maps.title(kind) if kind in maps.METHODS else kind}
            line |= {"n": len(those), "images": count}
            for measure in MEASURES:
                line[measure] = (1 if measure in ("road", "likeness") else 100) * mean(f"{kind}/{measure}")
            line["empty"] = float(np.mean([100 * np.isnan(run[f"{kind}/border"][:count]).mean() for run in those]))
            line["mosaics right"] = 100 * mean("mosaic_right")
            lines.append(line)
    return pd.DataFrame(lines)
