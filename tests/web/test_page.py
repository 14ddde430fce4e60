"""The page in a real browser: what is clicked, dragged and typed, and that nothing is asked of anybody."""

import functools
import json
import math
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import throughtime
from throughtime import DataError
from throughtime.web import serving
from throughtime.web.page import render

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE = '</script><img src=x onerror="document.body.id=1">&\u2028<!--'
Make = Callable[..., dict[str, Any]]


def test_size(make_document: Make) -> None:
    assert len(render({}).encode()) < 100_000


def test_nothing_is_written_that_is_no_json(make_document: Make) -> None:
    with pytest.raises(DataError, match=r'spell such numbers "NaN"'):
        render({"title": "runs/a", "figures": [math.nan]})


def test_text_cannot_leave_its_element(make_document: Make) -> None:
    page = render({"title": HOSTILE})
    assert "<img" not in page
    said = re.search(r'<script type="application/json" id="document">(.*?)</script>', page, re.DOTALL)
    assert said is not None
    assert not set(said[1]) & set("<>&\u2028")
    assert json.loads(said[1]) == {"title": HOSTILE}


def test_modules_name_only_one_another() -> None:
    folder = Path(throughtime.__file__).parent / "web" / "page"
    modules = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.js")}
    assert {path.suffix for path in folder.iterdir()} == {".js", ".css", ".html"}
    for name, source in modules.items():
        assert len(source.splitlines()) < 250, name
        assert set(re.findall(r"from '([^']+)';", source)) <= set(modules), name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|fetch\(", source), name


class Visit:
    """One opened page, and everything it said and asked for."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.on("request", lambda request: self.asked.append(request.url))

    def go(self, fragment: str = "") -> None:
        self.page.goto("about:blank")
        self.page.goto(self.address + fragment)
        self.page.wait_for_selector("html[data-ready]")

    @property
    def hash(self) -> dict[str, str]:
        fragment = self.page.evaluate("location.hash.slice(1)")
        return dict(part.split("=") for part in fragment.split("&") if part)

    def text(self, selector: str) -> str:
        return " ".join((self.page.text_content(selector) or "").split())

    def middle(self, step: int, row: str = "losses") -> tuple[float, float]:
        """Where the column of a step meets a row."""
        x, y = self.page.evaluate(
            """([step, row]) => {
                document.querySelector(`#strip .row.${row}`).scrollIntoView({ block: 'center' });
                const box = document.querySelector('#strip').getBoundingClientRect();
                const loss = (t) => document.querySelector(`[data-step="${t}"]`).getBoundingClientRect();
                const of = document.querySelector(`#strip .row.${row}`).getBoundingClientRect();
                return [(loss(step).left + loss(step).right) / 2, Math.max(of.top, box.top) + 8];
            }""",
            [step, row],
        )
        return x, y

    def click(self, step: int, row: str = "losses", *modifiers: str) -> None:
        x, y = self.middle(step, row)
        for key in modifiers:
            self.page.keyboard.down(key)
        self.page.mouse.click(x, y)
        for key in modifiers:
            self.page.keyboard.up(key)

    def drag_wall(self, step: int) -> None:
        (x, _), (after, _) = self.middle(step), self.middle(step + 1)
        tab = self.page.locator("#wall .wall-tab").bounding_box()
        self.page.mouse.move(tab["x"] + tab["width"] / 2, tab["y"] + 8)
        self.page.mouse.down()
        self.page.mouse.move(x, tab["y"] + 8, steps=4)
        self.page.mouse.move(x - (after - x) / 2, tab["y"] + 8)
        self.page.mouse.up()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Visit]]:
    """Opens a document from a file; at the end nothing may have been said or asked for."""
    contexts, visits = [], []

    def opened(document: dict[str, Any], fragment: str = "", width: int = 1280, **settings: Any) -> Visit:
        path = tmp_path / "explorer.html"
        path.write_text(render(document), encoding="utf-8")
        contexts.append(
            browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce", **settings)
        )
        contexts[-1].set_default_timeout(3000)
        visits.append(Visit(contexts[-1].new_page(), path.as_uri()))
        visits[-1].go(fragment)
        return visits[-1]

    yield opened
    for one in visits:
        assert not re.search(r"\bnull\b|undefined|\[object", one.page.text_content("main"))
    for context in contexts:
        context.close()
    for one in visits:
        assert one.said == []
        assert [url for url in one.asked if not url.startswith(("data:", one.address))] == []


@functools.cache
def jump(make: Make, anchor: int, step: int) -> float:
    """The logarithm of what is left, worked out from the document."""
    layer = make()["layers"][0]
    row = layer["flow"][0][layer["anchors"].index(anchor)]
    return row[step] - row[anchor]


def test_a_loss_is_followed(visit: Callable[..., Visit], make_document: Make) -> None:
    seen = visit(make_document())
    assert "the loss of step 59" in seen.text("#story")
    seen.click(54)
    assert seen.hash == {"loss": "54"}
    assert "the loss of step 54" in seen.text("#story")
    exponent = math.floor(jump(make_document, 54, 0))
    assert str(-exponent).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")) in seen.text("#story")
    assert seen.page.locator(".arc.flow").count() > 5
    assert seen.text('[data-fate="below"]') == "below float precision"


def test_the_nearest_followed_loss_is_taken_and_named(visit: Callable[..., Visit], make_document: Make) -> None:
    seen = visit(make_document(anchors=9))
    followed = make_document(anchors=9)["layers"][0]["anchors"]
    assert 40 not in followed
    seen.click(40)
    nearest = min(followed, key=lambda s: abs(s - 40))
    assert f"{nearest} is the nearest that was" in seen.text("#nearest")
    assert f"the loss of step {nearest}" in seen.text("#story")


@pytest.mark.parametrize("how", [("losses", "Shift"), ("arcs",)])
def test_a_path_is_opened(visit: Callable[..., Visit], make_document: Make, how: tuple[str, ...]) -> None:
    seen = visit(make_document(), "#loss=50")
    seen.click(44, *how)
    assert seen.hash == {"loss": "50", "step": "44"}
    assert seen.text("#path h2").startswith("From ℓ₅₀ back to h₄₄")
    product = seen.text("#product")
    nats = jump(make_document, 50, 44) * math.log(10)
    assert f"e{nats:.2f}".replace("-", "−") in product
    assert "strongest drop" in seen.text("#drop")
    assert "squashing" in seen.text("#drop")
    seen.page.click("#path summary >> text=All 6 jumps")
    seen.page.wait_for_selector("#path tbody")
    assert seen.page.locator("#path tbody tr").count() == 6
    seen.page.click("#path >> text=close")
    assert seen.hash == {"loss": "50"}
    assert seen.text("#path") == ""


def test_shares_are_told_by_path(visit: Callable[..., Visit], make_document: Make) -> None:
    seen = visit(make_document("lstm", layers=2, rate=-0.02, text="abc \n"), "#layer=1&loss=50&step=20")
    seen.page.locator("#path .ladder").first.hover()
    told = [float(share.replace("−", "-")) for share in re.findall(r"(−?[\d.]+) %", seen.text("#jump"))]
    assert len(told) == 6
    assert sum(told) == pytest.approx(100, abs=1)
    assert seen.page.locator(".symbol").count() == 120
    seen.page.select_option("#choose-layer", "0")
    assert seen.hash["layer"] == "0"
    assert "LSTM 0" in seen.text("#profile")
    seen.page.select_option("#choose-sample", "2")
    assert seen.hash["sample"] == "9"


def test_the_wall_is_dragged(visit: Callable[..., Visit], make_document: Make) -> None:
    document = make_document(rate=-0.05)
    seen = visit(document, "#step=3")
    assert seen.page.locator('[data-fate="cut"]').count() == 0
    seen.drag_wall(20)
    assert seen.hash == {"step": "3", "wall": "20"}
    assert seen.text('[data-fate="cut"]') == "cut"
    norms = [10**v for v in document["layers"][0]["flow"][0][-1]]
    share = 100 * sum(norms[:20]) / sum(norms)
    told = re.search(r"K = 40: the wall cuts 20 steps and ([\d.]+) % of the summed norms", seen.text("#walled"))
    assert told is not None
    assert float(told[1]) == pytest.approx(share, rel=0.05)
    assert "cut" in seen.text("#product")
    seen.page.focus("#wall")
    seen.page.keyboard.press("ArrowRight")
    assert seen.hash["wall"] == "21"
    assert seen.page.get_attribute("#wall", "aria-valuenow") == "21"
    seen.click(10)
    assert "cuts nothing" in seen.text("#walled")


def test_a_run_that_truncates_starts_with_its_wall(visit: Callable[..., Visit], make_document: Make) -> None:
    seen = visit({**make_document(), "truncation": 16})
    assert "K = 16" in seen.text("#walled")


def test_a_link_restores_everything_and_back_goes_back(visit: Callable[..., Visit], make_document: Make) -> None:
    link = "#layer=0&loss=50&step=30&wall=12&scale=relative&from=10&to=58&sample=9&weights=1"
    seen = visit(make_document("lstm", layers=2, rate=-0.1), link)
    assert "the loss of step 50" in seen.text("#story")
    assert "K = 39" in seen.text("#walled")
    assert seen.page.input_value("#choose-layer") == "0"
    assert seen.page.input_value("#choose-sample") == "2"
    assert seen.page.input_value("#choose-weights") == "1"
    assert seen.page.get_attribute('[data-value="relative"]', "aria-pressed") == "true"
    assert seen.page.locator("circle.loss").count() == 48
    assert "z₃₀" in seen.text("#path h2")
    seen.click(45)
    seen.page.click('[data-value="rolled"]')
    assert seen.hash["view"] == "rolled"
    assert seen.page.is_visible("#rolled")
    assert not seen.page.is_visible("#strip")
    assert "used 60 times" in seen.text("#rolled h2")
    seen.page.go_back()
    assert seen.page.is_visible("#strip")
    assert "the loss of step 45" in seen.text("#story")
    seen.page.go_back()
    assert "the loss of step 50" in seen.text("#story")
    seen.page.go_forward()
    assert "the loss of step 45" in seen.text("#story")


def test_a_broken_link_opens_the_usual_picture(visit: Callable[..., Visit], make_document: Make) -> None:
    seen = visit(make_document(), "#loss=9999&step=x&layer=-4&scale=huge&from=50&to=20&sample=77&wall=NaN")
    assert "the loss of step 59" in seen.text("#story")
    assert seen.page.locator("circle.loss").count() == 60


def test_everything_is_reached_by_keys(visit: Callable[..., Visit], make_document: Make) -> None:
    seen = visit(make_document())
    keyboard, reached = seen.page.keyboard, set()
    for _ in range(30):
        keyboard.press("Tab")
        reached.add(seen.page.evaluate("document.activeElement.id || document.activeElement.dataset.value || ''"))
    assert {"strip", "wall", "theme", "help-open", "choose-sample", "choose-weights", "rolled", "relative"} <= reached
    seen.page.focus("#strip")
    for key in ("ArrowLeft",) * 9:
        keyboard.press(key)
    assert "step 50" in seen.text("#readout")
    keyboard.press("Enter")
    keyboard.press("PageUp")
    keyboard.press("Shift+Enter")
    assert seen.hash == {"loss": "50", "step": "40"}
    keyboard.press("w")
    keyboard.press("]")
    keyboard.press("r")
    keyboard.press("+")
    assert {name: seen.hash[name] for name in ("wall", "scale")} == {"wall": "41", "scale": "relative"}
    assert int(seen.hash["to"]) - int(seen.hash["from"]) == 30
    keyboard.press("Escape")
    assert "step" not in seen.hash
    keyboard.press("?")
    assert seen.page.is_visible("#help")
    assert "Shift + Enter" in seen.text("#help")
    keyboard.press("Escape")
    assert not seen.page.is_visible("#help")


def test_a_long_sequence_has_a_window(visit: Callable[..., Visit], make_document: Make) -> None:
    seen = visit(make_document("gru", 1000, rate=-0.01, anchors=32, samples=1))
    assert seen.page.is_visible("#overview")
    shown = seen.page.locator("circle.loss").count()
    assert 60 < shown < 300
    box = seen.page.locator("#overview").bounding_box()
    seen.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 10)
    assert 370 < int(seen.hash["from"]) < 520
    seen.page.click("text=all 1000")
    assert seen.hash == {"from": "0", "to": "1000"}
    assert not seen.page.is_visible("#overview")
    assert 20 < seen.page.locator(".arc").count() < 200


def test_what_is_not_finite_is_told_in_words(visit: Callable[..., Visit], make_document: Make) -> None:
    document = make_document(rate=0.3, word="exploding")
    for rows in document["layers"][0]["flow"]:
        for row in rows:
            row[:] = [None if v is None else "NaN" if v > 4 else "Infinity" if v > 3 else v for v in row]
    document["layers"][0]["flow"][0][-1][0] = "-Infinity"
    document["losses"][0][30], document["losses"][0][31] = "NaN", "Infinity"
    seen = visit(document, "#step=1")
    assert seen.text('[data-fate="unbounded"]') == "not finite"
    assert "exactly nothing of the gradient is left" in seen.text("#story")
    assert {"NaN", "∞"} == set(seen.page.locator("text.loss-word").all_text_contents())
    assert "not a number" in seen.text("#product")
    seen.drag_wall(20)
    assert "cannot be told" in seen.text("#walled")


def test_a_reset_is_not_a_zero(visit: Callable[..., Visit], make_document: Make) -> None:
    seen = visit(make_document("gru", 60, rate=-0.05, resets=(30,)), "#step=10")
    assert seen.text('[data-fate="reset"]') == "another sequence"
    assert "a reset stands between" in seen.text("#product")
    seen.page.locator("details.numbers summary").click()
    assert "not a number" not in seen.text("#path")
    assert "29 steps back" in seen.text("#story")


def test_hostile_text_is_shown_as_it_is(visit: Callable[..., Visit], make_document: Make) -> None:
    document = make_document(title=HOSTILE, text=HOSTILE)
    document["layers"][0]["name"] = document["notes"][0] = document["remedies"][0]["title"] = HOSTILE
    seen = visit(document)
    assert "<img src=x" in seen.text(".eyebrow")
    assert "<img src=x" in seen.text("#remedies h3")
    assert seen.page.locator("img").count() == 0
    assert seen.page.evaluate("document.body.id") == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_can_be_read(visit: Callable[..., Visit], make_document: Make, scheme: str) -> None:
    seen = visit(make_document(), "#step=50", color_scheme=scheme)
    assert seen.page.evaluate("document.documentElement.dataset.theme") == scheme
    faint = seen.page.evaluate(CONTRAST)
    assert faint == []
    seen.page.click("#theme")
    assert seen.page.evaluate("document.documentElement.dataset.theme") != scheme
    assert seen.page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("view", ["unrolled", "rolled"])
def test_a_telephone_shows_it_without_overflow(visit: Callable[..., Visit], make_document: Make, view: str) -> None:
    seen = visit(make_document("lstm", text="deep learning "), f"#step=40&view={view}", width=390)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_layer_without_recurrence_and_a_reversed_one(visit: Callable[..., Visit], make_document: Make) -> None:
    document = make_document(rate=-0.05)
    layer = document["layers"][0]
    layer.update(reverse=True, anchors=[59 - s for s in layer["anchors"]])
    layer["flow"] = [[row[::-1] for row in rows] for rows in layer["flow"]]
    seen = visit(document, "#loss=5&step=30")
    assert "54 steps on" in seen.text("#story")
    assert seen.text("#path h2").endswith("25 steps")
    layer.update(recurrent=False, kind="inputs", parts=["x"], weights=[], split=None, paths=[], reverse=False)
    layer.update(shares=[[[] for _ in layer["anchors"]] for _ in document["samples"]], formulas={})
    layer["flow"] = [[row[::-1] for row in rows] for rows in layer["flow"]]
    layer["anchors"] = [59 - s for s in layer["anchors"]]
    seen = visit(document, "#step=50")
    assert "back to x₅₀" in seen.text("#path h2")
    assert not seen.page.is_visible("#choose-weights")
    assert seen.page.locator("#choose-view").count() == 0


def test_a_server_asks_for_no_more(browser: Any, make_document: Make) -> None:
    with serving(render(make_document())) as address:
        context = browser.new_context()
        seen = Visit(context.new_page(), address)
        seen.go()
        seen.page.click('[data-value="relative"]')
        assert seen.hash == {"scale": "relative"}
        assert seen.said == []
        assert [url for url in seen.asked if not url.startswith(("data:", "about:"))] == [address]
        context.close()


CONTRAST = """() => {
    const channels = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92
        : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (node) => {
        for (let one = node; one; one = one.parentElement) {
            const found = channels(getComputedStyle(one).backgroundColor);
            if (found.length < 4 || found[3] > 0.5) return found;
        }
    };
    const faint = [];
    for (const node of document.querySelectorAll('body *')) {
        const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
        if (!own || !node.getClientRects().length || node.closest('script, style, title, .wall, .skip')) continue;
        const style = getComputedStyle(node);
        const [a, b] = [light(channels(node.ownerSVGElement ? style.fill : style.color)), light(ground(node))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const name = `${node.tagName}.${node.getAttribute('class')}`;
        if (ratio < 4.5) faint.push(`${name} ${ratio.toFixed(2)} ${node.textContent}`);
    }
    return faint;
}"""
