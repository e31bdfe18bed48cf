#!/usr/bin/python3
"""The extension's own pages: what they say, that everybody can use them (axe),
and that they fit at 200 % zoom, in light and in dark.

COUNTERSIGN_SCREENSHOTS=DIR keeps a picture of each.
"""
import os
import pathlib
import shutil
import subprocess

from browser_rig import (SOURCE, BrowserRig, Skip, enter_namespace, expect, main,
                         need, until)

enter_namespace()

PICTURES = os.environ.get("COUNTERSIGN_SCREENSHOTS")
APPROVE = """\
[[rule]]
name = "ask-first"
outcome = "approval_required"
action = ["mcp:*"]
approval = "prompt"

[[rule]]
name = "everything-else"
outcome = "permit"
audiences = ["*"]
"""


def axe():
    """The text of axe-core, installed once beside the build."""
    folder = SOURCE / "build/browser-tests"
    script = folder / "node_modules/axe-core/axe.min.js"
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / "tests/agent/extension" / name, folder)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit",
                               "--no-fund"], cwd=folder, check=False,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Skip("npm ci: " + done.stderr.strip().split("\n")[0])
    return script.read_text()


def look(rig, browser, name):
    """Checks the page that is shown."""
    if PICTURES:
        pathlib.Path(PICTURES).mkdir(parents=True, exist_ok=True)
        browser.screenshot(f"{PICTURES}/{name}.png")
    # Half as wide is what 200 % zoom leaves.
    wide = browser.run("return [document.documentElement.scrollWidth,"
                       "document.documentElement.clientWidth]")
    expect(wide[0] <= wide[1], name, "scrolls sideways", wide)
    found = browser.run(
        axe() + ";const r = await axe.run(document);"
        "return r.violations.map((v) => `${v.id}: ${v.nodes[0].html}`)")
    expect(found == [], name, found)


def pages(rig, browser, suffix):
    base = f"chrome-extension://{rig.extension}/ui"
    for width, zoom in ((900, ""), (450, "-200")):
        browser.command("rect", {"width": width, "height": 900})
        for page in ("popup", "options", "approval", "blocked"):
            browser.go(f"{base}/{page}.html")
            browser.run("await new Promise((done) => setTimeout(done, 400))")
            look(rig, browser, f"{page}{zoom}{suffix}")


def switch_to(browser, part):
    """Goes to the window whose address holds `part`, if there is one."""
    for window in browser.windows():
        browser.switch(window)
        if part in browser.address():
            return True
    return False


def test_pages_are_accessible_and_fit_in_light_and_dark():
    with BrowserRig().all_up() as rig:
        for suffix, arguments in (("-light", ()),
                                  ("-dark", ("--force-dark-mode",))):
            with rig.chromium(*arguments) as browser:
                expect(rig.fetch(browser, "/chat", method="POST",
                                 body="hello") == 200)
                pages(rig, browser, suffix)


def test_the_popup_says_what_is_wrong():
    with BrowserRig().all_up() as rig, rig.chromium() as browser:
        rig.daemon.stop()
        expect(rig.fetch(browser, "/chat") == "stopped")
        browser.go(f"chrome-extension://{rig.extension}/ui/popup.html")
        text = until(lambda: browser.run("return document.body.innerText")
                     .count("not running") and
                     browser.run("return document.body.innerText"), 10)
        expect("systemctl start countersignd" in text, text)
        expect("Stopped" in text, text)
        look(rig, browser, "popup-daemon-down")
        browser.go(f"{rig.origin}/page", fails=True)
        until(lambda: "ui/blocked.html" in browser.address(), 10, "the page")
        until(lambda: "not running" in browser.run(
            "return document.body.innerText"), 10)
        look(rig, browser, "blocked-daemon-down")


def test_an_approval_window_shows_who_what_and_why_and_can_deny():
    with BrowserRig(policy=APPROVE) as rig:
        rig.managed["page_api"] = [{"origins": [rig.origin]}]
        rig.all_up()
        with rig.chromium() as browser:
            browser.go(f"{rig.origin}/open/blank")
            page = browser.windows()[0]
            browser.run(
                "window.answer = countersign.authorize({name: 'mcp:tools/call',"
                "resource: 'https://files.example/budget', purpose:"
                "'tidy the budget'}).then(() => 'permit', (e) => e.reason);")
            until(lambda: switch_to(browser, "ui/approval.html"), 10,
                  "the window")
            text = until(lambda: "budget" in browser.run(
                "return document.body.innerText") and
                browser.run("return document.body.innerText"), 10, "the question")
            for part in (rig.origin, "mcp:tools/call",
                         "https://files.example/budget", "tidy the budget"):
                expect(part in text, part, "is not shown:", text)
            look(rig, browser, "approval-asking")
            browser.run("setTimeout(() => document.getElementById('deny')"
                        ".click(), 50)")
            browser.switch(page)
            expect(browser.run("return await window.answer")
                   == "approval_denied")


def test_a_prompt_that_is_approved_permits_that_request_once():
    policy = APPROVE.replace('"mcp:*"', '"http:DELETE"')
    with BrowserRig(policy=policy).all_up() as rig, rig.chromium() as browser:
        page = browser.windows()[0]
        browser.run("window.answer = fetch('/files/1', {method: 'DELETE'})"
                    ".then((r) => r.status, () => 'stopped');")
        until(lambda: switch_to(browser, "ui/approval.html"), 10, "the window")
        until(lambda: "http:DELETE" in browser.run(
            "return document.body.innerText"), 10, "the question")
        # Not in its first moments: it may appear under a moving pointer.
        until(lambda: not browser.run(
            "return document.getElementById('approve').disabled"), 5)
        browser.run(
            "setTimeout(() => document.getElementById('approve').click(), 50)")
        browser.switch(page)
        status = browser.run("return await window.answer")
        expect(status == 200, status, rig.page_state(browser)["history"][:2])
        (seen,) = rig.expect_proven("/files/1")
        # The same request again is asked about again.
        browser.run("window.answer = fetch('/files/1', {method: 'DELETE'})"
                    ".then((r) => r.status, () => 'stopped');")
        until(lambda: switch_to(browser, "ui/approval.html"), 10,
              "the second window")
        browser.run(
            "setTimeout(() => document.getElementById('deny').click(), 50)")
        browser.switch(page)
        expect(browser.run("return await window.answer") == "stopped")
        expect(len(rig.seen("/files/1")) == 1)
        code, report = rig.authz("audit", "show",
                                 seen["claims"]["action_digest"],
                                 "--config", rig.toml, check=False)
        expect(code == 0, report)


if __name__ == "__main__":
    need("chromium", "chromedriver", "swtpm", "npm")
    main(globals())
