"""Test accuracy on cleaner images: without near-duplicates of training images, and without disputed labels.

`experiments/doubtful_test_images.csv` lists official indices of test images. Near-duplicates: ciFAIR, Barz and Denzler
2020, arXiv:1902.00423 (github.com/cvjena/cifair). Disputed: Northcutt et al. 2021, arXiv:2103.14749
(github.com/cleanlab/label-errors, Apache-2.0), where at least three of five votes went against the label. Votes are not
the truth, so these images are left out, never relabelled.
"""

import csv
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascifar.common.paths import EXPERIMENTS
from kerascifar.common.terminal import listed
from kerascifar.runs.grouping import by_row
from kerascifar.runs.records import Record

if TYPE_CHECKING:
    import pandas as pd

DOUBTFUL = EXPERIMENTS / "doubtful_test_images.csv"
REASONS = ("near-duplicate", "disputed")
TEST_IMAGES = 10_000


@cache
def kept(reason: str) -> np.ndarray:
    """bool (10000,): the test images that remain when those listed for a reason are left out."""
    with open(DOUBTFUL, newline="", encoding="utf-8") as file:
        excluded = [int(line["test_index"]) for line in csv.DictReader(file) if line["reason"] == reason]
    keep = np.ones(TEST_IMAGES, bool)
    keep[excluded] = False
    return keep


def table(records: Sequence[Record]) -> "pd.DataFrame":
    """For each row, the mean test accuracy over seeds (percent) and its rank in the experiment.

    On all images, and without those listed for each reason.
    """
    import pandas as pd

    lines: list[dict[str, Any]] = []
    # Only CIFAR-10's images are listed, and candidates have no predictions for them.
    records = [r for r in records if r.is_full and not r.is_candidate]
    for (experiment, name), runs in by_row(records).items():
        right = np.mean([r.right() for r in runs], axis=0)
        line = {"experiment": experiment, "row": name, "n": len(runs), "Test_acc": 100 * right.mean()}
        lines.append(line | {f"without {reason}": 100 * right[kept(reason)].mean() for reason in REASONS})
    result = pd.DataFrame(lines)
    for column in ["Test_acc", *(f"without {reason}" for reason in REASONS)] if lines else ():
        ranks = result.groupby("experiment")[column].rank(ascending=False, method="min").astype(int)
        result.insert(result.columns.get_loc(column) + 1, f"rank, {column}", ranks)
    return result


def summary(records: Sequence[Record], table: "pd.DataFrame") -> str:
    """Which rows change their rank when images are left out, in a sentence for each reason."""
    sentences = []
    for reason in REASONS:
        changed = table.loc[table["rank, Test_acc"] != table[f"rank, without {reason}"], "row"].tolist()
        change = "change" if len(changed) > 1 else "changes"
        sentences.append(f"Without {reason} images, {listed(changed) or 'no row'} {change} rank")
    return ". ".join(sentences) + "."
