"""Loads Keras and its backend without their start-up chatter."""

import os
import re
import sys
import tempfile

from kerascifar.common.errors import UserError

_CHATTER = re.compile(
    r"I\d{4} |WARNING: All log messages before absl::InitializeLog|To enable the following instructions"
)


def load_keras() -> None:
    """Imports TensorFlow without its start-up chatter, unless the user has chosen a log level.

    TensorFlow 2.21 writes that it found no CUDA driver before it looks at the log level. So what it writes to standard
    error meanwhile is held back, and all but notes is passed on.
    """
    if "tensorflow" in sys.modules or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    try:
        terminal = os.dup(2)
    except OSError:  # standard error is closed
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            import keras  # noqa: F401
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            rest = [line for line in held.read().decode(errors="replace").splitlines(True) if not _CHATTER.match(line)]
            sys.stderr.write("".join(rest))


def load_keras_to_count() -> None:
    """Imports Keras without TensorFlow, in half the time: enough to build models and count their parameters.

    For a command that computes nothing with Keras, as the backend stays for the rest of the process.
    """
    if "keras" in sys.modules:
        return
    chosen = os.environ.get("KERAS_BACKEND")
    os.environ["KERAS_BACKEND"] = "numpy"
    try:
        import keras  # noqa: F401
    finally:
        del os.environ["KERAS_BACKEND"]
        if chosen is not None:
            os.environ["KERAS_BACKEND"] = chosen


def load_tensorflow(what: str) -> None:
    """Imports Keras on TensorFlow.

    Args:
        what: needs TensorFlow, in the plural, to begin the error's sentence with.
    Raises:
        UserError: another backend is chosen.
    """
    load_keras()
    import keras

    if keras.backend.backend() != "tensorflow":
        raise UserError(f"{what} need Keras on TensorFlow, not on {keras.backend.backend()} (KERAS_BACKEND).")
