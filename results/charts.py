"""The report's figures for the page, as Bokeh models: colours and the front's points come from the page's script.

Text that a run folder brings (proposers, classes, notes) never enters a figure: Bokeh reads TeX out of it.
"""

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, Range1d, TapTool
from bokeh.plotting import figure

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c6bb1", "#7f7f7f")  # Okabe, Ito 2008
TOOLS = "pan,box_zoom,wheel_zoom,reset,save"


def _figure(name: str, height: int, tools: str = TOOLS, **options) -> figure:
    """Nothing drags or scrolls at first: a finger on it moves the page."""
    drawn = figure(name=name, height=height, sizing_mode="stretch_width", tools=tools, **options)
    drawn.background_fill_color = drawn.border_fill_color = drawn.outline_line_color = (
        None  # the page's own shine through
    )
    drawn.toolbar.active_drag = drawn.toolbar.active_scroll = None
    drawn.toolbar.autohide, drawn.toolbar.logo = True, None
    return drawn


def front() -> figure:
    """Empty sources: dominated, front, picks, shown. The script fills them for the two axes chosen."""
    drawn = _figure("front", 440)
    columns = {"x": [], "y": [], "colour": [], "index": []}
    sources = {n: ColumnDataSource(columns, name=f"{n}-points") for n in ("dominated", "front", "picks", "shown")}
    look = {"fill_color": "colour", "line_color": None}
    dominated = drawn.scatter("x", "y", source=sources["dominated"], size=4, fill_alpha=0.18, **look)
    best = drawn.scatter("x", "y", source=sources["front"], size=8, fill_alpha=0.9, **look)
    drawn.scatter("x", "y", source=sources["shown"], size=17, fill_color=None, line_color="colour", line_width=2.5)
    drawn.scatter("x", "y", source=sources["picks"], size=13, fill_color=None, line_color="colour", line_width=1.5)
    letters = {"text_font_size": "13px", "text_font_style": "bold", "text_color": "colour", "x_offset": 8}
    drawn.text("x", "y", text="name", y_offset=-6, source=sources["picks"], **letters)
    sources["picks"].data["name"] = []
    for glyph in (dominated, best):
        glyph.nonselection_glyph = glyph.selection_glyph = None
    points = {"renderers": [best, dominated], "visible": False}
    drawn.add_tools(HoverTool(tooltips=None, **points), TapTool(**points))
    return drawn


def lines(name: str, curves: list[np.ndarray], x: str, y: str, height: int = 260) -> figure:
    """One line (S, 2) per curve, in COLOURS' order."""
    drawn = _figure(name, height, x_axis_label=x, y_axis_label=y)
    drawn.xaxis.ticker.desired_num_ticks = 5
    for k, curve in enumerate(curves):
        draw = drawn.line if len(curve) > 1 else drawn.scatter  # one point is no line
        draw(*np.asarray(curve).T.tolist(), line_width=2.5 if k == 0 else 1.8, color=COLOURS[k % len(COLOURS)])
    return drawn


def shares(names: list[str], places: list[str], share: np.ndarray) -> figure:
    """Options against places, (K, P): the larger the share, the fuller the square."""
    rows, columns = share.shape
    layers = places[0].isdigit()
    height = (90 if layers else 190) + 26 * rows
    drawn = _figure("shares", height, tools="save", y_range=names[::-1], x_axis_label="layer" if layers else "edge")
    drawn.x_range = Range1d(0.5, columns + 0.5)
    drawn.xaxis.ticker = FixedTicker(ticks=list(range(1, columns + 1, 2 if layers and columns > 12 else 1)))
    drawn.xaxis.major_label_overrides = dict(enumerate(places, 1))
    drawn.xaxis.major_label_orientation = "horizontal" if layers else "vertical"
    k, place = np.nonzero(~np.isnan(share))
    values = share[k, place]
    data = {
        "place": (place + 1).tolist(),
        "option": [names[i] for i in k],
        "alpha": (0.75 * values / values.max()).tolist(),
    }
    data["percent"] = [f"{100 * v:.0f}" if v >= 0.005 else "" for v in values]
    source = ColumnDataSource(data, name="shares")
    box = {"width": 0.94, "height": 0.92, "line_color": None, "fill_color": COLOURS[0]}
    drawn.rect("place", "option", fill_alpha="alpha", source=source, **box)
    middle = {"text_align": "center", "text_baseline": "middle", "text_font_size": "10px"}
    drawn.text("place", "option", text="percent", source=source, name="percent", **middle)
    drawn.xgrid.visible = drawn.ygrid.visible = False
    return drawn


def scatter(name: str, points: np.ndarray, x: str, y: str) -> figure:
    """Points (N, 2)."""
    drawn = _figure(name, 300, x_axis_label=x, y_axis_label=y)
    drawn.scatter(*points.T.tolist(), size=6, line_color=None, fill_color=COLOURS[0], fill_alpha=0.7)
    return drawn
