"""Wrong input of every kind to functions, flags and image folders: an answer or one line may come, nothing else.

Hypothesis thinks the inputs up; tests/reliability/test_inputs.py does it with few, benchmarks/reliability.py with many.
"""

import io
import json
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

import results
import search_spaces
from evo import objectives, warm_start
from evo.config import Config
from evo.engine import minimise
from results import export, front, pick, rank, report, train
from supernet import command, data, run_folder, table
from supernet import train as supernet_train

SPACES = ("digits", "fairnas", "proxyless", "nas_bench_201", "darts", "three_edge")
CONFIGS = (Config, supernet_train.Config, train.Config, pick.Config, rank.Config, report.Config, export.Config)
NASTY = [
    *("", " ", "-1", "0", "1", "2", "nan", "inf", "-inf", "1e400", "9" * 30, "0x10", "None", "true", "[]", "{}"),
    *("../..", "/", "/dev/null", "/etc/passwd", "\0", "\n", "x" * 5000, "é ü", "a b", "--", "%s%n", "\ud800"),
    *("accuracy", "accuracy:min", "madds:max", "f.py::g", "350M", "-5M", "1e3k", "k3e6", "0,0,0", "|none~0|"),
    *("digits", "folder", "strict", "auto", "cpu"),
]
WORDS = st.one_of(st.sampled_from(NASTY), st.text(max_size=20))
NUMBERS = st.one_of(st.integers(-3, 12), st.integers(), st.floats(), st.none(), st.booleans(), st.text(max_size=3))
ROW = st.lists(NUMBERS, max_size=24)
ROWS = st.one_of(st.lists(ROW, max_size=4), ROW, NUMBERS, WORDS, st.binary(max_size=9))
SIZES = st.one_of(st.none(), st.integers(-3, 300), st.integers())
JSON = st.recursive(st.one_of(NUMBERS, WORDS), lambda inner: st.dictionaries(WORDS, inner, max_size=3))
MODES = ("L", "RGB", "RGBA", "CMYK", "1", "P", "LA", "I", "I;16", "F", "YCbCr", "HSV", "LAB")
ENDINGS = ("png", "jpg", "gif", "bmp", "tiff", "webp", "ppm", "png.jpg")
tried: Counter = Counter()  # inputs, by the function that got them
ATTACKS: dict[Callable, tuple[st.SearchStrategy, ...]] = {}  # and where each one's arguments come from


def gets(*strategies: st.SearchStrategy) -> Callable[[Callable], Callable]:
    """Makes an attack of a function."""

    def add(function: Callable) -> Callable:
        ATTACKS[function] = strategies
        return function

    return add


def attempt(name: str, function: Callable[[], object]) -> None:
    """ValueError in one line, SystemExit(0) for --help and an answer are right; whatever else rises."""
    tried[name] += 1
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            function()
    except SystemExit as end:
        if end.code not in (0, None):
            raise
    except ValueError as error:
        if not str(error):
            raise


@cache
def space(name: str) -> search_spaces.SearchSpace:
    return search_spaces.load(name)


@cache
def flags(config: type) -> tuple[str, ...]:
    """All flags of a script."""
    own = [f"--{field.name.replace('_', '-')}" for field in fields(config)]
    inner = [field.default_factory() for field in fields(config) if callable(field.default_factory)]
    return (*own, *(flag for part in inner if is_dataclass(part) for flag in flags(type(part))))


@gets(st.sampled_from(SPACES), ROWS)
def encodings(name, rows):
    for function in ("check", "canonical", "cost", "picked", "describe", "build"):
        attempt(f"space.{function}", lambda f=function: getattr(space(name), f)(rows))


@gets(st.sampled_from(SPACES), WORDS)
def words_of_a_space(name, text):
    attempt("space.parse", lambda: space(name).parse(text))
    attempt("warm_start.read", lambda: warm_start.read([text], space(name)))


@gets(WORDS, SIZES, NUMBERS, st.dictionaries(WORDS, NUMBERS, max_size=2))
def spaces(name, size, classes, options):
    options.pop("name", None)
    known = SPACES[len(name) % len(SPACES)]
    size = None if size is None else min(size, 4096)
    for wanted in (name, known):
        attempt("search_spaces.load", lambda w=wanted: search_spaces.load(w, size, classes, **options))


@gets(st.sampled_from(CONFIGS), st.data())
def arguments(config, draw):
    chosen = draw.draw(st.lists(st.tuples(st.sampled_from(flags(config)), st.lists(WORDS, max_size=2)), max_size=3))
    argv = [text for flag, values in chosen for text in (flag, *values)]
    attempt(f"{config.__module__}.Config", lambda: command.parse(config, argv, ""))


@gets(WORDS, WORDS, st.lists(WORDS, max_size=3))
def limits(low, high, names):
    attempt("parse_objectives", lambda: objectives.parse_objectives(names))
    attempt("parse_limits", lambda: objectives.parse_limits(max_madds=low, min_accuracy=high))


@gets(st.lists(st.integers(-2, 5), max_size=4), st.integers(-2, 12), st.integers(-1, 4), NUMBERS, st.integers(0, 3))
def black_boxes(choices, evaluations, population, value, columns):
    def box(encodings):
        return np.full((len(encodings), columns), value) if columns else value

    attempt("minimise", lambda: minimise(choices, box, evaluations, population=population))


@gets(JSON, st.binary(max_size=60))
def files_of_a_run(content, raw):
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "é run"
        folder.mkdir()
        for text in (json.dumps(content).encode(), json.dumps({"format": 1, "front": content}).encode(), raw):
            for name in ("settings.json", "front.json", "table.json", "table.csv", "archive.sqlite"):
                (folder / name).write_bytes(text)
            attempt("run_folder.read", lambda: run_folder.merge(Config(), run_folder.read(folder).get("settings", {})))
            attempt("front.load", lambda: front.load(folder))
            attempt("table.read", lambda: [table.read(folder / name) for name in ("table.json", "table.csv")])
            attempt("results.load", lambda: results.load(folder, "A"))
            attempt("report", lambda: report.write_page(folder))


PICTURE = (st.sampled_from(MODES), st.sampled_from(ENDINGS), st.integers(1, 40), st.integers(1, 40))


@gets(*PICTURE, SIZES, st.sampled_from(("whole", "cut", "text", "empty")), st.integers(0, 2), st.booleans())
def images(mode, ending, width, height, size, kind, odd, skip):
    """A folder of 12 images of one kind and 12 plain ones; `odd` classes more are empty."""
    with tempfile.TemporaryDirectory() as home:
        root = Path(home) / "bild er é"
        for name in ("a b", "ü"):
            (root / name).mkdir(parents=True)
            for i in range(12):
                Image.new("RGB", (9, 9), (i, 2 * i, 3 * i)).save(root / name / f"{i}.png")
        for i in range(odd):
            (root / f"empty{i}").mkdir()
        _write(root / "ü" / f"odd.{ending}", mode, (width, height), kind)
        try:
            config = data.DataConfig(data="folder", data_root=str(root), image_size=size, skip_corrupt=skip)
        except ValueError:
            return
        attempt("data.load", lambda: data.load(config))


def _write(path: Path, mode: str, shape: tuple[int, int], kind: str) -> None:
    """As far as the file's format takes the mode."""
    buffer = io.BytesIO()
    try:
        Image.new(mode, shape).save(
            buffer, format={"jpg": "JPEG", "tiff": "TIFF"}.get(path.suffix[1:], path.suffix[1:].upper())
        )
    except (OSError, ValueError, KeyError):
        buffer = io.BytesIO(b"GIF89a")
    content = {
        "whole": buffer.getvalue(),
        "cut": buffer.getvalue()[: len(buffer.getvalue()) // 2],
        "text": b"hello",
        "empty": b"",
    }
    path.write_bytes(content[kind])


def attack(function: Callable, cases: int, number: int = 0) -> None:
    """Gives the function so many inputs; what is not an answer or one line rises, with the input that did it."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    wish = settings(max_examples=cases, deadline=None, database=None, suppress_health_check=slow)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seed(number)(wish(given(*ATTACKS[function])(function)))()
