#!/usr/bin/python3
"""What the extension asks and tells its user, where only a real browser shows
it: after a revocation, under a flood, of what is prepared in the background, in
private windows, and where the server asks for a password."""
import base64

import chat_app
from browser_rig import (PATIENCE_S, REST_S, BrowserRig, enter_namespace, expect,
                         free_port, main, need, time, until)

enter_namespace()


def popup_text(rig, browser):
    browser.go(f"{browser.pages}/popup.html")
    return until(lambda: browser.run(
        "return document.getElementById('verdict').innerText"), PATIENCE_S,
        "the popup's first sentence")


def test_the_popup_of_a_revoked_device_says_so():
    with BrowserRig().all_up() as rig, rig.chromium() as browser:
        expect("is trusted" in popup_text(rig, browser))
        browser.go(f"{rig.origin}/open/blank")
        device = base64.b64decode(rig.daemon_answers()["device_id"]).hex()
        rig.authz("device", "revoke", device, "--config", rig.toml)
        rig.comes_to(browser, "/chat", "stopped", method="POST", body="hi")
        text = until(lambda: [t for t in [popup_text(rig, browser)]
                              if "is trusted" not in t], PATIENCE_S,
                     "the popup says it")[0]
        expect("revoked" in text, text)


FLOODED = """\
[[rule]]
name = "asked-for-at-the-service"
outcome = "approval_required"
resource = ["http://localhost:*/strong/*"]
approval = "webauthn"

[[rule]]
name = "asked-for-here"
outcome = "approval_required"
resource = ["http://localhost:*/prompt/*"]
approval = "prompt"

[[rule]]
name = "never"
outcome = "deny"
resource = ["http://localhost:*/denied/*"]

[[rule]]
name = "everything-else"
outcome = "permit"
audiences = ["*"]
"""

FLOOD = """const started = Array.from({length: 15}, (_, i) =>
  fetch(args[0] + i, {mode: 'no-cors'}).then(() => 1, () => 0));
await Promise.any([Promise.all(started),
                   new Promise((done) => setTimeout(done, 8000))]);
return document.visibilityState;"""


def test_a_page_opens_no_more_than_one_tab_or_window():
    with BrowserRig(policy=FLOODED).all_up() as rig, rig.chromium() as browser:
        page = browser.windows()[0]
        for kind, part in (("strong", "/approvals/"),
                           ("prompt", "ui/approval.html")):
            other = rig.other_origin().origin
            browser.go(f"{other}/open/blank")
            before = set(browser.windows())
            seen = browser.run(FLOOD, f"{rig.origin}/{kind}/")
            made = set(browser.windows()) - before
            expect(len(made) == 1, kind, len(made), "opened")
            if kind == "strong":
                expect(seen == "visible", "a tab took its place")
            # And once it is closed, for a while none.
            browser.switch(made.pop())
            expect(part in browser.address(), browser.address())
            browser.command("close")
            browser.switch(page)
            browser.run(FLOOD, f"{rig.origin}/{kind}/more")
            expect(set(browser.windows()) == before, "asked again at once")
        expect({"approval_open", "approval_quiet"} <= rig.reasons(browser),
               rig.reasons(browser))


def test_a_window_goes_with_the_page_that_asked():
    with BrowserRig(policy=FLOODED).all_up() as rig, rig.chromium() as browser:
        before = browser.windows()
        browser.run("fetch('/prompt/1').catch(() => {})")
        until(lambda: len(browser.windows()) > len(before), PATIENCE_S,
              "the window")
        browser.go(f"{rig.origin}/open/elsewhere")
        until(lambda: browser.windows() == before, PATIENCE_S,
              "the window closes")


def test_a_window_that_is_looked_at_anew_takes_no_click_at_once():
    with BrowserRig(policy=FLOODED).all_up() as rig, rig.chromium() as browser:
        before = browser.windows()
        browser.run("fetch('/prompt/1').catch(() => {})")
        made = until(lambda: set(browser.windows()) - set(before), PATIENCE_S,
                     "the window")
        browser.switch(made.pop())
        approve = "document.getElementById('approve')"
        until(lambda: browser.run(f"return {approve}?.disabled === false"),
              PATIENCE_S, "it can be approved")
        for event in ("window.dispatchEvent(new Event('focus'))",
                      "document.documentElement.dispatchEvent("
                      "new Event('pointerenter'))"):
            expect(browser.run(f"{event}; return {approve}.disabled"), event)
            until(lambda: browser.run(f"return !{approve}.disabled"),
                  PATIENCE_S, "it can be approved again")


PRERENDER = """const rules = document.createElement('script');
rules.type = 'speculationrules';
rules.textContent = JSON.stringify({prerender: [{urls: [args[0]],
  eagerness: 'immediate'}]});
document.head.append(rules);"""


def test_a_page_that_is_prepared_in_the_background_takes_no_tab():
    with BrowserRig(policy=FLOODED).all_up() as rig, rig.chromium() as browser:
        before = time.time() * 1000
        browser.run(PRERENDER, "/denied/page")
        until(lambda: "policy_denied" in rig.reasons(browser, before)
              or time.sleep(REST_S), PATIENCE_S, "it is asked for and denied")
        expect(browser.address() == f"{rig.origin}/open/blank",
               browser.address())


def test_a_private_window_without_the_extension_browses_nothing():
    with BrowserRig().all_up() as rig, rig.chromium(
            "--incognito", ready=False) as browser:
        def refused():
            browser.go(f"{rig.origin}/open/blank", fails=True)
            time.sleep(REST_S)
            return "requires an extension" in browser.run(
                "return document.body.innerText")
        until(refused, PATIENCE_S, "the extension is demanded")
        rig.gateway.seen.clear()
        browser.go(f"{rig.origin}/chat", fails=True)
        expect(not rig.gateway.seen, rig.gateway.seen)


class AsksFirst:
    """A gateway behind which the server asks for a password: whoever has none
    is told so before a proof is used up."""

    def __init__(self, rig):
        self.port = free_port()
        self.origin = f"http://localhost:{self.port}"
        self.asked = []  # The receipts of those without a password.
        rig.managed["rules"].append({"match": [f"{self.origin}/*"]})
        self.rig = rig

    def start(self):
        self.gateway = chat_app.Gateway(self.origin, self.rig.issuer,
                                        self.rig.tls())
        asked = self.asked

        class Handler(chat_app.handler_of(self.gateway)):
            def do_GET(self):
                if self.headers.get("Authorization"):
                    self.handle_request()
                    return
                asked.append(self.headers.get("Sec-Device-Proof"))
                self.reply(401, WWW_Authenticate='Basic realm="chat"')

        server = chat_app.Server(("127.0.0.1", self.port), Handler)
        chat_app.threading.Thread(target=server.serve_forever,
                                  daemon=True).start()
        self.rig.servers.append(server)


def with_password(start, same):
    with BrowserRig() as rig:
        server = AsksFirst(rig)
        rig.all_up()
        server.start()
        with start(rig) as browser:
            browser.go(f"http://user:word@localhost:{server.port}/private")
            (seen,) = [s for s in server.gateway.seen
                       if s["path"] == "/private"]
            expect(seen["reason"] == "", seen["reason"])
            # The browser asks again by itself; with the same proof?
            expect((server.asked[0] == seen["receipt"]) == same, same)


def test_a_password_is_asked_for_before_a_proof_is_used():
    with_password(lambda rig: rig.chromium(), same=True)


def test_a_password_is_asked_for_before_a_proof_is_used_in_firefox():
    need("firefox-esr")
    with_password(lambda rig: rig.firefox(), same=False)


if __name__ == "__main__":
    need("chromium", "chromedriver", "swtpm")
    main(globals())
