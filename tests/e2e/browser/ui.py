#!/usr/bin/python3
"""The extension's own pages: what they say, that everybody can use them (axe),
and that they fit at 200 % zoom, in light and in dark.

COUNTERSIGN_SCREENSHOTS=DIR keeps a picture of each.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess

from browser_rig import (PATIENCE_S, SOURCE, BrowserRig, Skip, enter_namespace,
                         expect, main, need, until)

from webdriver import BrowserError

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


# Has the worker told this page what it shows?
FILLED = """return ['actions', 'what', 'state'].some((id) =>
  (document.getElementById(id)?.innerText ?? '').trim() !== '' &&
  !document.getElementById(id).innerText.includes('for this one request'));"""


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
            until(lambda: browser.run(FILLED), PATIENCE_S, f"{page} is filled")
            look(rig, browser, f"{page}{zoom}{suffix}")


def switch_to(browser, part):
    """Goes to the window whose address holds `part`, if there is one."""
    for window in browser.windows():
        with contextlib.suppress(BrowserError):  # It has just closed.
            browser.switch(window)
            if part in browser.address():
                return True
    return False


def text_of(browser, part):
    """What the page says, once it says `part`."""
    def said():
        text = browser.run("return document.body.innerText")
        return part in text and text
    return until(said, PATIENCE_S, f"'{part}' on the page")


class Question:
    """Something in the page that asks the user: a script that gives a promise.
    `answer` is what became of it."""

    def __init__(self, rig, browser, script):
        self.rig, self.browser, self.script = rig, browser, script
        self.page = browser.window()

    def settled(self):
        self.browser.switch(self.page)
        return self.browser.run("return window.answer !== undefined")

    def asked(self, act):
        """Asks, does act() in the window that opens, and gives the answer;
        patiently: on a busy machine there may be neither in time."""
        def once():
            self.browser.switch(self.page)
            self.browser.run(
                "window.answer = undefined; (async () => {" + self.script
                + "})().catch(String).then((a) => { window.answer = a; });")
            until(lambda: self.settled() or
                  switch_to(self.browser, "ui/approval.html"), PATIENCE_S,
                  "the window")
            if "ui/approval.html" in self.browser.address():
                act()
            until(self.settled, PATIENCE_S, "the answer")
            return self.browser.run("return window.answer")
        return self.rig.patiently(
            self.browser, once, lambda answer: answer in (200, "permit"))

    def click(self, button):
        """In the window. Approve not in its first moments: it may have
        appeared under a moving pointer."""
        text_of(self.browser, "Who asks")
        until(lambda: not self.browser.run(
            "return document.getElementById(args[0]).disabled", button),
            PATIENCE_S, f"'{button}' can be clicked")
        # It closes the window, and with it what would say that it was done.
        self.browser.run("setTimeout(() => document.getElementById(args[0])"
                         ".click(), 50)", button)


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
                     browser.run("return document.body.innerText"), PATIENCE_S,
                     "the reason")
        expect("systemctl start countersignd" in text, text)
        expect("Stopped" in text, text)
        look(rig, browser, "popup-daemon-down")
        browser.go(f"{rig.origin}/page", fails=True)
        until(lambda: "ui/blocked.html" in browser.address(), PATIENCE_S,
              "the page")
        until(lambda: "not running" in browser.run(
            "return document.body.innerText"), PATIENCE_S, "its text")
        look(rig, browser, "blocked-daemon-down")


def test_an_approval_window_shows_who_what_and_why_and_can_deny():
    with BrowserRig(policy=APPROVE) as rig:
        rig.managed["page_api"] = [{"origins": [rig.origin]}]
        rig.all_up()
        with rig.chromium() as browser:
            rig.go_where_pages_may_ask(browser)
            question = Question(
                rig, browser,
                "return countersign.authorize({name: 'mcp:tools/call',"
                "resource: 'https://files.example/budget', purpose:"
                "'tidy the budget'}).then(() => 'permit', (e) => e.reason)")

            def deny():
                text = text_of(browser, "Who asks")
                for part in (rig.origin, "mcp:tools/call",
                             "https://files.example/budget", "tidy the budget"):
                    expect(part in text, part, "is not shown:", text)
                look(rig, browser, "approval-asking")
                question.click("deny")
            expect(question.asked(deny) == "approval_denied")
            # The agent knows: nothing waits in a terminal either.
            code, waiting = rig.cli("approve")
            expect(code == 0 and waiting["pending"] == [], waiting)


DELETE = ("return fetch('/files/1', {method: 'DELETE'})"
          ".then((r) => r.status, () => 'stopped')")


def test_a_prompt_that_is_approved_permits_that_request_once():
    policy = APPROVE.replace('"mcp:*"', '"http:DELETE"')
    with BrowserRig(policy=policy).all_up() as rig, rig.chromium() as browser:
        question = Question(rig, browser, DELETE)
        status = question.asked(lambda: question.click("approve"))
        expect(status == 200, status, rig.reasons(browser))
        (seen,) = rig.expect_proven("/files/1")
        # The same request again is asked about again.
        status = question.asked(lambda: question.click("deny"))
        expect(status == "stopped", status)
        expect("approval_denied" in rig.reasons(browser))
        expect(len(rig.seen("/files/1")) == 1)
        # What the permit rests on is said wherever it is shown.
        permit = next(a for a in rig.page_state(browser)["history"]
                      if a["outcome"] == "permit" and a["name"] == "http:DELETE")
        expect(permit["approvalGrade"] == "prompt", permit)
        code, report = rig.authz("audit", "show",
                                 seen["claims"]["action_digest"],
                                 "--config", rig.toml, check=False)
        expect(code == 0 and "prompt" in report, report)


def test_a_word_from_a_terminal_answers_the_window():
    policy = APPROVE.replace('"mcp:*"', '"http:DELETE"')
    with BrowserRig(policy=policy).all_up() as rig, rig.chromium() as browser:
        question = Question(rig, browser, DELETE)

        def from_terminal(*words):
            def answer():
                text_of(browser, "Who asks")
                code, waiting = rig.cli("approve")
                expect(code == 0, waiting)
                (pending,) = waiting["pending"]
                expect(pending["resource"] == f"{rig.origin}/files/1", pending)
                expect("chromium" in pending["executable"], pending)
                code, told = rig.cli("approve", pending["request_digest"],
                                     *words)
                expect(code == 0, told)
            return answer
        status = question.asked(from_terminal("--yes"))
        expect(status == 200, status, rig.reasons(browser))
        rig.expect_proven("/files/1")
        status = question.asked(from_terminal("--deny"))
        expect(status == "stopped", status)
        expect("approval_denied" in rig.reasons(browser))
        until(lambda: len(browser.windows()) == 1, PATIENCE_S,
              "the window closes")


if __name__ == "__main__":
    need("chromium", "chromedriver", "swtpm", "npm")
    main(globals())
