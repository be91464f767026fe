"""The page in a browser: Debian's Chromium, `apt-get install chromium`."""

import html
import json
import pathlib
import re
import shutil
import subprocess

import pytest

from tests.reports.whole_run_report import REPORT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
WIDTHS = (360, 768, 1280)
# Texts of one picture that overlap, and what is wider than the page; run after the page has loaded.
PROBE = """
addEventListener("load", () => {
  document.querySelectorAll("details").forEach((each) => { each.open = true; });
  const overlaps = [];
  document.querySelectorAll("figure").forEach((figure) => {
    const texts = [...figure.querySelectorAll("svg text")];
    const boxes = texts.map((text) => [text.firstChild.data, text.getBoundingClientRect()]);
    boxes.forEach(([one, a], i) => boxes.slice(i + 1).forEach(([other, b]) => {
      const x = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (x > 1 && y > 4) overlaps.push([one, other]);
    }));
  });
  const heads = [...document.querySelectorAll("th button")];
  heads.find((each) => each.textContent === "bytes").click();
  const column = [...document.querySelectorAll("th[aria-sort]")][0].closest("table").tBodies[0].rows;
  const result = {
    overlaps, title: document.title, width: document.documentElement.scrollWidth, inner: innerWidth,
    sorted: [...column].map((row) => Number(row.cells[1].firstChild.value)),
    resources: performance.getEntriesByType("resource").map((each) => each.name),
  };
  const output = document.createElement("pre");
  output.id = "probe";
  output.textContent = JSON.stringify(result);
  parent.document.body.append(output);
});
"""


def chromium(tmp_path, *arguments):
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000"]
    done = subprocess.run([CHROMIUM, *options, *arguments], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overlaps_or_leaves_the_page(tmp_path, width):
    # In a frame, which may be narrower than the least window of Chromium.
    framed = html.escape(REPORT.to_html().replace("</script>", f"{PROBE}</script>"))
    page = tmp_path / "frame.html"
    page.write_text(f'<!DOCTYPE html><meta charset="utf-8"><iframe width="{width}" height="2000" srcdoc="{framed}">')
    printed, console = chromium(tmp_path, "--window-size=1600,2100", "--dump-dom", page.as_uri())
    probe = json.loads(html.unescape(re.search(r'<pre id="probe">(.*?)</pre>', printed).group(1)))
    assert not console
    assert probe["resources"] == [] and probe["overlaps"] == []
    assert probe["inner"] == width and probe["width"] <= width, "tables scroll, not the page"
    assert probe["sorted"] == sorted(probe["sorted"]) and len(probe["sorted"]) > 2
    assert probe["title"] == f"{REPORT.model}: tfmp report"


def test_a_link_to_a_point_opens_its_bits(tmp_path):
    page = tmp_path / "report.html"
    REPORT.to_html(page)
    printed, console = chromium(tmp_path, "--dump-dom", f"{page.as_uri()}#point-1")
    assert not console and re.search(r'<details id="point-1" open="">', printed)
    assert re.search(r'<details id="point-0">', printed)


def test_it_is_drawn(tmp_path):
    page, picture = tmp_path / "report.html", tmp_path / "page.png"
    REPORT.to_html(page)
    chromium(tmp_path, "--window-size=768,2000", f"--screenshot={picture}", page.as_uri())
    assert pathlib.Path(picture).stat().st_size > 20_000
