"""The report in a real browser: what a person can do with it works, and nothing is fetched."""

import json
import shutil
import time

import pytest

from evo.archive import Archive
from results import front, report
from supernet import files, run_folder

selenium = pytest.importorskip("selenium", reason="selenium is not installed")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium with its chromedriver is installed")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
SIZES = {"desktop": (1280, 900, False), "phone": (390, 844, True)}


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(finished_run, tmp_path_factory):
    folder = shutil.copytree(finished_run, tmp_path_factory.mktemp("report") / "run")
    report.write_page(folder)
    return folder / "report.html"


@pytest.fixture
def opened(browser, page):
    """opened("desktop") -> the browser with the report in it, ready."""

    def open_(size: str = "desktop"):
        width, height, mobile = SIZES[size]
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get("about:blank")
        browser.get(page.as_uri())
        wait(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
        return browser

    return open_


def wait(condition, seconds: float = 15.0):
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, "the page did not get there in time"
        time.sleep(0.05)
    return result


def text(browser, name: str) -> str:
    return browser.find_element(By.ID, name).text


POINTS = 'drawn.front.document.get_model_by_name("front-points").data'
SCREEN = """
const [name, k] = arguments, place = document.querySelector("[data-figure=front]");
place.scrollIntoView();
const { frame } = Bokeh.index.roots.find((view) => view.model === drawn.front);
const { data } = drawn.front.document.get_model_by_name(name), box = place.getBoundingClientRect();
return [box.x + frame.x_scale.compute(data.x[k]), box.y + frame.y_scale.compute(data.y[k])].map(Math.round);
"""  # where in the window the k-th point of a source is drawn


@pytest.mark.parametrize("size", SIZES)
def test_it_opens_without_an_error_a_request_or_a_sideways_scroll(opened, size):
    browser = opened(size)
    severe = [line for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]
    assert not severe
    sent = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in urls} <= {"file", "data", "about"}
    width, inner = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner
    assert len(browser.find_elements(By.CSS_SELECTOR, "[data-figure]")) == 5


def test_hovering_a_point_tells_about_it_and_draws_it(opened):
    browser = opened()
    for k in (0, 1):
        x, y = browser.execute_script(SCREEN, "front-points", k)
        actions = ActionChains(browser, duration=20)
        actions.w3c_actions.pointer_action.move_to_location(x - 3, y)
        actions.w3c_actions.pointer_action.move_to_location(x, y)
        actions.perform()
        index = browser.execute_script(f"return {POINTS}.index[{k}]")
        code = browser.execute_script("return data.codes[arguments[0]]", index)
        wait(lambda code=code: code in text(browser, "d-code"))
        accuracy = browser.execute_script("return data.columns[0][arguments[0]]", index)
        assert f"{accuracy:.4f}" in text(browser, "d-list")
        assert "proposed by" in text(browser, "d-list")
        assert len(browser.find_elements(By.CSS_SELECTOR, "#d-drawing svg rect")) == 6


def test_touching_a_point_tells_about_it(opened):
    browser = opened("phone")
    x, y = browser.execute_script(SCREEN, "front-points", 1)
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    code = browser.execute_script(f"return data.codes[{POINTS}.index[1]]")
    wait(lambda: code in text(browser, "d-code"))


def test_cells_are_drawn_edge_by_edge_and_told_as_the_flag_encoding_takes_them(browser, cell_run, tmp_path):
    folder = shutil.copytree(cell_run, tmp_path / "cells")
    run = report.write_page(folder)
    browser.get((folder / "report.html").as_uri())
    wait(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    for encoding in run.scored.encodings.tolist():
        code = run.space.code(encoding)
        assert browser.execute_script("return describe(arguments[0])", code) == run.space.describe(encoding)
        edges = sum(len(graph.edges) for graph in run.space.graphs(encoding).values())
        assert browser.execute_script("return draw(arguments[0]).querySelectorAll('path').length", code) == edges
    assert "sep_conv_3x3" in text(browser, "kernels")
    assert not [line for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]


def test_a_limit_moves_the_front_by_keyboard(opened):
    browser = opened()
    before = text(browser, "count")
    slider = browser.find_element(By.ID, "limit-madds")
    slider.send_keys(*[Keys.PAGE_DOWN] * 5)
    assert text(browser, "count") != before
    bound = int(text(browser, "says-madds").replace(",", ""))
    inside = browser.execute_script("return data.columns[1].filter((v) => v <= arguments[0]).length", bound)
    assert f"of {inside} within" in text(browser, "count")
    drawn = 'drawn.front.document.get_model_by_name("{}-points").data.index'
    shown = browser.execute_script(f"return [...{drawn.format('front')}, ...{drawn.format('dominated')}]")
    assert len(shown) == inside
    browser.find_element(By.CSS_SELECTOR, "button[type=reset]").click()
    wait(lambda: text(browser, "count") == before)


def test_what_is_sought_high_is_limited_from_below(browser, finished_run, tmp_path):
    folder = shutil.copytree(finished_run, tmp_path / "turned")
    settings = run_folder.read(folder)
    settings["settings"]["search"]["objectives"] = ["accuracy", "madds", "params:max"]
    files.save_json(folder / "settings.json", settings)
    report.write_page(folder)
    browser.get((folder / "report.html").as_uri())
    wait(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    everything = text(browser, "count")
    browser.find_element(By.ID, "limit-params").send_keys(*[Keys.PAGE_UP] * 5)
    bound = int(text(browser, "says-params").replace(",", ""))
    inside = browser.execute_script("return data.columns[2].filter((v) => v >= arguments[0]).length", bound)
    assert f"of {inside} within" in text(browser, "count")
    assert text(browser, "count") != everything


def test_sliders_begin_at_the_limits_of_the_search_and_stay_there_when_the_page_loads_again(
    browser, finished_run, tmp_path
):
    folder = shutil.copytree(finished_run, tmp_path / "limited")
    settings = run_folder.read(folder)
    limit = sorted(point["madds"] for point in front.load(folder)["front"])[3]
    settings["settings"]["search"]["max_madds"] = str(limit)
    files.save_json(folder / "settings.json", settings)
    run = report.write_page(folder)
    browser.get((folder / "report.html").as_uri())
    for _ in range(2):
        wait(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
        assert text(browser, "says-madds") == f"{limit:,}"
        found = browser.execute_script("return front.map((i) => data.codes[i])")
        assert sorted(found) == sorted("".join(map(str, point["encoding"])) for point in run.points())
        browser.refresh()


def test_the_browsers_front_is_the_runs_front(opened, page):
    browser = opened()
    found = browser.execute_script("return front.map((i) => data.codes[i])")
    points = json.loads((page.parent / "front.json").read_text())["front"]
    assert sorted(found) == sorted("".join(map(str, p["encoding"])) for p in points)


def test_an_axis_can_be_changed_and_stays_when_the_page_loads_again(opened):
    browser = opened()
    browser.find_element(By.ID, "x").send_keys("params")
    wait(lambda: browser.execute_script("return drawn.front.below[0].axis_label").startswith("params"))
    x, index = browser.execute_script(f"return [{POINTS}.x[0], {POINTS}.index[0]]")
    params, unit = browser.execute_script(f"return [data.columns[2][{index}], data.measures[2].unit]")
    assert x == pytest.approx(params / unit)
    browser.refresh()
    wait(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    assert browser.execute_script('return document.getElementById("x").value') == "2"


def test_rows_of_the_front_are_reached_by_keyboard(opened):
    browser = opened()
    browser.execute_script('document.getElementById("table").open = true')
    rows = browser.find_elements(By.CSS_SELECTOR, "tr[data-index] button")
    rows[1].send_keys(Keys.TAB)
    assert rows[2].text in text(browser, "d-code")
    assert browser.switch_to.active_element == rows[2]


def test_dark_and_print_have_colours_of_their_own(opened):
    browser = opened()
    label = "return drawn.front.below[0].axis_label_text_color"
    light = browser.execute_script(label)
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": dark})
    try:
        wait(lambda: browser.execute_script(label) != light)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": dark})
        browser.execute_script("dispatchEvent(new Event('beforeprint'))")
        assert browser.execute_script(label) == light
        assert not browser.find_element(By.ID, "controls").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


PLANTED = '</script><script>stolen = 1</script><img src=x onerror="stolen = 1"><svg onload="stolen = 1">$$x$$'


def test_no_script_that_a_stranger_planted_runs(browser, finished_run, tmp_path):
    folder = shutil.copytree(finished_run, tmp_path / "run")
    settings, content = run_folder.read(folder), front.load(folder)
    settings["data"]["classes"] = [PLANTED] * 10
    settings["settings"]["search"] |= {PLANTED: PLANTED, "note": PLANTED}
    settings["versions"] = {PLANTED: PLANTED}
    content["picks"]["A"] |= {"why": PLANTED, "proposer": PLANTED}
    files.save_json(folder / "settings.json", settings)
    files.save_json(folder / "front.json", content)
    (folder / "trained").mkdir()
    files.save_json(folder / "trained" / "A.json", {"encoding": [PLANTED], "recipe": PLANTED, "test_accuracy": PLANTED})
    found = Archive(folder / "archive.sqlite").everything()
    (folder / "archive.sqlite").unlink()
    Archive(folder / "archive.sqlite").record(0, found._replace(proposers=[PLANTED] * len(found.rows)), 0.5, 1.0)
    report.write_page(folder)
    browser.get((folder / "report.html").as_uri())
    wait(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    for row in browser.find_elements(By.CSS_SELECTOR, "tr[data-index] button")[:3]:
        browser.execute_script("arguments[0].focus(); arguments[0].click()", row)
    assert PLANTED in browser.execute_script("return document.body.textContent")
    assert browser.execute_script("return typeof stolen") == "undefined"
    assert not browser.find_elements(By.CSS_SELECTOR, "img, svg[onload]")
