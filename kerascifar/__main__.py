"""The command line: `python -m kerascifar run | choices | verify | data | models | report | focus | findings |
compare | publish | doctor | demo`.

Arguments only.
"""

import argparse
import contextlib
import dataclasses
import functools
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascifar import __version__, errors, quiet

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from kerascifar import config, data, records

RUNS = Path("runs")

EXAMPLES = """
run experiments/experiment1.toml                          all rows, to their early stop
run experiments/experiment1.toml --rows M1 M6 --epochs 1  two rows, to see them start
run experiments/experiment2.toml --rows Model4 --seeds 0 1 2 --tensorboard
run experiments/experiment1.toml --jobs 4                 four runs at once
run experiments/experiment1.toml --executor ray --address auto --cpus-per-run 2
choices                                   trains the candidates, then ranks them
choices --jobs 2                          two at once
verify M3                                 seed 0 of row M3 again, beside the published one
data --data ~/cifar                       verifies these files
models                                    all models
models model4 --json                      one, for another program
report --out report                       what `make report` does
focus --published --rows M6 Model4        the published runs of two rows
focus --rows M6 --methods gradcam scorecam --images 1000
findings                                  by the published runs
findings --runs runs                      by yours
compare M6 Mine                           a published row and your own
compare runs/experiment1-M6-seed0-7eda230c M1 --json
publish runs/experiment1-M6-seed0-7eda230c
doctor                                    before you report a fault
demo                                      two minutes on two cores
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kerascifar",
        description="Reproduces a report on small CNNs for CIFAR-10.",
        epilog="Focus maps: python -m kerascifar.cam --help. Exit status: 0 done, 1 a run's loss was not finite or a "
        "published run was not reproduced or doctor found something amiss, "
        "2 a mistake that the message explains, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"kerascifar {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="train an experiment's rows, then show its table")
    run.add_argument("experiment", type=Path, help="e.g. experiments/experiment1.toml")
    run.add_argument("--rows", nargs="+", metavar="ROW", help="only these rows, e.g. M1 M6")
    run.add_argument("--seeds", nargs="+", type=int, metavar="SEED", help="instead of the experiment's, e.g. 0 1 2")
    run.add_argument("--epochs", type=int, metavar="N", help="at most N epochs: a shortened run, to try things")
    run.add_argument(
        "--precision", metavar="POLICY", help="float32 (default), mixed_bfloat16, mixed_float16 (on a GPU)"
    )
    run.add_argument(
        "--deterministic",
        action="store_true",
        help="the same bits each time on a GPU too, at a cost (a CPU needs it not)",
    )
    run.add_argument(
        "--tensorboard", action="store_true", help="log curves, graph and focus maps by epoch for TensorBoard"
    )
    _add_jobs(run)
    run.add_argument(
        "--executor",
        choices=["local", "ray"],
        default="local",
        help="ray: as --jobs, on a cluster or with cores and GPUs of your choice",
    )
    run.add_argument("--address", help="of a Ray cluster, e.g. auto (default: one is started on this machine)")
    run.add_argument("--cpus-per-run", type=float, metavar="N", help="with ray (default: 1)")
    run.add_argument("--gpus-per-run", type=float, metavar="N", help="with ray or --jobs, e.g. 0.25")
    run.add_argument("--storage", metavar="URI", help="with ray, where nodes share no folder, e.g. s3://bucket/runs")
    _add_places(run, data=True)
    _add_json(run)
    run.set_defaults(action=_run)

    choices = commands.add_parser(
        "choices", help="what did the original most probably do? Train candidates and rank them"
    )
    choices.add_argument("--epochs", type=int, metavar="N", help="at most N epochs: to try it, decides nothing")
    _add_jobs(choices)
    _add_places(choices, data=True)
    _add_json(choices)
    choices.set_defaults(action=_choices, deterministic=False, tensorboard=False, executor="local", gpus_per_run=None)

    verify = commands.add_parser("verify", help="train a published run again and compare")
    verify.add_argument("row", metavar="ROW", help="e.g. M3")
    verify.add_argument("--seed", type=int, default=0, metavar="SEED", help="default: %(default)s")
    _add_places(verify, data=True)
    verify.set_defaults(action=_verify)

    data = commands.add_parser("data", help="find or download CIFAR-10, verify it, say what was found")
    _add_places(data, data=True, runs=False)
    _add_json(data)
    data.set_defaults(action=_data)

    models = commands.add_parser("models", help="layers, parameters and cost of every model")
    models.add_argument("names", nargs="*", metavar="MODEL", help="only these")
    _add_json(models)
    models.set_defaults(action=_models)

    report = commands.add_parser(
        "report",
        help="tables, figures and a page of your runs, else of the published ones; README's tables too",
    )
    report.add_argument("--out", type=Path, metavar="DIR", help="default: RUNS/report")
    _add_places(report, data=True)
    report.set_defaults(action=_report)

    focus = commands.add_parser("focus", help="measure on the test images where trained models look")
    focus.add_argument("--rows", nargs="+", metavar="ROW", default=("M6", "Model4"), help="default: M6 Model4")
    focus.add_argument("--seeds", nargs="+", type=int, metavar="SEED", help="default: all that have weights")
    focus.add_argument(
        "--methods", nargs="+", metavar="METHOD", default=("gradcam",), help="e.g. gradcam scorecam (default: gradcam)"
    )
    focus.add_argument("--images", type=int, metavar="N", help="only the first N test images")
    focus.add_argument("--published", action="store_true", help="the published runs instead of yours")
    _add_places(focus, data=True)
    _add_json(focus)
    focus.set_defaults(action=_focus)

    findings = commands.add_parser("findings", help="which of the report's claims hold, by the published runs")
    findings.add_argument("--runs", type=Path, metavar="DIR", help="by these runs instead")
    findings.add_argument("--out", type=Path, default=RUNS / "report", metavar="DIR", help="default: %(default)s")
    _add_json(findings)
    findings.set_defaults(action=_findings)

    compare = commands.add_parser("compare", help="any runs in one table, with paired differences from the first")
    compare.add_argument(
        "names", nargs="+", metavar="RUN", help="a run's folder, or a row: yours, else the published one"
    )
    _add_places(compare)
    _add_json(compare)
    compare.set_defaults(action=_compare)

    publish = commands.add_parser(
        "publish", help="copy finished runs into experiments/results; README's and docs/results' tables and figures"
    )
    publish.add_argument(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUN",
        help="folders of finished runs; none: make tables and figures again",
    )
    _add_places(publish, data=True, runs=False)
    publish.set_defaults(action=_publish)

    doctor = commands.add_parser("doctor", help="what is right on this machine, and what to do about the rest")
    _add_places(doctor, data=True)
    _add_json(doctor)
    doctor.set_defaults(action=_doctor)

    demo = commands.add_parser("demo", help="a short tour on drawn shapes: no data, no network")
    demo.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="default: %(default)s")
    demo.set_defaults(action=_demo, deterministic=False, tensorboard=False, json=False, jobs=1, executor="local")

    for name, command in commands.choices.items():
        lines = [line for line in EXAMPLES.strip().splitlines() if line.split()[0] == name]
        command.formatter_class = argparse.RawDescriptionHelpFormatter
        command.epilog = "\n".join(["examples:", *(f"  python -m kerascifar {line}" for line in lines)])
    return parser


def _add_places(parser: argparse.ArgumentParser, data: bool = False, runs: bool = True) -> None:
    if data:
        parser.add_argument("--data", type=Path, metavar="DIR", help="CIFAR-10: a folder or one of its .tar.gz")
    if runs:
        parser.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="your runs (default: %(default)s)")


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="N runs at once on this machine, which share its cores and GPUs evenly; needs Ray (default: 1)",
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="the table as JSON on standard output; all else on standard error"
    )


def _run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    from kerascifar import config

    given = [n for n in ("address", "cpus_per_run", "gpus_per_run", "storage") if getattr(arguments, n) is not None]
    if arguments.jobs > 1:
        given = ["executor"] * (arguments.executor == "ray") + [name for name in given if name != "gpus_per_run"]
        if given:
            raise errors.UserError(
                f"--jobs and --{given[0].replace('_', '-')} exclude each other.\n"
                "Choose --jobs for this machine, or --executor ray with options of your own."
            )
    elif arguments.executor != "ray" and given:
        raise errors.UserError(f"--{given[0].replace('_', '-')} needs --executor ray.")
    if arguments.storage is not None and arguments.tensorboard:
        raise errors.UserError(
            "--tensorboard needs a folder that all nodes share; --storage is for where there is none."
        )
    _check_jobs(arguments)
    # The configuration is checked before the data, and both before TensorFlow is loaded.
    runs = config.read(arguments.experiment).runs(
        arguments.rows, arguments.seeds, arguments.epochs, arguments.precision
    )
    return _train(runs, arguments, argv)


def _choices(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    from kerascifar import choices, records, tables

    _check_jobs(arguments)
    questions = choices.read()
    epochs = arguments.epochs
    status, there = _execute([r for q in questions for r in q.runs(q.rows, q.seeds[:1], epochs)], arguments, argv)[:2]
    further = [r for q in questions for r in q.runs(choices.best_quarter(q, there), q.seeds[1:], epochs)]
    if further and not status:
        status, more = _execute(further, arguments, argv)[:2]
        there += more
    if status == errors.INTERRUPTED:
        return status
    table = choices.table(there, questions)
    if table.empty:
        print("No candidate is trained to its end yet: nothing is ranked.", file=sys.stderr)
        return status
    tables.save_plain(table, arguments.runs / "report" / "choices", choices.TITLE, [choices.NOTE])
    if arguments.json:
        print(_json(table))
    else:
        print(f"\n{tables.plain_markdown(table)}\n\n{choices.NOTE}\n{arguments.runs / 'report' / 'choices.md'}")
    return status or int(any(r.stop == records.NOT_FINITE for r in there))


def _check_jobs(arguments: argparse.Namespace) -> None:
    if arguments.jobs != 1:
        from kerascifar import cluster

        cluster.check_jobs(arguments.jobs)


def _verify(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    from kerascifar import data

    quiet.load_keras()
    from rich.console import Console

    from kerascifar import verify

    theirs, spread = verify.published(arguments.row, arguments.seed)
    dataset = data.load(arguments.data)
    command = [sys.executable, "-m", "kerascifar", *argv]
    mine = verify.again(theirs, dataset, arguments.runs / "verify", Console(), command)
    if mine is None:
        return 0
    same, lines = verify.judge(theirs, mine, spread)
    print("\n".join(lines))
    return 0 if same else 1


def _json(table: "pd.DataFrame") -> str:
    """The table's lines as objects, at full precision; what is missing is null."""
    return str(table.to_json(orient="records", double_precision=15, force_ascii=False, indent=2))


def _execute(
    runs: "Sequence[config.Run]", arguments: argparse.Namespace, argv: Sequence[str]
) -> "tuple[int, list[records.Record], data.Dataset, Console]":
    """Trains; returns the exit status, the records of `runs` that are finished, the images, and where to print."""
    from kerascifar import data, files

    folder = arguments.runs
    dataset = data.load(arguments.data)
    files.check_writable(folder / "report")  # fail before hours of training, not after, if the folder is read-only
    execute = None
    if arguments.jobs > 1:
        from kerascifar import cluster

        execute = cluster.side_by_side(arguments.jobs, arguments.gpus_per_run)
    elif arguments.executor == "ray":
        from kerascifar import cluster

        cpus = 1 if arguments.cpus_per_run is None else arguments.cpus_per_run
        execute = cluster.connect(arguments.address, cpus, arguments.gpus_per_run or 0, arguments.storage)

    quiet.load_keras()
    from rich.console import Console

    from kerascifar import experiment

    # A file is as wide as the table.
    console = Console(width=None if sys.stdout.isatty() else 160, stderr=arguments.json)
    watching: dict[str, Any] = {}
    if arguments.tensorboard:
        from kerascifar import dashboard

        dashboard.check()
        watching["callbacks"] = functools.partial(dashboard.callbacks, runs=folder.resolve())
    command = [sys.executable, "-m", "kerascifar", *argv]
    try:
        own = experiment.run(
            runs,
            dataset,
            folder,
            console,
            command,
            arguments.deterministic,
            execute=execute,
            **watching,
        )
    except experiment.Interrupted as stop:
        console.print(str(stop), markup=False, highlight=False, soft_wrap=True)
        return errors.INTERRUPTED, [], dataset, console
    return 0, own, dataset, console


def _train(runs: "Sequence[config.Run]", arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Trains, then shows and writes the table; returns the exit status."""
    status, own, dataset, console = _execute(runs, arguments, argv)
    if not own:
        if arguments.json and not status:
            print("[]")
        return status
    from kerascifar import records, report, tables

    folder = arguments.runs
    name = own[0].experiment
    everything = [] if dataset.is_synthetic else records.current(records.list_records(records.PUBLISHED))
    published = [r for r in everything if r.experiment == name]
    table = tables.results(own, published)
    if not arguments.json:
        console.print(tables.as_rich(table, f"{name} on {dataset.name}"), soft_wrap=True)
    else:
        print(_json(table))
    for note in tables.notes(own, published):
        console.print(note, markup=False, highlight=False)
    # On disk, all rows of the experiment, so that a command for one does not take the others out of the table.
    shown = {r.name for r in own}
    there = [r for r in records.list_records(folder) if r.experiment == name and r.is_synthetic == own[0].is_synthetic]
    others = [r for r in records.current(there) if r.name not in shown]
    written = report.write(
        records.in_order([*own, *others]), published, folder / "report", lambda text: console.print(text, markup=False)
    )
    console.print(f"\nTables and figures: {folder / 'report'}", markup=False, highlight=False, soft_wrap=True)
    for path in written:
        console.print(f"  {path}", markup=False, highlight=False, soft_wrap=True)
    return 1 if any(r.stop == records.NOT_FINITE for r in own) else 0


def _data(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    from kerascifar import data

    began = time.perf_counter()
    dataset = data.load(arguments.data)
    out = sys.stderr if arguments.json else sys.stdout
    print(f"{dataset.name} from {dataset.source}, verified in {time.perf_counter() - began:.3f} s", file=out)
    for name in ("train", "test"):
        print(f"fingerprint of the {name} images (SHA-256): {dataset.fingerprint[name]}", file=out)
    print(f"fingerprint of the split (SHA-256): {data.split_fingerprint(*data.split(dataset.labels))}\n", file=out)
    counts = data.class_counts(dataset)
    if arguments.json:
        lines = zip(dataset.class_names, *(map(int, values) for values in counts.values()), strict=True)
        print(json.dumps([dict(zip(("class", *counts), line, strict=True)) for line in lines], indent=2))
        return 0
    print(f"{'class':<12}" + "".join(f"{name:>12}" for name in counts))
    for label, name in enumerate(dataset.class_names):
        print(f"{name:<12}" + "".join(f"{values[label]:>12,}" for values in counts.values()))
    print(f"{'all':<12}" + "".join(f"{sum(values):>12,}" for values in counts.values()))
    return 0


def _models(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    from kerascifar import models

    for name in arguments.names:
        if name not in models.BUILDERS:
            raise errors.UserError(f'Model "{name}" is not known.\n{errors.suggest(name, models.BUILDERS)}')
    quiet.load_keras()
    import keras

    described: list[dict[str, Any]] = []
    for name in arguments.names or models.names():
        keras.backend.clear_session()  # layer names start anew, as in a run
        network = models.build(name)
        trainable, total = models.parameters(network)
        last = models.last_convolution(network)
        told = (models.BUILDERS[name].__doc__ or "").strip().splitlines()[0]
        layers = [
            {
                "layer": layer.name,
                "type": type(layer).__name__,
                "output": list(layer.output.shape[1:]),
                "parameters": layer.count_params(),
            }
            for layer in network.layers
        ]
        described.append(
            {"model": name, "told": told, "layers": layers, "trainable parameters": trainable, "parameters": total}
            | {"multiply-adds per image": models.multiply_adds(network), "last convolution": last.name}
        )
        if arguments.json:
            continue
        print(f"{name}: {told}")
        print(f"  {'layer':<24}{'type':<22}{'output':<18}{'parameters':>10}")
        for layer in layers:
            shape = "×".join(map(str, layer["output"]))
            print(f"  {layer['layer']:<24}{layer['type']:<22}{shape:<18}{layer['parameters']:>10,}")
        print(f"  trainable parameters {trainable:,}; total {total:,} (with BatchNormalization's moving statistics)")
        print(f"  multiply-adds per image {models.multiply_adds(network):,}")
        print(f"  last Conv2D {last.name}, grid {last.output.shape[1]}×{last.output.shape[2]}\n")
    if arguments.json:
        print(json.dumps(described, indent=2))
    return 0


def _report(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    from kerascifar import data, records

    own = records.current(records.list_records(arguments.runs))
    published = records.current(records.list_records(records.PUBLISHED))
    if not own and not published:
        raise errors.UserError(
            f"There is no finished run in {arguments.runs} and none is published yet.\n"
            "Train one first: make experiment1, or in two minutes and without data: make demo."
        )
    dataset = None
    try:
        dataset = data.load(arguments.data, download=False)
    except errors.UserError as problem:
        if arguments.data is not None:
            raise
        print(f"Without the gallery of focus maps. {problem}", file=sys.stderr)
    quiet.load_keras()
    from kerascifar import page, readme, report

    out = arguments.out or arguments.runs / "report"
    written = report.write(own, published, out)
    pictures = [path for path in written if path.suffix == ".png"]
    for path in [*written, page.write(own, published, pictures, dataset, out)]:
        print(path)
    if published and Path("README.md").resolve() == readme.README:  # only from within a checkout
        for path in readme.write_tables(published):
            print(path)
    return 0


def _focus(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    from kerascifar import data, looking, maps, progress, publish, records, tables

    for method in arguments.methods:
        maps.check_method(method)
    place = records.PUBLISHED if arguments.published else arguments.runs
    found = [r for r in records.current(records.list_records(place)) if r.name in arguments.rows]
    found = [r for r in found if arguments.seeds is None or r.seed in arguments.seeds]
    with_weights = [r for r in found if (r.folder / records.MODEL).is_file()]
    if not with_weights:
        raise errors.UserError(
            f"There is no trained model of {' or '.join(arguments.rows)} in {place}.\n"
            "Train one (make experiment1 ROWS=M6), or measure the published ones: --published."
        )
    dataset = data.load(arguments.data)
    if other := [r for r in with_weights if r.dataset["test"] != dataset.fingerprint["test"]]:
        raise errors.UserError(f"{other[0].folder} was trained on other images than {dataset.source} holds.")
    images, labels = data.test_split(dataset)
    count = len(labels) if arguments.images is None else arguments.images
    if not 100 <= count <= len(labels):
        raise errors.UserError(f"--images {count} is out of range. Expected 100 to {len(labels)}.")
    _load_tensorflow("Focus maps")
    if arguments.published:
        publish.check_measuring(count, len(labels))
    scaled = data.scale(images)
    kinds = (*arguments.methods, *looking.BASELINES)
    work = [kind for record in with_weights for kind in looking.missing(record, kinds, count)]
    with progress.counted(len(work) * len(list(looking.parts(count)))) as tick:
        for record in with_weights:
            looking.measure(record, scaled, labels, kinds, count, tick)
    table = looking.table(found)
    tables.save_plain(table, arguments.runs / "report" / "focus", "Where models look", [looking.NOTE])
    path = arguments.runs / "report" / "focus.md"
    print(_json(table) if arguments.json else f"{tables.plain_markdown(table)}\n\n{path}")
    return 0


def _load_tensorflow(what: str) -> None:
    quiet.load_keras()
    import keras

    if keras.backend.backend() != "tensorflow":
        raise errors.UserError(f"{what} need Keras on TensorFlow (KERAS_BACKEND).")


def _findings(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    from kerascifar import claims, records, tables

    declared = claims.read()
    found = records.current(records.list_records(arguments.runs or records.PUBLISHED))
    if not found:
        where = f"finished run in {arguments.runs}" if arguments.runs else "published run yet"
        raise errors.UserError(f"There is no {where}, so no claim can be judged.\nYour own runs: --runs DIR.")
    table = claims.table(found, declared)
    tables.save_plain(table, arguments.out / "findings", "Findings", [claims.RULE])
    if arguments.json:
        print(_json(table))
    with contextlib.redirect_stdout(sys.stderr if arguments.json else sys.stdout):
        return _explain_findings(found, table, arguments.out)


def _explain_findings(found: "list[records.Record]", table: "pd.DataFrame", out: Path) -> int:
    """What stands beside the verdicts: cleaner test images, classes, reasons."""
    from rich.console import Console

    from kerascifar import claims, cleaner, tables, why

    Console().print(tables.wrapped(claims.verdicts(table, between="\n")))
    images = cleaner.table(found)
    if len(images):
        tables.save_plain(images, out / "cleaner", "Cleaner test images", [cleaner.remark(images)])
        print(f"{tables.plain_markdown(images)}\n\n{cleaner.remark(images)}\n")
    quiet.load_keras_to_count()
    classes = claims.by_class(found)
    if len(classes):
        tables.save_plain(classes, out / "classes", "Where M6 and Model4 look, by class", [claims.BY_CLASS])
        print(f"{tables.plain_markdown(classes)}\n")
    reasons = why.table(found)
    tables.save_plain(reasons, out / "why", "What stands behind the verdicts", [why.remark(reasons), why.NOTE])
    print(f"{why.remark(reasons)}\n")
    for name in ("findings", "why"):
        print(out / f"{name}.md")
    return 0


def _compare(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    from kerascifar import compare, plots, tables

    found = compare.find(arguments.names, arguments.runs)
    table = compare.table(found)
    path = arguments.runs / "report" / "compare"
    tables.save_plain(table, path, "Compared: " + ", ".join(found), [compare.NOTE])
    plots.save(plots.compared(found), path.with_suffix(".png"))
    text = f"{tables.plain_markdown(table)}\n\n{compare.NOTE}\n\n{path.with_suffix('.png')}"
    print(_json(table) if arguments.json else text)
    return 0


def _doctor(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    quiet.load_keras()
    from kerascifar import doctor

    if arguments.json:
        checks = list(doctor.checks(arguments.runs, arguments.data))
        print(json.dumps([dataclasses.asdict(check) for check in checks], indent=2))
        return 0 if all(check.right for check in checks) else 1
    wrong = 0
    for check in doctor.checks(arguments.runs, arguments.data):
        print(f"{'✓' if check.right else '✗'} {check.what}: {errors.printable(check.found)}", flush=True)
        if not check.right:
            wrong += 1
            print(f"    {errors.printable(check.todo)}", flush=True)
    return 1 if wrong else 0


def _publish(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    from kerascifar import cam, data, publish, records

    # What the pictures need is there before anything is copied.
    dataset = data.load(arguments.data)
    _load_tensorflow("Publishing draws focus maps, which")
    from kerascifar import readme

    for path in publish.publish(arguments.runs):
        print(path)
    published = records.current(records.list_records(records.PUBLISHED))
    if not published:
        raise errors.UserError("Nothing is published yet.\nName the folders of finished runs to publish.")
    for path in readme.write(published, lambda record: cam.class_sheet(record, dataset)):
        print(path)
    return 0


def _demo(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    from kerascifar import cam, config, data, synthetic

    out = arguments.out
    print(f"SYNTHETIC DATA: drawn shapes, in the official file format, in {out / 'data'}. Not CIFAR-10.", flush=True)
    if not (out / "data" / "cifar-10-batches-bin" / data.MARKER).is_file():
        synthetic.write(out / "data", train=1200)
    # Small batches, so that two minutes hold enough steps to learn something on so few images.
    rows = (
        config.Row("Demo1", "model1", epochs=8, batch_size=8, augment=False),
        config.Row("Demo4", "model4", epochs=5, batch_size=8, augment=False),
    )
    runs = config.Experiment("demo", "Demo on synthetic shapes", rows).runs()
    arguments.data, arguments.runs = out / "data", out / "runs"
    status = _train(runs, arguments, argv)
    for row in rows if status == 0 else ():
        status = status or cam.main(
            ["--all", "--row", row.name, "--runs", str(out / "runs"), "--data", str(out / "data")]
        )
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the console script's entry point."""
    return errors.run(_main, argv)


def _main(argv: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(words)
    action: Callable[[argparse.Namespace, Sequence[str]], int] = arguments.action
    return action(arguments, words)


if __name__ == "__main__":
    sys.exit(main())
