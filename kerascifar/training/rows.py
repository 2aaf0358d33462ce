"""Reads an experiment's TOML file, checks every key and value, and names each run.

Nothing here loads TensorFlow, so a mistake in a configuration is reported at once.
"""

import dataclasses
import hashlib
import inspect
import json
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from kerascifar.common.errors import UserError, suggest
from kerascifar.common.paths import EXPERIMENTS
from kerascifar.training import models

FILL_MODES = {"nearest", "constant", "grid-constant", "reflect", "wrap"}


class _Range(NamedTuple):
    """The values that a field or an option may have; whether 1 stands for 1.0."""

    expected: str
    right: Callable[[Any], bool]
    is_float: bool = False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _numbers(expected: str, low: float, below: float = math.inf, at_most: float = math.inf) -> _Range:
    return _Range(expected, lambda value: _is_number(value) and low <= value <= at_most and value < below, True)


_FLAG = _Range("true or false", lambda value: isinstance(value, bool))
_DECAY, _AMOUNT = _numbers("at least 0 and less than 1", 0, below=1), _numbers("a non-negative number", 0)
_ANY = {"weight_decay": _AMOUNT, "global_clipnorm": _AMOUNT, "ema_momentum": _DECAY}
_ADAM = {"beta_1": _DECAY, "beta_2": _DECAY, "epsilon": _AMOUNT, "amsgrad": _FLAG} | _ANY
OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "sgd": "SGD"}  # the names of the Keras classes
# The optimizer options that a row may set besides the learning rate: arguments of the Keras classes.
OPTIMIZER_OPTIONS: dict[str, dict[str, _Range]] = {
    "adam": _ADAM,
    "adamw": _ADAM,
    "rmsprop": {"rho": _DECAY, "momentum": _DECAY, "epsilon": _AMOUNT, "centered": _FLAG} | _ANY,
    "sgd": {"momentum": _DECAY, "nesterov": _FLAG} | _ANY,
}
_SHARE, _DEGREES = (
    _numbers("a share, at least 0 and less than 1", 0, below=1),
    _numbers("degrees, from 0 to 180", 0, at_most=180),
)
# How the learning rate changes with the steps: Keras's CosineDecay.
SCHEDULE: dict[str, _Range] = {
    "decay": _Range('"cosine"', lambda value: value == "cosine"),
    "warmup": _SHARE,  # of all steps; the learning rate rises from 0
    "end": _numbers("a share, from 0 to 1", 0, at_most=1),  # of the learning rate, reached at the last step
}
# What kerascifar.training.augmentation applies to whole batches: arguments of ImageDataGenerator, then two more.
AUGMENTATION: dict[str, _Range] = {
    "rotation_range": _DEGREES,  # drawn from -x .. x
    "width_shift_range": _SHARE,  # of the width
    "height_shift_range": _SHARE,  # of the height
    "shear_range": _DEGREES,
    "zoom_range": _SHARE,  # 0.1 draws from 0.9 .. 1.1
    "horizontal_flip": _FLAG,
    "vertical_flip": _FLAG,
    # How pixels beyond the edges are filled in, and their value for "constant" and "grid-constant". The edge is at the
    # centres of the outermost pixels for "constant", and at their outer ends for "grid-constant", as in torchvision.
    "fill_mode": _Range("a known mode", lambda value: isinstance(value, str) and value in FILL_MODES),
    "cval": _numbers("a pixel value, from 0 to 1", 0, at_most=1),
    "interpolation_order": _Range(
        "0 (nearest pixel) or 1 (linear)", lambda value: type(value) is int and value in (0, 1)
    ),
    "crop": _Range("a whole number of pixels, from 0 to 31", lambda value: type(value) is int and 0 <= value <= 31),
    "mixup": _Range(
        "0 or a number from 0.01 to 100", lambda value: _is_number(value) and (value == 0 or 0.01 <= value <= 100), True
    ),
}
# Text that may appear in tables, pictures and pages: without markup, formulas or control characters.
PLAIN_TEXT = re.compile(r"[\w .,:()@/+-]{1,80}")
NAME_CHARACTERS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


@dataclass(frozen=True)
class Row:
    """One line of a result table: a model and how it is trained. The fields are the keys of an experiment's TOML.

    Attributes:
        name: letters, digits and `_`; appears in tables and folder names.
        model: name of a builder in `kerascifar.training.models`.
        model_options: the builder's own keyword arguments, e.g. `{dropout = 0.3}`.
        augment: whether to change training images at random (the original's "aug": rotate and mirror).
        augmentation: used if `augment` is true: arguments of Keras's `ImageDataGenerator`, and two of our own. `crop`
            shifts by a random whole number of pixels of at most this many along each axis; with `fill_mode =
            "constant"`, this equals padding with zeros and cropping. `mixup` blends each image and its label with
            another of the batch, by a share from Beta(mixup, mixup) (arXiv:1710.09412). Its training accuracy counts
            the label with the larger share.
        loss: "crossentropy", on logits (the original's "ce").
        optimizer: "adam", "adamw", "rmsprop" or "sgd".
        optimizer_options: arguments of the Keras optimizer besides its learning rate. `weight_decay` (0.004 for
            "adamw", none otherwise) acts only on the kernels of layers, not on biases and normalisation. As in
            Keras, each step subtracts learning rate · weight_decay · kernel; PyTorch's SGD and Adam instead add
            weight_decay · kernel to the gradient.
            `ema_momentum`, e.g. 0.999, averages the weights over the steps (Keras's `use_ema`): validation,
            EarlyStopping and the result use the averages, the training figures and the next step do not.
            BatchNormalization's moving statistics are not averaged again.
        batch_size: images per training step.
        learning_rate: greater than 0. Constant, or the highest one of a schedule.
        schedule: empty, or e.g. `{decay = "cosine", warmup = 0.05, end = 0.01}`: the learning rate rises linearly from
            0 in the first 5 % of all steps of `epochs`, then falls along half a cosine to 1 % of itself.
        epochs: maximum number of epochs.
        monitor: the value that EarlyStopping watches: "val_loss" or "val_accuracy".
        patience: number of epochs without improvement after which training stops.
        precision: "float32", "mixed_bfloat16" or "mixed_float16" (Keras's dtype policies).
    """

    name: str
    model: str
    model_options: Mapping[str, Any] = field(default_factory=dict)
    augment: bool = True
    augmentation: Mapping[str, Any] = field(default_factory=lambda: {"rotation_range": 15.0, "horizontal_flip": True})
    loss: str = "crossentropy"
    optimizer: str = "adam"
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 512
    learning_rate: float = 0.001
    schedule: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 500
    monitor: str = "val_loss"
    patience: int = 10
    precision: str = "float32"

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            object.__setattr__(self, f.name, _plain(getattr(self, f.name)))
        for problem in _problems(self):
            raise UserError(problem)
        # 1 and 1.0 are one value, and so one identity. Keras takes only the second as a learning rate.
        for name, kinds in _tables(self).items():
            floats = {key for key, kind in kinds.items() if kind.is_float}
            object.__setattr__(self, name, _with_floats(getattr(self, name), floats))
        options = {key for key, p in _model_parameters(self.model).items() if "float" in str(p.annotation)}
        object.__setattr__(self, "model_options", _with_floats(self.model_options, options))
        object.__setattr__(self, "learning_rate", float(self.learning_rate))

    @property
    def mixes(self) -> bool:
        """Whether mixup blends the images, so that labels are shares of classes."""
        return bool(self.augment and self.augmentation.get("mixup"))

    def table(self) -> dict[str, Any]:
        """The fields as a record holds them. Without an empty `schedule`, which older runs do not have in their id."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key != "schedule" or value}


@dataclass(frozen=True)
class Run:
    """One training of a row with one seed.

    `shortened` is true if `--epochs` allowed fewer epochs than the row. `basis` is a hash of the images' fingerprint
    and the model's layers, which the row only names; it is set when training starts.
    """

    experiment: str
    row: Row
    seed: int
    shortened: bool = False
    basis: str = ""

    @property
    def label(self) -> str:
        return f"{self.row.name} seed {self.seed}"

    @property
    def id(self) -> str:
        """The folder's name: experiment, row, seed, and a hash of the whole configuration so that names are unique."""
        parts = [self.experiment, self.row.table(), self.seed, self.shortened, self.basis]
        text = json.dumps(parts, sort_keys=True)
        return f"{self.experiment}-{self.row.name}-seed{self.seed}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Experiment:
    """The contents of a TOML file: its name and rows, and the seeds to use by default."""

    name: str
    rows: tuple[Row, ...]
    seeds: tuple[int, ...] = (0,)

    def runs(
        self,
        names: Iterable[str] | None = None,
        seeds: Iterable[int] | None = None,
        epochs: int | None = None,
        precision: str | None = None,
    ) -> list[Run]:
        """The runs of the named rows (None: all). All rows with one seed come before the next seed.

        Raises:
            UserError: a row is not in the experiment, or a seed, `epochs` or `precision` is invalid.
        """
        known = {row.name: row for row in self.rows}
        chosen = list(dict.fromkeys(names)) if names else list(known)
        for name in chosen:
            if name not in known:
                raise UserError(f'Experiment "{self.name}" has no row "{name}".\n{suggest(name, known)}')
        wanted = self.seeds if seeds is None else _plain(list(seeds))
        for seed in wanted:
            if type(seed) is not int:
                raise UserError(f"Seed {seed!r} is not a whole number.")
            if not 0 <= seed < 2**32:
                raise UserError(f"Seed {seed} is out of range. Expected a whole number from 0 to {2**32 - 1}.")
        if epochs is not None and epochs < 1:
            raise UserError(f"--epochs {epochs} trains nothing. Expected a whole number of at least 1.")
        runs = []
        for seed in dict.fromkeys(wanted):
            for name in chosen:
                row, short = known[name], epochs is not None and epochs < known[name].epochs
                row = dataclasses.replace(row, epochs=epochs) if epochs is not None and short else row
                row = dataclasses.replace(row, precision=precision) if precision is not None else row
                runs.append(Run(self.name, row, seed, short))
        return runs


def find(name: Path) -> Path:
    """The file of an experiment: `name` itself, or the shipped file with that name, such as "experiment1"."""
    shipped = EXPERIMENTS / f"{name}.toml"
    return shipped if name.parent == Path() and not name.is_file() and shipped.is_file() else name


def files(folder: Path = EXPERIMENTS) -> list[Path]:
    """The files in `folder` that define experiments, by name."""
    return [
        path
        for path in sorted(folder.glob("*.toml"))
        if path.is_file() and "[[row]]" in path.read_text(encoding="utf-8", errors="replace")
    ]


def read(path: Path) -> Experiment:
    """Reads an experiment's TOML file: `seeds`, `[defaults]` and one `[[row]]` block per row; a `title` is a comment.

    Raises:
        UserError: the syntax, a key, a type, a value or a name is wrong; the text says where and what was expected.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # also raised for invalid UTF-8 and for integers with thousands of digits
        raise UserError(f"{path} is not valid TOML: {error}.\nCompare it with experiments/experiment1.toml.") from None
    except RecursionError:
        raise UserError(f"{path} is nested too deeply. Expected rows with plain values.") from None
    except FileNotFoundError:
        shipped = ", ".join(file.stem for file in files())
        raise UserError(
            f"{path} does not exist. Expected the path of a TOML file or the name of an experiment: {shipped}."
        ) from None
    name = path.stem
    if not name or set(name) - NAME_CHARACTERS:
        raise UserError(f'{path}: use only letters, digits and "_" in the file name; it becomes part of folder names.')
    _check_keys(str(path), table, {"title", "seeds", "defaults", "row"})
    seeds = table.get("seeds", [0])
    if not (isinstance(seeds, list) and seeds and all(type(s) is int and 0 <= s < 2**32 for s in seeds)):
        raise UserError(f"{path}: seeds must be a list of whole numbers from 0 on, e.g. [0, 1], not {seeds!r}.")
    return Experiment(name, _rows(path, table), tuple(dict.fromkeys(seeds)))


def _rows(path: Path, table: Mapping[str, Any]) -> tuple[Row, ...]:
    defaults, blocks = table.get("defaults", {}), table.get("row", [])
    if not isinstance(defaults, dict) or not isinstance(blocks, list) or not all(isinstance(b, dict) for b in blocks):
        raise UserError(f"{path}: expected one [defaults] table and one [[row]] block per row.")
    if not blocks:
        raise UserError(f"{path} has no row. Add one: a [[row]] block with at least name and model.")
    rows: dict[str, Row] = {}
    for number, block in enumerate(blocks, 1):
        where = f'{path}, row "{block["name"]}"' if isinstance(block.get("name"), str) else f"{path}, row {number}"
        row = _row(where, {**defaults, **block})
        if row.name in rows:
            raise UserError(f'{path}: two rows are named "{row.name}". Give each row a different name.')
        rows[row.name] = row
    return tuple(rows.values())


def _row(where: str, values: Mapping[str, Any]) -> Row:
    _check_keys(where, values, {f.name for f in dataclasses.fields(Row)})
    for key in ("name", "model"):
        if key not in values:
            raise UserError(f"{where}: {key} is missing. Nothing was trained and no file was changed.")
    try:
        row = Row(**values)
        if row.model not in models.BUILDERS:
            raise UserError(f'model "{row.model}" is not known.\n{suggest(row.model, models.BUILDERS)}')
    except UserError as error:
        raise UserError(f"{where}: {error}\nNothing was trained and no file was changed.") from None
    return row


def _plain(value: Any) -> Any:
    """The value as a record holds it: NumPy's numbers and arrays become Python's, float32(0.001) the number 0.001."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [*map(_plain, value)] if isinstance(value, list) else (*map(_plain, value),)
    # NumPy is not imported here, so that mistakes are reported at once.
    if type(value).__module__ == "numpy" and hasattr(value, "dtype"):
        if value.ndim:
            return [*map(_plain, value)]
        return float(str(value)) if value.dtype.kind == "f" else value.item()
    return value


def _check_keys(where: str, table: Mapping[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            raise UserError(
                f'{where}: key "{key}" is not known. {suggest(key, known)}\n'
                "Nothing was trained and no file was changed."
            )


_TABLE = _Range("a table, e.g. { key = 1 }", lambda value: isinstance(value, Mapping))
_KINDS: dict[Any, _Range] = {
    str: _Range("text", lambda value: isinstance(value, str)),
    bool: _FLAG,
    int: _Range("a whole number", lambda value: type(value) is int),
    float: _Range("a number", _is_number),
}


def _problems(row: Row) -> Iterable[str]:
    """Yields a sentence for each problem with the row's values; the first is shown."""
    for f in dataclasses.fields(row):
        value = getattr(row, f.name)
        kind = _KINDS.get(f.type, _TABLE)
        if not kind.right(value):
            yield f"{f.name} must be {kind.expected}, not {value!r}."
    if not row.name or set(row.name) - NAME_CHARACTERS or len(row.name) > 40:
        yield f'name must be 1 to 40 letters, digits or "_", not {row.name!r}.'
    if not PLAIN_TEXT.fullmatch(row.model):
        yield f"model must be 1 to 80 letters, digits or signs of _ .,:()@/+-, not {row.model!r}."
    for key, known in (
        ("loss", ["crossentropy"]),
        ("optimizer", list(OPTIMIZER_OPTIONS)),
        ("monitor", ["val_loss", "val_accuracy"]),
        ("precision", ["float32", "mixed_bfloat16", "mixed_float16"]),
    ):
        if getattr(row, key) not in known:
            yield f'{key} "{getattr(row, key)}" is not known.\n{suggest(getattr(row, key), known)}'
    for key, low, high in (("batch_size", 1, 40_000), ("epochs", 1, 1_000_000), ("patience", 1, 1_000_000)):
        if not low <= getattr(row, key) <= high:
            yield f"{key} {getattr(row, key)} is out of range. Expected {low} to {high}."
    if not 0 < row.learning_rate <= 100:
        yield f"learning_rate {row.learning_rate} is out of range. Expected more than 0 and at most 100."
    yield from _option_problems(row)


def _option_problems(row: Row) -> Iterable[str]:
    yield from _model_problems(row)
    for name, known in _tables(row).items():
        for key, value in getattr(row, name).items():
            if key not in known:
                of = f" of {row.optimizer}" if name == "optimizer_options" else ""
                yield f'{name}: "{key}" is not an option{of}. {suggest(key, known)}'
            elif not known[key].right(value):
                hint = f" {suggest(str(value), FILL_MODES)}" if key == "fill_mode" else ""
                yield f"{name}: {key} must be {known[key].expected}, not {value!r}.{hint}"
    if row.augmentation.get("fill_mode") == "grid-constant" and row.augmentation.get("interpolation_order") != 0:
        yield 'augmentation: fill_mode "grid-constant" needs interpolation_order = 0.'
    if row.schedule and "decay" not in row.schedule:
        yield 'schedule: decay is missing. Expected decay = "cosine".'


def _tables(row: Row) -> dict[str, dict[str, _Range]]:
    """The fields with options that do not depend on the model, and the options of each."""
    return {"optimizer_options": OPTIMIZER_OPTIONS[row.optimizer], "augmentation": AUGMENTATION, "schedule": SCHEDULE}


def _model_problems(row: Row) -> Iterable[str]:
    # A program may train any model; the rows of a file must name a builder (`read`).
    options = set(_model_parameters(row.model)) or set(row.model_options)
    for key in row.model_options:
        try:
            json.dumps(row.model_options[key], allow_nan=False)
        except (TypeError, ValueError):
            found = f"{row.model_options[key]!r}"
            yield f"model_options: {key} must hold numbers, text, true or false, or lists of these, not {found}."
        if key not in options:
            yield f'model_options: {row.model} has no option "{key}". {suggest(key, options)}'


def _model_parameters(model: str) -> dict[str, inspect.Parameter]:
    """The options that a model of `models.py` takes; none for another."""
    if model not in models.BUILDERS:
        return {}
    parameters = dict(inspect.signature(models.adapt).parameters)
    return {key: parameters[key] for key in models.SHARED_OPTIONS} | dict(
        inspect.signature(models.BUILDERS[model]).parameters
    )


def _with_floats(values: Mapping[str, Any], floats: set[str]) -> dict[str, Any]:
    """`values`, with each whole number of an option in `floats` as a float."""
    return {key: float(value) if type(value) is int and key in floats else value for key, value in values.items()}
