"""Progress is for who waits: in a terminal, and never among the results."""

from kerascifar import progress


def test_a_bar_is_shown_in_a_terminal_alone_and_beside_the_results(monkeypatch, capsys):
    for terminal in (False, True):
        monkeypatch.setenv("TTY_COMPATIBLE", str(int(terminal)))
        assert list(progress.track([3, 4], "Claims")) == [3, 4]
        printed = capsys.readouterr()
        assert printed.out == "" and ("Claims" in printed.err) == terminal


def test_long_work_tells_a_log_how_far_it_is(monkeypatch, capsys):
    for terminal in (False, True):
        monkeypatch.setenv("TTY_COMPATIBLE", str(int(terminal)))
        with progress.counted(2) as tick:
            tick("M6 seed 0, gradcam")
            tick("M6 seed 0, random")
        printed = capsys.readouterr()
        assert printed.out == "" and "M6 seed 0, random" in printed.err
        assert ("M6 seed 0, gradcam: 1 of 2 parts" in printed.err) == (not terminal)
        assert terminal or len(printed.err.splitlines()) == 2
