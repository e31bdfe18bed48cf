#!/usr/bin/python3
"""Rules of the extension's policy where only a real browser can show what they
do: what it makes of a faulty policy, of odd addresses, of preflights and of
sessions that it lost."""
import json
import os
import pathlib
import signal

from browser_rig import (PATIENCE_S, BrowserRig, ScriptError, enter_namespace,
                         expect, main, need, plain_chromium, until)

enter_namespace()

POLICY = pathlib.Path("/etc/chromium/policies/managed/countersign.json")


def edit_by_hand(rig, browser, edit):
    """Changes the extension's policy where `deploy` does not see it."""
    content = json.loads(POLICY.read_text())
    edit(content["3rdparty"]["extensions"][rig.extension])
    POLICY.write_text(json.dumps(content))
    rig.reload_policies(browser)


def arrived(rig, target):
    """What the gateway saw of this very address, as it was sent."""
    return until(lambda: [s for s in rig.gateway.seen if s["target"] == target],
                 PATIENCE_S, f"{target} arrives")[-1]


def test_one_faulty_value_of_a_live_edit_unprotects_nothing():
    with BrowserRig().all_up() as rig, rig.chromium() as browser:
        expect(rig.fetch(browser, "/before") == 200)

        def spoil(policy):
            policy["rules"][1]["dpop"] = "yes"
        edit_by_hand(rig, browser, spoil)
        # Chromium now hands out a policy without any rules.
        rig.comes_to(browser, "/spoilt", "stopped")
        expect("policy_invalid" in rig.reasons(browser), rig.reasons(browser))
        expect(not [s for s in rig.gateway.seen if s["path"] == "/spoilt"])
        expect(rig.fetch(browser, "/open/still") == 200)
        shown = rig.page_state(browser)["policy"]
        expect(any(f.startswith("rules") for f in shown["faults"]), shown)

        def mend(policy):
            policy["rules"][1]["dpop"] = False
        edit_by_hand(rig, browser, mend)
        rig.comes_to(browser, "/mended", 200)
        rig.expect_proven("/mended")


def test_no_spelling_of_an_address_slips_past_a_rule():
    with plain_chromium() as (rig, browser):
        for path in ("/ope%6E/..%2fapi", "/open/..%2fapi", "/open//api",
                     "/open/..;/api", "/%61pi"):
            rig.fetch(browser, path)
            seen = arrived(rig, path)
            expect(seen["receipt"] and seen["reason"] == "", seen)
        # And the same host by its complete name.
        dotted = rig.origin.replace("localhost", "localhost.")
        try:
            browser.run("await fetch(args[0], {mode: 'no-cors'})",
                        f"{dotted}/dotted")
        except ScriptError:
            pass  # Stopped will do.
        for seen in rig.gateway.seen:
            expect(seen["receipt"] or seen["path"] != "/dotted", seen)


def test_a_method_in_small_letters_is_that_method():
    with BrowserRig() as rig:
        rig.managed["rules"] = [
            {"match": [f"{rig.origin}/ready"]},
            {"match": [f"{rig.origin}/*"], "methods": ["PATCH"]}]
        rig.all_up()
        # Not one of those that the test's server knows.
        handler = rig.servers[0].RequestHandlerClass
        handler.do_PATCH = handler.do_patch = handler.do_GET
        with rig.chromium() as browser:
            rig.fetch(browser, "/patched", method="patch", body="x")
            seen = rig.seen("/patched")[-1]
            expect(seen["method"] == "patch" and seen["reason"] == "", seen)


def test_a_preflight_binds_an_empty_body_where_bodies_must_be_bound():
    with BrowserRig() as rig:
        rig.managed["rules"] = [{"match": [f"{rig.origin}/*"],
                                 "unbound_body": "refuse"}]
        rig.all_up()
        handler = rig.servers[0].RequestHandlerClass
        handler.do_OPTIONS = handler.do_GET
        other = rig.other_origin()
        with rig.chromium() as browser:
            browser.go(f"{other.origin}/open/blank")
            # No answer allows it, so the preflight is all there is.
            rig.patiently(browser, lambda: browser.run(
                "return fetch(args[0], {method: 'PUT', body: 'x'})"
                ".then(() => '', (error) => String(error))",
                f"{rig.origin}/flight"), lambda error: any(
                    s["path"] == "/flight" for s in rig.gateway.seen))
            for seen in rig.expect_proven("/flight"):
                expect(seen["method"] == "OPTIONS", seen)
                expect(seen["claims"].get("body") != "unbound", seen)


def test_a_page_of_an_origin_that_a_rule_does_not_name_is_stopped():
    with BrowserRig() as rig:
        rig.managed["rules"] = [
            {"match": [f"{rig.origin}/open/*"], "protect": False},
            {"match": [f"{rig.origin}/*"], "initiators": [rig.origin]}]
        rig.all_up()
        other = rig.other_origin()
        with rig.chromium() as browser:
            expect(rig.fetch(browser, "/own") == 200)
            browser.go(f"{other.origin}/open/blank")
            expect(browser.run(
                "return fetch(args[0], {mode: 'no-cors', method: 'POST'})"
                ".then(() => 'sent', () => 'stopped')",
                f"{rig.origin}/foreign") == "stopped")
            expect("origin_not_allowed" in rig.reasons(browser),
                   rig.reasons(browser))
            expect(not [s for s in rig.gateway.seen if s["path"] == "/foreign"])


def our_host(rig):
    """The native host's process: of all that run, the one of this rig."""
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if (entry / "exe").resolve().name == "countersign-native-host" and (
                    f"COUNTERSIGN_SOCKET={rig.socket}".encode()
                    in (entry / "environ").read_bytes().split(b"\0")):
                return int(entry.name)
        except OSError:
            pass  # It has gone, or is none of ours.
    return None


def test_sessions_of_a_host_that_broke_are_closed_before_the_next_opens():
    with BrowserRig().all_up() as rig, rig.chromium() as browser:
        expect(rig.fetch(browser, "/first") == 200)
        expect(rig.daemon_answers()["sessions"] == 1)
        os.kill(our_host(rig), signal.SIGKILL)
        rig.comes_to(browser, "/second", 200)
        until(lambda: rig.daemon_answers()["sessions"] == 1, 10,
              "the end of the first session")


if __name__ == "__main__":
    need("chromium", "chromedriver", "swtpm")
    main(globals())
