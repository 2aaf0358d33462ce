"""What did the original most likely do? Candidates for the choices it leaves open, scored by its own figures.

`experiments/choices.toml` asks questions. Each has candidates, which are trained like rows of the original. A
candidate's score is the log-likelihood of the original's training and validation figures for those rows: the logarithm
of the epochs, and training and validation loss and accuracy. No test figure is used.

The likelihood is a multivariate Student distribution. Its centre is the mean over the candidate's seeds. Its scale has
two parts. One is the covariance of these figures between seeds of one row, `SPREAD` and `CORRELATION`, measured over
M1 … M8 with six seeds each in the first study (commit 7ecaa2d, 40 degrees of freedom). It is pooled over rows, although
rows differ: M4's accuracies vary more from seed to seed, and M1's epochs less. The other is `FLOOR`², for
differences that do not come from seeds: the original used other validation images than ours (with 10,000 images at
70 %, this adds a standard error of 0.65 points to the difference of two accuracies and 0.015 nats to that of two
losses), its figures are rounded, and no candidate is exactly right. The scale is multiplied by 1 + 1/n for a
candidate's n seeds.

It is also open how to read the original's tables. Each of `READINGS` takes other figures from the same histories, as if
EarlyStopping had monitored another metric or the table had given the last epoch's figures. At first, all readings are
equally likely, and so are a question's candidates. A candidate's weight is its posterior probability, assuming that one
of them is right.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.findings import candidates
from kerascifar.findings.candidates import Question
from kerascifar.runs import original, records
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd

TITLE = "Open choices: what did the original most likely do?"
NOTE = (
    "Figures: means over seeds, computed as the original's table most probably shows them (docs/results/readings.md)"
    ". Weight: the probability of a candidate, assuming that one of them is right and that all were "
    "equally likely at first (kerascifar/findings/choices.py). The last two columns repeat it with half and twice the "
    "*floor*, the spread assumed for differences that do not come from seeds. No test figures are used. Names: V has "
    '"valid" convolutions, W "same" ones; signed: pixels in −1..1; a name without a model, such as zero15, is of W3. '
    "experiments/choices.toml has all settings."
)
READINGS_NOTE = (
    "How probable each reading of the original's tables is, given the runs for each open choice: whether they show the "
    "kept or the last epoch's figures, and whether EarlyStopping watched the loss or the accuracy. All four readings "
    "were equally likely at first."
)
PATIENCE = 10  # epochs, as in the original
DEGREES = 40  # of freedom of SPREAD and CORRELATION
FIGURES = ("epochs", "train_loss", "train_acc", "valid_loss", "valid_acc")  # columns of reported.csv
SPREAD = np.array([0.1717, 0.0754, 2.6579, 0.0321, 1.3443])  # log epochs, nats, points, nats, points
CORRELATION = np.array(
    [
        [1.0, -0.843, 0.845, -0.737, 0.825],
        [-0.843, 1.0, -0.999, 0.759, -0.852],
        [0.845, -0.999, 1.0, -0.771, 0.858],
        [-0.737, 0.759, -0.771, 1.0, -0.942],
        [0.825, -0.852, 0.858, -0.942, 1.0],
    ]
)
FLOOR = np.array([0.05, 0.02, 0.7, 0.02, 0.7])
FACTORS = (0.5, 2.0)  # of FLOOR, which is a judgement: the table also has the weights with these


# By name, the metric that EarlyStopping monitored, and the epoch that the original's tables show.
READINGS = {
    f"{epoch} epoch, watching {monitor}": (monitor, epoch)
    for monitor in ("val_loss", "val_accuracy")
    for epoch in ("kept", "last")
}


def figures(history: Mapping[str, Sequence[float]], monitor: str, shown: str) -> np.ndarray:
    """The figures that the original's table would have given for a run: float64 (5,), in the order of `FIGURES`.

    `monitor` and `shown` are a value of `READINGS`.

    If a history ends before this reading would have stopped, its end counts as the stop: the row's limit on epochs was
    reached, or the validation loss had not improved for the run's own, longer patience.

    Returns:
        The logarithm of the epochs, nats and percent.
    """
    sign = 1 if monitor == "val_loss" else -1
    best, kept, epoch = math.inf, 0, 0
    for epoch, value in enumerate(history[monitor]):
        if sign * value < best:
            best, kept = sign * value, epoch
        if epoch - kept >= PATIENCE:
            break
    at = kept if shown == "kept" else epoch
    loss, accuracy, val_loss, val_accuracy = (
        history[name][at] for name in ("loss", "accuracy", "val_loss", "val_accuracy")
    )
    return np.array([math.log(epoch + 1), loss, 100 * accuracy, val_loss, 100 * val_accuracy])


def original_figures(row: str) -> np.ndarray:
    """The original's figures for a row, in the form that `figures` returns."""
    line = original.rows()[row]
    values = np.array([float(line[name]) for name in FIGURES])
    return np.array([math.log(values[0]), *values[1:]])


def scale(factor: float = 1.0) -> np.ndarray:
    """The scale of the distribution of one run's figures, float64 (5, 5), with a factor for `FLOOR`."""
    return np.outer(SPREAD, SPREAD) * CORRELATION + np.diag((factor * FLOOR) ** 2)


def log_likelihood(values: np.ndarray, reported: np.ndarray, factor: float = 1.0) -> float:
    """Log-likelihood of the original's figures `reported` (5,) under a candidate whose seeds gave `values` (n, 5).

    factor: of `FLOOR`.
    """
    from scipy import stats

    of_mean = scale(factor) * (1 + 1 / len(values))
    return float(stats.multivariate_t(values.mean(axis=0), of_mean, df=DEGREES).logpdf(reported))


def score(question: Question, recorded: Iterable[Record]) -> "pd.DataFrame":
    """One line per candidate and row of the original, with the most probable candidate first.

    Columns: open choice, candidate, like, n (seeds), `FIGURES` (means over seeds, by the most probable reading), the
    log-likelihood by each reading (of all the candidate's rows together), "log likelihood" (averaged over the readings)
    and "weight" (of the candidate), also with `FACTORS`. Empty while no candidate has a run for each of its rows.
    """
    import pandas as pd
    from scipy import special

    figures_of = _figures(question, recorded)
    if not figures_of:
        return pd.DataFrame()
    likelihood = _likelihood(question, figures_of)
    best = likelihood.columns[special.logsumexp(likelihood, axis=0).argmax()]
    scores = likelihood.assign(**{"log likelihood": special.logsumexp(likelihood, axis=1) - math.log(len(READINGS))})
    scores["weight"] = special.softmax(scores["log likelihood"])
    for factor in FACTORS:
        of_candidates = special.logsumexp(_likelihood(question, figures_of, factor), axis=1)
        scores[f"weight, floor × {factor:g}"] = special.softmax(of_candidates)
    scores = scores.sort_values("log likelihood", ascending=False, kind="stable")
    lines: list[dict[str, Any]] = []
    for name in scores.index:
        for like, values in zip(question.like, figures_of[name][best], strict=True):
            means = values.mean(axis=0)
            lines.append(
                {"open choice": question.name, "candidate": name, "like": like, "n": len(values)}
                | dict(zip(FIGURES, [math.exp(means[0]), *means[1:]], strict=True))
            )
    return pd.DataFrame(lines).join(scores, on="candidate")


def _figures(question: Question, recorded: Iterable[Record]) -> dict[str, dict[str, list[np.ndarray]]]:
    """For each candidate with a run for each of its rows: by reading, the `figures` of each row's runs, (n, 5)."""
    by_row: dict[str, list[Record]] = {}
    for record in recorded:
        if record.experiment == records.CHOICES and not record.shortened and not record.diverged:
            by_row.setdefault(candidates.key(record.row), []).append(record)
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    for name, rows in question.rows.items():
        runs = [by_row.get(candidates.key(row), []) for row in rows]
        if all(runs):
            found[name] = {
                reading: [np.array([figures(run.history, *how) for run in each]) for each in runs]
                for reading, how in READINGS.items()
            }
    return found


def _likelihood(
    question: Question, figures_of: Mapping[str, Mapping[str, Sequence[np.ndarray]]], factor: float = 1.0
) -> "pd.DataFrame":
    """The log-likelihood of all rows of a candidate together: a line per candidate, a column per reading."""
    import pandas as pd

    reported = [original_figures(name) for name in question.like]
    return pd.DataFrame(
        {
            reading: {
                name: sum(log_likelihood(*pair, factor) for pair in zip(by_reading[reading], reported, strict=True))
                for name, by_reading in figures_of.items()
            }
            for reading in READINGS
        }
    )


def readings(recorded: Iterable[Record], questions: "Sequence[Question] | None" = None) -> "pd.DataFrame":
    """The probability of each reading, by question: columns "reading" and one per question that has runs.

    Each candidate was equally likely at first.
    """
    import pandas as pd
    from scipy import special

    recorded = list(recorded)
    columns = {}
    for question in candidates.read() if questions is None else questions:
        if figures_of := _figures(question, recorded):
            of_readings = special.logsumexp(_likelihood(question, figures_of), axis=0) - math.log(len(figures_of))
            columns[question.name] = special.softmax(of_readings)
    return pd.DataFrame({"reading": [*READINGS]} | columns) if columns else pd.DataFrame()


def best_quarter(question: Question, recorded: Iterable[Record]) -> list[str]:
    """The candidates to train with the further seeds; empty until all have been trained with the first.

    A candidate that diverged has been trained, but is not ranked.
    """
    first = [r for r in recorded if r.experiment == records.CHOICES and r.seed == question.seeds[0] and not r.shortened]
    trained = {candidates.key(record.row) for record in first}
    if not all(candidates.key(row) in trained for rows in question.rows.values() for row in rows):
        return []
    table = score(question, first)
    ranked = list(dict.fromkeys(table["candidate"])) if len(table) else []
    return ranked[: math.ceil(len(question.rows) / 4)]


def table(recorded: Iterable[Record], questions: "Sequence[Question] | None" = None) -> "pd.DataFrame":
    """`score` of each question that has a run; the questions of `experiments/choices.toml` unless others are given."""
    import pandas as pd

    recorded = list(recorded)
    scored = [score(question, recorded) for question in (candidates.read() if questions is None else questions)]
    return pd.concat([lines for lines in scored if len(lines)] or [pd.DataFrame()], ignore_index=True)
