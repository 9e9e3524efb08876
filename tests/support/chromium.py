"""Headless Chromium on a page: what a script of ours finds there, and what the console says."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from support.project import ROOT

AXE = "4.10.3"
CACHE = ROOT / ".cache"  # what the tests fetch; git ignores it
NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = ("--no-first-run", "--disable-gpu", "--disable-background-networking", "--disable-sync")
NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND"


def browser() -> str:
    """Return Chromium's path, or skip the test."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on this machine: `make browser` as root installs Debian's")
    return found


def probe(page: str, script: str, folder: Path, *, width: int = 1280, dark: bool = False) -> Any:
    """Open a page, run a script in it, and return what the script returns.

    Args:
        page: its HTML.
        script: the body of an async function; what it returns must be JSON.
        folder: for the page and the browser's profile.
        width: of the window, in CSS pixels.
        dark: whether the system prefers a dark page.

    Returns:
        ``(result, console)``: errors and warnings on the console, one a line.
    """
    own = f"""<script>addEventListener("load", async () => {{
      const broken = (error) => ({{ error: String(error) }});
      const result = await (async () => {{ {script} }})().catch(broken);
      const place = document.createElement("pre");
      place.id = "probe";
      place.textContent = JSON.stringify(result);
      document.body.append(place);
    }});</script></body>"""
    path = folder / "probed.html"
    path.write_text(page.replace("</body>", own), encoding="utf-8")
    command = [browser(), "--headless", "--no-sandbox", *QUIET, NO_NETWORK, "--hide-scrollbars"]
    command += [f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"]
    if dark:
        command.append("--blink-settings=preferredColorScheme=0")
    ran = subprocess.run(
        [*command, path.as_uri()], capture_output=True, text=True, timeout=240, check=False
    )
    found = re.search(r'<pre id="probe">(.*?)</pre>', ran.stdout, re.DOTALL)
    assert found is not None, f"Chromium gave no answer:\n{ran.stderr[-3000:]}"
    result = json.loads(html.unescape(found.group(1)))
    assert not (isinstance(result, dict) and "error" in result), result
    return result, re.findall(r":CONSOLE[:(].*", ran.stderr)


def printed(page: str, folder: Path) -> Path:
    """Print a page; return the PDF.

    Args:
        page: its HTML.
        folder: for the page, the browser's profile and the PDF.
    """
    path, pdf = folder / "printed.html", folder / "printed.pdf"
    path.write_text(page, encoding="utf-8")
    command = [browser(), "--headless", "--no-sandbox", *QUIET, NO_NETWORK]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=20000"]
    command += ["--no-pdf-header-footer", f"--print-to-pdf={pdf}", path.as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert pdf.is_file(), f"Chromium printed nothing:\n{ran.stderr[-3000:]}"
    return pdf


def axe() -> str:
    """Return axe-core's source, fetched from npm's registry once, or skip the test."""
    path = CACHE / f"axe-core-{AXE}.js"
    if not path.is_file():
        if shutil.which("npm") is None:
            pytest.skip("no npm on this machine: it is needed once, to fetch axe-core")
        CACHE.mkdir(exist_ok=True)
        command = ["npm", "pack", "--silent", f"axe-core@{AXE}", "--pack-destination", str(CACHE)]
        if subprocess.run(command, capture_output=True, timeout=120, check=False).returncode:
            pytest.skip("npm's registry cannot be reached: axe-core is fetched from it once")
        packed = CACHE / f"axe-core-{AXE}.tgz"
        with tarfile.open(packed) as archive:
            member = archive.extractfile("package/axe.min.js")
            assert member is not None
            path.write_bytes(member.read())
        packed.unlink()
    return path.read_text(encoding="utf-8")


# Where the debugger reads what it is asked, and answers.
AT_3_AND_4 = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3), os.dup2(ends[1], 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""


class Keyboard:
    """Headless Chromium at an address, with a person's keys; by the protocol of its debugger."""

    def __init__(self, address: str, folder: Path):
        command = [browser(), "--headless", "--no-sandbox", *QUIET, "--remote-debugging-pipe"]
        command += [f"--user-data-dir={folder / 'profile'}", "about:blank"]
        asked, answered = os.pipe(), os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-c", AT_3_AND_4, str(asked[0]), str(answered[1]), *command],
            pass_fds=(asked[0], answered[1]),
            stderr=subprocess.DEVNULL,
        )
        os.close(asked[0])
        os.close(answered[1])
        self.asking, self.answers = os.fdopen(asked[1], "wb", 0), os.fdopen(answered[0], "rb")
        self.number, self.session = 0, ""
        (target,) = [
            one for one in self.ask("Target.getTargets")["targetInfos"] if one["type"] == "page"
        ]
        attached = {"targetId": target["targetId"], "flatten": True}
        self.session = self.ask("Target.attachToTarget", **attached)["sessionId"]
        self.ask("Page.enable")
        self.ask("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def __enter__(self) -> Keyboard:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        self.asking.close()
        self.answers.close()

    def ask(self, method: str, **parameters: Any) -> Any:
        """Return what the debugger answers."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.asking.write(json.dumps(message).encode() + b"\0")
        while True:
            data = b""
            while not data.endswith(b"\0"):
                part = self.answers.read(1)
                assert part, "Chromium has gone"
                data += part
            answer = json.loads(data[:-1])
            if answer.get("id") == self.number:
                assert "result" in answer, answer
                return answer["result"]

    def value(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        return found["result"].get("value")

    def until(self, script: str) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + 30
        while not self.value(script):
            assert time.monotonic() < until, self.value("document.body.innerText")
            time.sleep(0.02)

    def press(self, key: str) -> None:
        """Press a key such as ``Tab``, ``Enter`` or ``a``."""
        text = {"Enter": "\r", "Space": " "}.get(key, key if len(key) == 1 else "")
        codes = {"Tab": 9, "Enter": 13, "Space": 32}
        said = {"key": text or key, "code": key, "windowsVirtualKeyCode": codes.get(key, 0)}
        said |= {"key": "Enter"} if key == "Enter" else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", text=text, **said)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **said)
