"""The tour: it runs, what it says was computed, and its page is one that a browser shows as meant."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tmebox import tme
from tmebox.tme.explain import explain
from tmebox.tme.lab.page import page
from tmebox.tme.lab.tour import Step, tour

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PROBE = """<script>
addEventListener("load", () => {
  const svgs = [...document.querySelectorAll("svg")];
  const boxes = svgs.map(svg => svg.getBoundingClientRect());
  const clipped = svgs.filter(svg => [...svg.querySelectorAll("text")].some(text => {
    const a = text.getBoundingClientRect(), b = svg.getBoundingClientRect();
    return a.right > b.right + 1 || a.bottom > b.bottom + 1;
  }));
  document.body.dataset.probe = JSON.stringify({
    sections: document.querySelectorAll("section").length, svgs: svgs.length, empty: boxes.filter(box =>
    box.width < 20 || box.height < 20).length, clipped: clipped.map(svg => svg.textContent.slice(0, 200)),
    wide: document.documentElement.scrollWidth - innerWidth, colours: [...new
    Set([...document.querySelectorAll(".key")].map(key => getComputedStyle(key).backgroundColor))], dead:
    [...document.querySelectorAll("a")].filter(a => !document.querySelector(a.hash)).length,
  });
});
</script>"""


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    return list(tour(seed=3))


def found(steps: list[Step], title: str) -> str:
    return next(step.found for step in steps if step.title.startswith(title))


def test_the_tour_shows_what_the_paper_and_the_specification_say(steps: list[Step]) -> None:
    assert len(steps) == 16
    assert "a secret before activation" in found(steps, "Without TME")
    assert "activate-locked" in found(steps, "Firmware")
    assert "pconfig-key-id" in found(steps, "PCONFIG")
    assert "0x1000 under [1], 0x1040 under [2]" in found(steps, "Three sandboxes")
    assert "two" in found(steps, "The owner")
    for title in ("Another sandbox reads", "Another sandbox writes", "A bit flips", "Splicing", "Reset"):
        assert "IntegrityError" in found(steps, title), title
    assert re.search(r"Before.*'new owner'\. After: IntegrityError", found(steps, "Aliases"))
    assert "balance: 1000" in found(steps, "Replay")
    assert "IntegrityError" not in found(steps, "Replay")
    assert "'for both guests'" in found(steps, "Two virtual")
    assert "28 bits: 2^-2" in found(steps, "Forging")


def test_every_layer_says_what_it_saw(steps: list[Step]) -> None:
    for step in steps:
        assert list(step.observed.layers) == ["core", "caches", "engine", "DRAM", "log"]
    flipped = next(step for step in steps if step.title == "A bit flips")
    assert "1 bit of the line" in flipped.observed.layers["DRAM"]
    assert "mac-mismatch (KeyID 1)" in flipped.observed.layers["engine"]
    assert "0x82a" in flipped.observed.layers["log"]


def test_the_other_rule_gives_another_tour(steps: list[Step]) -> None:
    other = list(tour("specification", seed=3))
    assert "The store: IntegrityError" in found(other, "Another sandbox writes")
    assert "The store: done" in found(steps, "Another sandbox writes")
    assert (
        "poison"
        in next(step for step in other if step.title == "Another sandbox reads it").observed.layers["DRAM"]
    )


def test_two_tours_differ_where_keys_do() -> None:
    one, two = (list(tour(seed=seed)) for seed in (1, 2))
    assert found(one, "Cold boot") != found(two, "Cold boot")


class Structure(HTMLParser):
    """Checks that every element is closed, in order."""

    VOID = ("meta", "br", "rect", "!doctype")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_asks_nobody(steps: list[Step]) -> None:
    text = page(steps)
    structure = Structure()
    structure.feed(text)
    assert structure.open == []
    assert "script" not in structure.seen
    assert not re.search(r'(src|href)="(?!#)', text)
    assert text.count("<section") == len(steps)


def test_a_trace_is_a_picture(steps: list[Step]) -> None:
    for step in steps:
        root = ElementTree.fromstring(step.observed.trace.svg())
        groups = root.findall("{http://www.w3.org/2000/svg}g")
        assert len(groups) == len(step.observed.trace)


def test_markup_in_data_is_only_data() -> None:
    machine = tme.Machine(memory="64KiB")
    machine.activate()
    machine.write(0, b"<script>alert(1)</script>")
    from tmebox.tme.lab.observed import Watch

    watch = Watch(machine, (0,), (0,))
    machine.read(0, 8)
    step = Step("<b>", "<i>", "<u>", "<s>", watch.observed())
    text = page([step])
    for markup in ("<script>", "<b>", "<i>", "<u>", "<s>"):
        assert markup not in text


def test_a_browser_shows_the_page_as_meant(steps: list[Step], tmp_path: Path) -> None:
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no chromium to look at the page with")
    file, picture = tmp_path / "tour.html", tmp_path / "tour.png"
    file.write_text(page(steps).replace("</head>", f"{PROBE}</head>"), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    command += ["--window-size=1100,2000", "--hide-scrollbars", "--virtual-time-budget=5000"]
    dump = subprocess.run(
        [*command, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=240, check=False
    )
    match = re.search(r'data-probe="([^"]*)"', dump.stdout)
    if match is None:
        pytest.skip(f"{browser} does not run here: {dump.stderr.strip()[-200:]}")
    seen = json.loads(match[1].replace("&quot;", '"'))
    assert seen["sections"] == len(steps)
    assert seen["svgs"] > 2 * len(steps)
    assert seen["empty"] == 0
    assert seen["clipped"] == []
    assert seen["wide"] <= 0, "nothing sticks out of the page"
    assert len(seen["colours"]) == 4, "each KeyID has its colour"
    assert seen["dead"] == 0
    subprocess.run(
        [*command, f"--screenshot={picture}", file.as_uri()], check=True, capture_output=True, timeout=240
    )
    assert picture.stat().st_size > 20_000, "the picture is not empty"


def test_explain_says_what_then_happens() -> None:
    """Every explanation of a read is compared with the read."""
    for detection in ("paper", "specification"):
        machine = tme.Machine(
            "64KiB", 3, cache="4KiB", ways=4, detection=detection, tdx_key_id_bits=1, seed=1
        )
        machine.activate()
        for key_id in (1, 2):
            machine.pconfig(key_id, "random")
        machine.pconfig(3, "no-encrypt")
        for address, key_id in ((0, 1), (64, 2), (128, 3), (192, 0)):
            machine.direct_store(address, b"x" * 64, key_id=key_id)
        machine.read(0, 1, key_id=1)
        for address in (0, 64, 128, 192, 256):
            for key_id in range(8):
                said = {fact.where: fact.what for fact in explain(machine, address, key_id)}["a read now"]
                before = machine.counters()["hit"]
                try:
                    machine.read(address, 1, key_id=key_id)
                    assert "machine check" not in said and "SEAM" not in said, (address, key_id, said)
                    assert ("hits the cache" in said) == (machine.counters()["hit"] > before)
                except tme.IntegrityError:
                    assert "machine check" in said, (address, key_id, said)
                except tme.AccessError:
                    assert "SEAM" in said


def test_explain_names_the_parts_of_the_address() -> None:
    machine = tme.Machine("64KiB", 6)
    facts = {fact.where: fact.what for fact in explain(machine, 0x1047, 0)}
    assert "TME-MK is not active" in facts["physical address"]
    machine.activate()
    facts = {fact.where: fact.what for fact in explain(machine, 0x1047, 3)}
    assert "line 0x1040, byte 7" in facts["address"]
    assert "KeyID 3 in bits 51:46" in facts["physical address"]
    assert facts["page-table entry"].startswith(f"{0x1007 | 3 << 46:#018x}")
    assert "none" in {fact.where: fact.what for fact in explain(machine, 1 << 40, 3)}["memory"]
    with pytest.raises(tme.AccessError):
        explain(machine, 0, 64)
