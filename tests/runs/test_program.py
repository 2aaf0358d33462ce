"""A run's own code: each change that Python can see is another text; the rest is the same text."""

import functools
import types

import keras
import pytest

from kerascifar.runs import program
from kerascifar.training import models

RATE = 0.1
layers = keras.layers


def rate(epoch):
    return RATE


def helper(x):
    return 2 * x


class Base(layers.Layer):
    def scale(self, x):
        return helper(x)


class Own(Base):
    factor = 3

    def call(self, x):
        return self.scale(x) * self.factor


def build(width=4):
    return keras.Sequential([keras.Input((32, 32, 3)), Own(), layers.Conv2D(width, 3, activation=helper)])


def test_all_that_a_builder_uses_of_the_program_is_there_and_nothing_of_libraries():
    text = program.source(build)
    for part in ("def build(width=4)", "class Own", "factor = 3", "class Base", "return helper(x)", "return 2 * x"):
        assert part in text
    assert text.count("return 2 * x") == 1 and "class Layer" not in text and "class Conv2D" not in text


def test_a_model_has_the_code_of_its_layers_and_functions():
    text = program.source(build())
    assert "class Own" in text and "def helper" in text and "def build" not in text


@pytest.mark.parametrize(
    "part, new",
    [
        ("RATE", 0.2),
        ("helper", lambda x: 3 * x),
        ("Own", type("Own", (Base,), {"call": lambda self, x: x})),
    ],
)
def test_a_change_anywhere_on_the_way_is_another_text(monkeypatch, part, new):
    schedule = keras.callbacks.LearningRateScheduler(rate)
    before = program.source(build, schedule)
    assert program.source(build, schedule) == before
    monkeypatch.setitem(globals(), part, new)
    assert program.source(build, schedule) != before


@pytest.mark.parametrize(
    "one, other",
    [
        (lambda: keras.callbacks.ReduceLROnPlateau(factor=0.1), lambda: keras.callbacks.ReduceLROnPlateau(factor=0.5)),
        (lambda: keras.callbacks.TerminateOnNaN(), lambda: keras.callbacks.ProgbarLogger()),
        (
            lambda: keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epoch),
            lambda: keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs),
        ),
        (lambda: functools.partial(build, 4), lambda: functools.partial(build, 5)),
        (lambda: functools.partial(build, width=4), lambda: functools.partial(build, width=5)),
        (lambda: closure(1), lambda: closure(2)),
        (lambda: functools.partial(build, rate=1, log="a/b"), lambda: functools.partial(build, rate=2, log="a/b")),
        (lambda: functools.cache(closure(1)), lambda: functools.cache(closure(2))),
        (lambda: functools.cached_property(closure(1)), lambda: functools.cached_property(closure(2))),
    ],
)
def test_another_argument_is_another_text(one, other):
    assert program.source(one()) == program.source(one()) != program.source(other())


def closure(width):
    return lambda: build(width)


def test_what_changes_in_use_or_names_a_place_is_no_change():
    """Fails if a second call in a program, or one with another folder for its logs, trains the same run again."""
    callback = keras.callbacks.ReduceLROnPlateau()
    before = program.source(callback)
    callback.on_train_begin()
    callback.wait, callback.best = 3, 0.5
    assert program.source(callback) == before
    assert program.source(keras.callbacks.CSVLogger("a/x.csv")) == program.source(keras.callbacks.CSVLogger("b/x.csv"))


def test_the_packages_own_code_is_left_out():
    assert program.source(models.model1, keras.applications.ResNet50) == ""


def test_code_without_a_file_is_told_apart():
    """As at a prompt, or in a string."""
    made = []
    for number in (1, 2, 1):
        space = {"__name__": "__main__"}
        exec(f"def build():\n    return {number}", space)
        made.append(program.source(space["build"]))
    assert made[0] == made[2] != made[1] and "build" in made[0]


def test_all_attributes_of_a_module_count_wherever_a_function_reads_them():
    """Fails if an inner function's attributes hide those that the function around it reads."""
    module = types.ModuleType("helpers")
    exec("def outer():\n    return 1\ndef inner():\n    return 2\n", vars(module))
    space = {"__name__": "__main__", "helpers": module}
    exec("def build():\n    def inner():\n        return helpers.inner()\n    return helpers.outer() + inner()", space)
    before = program.source(space["build"])
    module.outer = lambda: 3
    assert program.source(space["build"]) != before
