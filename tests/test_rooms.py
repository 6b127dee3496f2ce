"""The house rules that no linter knows."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("search_spaces", "supernet", "evo", "results")  # each may import itself and what stands before it
DOORS = {"evo/search.py"}  # a script that uses every room
FILES = [path.relative_to(ROOT) for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """Top-level names of all imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    return {module.split(".")[0] for module in modules}


@pytest.mark.parametrize("file", FILES, ids=str)
def test_rooms_import_only_leftwards(file):
    if str(file) not in DOORS:
        allowed = ROOMS[: ROOMS.index(file.parts[0]) + 1]
        assert imported(ROOT / file) & set(ROOMS) <= set(allowed)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_no_file_hides_a_standard_module_from_a_script_beside_it(file):
    assert file.stem not in sys.stdlib_module_names
