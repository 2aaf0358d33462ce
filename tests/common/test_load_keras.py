"""A user's settings of Keras for other programs change nothing here."""

import json
import os
import subprocess
import sys

import pytest
from factories import ROOT

from kerascifar.common import load_keras
from kerascifar.common.errors import UserError

# NumPy's backend loads in a second; the settings are Keras's, whatever the backend.
CODE = """
import os, sys
from kerascifar.common import load_keras
load_keras.load_keras_to_count()
from keras import config
print(config.floatx(), config.epsilon(), config.image_data_format(), config.max_epochs(), config.max_steps_per_epoch())
print(config.backend(), sorted(name for name in os.environ if name.startswith(("KERAS_M", "KERAS_B", "TF_USE"))))
"""


def models(home, settings, **variables):
    """Runs the code above, then `models model4`, for a user with these settings."""
    (home / ".keras").mkdir()
    (home / ".keras" / "keras.json").write_text(json.dumps(settings))
    code = CODE + "from kerascifar.__main__ import main; sys.exit(main(['models', 'model4']))"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KERAS_")}
    environment = {**clean, "HOME": str(home), "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_keras_has_its_own_defaults_whatever_the_user_has_set(tmp_path):
    """Fails if the file or a variable decides: layers of another order, or a training that ends after an epoch."""
    settings = {"backend": "theano", "floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}
    capped = {"KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "2", "TF_USE_LEGACY_KERAS": "1"}
    result = models(tmp_path, settings, KERAS_BACKEND="torch", **capped)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("float32 1e-07 channels_last None None\n")
    assert "\nnumpy ['KERAS_BACKEND']\n" in result.stdout  # the user's choice stays, for other processes
    assert "grid 6×6" in result.stdout


@pytest.mark.parametrize("settings", [{"floatx": "int7"}, ["no", "table"]])
def test_a_wrong_configuration_file_is_named(tmp_path, settings):
    result = models(tmp_path, settings)
    assert "UserError" in result.stderr and "keras.json, may be wrong" in result.stderr


@pytest.mark.parametrize("name, value", [("image_data_format", "channels_first"), ("max_epochs", 1)])
def test_a_program_with_other_keras_settings_gets_a_message(name, value):
    import keras

    expected = getattr(keras.config, name)()
    getattr(keras.config, f"set_{name}")(value)
    try:
        with pytest.raises(UserError, match=rf"setting {name} is {value!r} .*\nCall keras.config.set_{name}"):
            load_keras.load_keras()
    finally:
        getattr(keras.config, f"set_{name}")(expected)
    load_keras.load_keras()
