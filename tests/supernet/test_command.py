import pytest

from evo import search
from results import export, pick, rank, report
from results import train as stand_alone
from supernet import train


@pytest.mark.parametrize("module", [search, train, export, pick, rank, report, stand_alone])
@pytest.mark.parametrize("columns", [40, 80])
def test_help_is_as_wide_as_the_terminal_but_for_commands_to_copy(script, module, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    outcome = script(module, "--help")
    assert outcome.code == 0
    _, *said = outcome.out.splitlines()  # the first holds every flag
    commands = [line.strip() for line in module.__doc__.splitlines() if line.startswith("    ")]
    assert commands == [line.strip() for line in said if line.strip() in commands]
    assert all(len(line) <= columns for line in said if line.strip() not in commands)
