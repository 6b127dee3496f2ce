"""A run as one HTML page that needs no network and nothing beside it.

Every string of a run folder is a stranger's: Jinja escapes it in the markup, `_json` inside a script, and the page's
own policy lets no other script run and no address be fetched.
"""

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bokeh.embed import json_item
from bokeh.resources import Resources
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

import search_spaces
from evo.objectives import Limit
from results import charts, curves, front
from results.reading import Run
from results.verdict import MENDS
from search_spaces import published
from search_spaces.cell import Cell
from search_spaces.chain import Chain
from search_spaces.cost import COLUMNS

ASSETS = Path(__file__).parent / "assets"
RELOAD = 5  # seconds between two looks of a page of a running search
ROWS = 200  # of the front, in its table
STEPS = 200  # of a slider
UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def render(run: Run, live: bool = False) -> str:
    """The whole page; `live`: it loads itself again while nobody uses it."""
    points, picks = run.points(), run.picks()
    data = _data(run, points, picks) | {"live": RELOAD if live and not run.finished else 0}
    scripts = [Markup("\n".join(Resources(mode="inline", components=["bokeh"]).js_raw))]
    scripts.append(Markup((ASSETS / "page.js").read_text()))
    environment = Environment(loader=FileSystemLoader(ASSETS), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["measure"] = measure
    return environment.get_template("page.html").render(
        run=run,
        name=run.folder.resolve().name,
        style=Markup((ASSETS / "page.css").read_text()),
        policy=" ".join(f"'sha256-{_digest(script)}'" for script in scripts),
        scripts=scripts,
        data=_json(data),
        figures=_json({f.name: json_item(f) for f in _figures(run, points)}),
        measures=run.names,
        axes=data["measures"],
        steps=STEPS,
        nouns={**run.nouns, **{name: f"with {mend.flags}" for name, mend in MENDS.items()}},
        points=points[:ROWS],
        hidden=max(0, len(points) - ROWS),
        front_size=len(points),
        judge="table" if "table" in _dict(run.settings).get("data", {}) else "supernet",
        numbers={code: k for k, code in enumerate(data["codes"])},
        code=code,
        cells=isinstance(run.space, Cell),
        cards=_cards(run, picks),
        published=_published(run),
        curves=_legends(run),
        trained=[(name, _colour(k), card) for k, (name, card) in enumerate(_trained(run))],
        relaxations=[(name, _colour(k), _image(r.picture)) for k, (name, r) in enumerate(run.relaxations.items())],
        measured=list(next(iter(run.relaxations.values())).curves) if run.relaxations else [],
        tables=_tables(run),
        written=time.strftime("%Y-%m-%d %H:%M"),
    )


def code(encoding: Sequence[int]) -> str:
    """An encoding as plain numbers; the page's script reads it back."""
    return "".join(map(str, encoding)) if max(encoding) < 10 else ",".join(map(str, encoding))


def measure(value, name: str) -> str:
    """A number as people read it; whatever else it is, as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    if name == "accuracy":
        return f"{value:.4f}"
    return f"{value:,.0f}" if value == round(value) else f"{value:,.4g}"


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _image(svg: str) -> str:
    """An address that holds the picture itself."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _json(content) -> Markup:
    """JSON that cannot end the script element it stands in."""
    return Markup(json.dumps(content).replace("<", "\\u003c"))


def _dict(value) -> dict:
    """Of a damaged file, the mappings in a mapping."""
    pairs = value.items() if isinstance(value, dict) else ()
    return {str(name): inner for name, inner in pairs if isinstance(inner, dict)}


def _data(run: Run, points: list[front.Point], picks: dict) -> dict:
    """What the page's script works on."""
    proposers = list(dict.fromkeys(run.scored.proposers))
    return {
        "measures": [_axis(run, k, name, run.limits if points else ()) for k, name in enumerate(run.names)],
        "codes": [code(encoding) for encoding in run.scored.encodings.tolist()],
        "columns": run.scored.rows.T.tolist(),
        "proposers": proposers,
        "by": [proposers.index(name) for name in run.scored.proposers],
        "layers": _layers(run.space) if isinstance(run.space, Chain) else [],
        "cells": _slots(run.space) if isinstance(run.space, Cell) else None,
        "picks": [{"name": name, "code": code(point["encoding"])} for name, point in picks.items()],
        "colours": charts.COLOURS,
    }


def _layers(space: Chain) -> list[dict]:
    return [{"stage": decision.stage, "options": decision.options} for decision in curves.decisions(space)]


def _slots(space: Cell) -> dict:
    """What the script needs to find the edges in an encoding: see `search_spaces.decisions.Slot`."""
    slots = [
        {"kind": s.edges[0].kind, "to": s.edges[0].to, "which": s.which, "option": s.option}
        | {"edges": [{"source": edge.source, "options": edge.options} for edge in s.edges]}
        for s in space.decisions.layout()
    ]
    return {"inputs": space.inputs, "sparse": space.decisions.sparse, "slots": slots}


def _axis(run: Run, k: int, name: str, limits: Sequence[Limit]) -> dict:
    """How a measure is drawn: its unit, whether it is sought high or low, and the limit that its slider begins at."""
    column = run.scored.rows[:, k]
    largest = column.max(initial=0)
    unit, letter = next(((u, f" ({s})") for u, s in UNITS if largest >= u), (1, ""))
    direction = next((o.direction for o in run.objectives if o.name == name), None)
    floor = direction == "max" or (name == "accuracy" and direction is None)  # whether its slider is a lower limit
    limit = next((each.bound for each in limits if each.name == name and (each.side == "min") == floor), None)
    label = f"{run.nouns.get(name, name)}{letter}"
    axis = {"name": name, "label": label, "unit": unit, "direction": direction, "floor": floor, "limit": limit}
    return axis | {"start": _start(column, floor, limit)}


def _start(column: np.ndarray, floor: bool, limit: float | None) -> int:
    """Of a slider from 0, the column's lowest value, to STEPS, its highest."""
    if limit is None or np.ptp(column) == 0:
        return 0 if floor else STEPS
    return int(np.clip(np.rint(STEPS * (limit - column.min()) / np.ptp(column)), 0, STEPS))


def _figures(run: Run, points: list[front.Point]) -> list:
    found = [charts.front()] if len(run.scored.rows) else []
    if convergence := curves.convergence(run.scored, run.objectives, run.limits, run.names):
        found.append(charts.lines("convergence", list(convergence.values()), "evaluations", "share of the final"))
    found += _training([run.supernet], "supernet")
    found += _training([card["history"] for _, card in _trained(run)], "trained")
    if run.space and points:
        encodings = np.array([point["encoding"] for point in points])
        found.append(charts.shares(*curves.frequencies(run.space, encodings)))
    if run.ranking.points is not None:
        found.append(charts.scatter("ranking", run.ranking.points, "accuracy alone", "the supernet's word"))
    return found + _relaxations(run)


def _relaxations(run: Run) -> list:
    """One figure per measure of how relaxations fare, with a line for each of them."""
    found = [relaxed.curves for relaxed in run.relaxations.values()]
    drawn = {name: [np.array(curves[name]).reshape(-1, 2) for curves in found] for name in (found[0] if found else ())}
    return [charts.lines(f"relaxed-{name}", lines, "epoch", name, height=220) for name, lines in drawn.items()]


def _training(histories: list[list[dict]], name: str) -> list:
    """Loss and accuracy against epochs, one line per training."""
    histories = [history for history in histories if history]
    drawn = []
    for figure in ("loss", "accuracy") if histories else ():
        lines = [np.array([[epoch, row[figure]] for epoch, row in enumerate(h, 1)]) for h in histories]
        drawn.append(charts.lines(f"{name}-{figure}", lines, "epoch", figure, height=220))
    return drawn


def _trained(run: Run) -> list[tuple[str, dict]]:
    """The stand-alone networks that have curves, names first."""
    return [(name, card) for name, card in sorted(run.trained.items()) if card.get("history")]


def _colour(k: int) -> str:
    return charts.COLOURS[k % len(charts.COLOURS)]


def _legends(run: Run) -> list[tuple[str, str]]:
    """Names of the convergence curves and their colours; proposers have the same in the front."""
    names = [curves.ALL, *curves.proposers(run.scored)]
    return [(name, _colour(k)) for k, name in enumerate(names)]


def _cards(run: Run, picks: dict) -> list[dict]:
    """Every pick, with what its stand-alone training gave."""
    return [
        {
            "name": name,
            "why": point.get("why", ""),
            "code": code(point["encoding"]),
            "point": point,
            "card": _trained_as(run, name, point),
        }
        for name, point in picks.items()
    ]


def _trained_as(run: Run, name: str, point: front.Point) -> dict | None:
    """The card of the network trained under this name, if it is this one: a longer search may have another A."""
    card = run.trained.get(name)
    return card if card and card.get("encoding") == point["encoding"] else None


def _published(run: Run) -> list[dict]:
    """The named architectures of this space, at what they cost here."""
    if run.space is None:
        return []
    usual = isinstance(run.space, Chain) and search_spaces.load(run.space.name).spec == run.space.spec
    cards = []
    for name, found in published.ARCHITECTURES.items():
        if found.space == run.space.name and found.encoding is not None:
            cost = found.cost if usual else run.space.cost([found.encoding])[0].tolist()
            point = dict(zip(COLUMNS, cost, strict=True))
            same = (run.scored.encodings == found.encoding).all(1) if len(run.scored.rows) else np.zeros(0, bool)
            point |= {"accuracy": float(run.scored.rows[same, 0][0])} if same.any() else {}
            cards.append({"name": name, "why": found.source, "code": code(found.encoding), "point": point, "of": found})
    return cards


def _tables(run: Run) -> dict[str, list[tuple[str, str]]]:
    """Every setting and version: title -> rows."""
    parts = {f"Settings: {part}": content for part, content in _dict(run.settings.get("settings")).items()}
    parts |= {"Space": run.settings.get("space"), "Images": run.settings.get("data")}
    parts |= {"Versions": run.settings.get("versions")}
    return {title: _rows(content) for title, content in parts.items() if isinstance(content, dict)}


def _rows(content: dict) -> list[tuple[str, str]]:
    texts = {name: ", ".join(map(str, value)) if isinstance(value, list) else value for name, value in content.items()}
    return [(str(name), "none" if value is None else str(value)) for name, value in texts.items()]
