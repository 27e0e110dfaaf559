"""What the bar shows."""

import sys

import pytest

from ebmx.training import TqdmProgress
from ebmx.training._progress import showing


@pytest.mark.parametrize(("acceptance", "shown"), [(0.573, True), (1.0, False)])
def test_a_bar_shows_an_acceptance_where_there_is_one(acceptance, shown, capsys):
    bar = TqdmProgress()
    bar.start(10)
    bar.update(10, {"loss": 0.25, "fake_energy_mean": 1.5, "acceptance": acceptance, "skipped": 0})
    bar.close()
    text = capsys.readouterr().err
    assert "10/10" in text
    assert "updates/s" in text
    assert "loss=0.25, E_chains=1.5" in text
    assert ("accepted=0.573" in text) == shown
    assert ("accepted" in text) == shown


def test_a_bar_without_tqdm_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError, match=r"needs tqdm: pip install 'ebmx\[cli\]'"):
        TqdmProgress()


@pytest.mark.parametrize(
    ("progress", "terminal", "package", "shown"),
    [
        (None, True, True, True),
        (None, False, True, False),
        (None, True, False, False),
        (True, False, True, True),
        (False, True, True, False),
    ],
)
def test_a_bar_is_for_a_terminal_and_needs_its_package(
    progress, terminal, package, shown, monkeypatch, capsys
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    if not package:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    with showing(progress, 10) as show:
        show(10, {"loss": 0.25})
    assert ("10/10" in capsys.readouterr().err) == shown
