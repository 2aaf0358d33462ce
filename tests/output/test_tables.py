"""Any table in a terminal: names are not cut, and no word is lost."""

import io

import pandas as pd
import pytest
from rich.console import Console

from kerascifar.output import tables


@pytest.mark.parametrize("width", [40, 80])
def test_a_terminals_table_never_cuts_a_rows_name(width):
    out = io.StringIO()
    name = "A_row_with_a_name_of_forty_letters_______"[:34]
    table = pd.DataFrame(
        {"row": ["M1", name], "what differs": ["augmented", ""], "here ± sd (n)": ["70.00 ± 1.41 (2)"] * 2}
    )
    Console(file=out, width=width).print(tables.as_rich(table))
    assert name in out.getvalue()


def test_a_terminals_table_wraps_long_texts_and_loses_no_word():
    out, words = io.StringIO(), "without augmentation there is more overfitting and lower performance"
    Console(file=out, width=50).print(tables.as_rich(pd.DataFrame({"claim": ["C4"], "says": [words], "n": [8]})))
    assert set(words.split()) <= set(out.getvalue().split())
