import base64
import csv
import hashlib
import html
import json
import re
import shutil
import sqlite3
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

import search_spaces
from evo.archive import Archive, Generation
from results import figures, front, live, page, reading, relaxed, report, train
from supernet import checkpoint, files, run_folder

EVIL = "<script>alert(1)</script></script><img src=x onerror=alert(2)>"


def data_of(text: str, name: str = "data"):
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text)[1])


def seen(folder) -> str:
    return (folder / "report.html").read_text()


def test_the_page_holds_every_point_and_the_runs_own_front(script, run_copy):
    outcome = script(report, run_copy)
    assert outcome.code == 0, outcome.err
    content, data = front.load(run_copy), data_of(seen(run_copy))
    found = Archive(run_copy / "archive.sqlite").everything()
    assert len(data["codes"]) == len(found.rows)
    assert found.rows.T.tolist() == data["columns"]  # to the last digit: an objective may be of any size
    assert seen(run_copy).count("<tr data-index=") == len(content["front"])
    for pick in content["picks"].values():
        assert page.code(pick["encoding"]) in data["codes"]


def test_what_a_table_said_is_not_called_a_supernets_word(run_copy):
    report.write_page(run_copy)
    assert "<dt>supernet: accuracy</dt>" in seen(run_copy)
    saved = run_folder.read(run_copy)
    files.save_json(run_copy / "settings.json", saved | {"data": {"table": "abc"}})
    report.write_page(run_copy)
    assert "<dt>table: accuracy</dt>" in seen(run_copy)
    assert "<dt>supernet: accuracy</dt>" not in seen(run_copy)


def test_limits_that_nothing_met_leave_no_empty_table_and_no_figure_without_lines(run_copy):
    saved = run_folder.read(run_copy)
    saved["settings"]["search"]["max_madds"] = "1"
    files.save_json(run_copy / "settings.json", saved)
    report.write_page(run_copy)
    assert "None of them meets the limits of the search." in seen(run_copy)
    assert "The front as a table" not in seen(run_copy)
    assert 'data-figure="convergence"' not in seen(run_copy)


def test_the_front_as_csv_is_the_runs_front(script, run_copy):
    script(report, run_copy)
    lines = list(csv.DictReader((run_copy / "front.csv").read_text().splitlines()))
    points = front.load(run_copy)["front"]
    assert [[int(k) for k in line["encoding"].split()] for line in lines] == [p["encoding"] for p in points]
    assert [float(line["accuracy"]) for line in lines] == [p["accuracy"] for p in points]


def test_the_page_needs_no_network_and_lets_only_its_own_scripts_run(script, run_copy):
    script(report, run_copy)
    text = seen(run_copy)
    policy = html.unescape(re.search(r'Content-Security-Policy" content="(.*?)"', text)[1])
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert not re.search(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", text)
    for content in re.findall(r"<script>(.*?)</script>", text, re.DOTALL):
        assert base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() in policy


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """14,000 evaluations of FairNAS's space with made accuracies."""
    folder = tmp_path_factory.mktemp("large")
    space, rng = search_spaces.load("fairnas"), np.random.default_rng(0)
    encodings = np.unique(space.sample(rng, 14_000), axis=0)
    costs = rng.integers(1, 500, (len(encodings), 2)) * 1_000_003
    rows = np.column_stack([rng.integers(0, 50_000, len(encodings)) / 50_000, costs])
    proposers = rng.choice(["random", "evolution", "controller"], len(encodings)).tolist()
    Archive(folder / "archive.sqlite").record(0, Generation(encodings, rows, proposers), 0.5, 1.0)
    settings = {"settings": {"supernet": {}, "search": {}}, "space": space.spec, "data": {}, "versions": {}}
    files.save_json(folder / "settings.json", settings)
    return folder


def test_fourteen_thousand_evaluations_take_five_seconds_and_three_megabytes(large):
    start = time.process_time()
    run = report.write_page(large)
    assert time.process_time() - start < 5
    assert len(run.scored.rows) > 13_900
    assert not run.problems
    assert (large / "report.html").stat().st_size < 3e6


def test_published_networks_stand_beside_the_picks_of_their_space(large):
    text = page.render(reading.read(large))
    for name, found in search_spaces.published.ARCHITECTURES.items():
        if found.space == "fairnas":
            assert f"<h3>{name}</h3>" in text
            assert f"{found.cost[0]:,}" in text


def test_cells_are_shown_by_the_names_of_their_operations(cell_run):
    run = reading.read(cell_run)
    assert not run.problems
    shares = json.dumps(data_of(page.render(run), "figures")["shares"])
    assert "sep_conv_3x3" in shares
    assert "normal 0 to 2" in shares
    assert "none" not in shares  # no edge is no operation


def test_relaxations_show_how_they_fared_and_what_their_weights_became(cell_run, tmp_path):
    text = page.render(reading.read(cell_run))
    figures = data_of(text, "figures")
    for name in relaxed.CURVES:
        assert f"relaxed-{name}" in figures
    picture = base64.b64decode(re.search(r"data:image/svg\+xml;base64,([^\"]*)", text)[1]).decode()
    assert picture.startswith("<svg")
    assert "reduce cell after epoch 4" in picture
    (curves, _), *_ = reading.read(cell_run).relaxations.values()
    assert curves["eigenvalue"] == [[1, 0.3], [3, 0.3]]  # it is not taken in every epoch


def test_a_relaxation_is_drawn_up_to_the_epoch_that_its_rule_returned_to(cell_run, tmp_path):
    run = shutil.copytree(cell_run, tmp_path / "run")
    settings = files.load_json(run / "settings.json", set(), "")
    settings["settings"]["search"]["proposer_stop"] = "skips"
    files.save_json(run / "settings.json", {name: settings[name] for name in ("settings", "space", "data", "versions")})
    ((curves, picture),) = reading.read(run).relaxations.values()
    assert "reduce cell after epoch 1<" in picture  # the first with two skips
    assert [epoch for epoch, _ in curves["skips"]] == [1, 2, 3, 4]


@pytest.mark.parametrize("history", [[{}], [{"epoch": "x"}], 3, [{"epoch": 1, "weights": {"normal": [[1]]}}]])
def test_a_damaged_relaxation_is_named_and_the_rest_shown(cell_run, tmp_path, history):
    run = shutil.copytree(cell_run, tmp_path / "run")
    row = {"loss": 1, "accuracy": 1, "skips": 1, "entropy": 1, "eigenvalue": 1, "encoding": [0]}
    history = [{**row, **part} for part in history] if isinstance(history, list) and history[0] else history
    checkpoint.save(run / "proposer-darts.safetensors", {}, {"kind": "relaxation", "history": history})
    found = reading.read(run)
    assert found.problems
    assert not found.relaxations
    assert len(found.scored.rows) == 30


def test_the_figures_of_cells_hold_the_cells_of_the_picks(script, cell_run, tmp_path):
    run = shutil.copytree(cell_run, tmp_path / "run")
    assert script(report, run, "--figures").code == 0
    assert "sep_conv" in (run / "figures" / "cells-A.svg").read_text()


def test_a_ranking_check_is_shown_with_its_taus_and_its_networks(run_copy):
    content = {"sentence": "Search with it.", "networks": 3, "s_tau": None, "tau": {"madds": [0.5, 0.4, 0.6]}}
    content |= {"truth": [0.1, 0.2, 0.3], "score": [0.3, 0.2, 0.1]}
    files.save_json(run_copy / "ranking.json", content)
    text = page.render(reading.read(run_copy))
    assert "Search with it." in text
    assert "0.500 (0.40 to 0.60)" in text
    assert "ranking" in data_of(text, "figures")
    for wrong in ({"tau": {"madds": [1]}}, {"tau": 3}, {"truth": [1, 2]}, {"truth": "x"}):
        files.save_json(run_copy / "ranking.json", {**content, **wrong})
        assert len(reading.read(run_copy).problems) == 1


def test_strings_of_a_strangers_folder_stay_text(run_copy):
    settings = run_folder.read(run_copy)
    settings["data"]["classes"][0] = settings["settings"]["search"][EVIL] = settings["versions"]["torch"] = EVIL
    files.save_json(run_copy / "settings.json", settings)
    content = front.load(run_copy)
    content["picks"]["A"]["why"] = content["front"][0]["proposer"] = EVIL
    files.save_json(run_copy / "front.json", content)
    card = {"format": 1, "encoding": [EVIL], "recipe": EVIL, "test_accuracy": EVIL}
    (run_copy / "trained").mkdir()
    (run_copy / "trained" / "A.json").write_text(json.dumps(card))
    meta = {"kind": "stand-alone", "history": [{"loss": 1, "accuracy": 0.5}]}
    checkpoint.save(run_copy / "trained" / "A.last.safetensors", {}, meta)
    (run_copy / "ranking.json").write_text(json.dumps({"format": 1, EVIL: EVIL}))
    with sqlite3.connect(run_copy / "archive.sqlite") as db:
        db.execute("UPDATE evaluations SET proposer = ?", (EVIL,))
    run = report.write_page(run_copy)
    assert EVIL in run.scored.proposers
    text = seen(run_copy)
    assert EVIL not in text
    assert "<img" not in text
    assert text.count("&lt;script&gt;alert(1)") >= 8
    assert text.count("</script>") == 4  # the page's own
    assert "Stand-alone training" in text


def test_figures_for_papers(script, run_copy):
    with sqlite3.connect(run_copy / "archive.sqlite") as db:
        db.execute("UPDATE evaluations SET proposer = '$\\frac{' WHERE id > 20")
    outcome = script(report, run_copy, "--figures")
    assert outcome.code == 0, outcome.err
    names = ("front-madds", "front-params", "convergence", "supernet-loss", "supernet-accuracy", "options")
    assert outcome.out.splitlines()[-1] == f"figures: {', '.join(names)} in {run_copy / 'figures'}"
    for name in names:
        assert (run_copy / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert b"</svg>" in (run_copy / "figures" / f"{name}.svg").read_bytes()


def test_picks_that_are_one_point_are_written_side_by_side(run_copy):
    run = reading.read(run_copy)
    one = run._replace(scored=Generation(run.scored.encodings[:1], run.scored.rows[:1], run.scored.proposers[:1]))
    axes = figures._front(one._replace(front={}), "madds").axes[0]
    assert [text.get_text() for text in axes.texts] == ["A B C knee"]


def test_stand_alone_networks_stand_beside_what_the_supernet_said(script, run_copy):
    assert script(train, run_copy, "--pick", "A", "--epochs", "2", "--threads", "1").code == 0
    script(report, run_copy)
    card = json.loads((run_copy / "trained" / "A.json").read_text())
    assert seen(run_copy).count(f"{card['test_accuracy']:.4f}") >= 2  # on the pick's card and in the table
    assert "trained-loss" in data_of(seen(run_copy), "figures")


def test_what_was_trained_under_a_picks_name_is_not_shown_as_another_network(script, run_copy):
    assert script(train, run_copy, "--pick", "A", "--epochs", "1", "--threads", "1").code == 0
    card = json.loads((run_copy / "trained" / "A.json").read_text())
    script(report, run_copy)
    shown = seen(run_copy).count(f"{card['test_accuracy']:.4f}")
    other = {name: value for name, value in card.items() if name not in ("format", "checksum")}
    other["encoding"] = [5 - option for option in card["encoding"]]  # as the A of before a longer search
    files.save_json(run_copy / "trained" / "A.json", other)
    script(report, run_copy)
    assert seen(run_copy).count(f"{card['test_accuracy']:.4f}") == shown - 1


def test_a_run_that_has_only_begun_is_shown_as_far_as_it_is(script, run_copy):
    (run_copy / "front.json").unlink()
    (run_copy / "archive.sqlite").unlink()
    outcome = script(report, run_copy)
    assert outcome.code == 0, outcome.err
    assert "No architecture has been scored yet" in seen(run_copy)
    assert "Supernet training" in seen(run_copy)


def test_a_front_without_its_archive_is_shown(script, run_copy):
    (run_copy / "archive.sqlite").unlink()
    script(report, run_copy)
    assert len(data_of(seen(run_copy))["codes"]) == len(front.load(run_copy)["front"])


def test_of_a_damaged_archive_the_readable_rows_are_shown_and_the_rest_is_named(script, run_copy):
    with sqlite3.connect(run_copy / "archive.sqlite") as db:
        db.execute("UPDATE evaluations SET encoding = '[9, 9]' WHERE id = 3")
        db.execute("UPDATE evaluations SET encoding = 'x' WHERE id = 4")
        db.execute("UPDATE evaluations SET accuracy = 'high' WHERE id = 5")
    outcome = script(report, run_copy)
    assert outcome.code == 0
    assert "not read: 3 of 60 scored rows are left out" in outcome.out
    assert "3 of 60 scored rows" in seen(run_copy)
    assert len(data_of(seen(run_copy))["codes"]) == 57


@pytest.mark.parametrize("name", ["archive.sqlite", "front.json", "settings.json", "supernet.safetensors"])
def test_every_damaged_file_is_named_and_the_rest_shown(run_copy, name):
    for content in (b"", b"\xff" * 3000, b'{"format": 1, "space": [], "front": 3}'):
        (run_copy / name).write_bytes(content)
        run = reading.read(run_copy)
        assert any(str(run_copy / name) in problem for problem in run.problems)
        assert len(run.scored.rows)  # where the archive is lost, the front's points
    assert f"{name} is damaged" in page.render(run)


def test_archives_cut_short_or_overwritten_anywhere_are_read_as_far_as_they_go(run_copy, rng):
    path = run_copy / "archive.sqlite"
    whole = path.read_bytes()
    for length in rng.integers(1, len(whole), 20).tolist():
        path.write_bytes(whole[:length])
        run = reading.read(run_copy)
        assert run.problems or len(run.scored.rows) == 60  # the last pages may hold no row
    for _ in range(20):
        noisy = bytearray(whole)
        for place in rng.integers(100, len(whole), 40):
            noisy[place] = int(rng.integers(256))
        path.write_bytes(noisy)
        assert len(reading.read(run_copy).scored.rows) <= 60
    report.write_page(run_copy)


def test_no_run(script, tmp_path):
    outcome = script(report, tmp_path)
    assert outcome.code == 2
    assert "is no run folder" in outcome.err
    assert not list(tmp_path.iterdir())
    assert "--port must be" in script(report, tmp_path, "--port", "99999").err


def test_the_page_of_a_running_search_follows_it(run_copy):
    (run_copy / "front.json").unlink()
    written, stop = [], threading.Event()

    def write_page(folder, live):
        written.append(report.write_page(folder, live))
        if len(written) == 2:
            stop.set()
        return written[-1]

    watcher = threading.Thread(target=live.keep, args=(run_copy, write_page, stop))
    watcher.start()
    while not written:
        time.sleep(0.01)
    assert data_of(seen(run_copy))["live"] == page.RELOAD
    new = Generation(np.array([[5, 5, 5, 5, 5, 5]]), np.array([[0.99, 10, 10]]), ["hand"])
    Archive(run_copy / "archive.sqlite").record(99, new, 0.9, 1.0)
    watcher.join(timeout=20)
    assert len(written) == 2
    assert len(written[1].scored.rows) == len(written[0].scored.rows) + 1
    assert data_of(page.render(written[1]))["live"] == 0


def test_the_server_gives_the_page_and_nothing_else_and_to_this_machine_alone(run_copy):
    report.write_page(run_copy)
    with live.server(run_copy, 0) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        address = f"http://localhost:{served.server_port}"
        assert served.server_address[0] == "127.0.0.1"
        with urllib.request.urlopen(address) as answer:
            assert answer.read().decode() == seen(run_copy)
        asked = [address + "/settings.json", address + "/../settings.json"]
        asked.append(urllib.request.Request(address, headers={"Host": "evil.example"}))
        for request in asked:
            with pytest.raises(urllib.error.HTTPError, match="404") as refused:
                urllib.request.urlopen(request)
            refused.value.close()
        with pytest.raises(ValueError, match="take another --port"):
            live.server(run_copy, served.server_port)
        served.shutdown()
