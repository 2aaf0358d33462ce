"""Progress is for people who are waiting: shown in a terminal, never mixed with results."""

from functools import partial

import pandas as pd
import pytest
from rich.console import Console

from kerascifar.common import terminal
from kerascifar.output import tables


def in_a(monkeypatch, in_terminal):
    for name in ("TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.setenv(name, str(int(in_terminal)))
    monkeypatch.setenv("TERM", "xterm")


def test_a_table_is_printed_whole_on_a_narrow_terminal(capsys):
    """Fails if a number is cut off: "± 1.10" would become "± 1"."""
    table = tables.as_rich(pd.DataFrame({"row": ["M1", "M5"], "difference": ["", "+4.97 ± 1.06"]}))
    console = terminal.Console(width=10)
    terminal.print_table(console, table)
    assert "M5   +4.97 ± 1.06" in capsys.readouterr().out and console.width == 10


def test_a_table_on_standard_error_is_as_wide_as_its_terminal(monkeypatch):
    """Fails if it is as wide as a file because standard output goes to one (--json)."""
    monkeypatch.delenv("COLUMNS", raising=False)
    for in_terminal in (True, False):
        monkeypatch.setattr("sys.stderr.isatty", lambda known=in_terminal: known)
        assert (terminal.console(stderr=True).width == 160) == (not in_terminal)


def test_a_progress_bar_is_shown_only_in_a_terminal_and_on_standard_error(monkeypatch, capsys):
    for in_terminal in (False, True):
        in_a(monkeypatch, in_terminal)
        assert list(terminal.track([3, 4], "Claims")) == [3, 4]
        printed = capsys.readouterr()
        assert printed.out == "" and ("Claims" in printed.err) == in_terminal


def test_progress_is_printed_line_by_line_in_a_log(monkeypatch, capsys):
    for in_terminal in (False, True):
        in_a(monkeypatch, in_terminal)
        with terminal.progress(2) as tick:
            tick("M6 seed 0, gradcam")
            tick("M6 seed 0, random")
        printed = capsys.readouterr()
        assert printed.out == "" and "M6 seed 0, random" in printed.err
        assert ("M6 seed 0, gradcam: 1 of 2 parts" in printed.err) == (not in_terminal)
        assert in_terminal or len(printed.err.splitlines()) == 2


def test_a_terminal_that_cannot_move_a_bar_gets_the_lines(monkeypatch, capsys):
    in_a(monkeypatch, True)
    monkeypatch.setenv("TTY_INTERACTIVE", "0")
    with terminal.progress(1) as tick:
        tick("M6 seed 0, gradcam")
    assert "1 of 1 parts" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", [0.5, 30])
def test_the_time_left_is_shown_however_long_a_part_takes(monkeypatch, capsys, minutes):
    """Fails where Rich forgets the part before: by itself it looks back for half a minute."""
    in_a(monkeypatch, False)
    clock = iter(range(0, 10**6, int(60 * minutes)))
    monkeypatch.setattr(terminal, "Console", partial(Console, get_time=lambda: float(next(clock))))
    with terminal.progress(4) as tick:
        for _ in range(3):
            tick("M6 seed 0, gradcam")
    assert "3 of 4 parts; about" in capsys.readouterr().err


def test_a_wide_table_is_wide_also_where_colours_are_forced(monkeypatch):
    """As on CircleCI. Fails if Rich takes the log for a dumb terminal of 80 columns, and cuts tables."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("COLUMNS", raising=False)
    assert (terminal.console().width, terminal.console(wide=True).width) == (160, 1000)
