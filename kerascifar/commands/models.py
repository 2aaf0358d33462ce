"""`python -m kerascifar models`: lists the layers, parameters and cost of each model."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from kerascifar.commands import options
from kerascifar.common.errors import UserError, suggest
from kerascifar.common.load_keras import load_keras_to_count
from kerascifar.focus import placement
from kerascifar.runs import model_facts
from kerascifar.training import models

HELP = "list the layers, parameters and cost of each model"
EXAMPLES = """
models                                    all models
models M6                                 the model of row M6, with the row's options
models model4 --json                      one model, as input for another program
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="MODEL", help="only these models, or the models of these rows")
    options.add(parser, "--json")


def run(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    wanted = [_find(name) for name in arguments.names] or [(name, {}) for name in models.BUILDERS]
    if not arguments.names:
        print("Models with their default options; for those of a row: kerascifar models M6", file=sys.stderr)
    load_keras_to_count()
    described = [_describe(name, options) for name, options in wanted]
    print(json.dumps(described, indent=2) if arguments.json else "\n\n".join(map(_text, described)))
    return 0


def _find(name: str) -> tuple[str, Mapping[str, Any]]:
    """A model's name and options: of the model `name`, or of the row `name` of the experiments in this folder."""
    if name in models.BUILDERS:
        return name, {}
    known = {row.name: row for row in options.known_rows().values()}
    if name not in known:
        raise UserError(f'"{name}" is neither a model nor a row.\n{suggest(name, [*models.BUILDERS, *known])}')
    chosen = ", ".join(f"{key} = {value}" for key, value in known[name].model_options.items()) or "its defaults"
    print(f"Row {name}: {known[name].model} with {chosen}", file=sys.stderr)
    return known[name].model, known[name].model_options


def _describe(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    import keras

    keras.backend.clear_session()  # layer names start afresh, as in a run
    network = models.build(name, **options)
    models.check_form(network)
    trainable, total = model_facts.parameters(network)
    last, why = None, ""
    try:
        last = placement.chosen_layer(network)
    except UserError as problem:
        why = str(problem).partition("\n")[0]
    return {
        "model": name,
        "description": (models.BUILDERS[name].__doc__ or "").strip().partition("\n")[0],
        "layers": [
            {
                "layer": layer.name,
                "type": type(layer).__name__,
                "output": list(layer.output.shape[1:]),
                "parameters": layer.count_params(),
            }
            for layer in network.layers
        ],
        "trainable parameters": trainable,
        "parameters": total,
        "multiply-adds per image": model_facts.multiply_adds(network),
        "focus maps": last and {"layer": last, "grid": list(network.get_layer(last).output.shape[1:3])},
        "no focus maps": why,
    }


def _text(model: dict[str, Any]) -> str:
    name, kind = (2 + max(len(layer[key]) for layer in model["layers"]) for key in ("layer", "type"))
    lines = [
        f"{model['model']}: {model['description'] or 'no description'}",
        f"  {'layer':<{name}}{'type':<{kind}}{'output':<12}{'parameters':>10}",
    ]
    for layer in model["layers"]:
        shape = "×".join(map(str, layer["output"]))
        lines.append(f"  {layer['layer']:<{name}}{layer['type']:<{kind}}{shape:<12}{layer['parameters']:>10,}")
    last = model["focus maps"]
    lines += [
        f"  trainable parameters {model['trainable parameters']:,}; total {model['parameters']:,} "
        "(including BatchNormalization's moving statistics)",
        f"  multiply-adds per image {model['multiply-adds per image']:,}",
        f"  focus maps look at {last['layer']}, grid {'×'.join(map(str, last['grid']))}"
        if last
        else f"  no focus maps: {model['no focus maps']}",
    ]
    return "\n".join(lines)
