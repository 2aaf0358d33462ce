"""The user's code that a run depends on, as far as Python can find it: for the run's identity and its record.

A model's configuration names layers and functions, but does not say what their code does.
"""

import dis
import functools
import hashlib
import inspect
import json
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import keras

from kerascifar.common.paths import PACKAGE

# The code in these folders is recorded by its version or, for this package, by its commit.
LIBRARIES = (
    *(os.path.join(sysconfig.get_paths()[key], "") for key in ("stdlib", "platstdlib", "purelib", "platlib")),
    os.path.join(site.getusersitepackages(), ""),
    os.path.join(PACKAGE, ""),
)

LONG = 1000  # characters of a value; of longer ones, the hash is recorded


def source(*things: Any) -> str:
    """The source of the user's functions, classes and objects, and of all that they use outside of libraries.

    Text that names a place, such as the folder of a log, is left out. Where Python has no source, as for code typed at
    a prompt, its byte code is used.
    """
    texts: list[str] = []
    seen: dict[int, Any] = {}  # keeps the things alive, so that no two of them have the same id
    left = [("", thing) for thing in reversed(things)]
    while left:
        name, thing = left.pop()
        texts.append(_value(name, thing))
        if id(thing) not in seen:
            seen[id(thing)] = thing
            texts.append(_code(thing))
            left += reversed(list(_used(thing)))
    return "\n".join(filter(None, texts))


def _value(name: str, thing: Any) -> str:
    """A line for a number or text, or for a list or table of these, that has a name."""
    try:
        text = json.dumps(_without_places(thing), sort_keys=True)
    except (TypeError, ValueError):
        return ""
    if not name or (isinstance(thing, str) and os.sep in thing):
        return ""
    return f"{name} = {text if len(text) < LONG else hashlib.sha256(text.encode()).hexdigest()}"


def _without_places(thing: Any) -> Any:
    """`thing` with None for each text that names a place."""
    if isinstance(thing, dict):
        return {key: _without_places(item) for key, item in thing.items()}
    if isinstance(thing, list | tuple):
        return [*map(_without_places, thing)]
    return None if isinstance(thing, str) and os.sep in thing else thing


def _code(thing: Any) -> str:
    if isinstance(thing, FunctionType) and _is_users(thing):
        return _of_function(thing)
    if isinstance(thing, type) and _is_users(thing):
        return f"class {thing.__qualname__}:"
    return f"a {type(thing).__qualname__}" if isinstance(thing, keras.callbacks.Callback) else ""


def _of_function(function: FunctionType) -> str:
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = ""
    if text and function.__name__ != "<lambda>":
        return text
    return f"{text}{function.__qualname__}: {_byte_code(function.__code__)}"  # a line may have several lambdas


def _byte_code(code: CodeType) -> str:
    constants = [_byte_code(value) if isinstance(value, CodeType) else repr(value) for value in code.co_consts]
    return f"{code.co_code.hex()} {constants} {code.co_names}"


def _is_users(thing: FunctionType | type) -> bool:
    if isinstance(thing, FunctionType):
        return not thing.__code__.co_filename.startswith(LIBRARIES)
    file = getattr(sys.modules.get(thing.__module__), "__file__", None)
    return thing.__module__ == "__main__" or (file is not None and not file.startswith(LIBRARIES))


def _used(thing: Any) -> Iterator[tuple[str, Any]]:
    """The things that `thing` uses, with their names if their values matter."""
    if isinstance(thing, FunctionType):
        if _is_users(thing):
            yield from _used_by_function(thing)
    elif isinstance(thing, type):
        if _is_users(thing):
            yield from (("", base) for base in thing.__bases__)
            for name, value in vars(thing).items():
                yield (
                    name if not name.startswith("__") else "",
                    getattr(value, "fget", getattr(value, "__func__", value)),
                )
    elif isinstance(thing, MethodType):
        yield from (("", thing.__func__), ("", thing.__self__))
    elif isinstance(thing, functools.partial):
        yield from (("", thing.func), ("arguments", thing.args), ("options", thing.keywords))
    elif (wrapped := _wrapped(thing)) is not None:
        yield "", wrapped
    elif isinstance(thing, list | tuple | dict):
        yield from (("", item) for item in (thing.values() if isinstance(thing, dict) else thing))
    elif isinstance(thing, keras.Model):
        yield from (("", part) for part in (type(thing), *thing.layers))
    elif isinstance(thing, keras.callbacks.Callback | keras.layers.Layer) or _is_users(type(thing)):
        yield "", type(thing)
        yield from _arguments(thing)


def _wrapped(thing: Any) -> FunctionType | None:
    """The function that a decorator such as functools.cache, cached_property or tf.function has wrapped."""
    for name in ("__wrapped__", "func", "python_function"):
        if isinstance(function := getattr(thing, name, None), FunctionType):
            return function
    return None


def _used_by_function(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, attributes in _globals(function.__code__).items():
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType):
            yield from ((attribute, vars(value)[attribute]) for attribute in attributes if attribute in vars(value))
        elif name in function.__globals__:
            yield name, value
    yield from (("defaults", values) for values in (function.__defaults__, function.__kwdefaults__) if values)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            continue


def _globals(code: CodeType) -> dict[str, tuple[str, ...]]:
    """The globals that the code and the functions inside it read, each with the names of all attributes there."""
    found = {step.argval: code.co_names for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    for value in code.co_consts:
        if isinstance(value, CodeType):
            for name, attributes in _globals(value).items():
                found[name] = (*found.get(name, ()), *attributes)
    return found


def _arguments(thing: Any) -> Iterator[tuple[str, Any]]:
    """The arguments with which an object was made: attributes that are named like its constructor's parameters.

    Other attributes may change while the object is used.
    """
    name_them = not isinstance(thing, keras.layers.Layer)  # a layer's are in its configuration
    for kind in type(thing).__mro__:
        make = vars(kind).get("__init__")
        for name in inspect.signature(make).parameters if isinstance(make, FunctionType) else ():
            for attribute in (name, f"_{name}"):
                if attribute in vars(thing):
                    yield f"{type(thing).__qualname__}.{name}" if name_them else "", vars(thing)[attribute]
