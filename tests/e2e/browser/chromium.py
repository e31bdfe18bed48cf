#!/usr/bin/python3
"""The extension in real Chromium, force-installed by policy: every kind of
request carries its own proof, and what has none is stopped."""
import base64
import json
import pathlib

from browser_rig import (PATIENCE_S, REST_S, BrowserRig, ScriptError,
                         enter_namespace, expect, main, need, plain_chromium,
                         time, until)
from kinds import every_kind_is_proven, parallel_requests_share_no_proof
from outages import (all_is_stopped_in_time_while_the_service_is_down,
                     all_is_stopped_while_the_daemon_is_down)

enter_namespace()


def rules(rig, **more):
    """The rig's rules with `more` in the one that protects."""
    exempt, protecting = rig.managed["rules"]
    return [exempt, {**protecting, **more}]


def test_every_kind_of_request_carries_its_own_proof():
    with plain_chromium() as (rig, browser):
        every_kind_is_proven(rig, browser)


def test_parallel_requests_never_share_a_proof():
    with plain_chromium() as (rig, browser):
        parallel_requests_share_no_proof(rig, browser, 200)


# F32
def test_everything_is_stopped_while_the_daemon_is_down_and_recovers():
    with plain_chromium() as (rig, browser):
        all_is_stopped_while_the_daemon_is_down(rig, browser)


def test_everything_is_stopped_in_time_while_the_service_is_down():
    with plain_chromium() as (rig, browser):
        all_is_stopped_in_time_while_the_service_is_down(rig, browser)


def test_a_stopped_navigation_says_why():
    with plain_chromium() as (rig, browser):
        rig.daemon.stop()
        browser.go(f"{rig.origin}/page", fails=True)
        until(lambda: "ui/blocked.html" in browser.address(), PATIENCE_S,
              "the page")
        text = until(lambda: browser.run("return document.body.innerText")
                     .count("not running") and
                     browser.run("return document.body.innerText"), PATIENCE_S,
                     "why")
        expect("localhost" in text and "countersignd" in text, text)
        expect("/page" not in browser.address(), "its address names the other")
        rig.start_daemon()
        rig.uplink.stop()
        rig.start_uplink()

        def retried():
            # One that comes too soon ends at the same page.
            browser.run("document.getElementById('retry')?.click()")
            time.sleep(REST_S)
            return browser.address().endswith("/page")
        until(retried, PATIENCE_S, "the retry")
        rig.expect_proven("/page")


def test_the_evidence_names_browser_and_extension_with_their_strength():
    with plain_chromium() as (rig, browser):
        expect(rig.fetch(browser, "/who") == 200)
        (state,) = rig.page_state(browser)["sessions"]
        expect(state["executable"].endswith("/chromium"), state)
        workload, grades = rig.newest_workload()
        expect(workload.executable_path == state["executable"], workload)
        expect(workload.package.startswith("chromium "), workload.package)
        expect(workload.origin == f"chrome-extension://{rig.extension}/",
               workload.origin)
        expect("file of root, writable by nobody else" in
               [seen.how for seen in workload.observations], workload)
        # Behind a relay nothing is better than what the user's own programs
        # could have arranged.
        expect({grades[name] for name in
                ("executable_path", "executable_sha256", "package", "origin")}
               == {"GRADE_SAME_USER_SPOOFABLE"}, grades)


def test_the_browsers_own_pages_hold_no_proof():
    with plain_chromium() as (rig, browser):
        expect(rig.fetch(browser, "/quiet?secret=hunter2") == 200)
        receipt = rig.seen("/quiet")[-1]["receipt"]
        shown = json.dumps(rig.page_state(browser))
        expect(receipt not in shown and "hunter2" not in shown, shown)
        for log in rig.dir.glob("*.log"):
            expect(receipt not in log.read_text(errors="replace"), log)


def test_the_online_form_accepts_each_receipt_once():
    with BrowserRig(online=True).all_up() as rig, rig.chromium() as browser:
        expect(rig.fetch(browser, "/chat", method="POST", body="hi") == 200)
        (seen,) = rig.expect_proven("/chat")
        expect(seen["claims"]["valid"] is True, seen["claims"])
        try:
            rig.gateway.judge("POST", "/chat", b"hi", seen["receipt"])
        except Exception as refused:
            expect(str(refused) == "receipt_used", refused)
        else:
            expect(False, "a receipt counted twice")


def test_the_chat_is_refused_without_the_extension_and_after_a_revocation():
    with BrowserRig().all_up() as rig:
        with rig.chromium() as browser:
            expect(rig.fetch(browser, "/chat", method="POST", body="a") == 200)
            device = rig.daemon_answers()["device_id"]
            rig.authz("device", "revoke", rig_hex(device), "--config", rig.toml)
            rig.comes_to(browser, "/chat", "stopped", method="POST", body="b")
        for path in pathlib.Path("/etc/chromium/policies/managed").iterdir():
            path.unlink()
        with rig.chromium(ready=False) as browser:
            rig.go_blank(browser)
            expect(rig.fetch(browser, "/chat", method="POST", body="c") == 401)
            expect(rig.seen("/chat")[-1]["reason"] == "no_proof")


def rig_hex(base64_text):
    return base64.b64decode(base64_text).hex()


def test_an_edit_of_the_policy_takes_effect_without_a_restart():
    with BrowserRig().all_up() as rig, rig.chromium() as browser:
        expect(rig.fetch(browser, "/free/a") == 200)
        expect(rig.seen("/free/a")[-1]["receipt"])
        rig.set_policy(rules=[
            {"match": [f"{rig.origin}/free/*"], "protect": False},
            *rig.managed["rules"]])
        rig.reload_policies(browser)
        rig.comes_to(browser, "/free/b", 401)

def test_without_a_policy_nothing_is_protected_and_no_session_stays():
    with BrowserRig().all_up() as rig, rig.chromium() as browser:
        expect(rig.fetch(browser, "/before") == 200)
        path = pathlib.Path("/etc/chromium/policies/managed/countersign.json")
        content = json.loads(path.read_text())
        del content["3rdparty"]
        path.write_text(json.dumps(content))
        rig.reload_policies(browser)
        rig.comes_to(browser, "/after", 401)
        expect(rig.seen("/after")[-1]["reason"] == "no_proof")
        until(lambda: not rig.daemon_answers().get("sessions"), PATIENCE_S,
              "the end of the session")


def test_observe_stops_nothing():
    with BrowserRig(managed={"mode": "observe"}).all_up() as rig, \
            rig.chromium() as browser:
        rig.daemon.stop()
        expect(rig.fetch(browser, "/observed") == 401)
        outcomes = [a["outcome"] for a in rig.page_state(browser)["history"]]
        expect("observed" in outcomes, outcomes)


def test_a_slow_tpm_is_waited_for():
    with BrowserRig(tpm_delay_ms=200).all_up() as rig, rig.chromium() as browser:
        parallel_requests_share_no_proof(rig, browser, 20)


def test_a_request_that_policy_denies_is_stopped():
    with BrowserRig(policy=DENYING).all_up() as rig, rig.chromium() as browser:
        expect(rig.fetch(browser, "/fine") == 200)
        expect(rig.fetch(browser, "/denied/a") == "stopped")
        expect(not [s for s in rig.gateway.seen if s["path"] == "/denied/a"])
        expect("policy_denied" in rig.reasons(browser), rig.reasons(browser))


def test_policy_can_refuse_bodies_that_are_not_shown():
    with BrowserRig().all_up() as rig:
        rig.set_policy(rules=rules(rig, unbound_body="refuse"))
        with rig.chromium() as browser:
            expect(rig.fetch(browser, "/text", method="POST", body="x") == 200)
            expect(browser.run(
                "return fetch('/blob', {method: 'POST', body: new Blob(['x'])})"
                ".then((r) => r.status, () => 'stopped')") == "stopped")
            expect("body_unbound" in rig.reasons(browser), rig.reasons(browser))


def test_a_rule_can_ask_for_a_grant_with_dpop():
    with BrowserRig().all_up() as rig:
        rig.set_policy(rules=rules(rig, dpop=True))
        with rig.chromium() as browser:
            expect(rig.fetch(browser, "/granted?a=1") == 200)
            (seen,) = rig.expect_proven("/granted")
            expect(seen["authorization"].startswith("DPoP "), seen)
            expect(seen["dpop"].count(".") == 2, seen)


def test_conversations_and_restarts_have_sessions_of_their_own():
    with BrowserRig().all_up() as rig:
        rig.set_policy(session={
            "boundaries": [f"{rig.origin}/open/c/{{conversation}}"]})
        with rig.chromium() as browser:
            for name in ("alpha", "beta"):
                browser.go(f"{rig.origin}/open/c/{name}")
                expect(rig.fetch(browser, f"/in-{name}") == 200)
            sessions = rig.page_state(browser)["sessions"]
            keys = {s["key"] for s in sessions}
            here = f"profile 0:{rig.origin.removeprefix('http://')}"
            expect({f"{here}/alpha", f"{here}/beta"} <= keys, keys)
            open_now = rig.daemon_answers()["sessions"]
            expect(open_now >= 2, open_now)
        # The browser's end is theirs.
        until(lambda: not rig.daemon_answers().get("sessions"), PATIENCE_S,
              "their end")


def test_a_new_version_installs_itself():
    with BrowserRig().all_up() as rig, rig.chromium() as browser:
        rig.pack("--version", "0.1.1", out=rig.packed)
        browser.go("chrome://extensions")
        found = browser.run(
            "return new Promise((done) => chrome.developerPrivate.autoUpdate("
            "() => done(true)))")
        expect(found)

        def version():
            browser.go(f"chrome-extension://{rig.extension}/ui/options.html",
                       fails=True)
            try:
                return browser.run(
                    "return chrome.runtime.getManifest().version")
            except ScriptError:
                return None
        until(lambda: version() == "0.1.1", PATIENCE_S, "the new version")
        rig.go_blank(browser)
        rig.comes_to(browser, "/updated", 200)


DENYING = """\
[[rule]]
name = "never"
outcome = "deny"
resource = ["http://localhost:*/denied/*"]

[[rule]]
name = "everything-else"
outcome = "permit"
audiences = ["*"]
"""

if __name__ == "__main__":
    need("chromium", "chromedriver", "swtpm")
    main(globals())
