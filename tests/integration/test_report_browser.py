"""Reports in a real browser: they fetch nothing, draw what they should in light and in dark, and say nothing to the console."""

import json
import os
import re
import shutil
import struct
import subprocess
import zlib

import pytest
from conftest import needs_fuse

pytestmark = needs_fuse
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LIGHT, DARK = 1, 0  # blink's preferredColorScheme
WIDTH, HEIGHT = 1000, 1600


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of the bench and one of a drill, whose timeline has most in it."""
    if not CHROMIUM:
        pytest.skip("chromium is not installed: nobody looked at the reports")
    from conftest import Box

    box = Box(tmp_path_factory.mktemp("page"))
    found = {"bench": box.path("bench.html"), "drill": box.path("drill.html")}
    try:
        box.run("bench", "kms", "--files", "50", "--report", found["bench"])
        box.run("drill", "--files", "10", "--report", found["drill"], "migration")
        yield found
    finally:
        box.close()


@pytest.fixture
def page(pages):
    return pages["bench"]


def chromium(tmp_path, *options):
    """A browser without a network, with a profile of its own; its console goes to stderr."""
    words = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
             "--no-first-run", "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
             "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path}/profile",
             f"--window-size={WIDTH},{HEIGHT}", *options]
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, cwd=tmp_path,
                          env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"})


def pixels(path):
    """Rows of RGB from a PNG of 8 bits without interlace, as chromium writes."""
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, idat = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", data[at + 8:at + 21])
            assert depth == 8 and colour in (2, 6) and interlace == 0
        elif kind == b"IDAT":
            idat += data[at + 8:at + 8 + size]
        at += 12 + size
    step = 3 if colour == 2 else 4
    raw, rows, before = zlib.decompress(idat), [], bytes(width * step)
    for y in range(height):
        kind, line = raw[y * (width * step + 1)], bytearray(raw[y * (width * step + 1) + 1:(y + 1) * (width * step + 1)])
        for x in range(len(line)):
            a = line[x - step] if x >= step else 0
            b, c = before[x], before[x - step] if x >= step else 0
            if kind == 1:
                line[x] = (line[x] + a) & 255
            elif kind == 2:
                line[x] = (line[x] + b) & 255
            elif kind == 3:
                line[x] = (line[x] + (a + b) // 2) & 255
            elif kind == 4:
                p = a + b - c
                near = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
                line[x] = (line[x] + near) & 255
        before = bytes(line)
        rows.append(before)
    return [[tuple(r[x:x + 3]) for x in range(0, len(r), step)] for r in rows]


@pytest.mark.parametrize("mode, paper, bar", [(LIGHT, (251, 250, 247), (198, 81, 0)), (DARK, (20, 23, 26), (242, 145, 61))],
                         ids=["light", "dark"])
def test_screenshot(page, tmp_path, mode, paper, bar):
    shot = tmp_path / "shot.png"
    done = chromium(tmp_path, f"--blink-settings=preferredColorScheme={mode}", f"--screenshot={shot}", f"file://{page}")
    assert done.returncode == 0 and shot.exists(), done.stderr
    assert "CONSOLE" not in done.stderr, done.stderr
    seen = {}
    for row in pixels(shot):
        for colour in row:
            seen[colour] = seen.get(colour, 0) + 1
    assert seen[paper] > WIDTH * HEIGHT / 10, "the page has its colour"
    # "without bucket keys" is a long bar: a screen of them is hundreds of pixels wide and 18 high.
    assert seen.get(bar, 0) > 5000, "the bars are drawn in theirs"


def test_what_the_browser_makes_of_it(page, tmp_path):
    done = chromium(tmp_path, "--dump-dom", f"file://{page}")
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr, done.stderr
    # The timeline, calls by operation, calls over time, time, latency.
    assert done.stdout.count("<svg") == done.stdout.count("<desc id=") == 5
    assert all(f"<strong>{title}</strong>" in done.stdout for title in ("KMS calls over time", "Latency of a KMS call"))
    assert re.search(r"<title id=.t1.>", done.stdout) and "aria-labelledby" in done.stdout
    assert "GenerateDataKey" in done.stdout and "<script" not in done.stdout


def test_it_asks_for_nothing(pages):
    """Nothing in it could be fetched, and its policy forbids that as well."""
    for path in pages.values():
        with open(path) as f:
            text = f.read()
        assert not re.search(r"\b(src|href|srcset|action|data)\s*=|url\(|@import|<(script|link|img|iframe|object)\b", text), path
        assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in text


@pytest.mark.parametrize("which", ["bench", "drill"])
def test_no_text_is_cut_or_overlaps(pages, which, tmp_path):
    """Measured by the browser itself: no label of a chart leaves its picture or lies on another one. The script is the test's, not the page's."""
    with open(pages[which]) as f:
        text = f.read()
    probe = """<script>addEventListener("load", () => { const bad = [];
      for (const svg of document.querySelectorAll("svg")) { const whole = svg.getBoundingClientRect();
        const all = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
        all.forEach(([a, p], i) => {
          if (p.left < whole.left - 1 || p.right > whole.right + 1 || p.bottom > whole.bottom + 1 || p.top < whole.top - 1) bad.push(a);
          all.slice(i + 1).forEach(([b, q]) => { if (p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 4 && q.top < p.bottom - 4)
            bad.push(a + " / " + b); }); }); }
      document.body.innerHTML = "<pre id='found'>" + btoa(unescape(encodeURIComponent(JSON.stringify(bad)))) + "</pre>"; });</script></body>"""
    probed = tmp_path / "probed.html"
    probed.write_text(re.sub(r"<meta http-equiv='Content-Security-Policy'[^>]*/>", "", text).replace("</body>", probe))
    done = chromium(tmp_path, "--dump-dom", f"file://{probed}")
    import base64

    found = re.search(r'id="found">([A-Za-z0-9+/=]*)<', done.stdout)
    assert found, done.stdout[-2000:]
    assert json.loads(base64.b64decode(found.group(1))) == []
