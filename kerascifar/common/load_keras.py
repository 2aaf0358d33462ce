"""Loads Keras and its backend: without their start-up messages, and with Keras's own defaults."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

from kerascifar.common.errors import UserError, first_line

_CHATTER = re.compile(
    r"I\d{4} |WARNING: All log messages before absl::InitializeLog|To enable the following instructions"
)
# The settings of Keras that the models assume. A user's keras.json may have others, for other programs.
_SETTINGS = {
    "floatx": "float32",
    "epsilon": 1e-7,
    "image_data_format": "channels_last",
    "max_epochs": None,
    "max_steps_per_epoch": None,
}
# Meant for other programs: the first two end a training early; the last one gives tf-keras-vis another Keras.
_NOT_OURS = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "TF_USE_LEGACY_KERAS")


def load_keras() -> None:
    """Imports Keras on the backend that `KERAS_BACKEND` names, by default TensorFlow; keras.json is not used.

    Raises:
        UserError: Keras cannot be loaded, or the program has loaded it before with other settings.
    """
    _load(os.environ.get("KERAS_BACKEND") or "tensorflow")


def load_keras_to_count() -> None:
    """Imports Keras without TensorFlow, which halves the time. Enough to build models and count their parameters.

    Only for commands that compute nothing with Keras: the backend cannot change later in the process.
    """
    _load("numpy")


def load_tensorflow(what: str) -> None:
    """Imports Keras on TensorFlow.

    Args:
        what: the plural noun that begins the error message, such as "Focus maps".
    Raises:
        UserError: Keras uses another backend, or see `load_keras`.
    """
    load_keras()
    check_tensorflow(f"{what} need")


def check_tensorflow(needs: str) -> None:
    """Raises a `UserError` that begins with `needs`, such as "Focus maps need", if Keras uses another backend."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"{needs} Keras on TensorFlow, but Keras runs on {keras.backend.backend()}.\n"
            "Unset KERAS_BACKEND, or set it to tensorflow."
        )


def check_settings() -> None:
    """Raises a `UserError` if the program uses Keras with other settings than the models assume."""
    import keras

    for name, expected in _SETTINGS.items():
        if (found := getattr(keras.config, name)()) != expected:
            raise UserError(
                f"Keras's setting {name} is {found!r} in this program; the models here need {expected!r}.\n"
                f"Call keras.config.set_{name}({expected!r}), or change Keras's configuration file "
                "(~/.keras/keras.json) or the variables that begin with KERAS_."
            )


def _load(backend: str) -> None:
    if "keras" in sys.modules:
        check_settings()
        return
    for name in _NOT_OURS:
        os.environ.pop(name, None)
    chosen = os.environ.get("KERAS_BACKEND")
    os.environ["KERAS_BACKEND"] = backend
    try:
        with _quiet():
            import keras
    except Exception as error:  # of many kinds: a package that is missing, a keras.json with wrong values
        raise UserError(
            f"Keras cannot be loaded on {backend}: {first_line(error)}\nThe backends are tensorflow, jax and torch "
            "(KERAS_BACKEND). Keras's own configuration file, ~/.keras/keras.json, may be wrong: move it away.\n"
            "If a package is missing or broken, install all of them again: make clean setup."
        ) from None
    finally:
        del os.environ["KERAS_BACKEND"]
        if chosen is not None:
            os.environ["KERAS_BACKEND"] = chosen
    for name, value in _SETTINGS.items():
        getattr(keras.config, f"set_{name}")(value)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides TensorFlow's start-up messages, unless the user has chosen a log level.

    TensorFlow 2.21 reports a missing CUDA driver before it reads the log level. Its output on standard error is
    therefore captured during the import; everything except these messages is printed afterwards.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    try:
        terminal = os.dup(2)
    except OSError:  # standard error is closed
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            rest = [line for line in held.read().decode(errors="replace").splitlines(True) if not _CHATTER.match(line)]
            sys.stderr.write("".join(rest))
