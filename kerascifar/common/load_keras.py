"""Loads Keras and its backend without their start-up messages."""

import os
import re
import sys
import tempfile

from kerascifar.common.errors import UserError

_CHATTER = re.compile(
    r"I\d{4} |WARNING: All log messages before absl::InitializeLog|To enable the following instructions"
)


def load_keras() -> None:
    """Imports TensorFlow without its start-up messages, unless the user has chosen a log level.

    TensorFlow 2.21 reports a missing CUDA driver before it reads the log level. Its output on standard error is
    therefore captured during the import; everything except these messages is printed afterwards.
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
    """Imports Keras without TensorFlow, which halves the time. Enough to build models and count their parameters.

    Only for commands that compute nothing with Keras: the backend cannot change later in the process.
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
        what: the plural noun that begins the error message, such as "Focus maps".
    Raises:
        UserError: Keras uses another backend.
    """
    load_keras()
    import keras

    if keras.backend.backend() != "tensorflow":
        raise UserError(f"{what} need Keras on TensorFlow, not on {keras.backend.backend()} (KERAS_BACKEND).")
