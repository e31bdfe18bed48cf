#!/usr/bin/python3
"""What an attacker tries around the extension, in real Chromium and with the
real programs. Each test says what stops it, and where nothing does, what the
evidence says."""
import json
import os
import pathlib
import shutil
import struct
import subprocess

from browser_rig import (BIN, PATIENCE_S, BrowserError, BrowserRig, ScriptError,
                         enter_namespace, expect, main, need, plain_chromium,
                         time, until)
import chat_app
from rig import Refused
from webdriver import BrowserError

enter_namespace()

SYSTEM_HOSTS = pathlib.Path("/etc/chromium/native-messaging-hosts")


def refused(gateway, *request):
    try:
        gateway.judge(*request)
    except chat_app.Refused as reason:
        return str(reason)
    return "accepted"


class HostByHand:
    """A process of the same user that starts the host itself."""

    def __init__(self, rig, *arguments):
        self.process = subprocess.Popen(
            [BIN / "countersign-native-host", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, **rig.env()})

    def ask(self, verb, **fields):
        data = json.dumps({"request_id": "1", verb: fields}).encode()
        self.process.stdin.write(struct.pack("=I", len(data)) + data)
        self.process.stdin.flush()
        size, = struct.unpack("=I", self.process.stdout.read(4))
        return json.loads(self.process.stdout.read(size))

    def close(self):
        self.process.stdin.close()
        return self.process.wait(10)


def test_a_captured_proof_is_worth_nothing_a_second_time_or_elsewhere():
    with plain_chromium() as (rig, browser):
        expect(rig.fetch(browser, "/pay", method="POST", body="1 EUR") == 200)
        proof = rig.seen("/pay")[0]["receipt"]
        gateway = rig.gateway
        expect(refused(gateway, "POST", "/pay", b"1 EUR", proof) == "proof_used")
        gateway.used.clear()  # A second gateway, which has not seen it.
        for method, target, body, reason in [
                ("POST", "/pay?to=me", b"1 EUR", "other_request"),
                ("POST", "/pay2", b"1 EUR", "other_request"),
                ("PUT", "/pay", b"1 EUR", "other_request"),
                ("POST", "/pay", b"1000 EUR", "other_body")]:
            seen = refused(gateway, method, target, body, proof)
            expect(seen == reason, target, body, seen)
        expect(refused(rig.other_origin(), "POST", "/pay", b"1 EUR", proof)
               == "wrong_audience")


# A47
def test_another_extension_may_not_start_the_host():
    with BrowserRig().all_up() as rig:
        other = rig.install_beside({"permissions": ["nativeMessaging"]},
                                   page_html="<title>beside</title>")
        with rig.chromium() as browser:
            def ask():
                browser.go(f"chrome-extension://{other}/page.html")
                return browser.run(ASK_THE_HOST)
            said = until(lambda: ask_if_there(ask), PATIENCE_S, "the other one")
            expect("forbidden" in said, said)
            # Ours may, in the same words.
            browser.go(f"{browser.pages}/options.html")
            said = browser.run(ASK_THE_HOST)
            expect("deviceId" in said, said)


def test_an_agent_extension_gets_a_receipt_if_policy_names_it():
    with BrowserRig().all_up() as rig:
        other = rig.install_beside({}, page_html="<title>an agent</title>")
        request = {"name": "http:POST", "resource": f"{rig.origin}/agent",
                   "purpose": "an agent's work"}
        with rig.chromium() as browser:
            def ask():
                browser.go(f"chrome-extension://{other}/page.html")
                return browser.run(ASK_OUR_EXTENSION, rig.extension, request)
            answer = until(lambda: ask_if_there(ask), PATIENCE_S, "the agent")
            expect(answer["error"]["reason"] == "origin_not_allowed", answer)
            # Policy is a file that deploy writes anew: with both extensions.
            rig.set_policy(agent_extensions=[other])
            rig.force_beside(other)
            rig.reload_policies(browser)

            def named():
                answer = ask()
                return answer.get("result") and answer
            answer = until(named, PATIENCE_S, "policy names the agent")
            expect(answer["result"]["decision"] == "permit", answer)
            expect(refused(rig.gateway, "POST", "/agent", b"",
                           answer["result"]["receipt"]) == "accepted")


# A47
def test_a_host_started_with_our_argv_is_no_browser():
    with plain_chromium() as (rig, browser):
        expect(rig.fetch(browser, "/first") == 200)
        # Started by hand with our extension's argv: it gets a session, of the
        # process that started it, and that is what the evidence says.
        host = HostByHand(rig, f"chrome-extension://{rig.extension}/")
        info = host.ask("open_session", purpose="forged",
                        origin=f"chrome-extension://{rig.extension}/"
                        )["openSession"]["session"]
        expect("chromium" not in info["executable"], info)
        expect(info["executable"].startswith("/usr/bin/python3"), info)
        # The browser's session is not its to use, though it knows the id.
        theirs = [s["sessionId"] for s in
                  host.ask("list_sessions")["listSessions"]["sessions"]
                  if "chromium" in s["executable"]]
        expect(theirs, "the browser's session is there")
        answer = host.ask("authorize", session_id=theirs[0], name="http:GET",
                          resource=f"{rig.origin}/x", purpose="forged")
        expect(answer["error"]["reason"] == "not_session_owner", answer)
        expect(host.close() == 0)


def test_a_host_by_hand_with_the_nonce_of_another_connection_is_refused():
    with plain_chromium() as (rig, _):
        host = HostByHand(rig)
        data = json.dumps({"request_id": "1", "nonce": "A" * 22,
                           "status": {}}).encode()
        host.process.stdin.write(struct.pack("=I", len(data)) + data)
        host.process.stdin.flush()
        size, = struct.unpack("=I", host.process.stdout.read(4))
        answer = json.loads(host.process.stdout.read(size))
        expect("error" in answer, answer)
        host.close()


ASK_THE_HOST = """
const port = chrome.runtime.connectNative('countersign.agent');
return new Promise((done) => {
  port.onMessage.addListener((message) => done(JSON.stringify(message)));
  port.onDisconnect.addListener(() => done(chrome.runtime.lastError.message));
  port.postMessage({request_id: '1', status: {}});
});"""


ASK_OUR_EXTENSION = """
const port = chrome.runtime.connect(args[0]);
return new Promise((done, fail) => {
  port.onMessage.addListener(done);
  port.onDisconnect.addListener(() => fail(chrome.runtime.lastError?.message));
  port.postMessage({id: 7, request: args[1]});
});"""


def ask_if_there(ask):
    """None while the extension is not installed yet."""
    try:
        return ask()
    except (BrowserError, ScriptError):
        return None


def test_our_pages_cannot_be_framed_or_asked_by_a_page():
    with plain_chromium() as (rig, browser):
        rig.go_blank(browser)
        page = f"chrome-extension://{rig.extension}/ui/approval.html"
        try:
            found = browser.run("return (await fetch(args[0])).status", page)
        except ScriptError:
            found = "refused"
        expect(found == "refused", found)
        browser.run("const frame = document.createElement('iframe');"
                    "frame.src = args[0]; document.body.append(frame);"
                    "await new Promise((done) => { frame.onload = done; });",
                    page)
        browser.command("frame", {"id": 0})
        framed = browser.run("return location.href")
        browser.command("frame", {"id": None})
        expect(framed.startswith("chrome-error:"), framed)
        expect(browser.run("return typeof chrome.runtime?.sendMessage")
               == "undefined")


def test_a_denied_or_late_request_cannot_show_its_quote_instead():
    with BrowserRig(policy=DENYING).all_up() as rig:
        client = rig.client()
        session = client.open_session()
        denied = client.authorize(session, "http:POST", f"{rig.origin}/pay",
                                  want_bundle=True)
        expect(denied["decision"] == "deny", denied)
        for name in ("receipt", "grant", "bundle"):
            expect(not denied.get(name), name, "came with a denial")
        # A quote is made before the decision. All that a device has of one is
        # its evidence: that of a permitted action shows more than a denied one
        # ever could, and is no receipt either.
        permitted = client.authorize(
            session, "http:POST", f"{rig.origin}/look", want_bundle=True,
            grant_audience=rig.origin)
        for shown in (permitted["bundle"], permitted["grant"]):
            expect(refused(rig.gateway, "POST", "/pay", b"", shown)
                   in ("bad_signature", "wrong_type"))
        # And a receipt that comes late is none.
        rig.gateway.clock = lambda: time.time() + 61
        expect(refused(rig.gateway, "POST", "/look", b"", permitted["receipt"])
               == "expired")


DENYING = """\
[[rule]]
name = "never"
outcome = "deny"
resource = ["http://localhost:*/pay"]

[[rule]]
name = "everything-else"
outcome = "permit"
audiences = ["*"]
"""


def test_a_page_that_sets_the_header_itself_does_not_get_it_through():
    with BrowserRig().all_up() as rig, rig.chromium() as browser:
        # Sec- headers are the browser's: a page's are dropped by it.
        expect(rig.fetch(browser, "/forged", headers={
            "Sec-Device-Proof": "forged"}) == 200)
        expect("forged" not in rig.seen("/forged")[-1]["receipt"])
        # Another name can be set by a page, and is taken out by us.
        rig.set_policy(header="X-Device-Proof")
        rig.reload_policies(browser)
        rig.comes_to(browser, "/edited", 401,
                     headers={"X-Device-Proof": "forged"})
        seen = rig.seen("/edited")[-1]
        expect(seen["receipt"] == "", seen)
        (proof,) = [value for name, value in seen["headers"]
                    if name.lower() == "x-device-proof"]
        expect(refused(rig.gateway, "GET", "/edited", b"", proof) == "accepted")


def test_a_page_of_an_unlisted_origin_has_no_api():
    with BrowserRig() as rig:
        rig.managed["page_api"] = [{"origins": [rig.origin]}]
        rig.all_up()
        other = rig.other_origin()
        ask = ("return await Promise.race([new Promise((done) => {"
               "addEventListener('message', (e) => e.data.countersign === "
               "'answer' && done(e.data)); postMessage({countersign:"
               "'authorize', id: 99, request: args[0]}, location.origin); }),"
               "new Promise((done) => setTimeout(() => done('nobody'), 3000))])")
        request = {"name": "mcp:tools/call", "resource": "urn:tool:x",
                   "purpose": "a test"}
        with rig.chromium() as browser:
            rig.go_where_pages_may_ask(browser)
            answer = rig.patiently(browser, lambda: browser.run(
                "return await countersign.authorize(args[0])"
                ".catch((error) => ({decision: error.reason}))", request),
                lambda answer: answer["decision"] == "permit")
            expect(answer["decision"] == "permit", answer)
            expect("receipt" not in answer and "grant" not in answer, answer)
            before = rig.daemon_answers()["actions"]
            browser.go(f"{other.origin}/open/blank")
            answer = browser.run(ask, request)
            # Same host, other port: the scripts may be there, the answer is no.
            expect(answer == "nobody" or
                   answer["error"]["reason"] == "origin_not_allowed", answer)
            browser.go(f"{rig.origin.replace('localhost', '127.0.0.1')}"
                       "/open/blank")
            expect(browser.run(ask, request) == "nobody")
            expect(browser.run("return typeof countersign") == "undefined")
            expect(rig.daemon_answers()["actions"] == before, "it got through")


def test_a_permit_of_the_page_api_is_used_by_the_pages_own_request_once():
    with BrowserRig() as rig:
        rig.managed["page_api"] = [{"origins": [rig.origin]}]
        rig.all_up()
        with rig.chromium() as browser:
            rig.go_where_pages_may_ask(browser)
            digest = rig.patiently(browser, lambda: browser.run(
                "const d = new Uint8Array(await crypto.subtle.digest('SHA-256',"
                "new TextEncoder().encode('work')));"
                "const hex = [...d].map((b) => b.toString(16).padStart(2, '0'))"
                ".join(''); const a = await countersign.authorize({name:"
                "'http:POST', resource: location.origin + '/work',"
                "purpose: 'an agent at work', requestDigest: hex})"
                ".catch(() => ({})); return a.actionDigest"), bool)
            expect(rig.fetch(browser, "/work", method="POST", body="work") == 200)
            expect(rig.fetch(browser, "/work", method="POST", body="work") == 200)
            first, second = rig.expect_proven("/work", 2)
            expect(first["claims"]["action_digest"] == digest)
            expect(second["claims"]["action_digest"] != digest)


def test_a_flood_of_one_page_is_held_back():
    with BrowserRig() as rig:
        rig.managed["page_api"] = [{"origins": [rig.origin]}]
        rig.all_up()
        with rig.chromium() as browser:
            before = int(rig.daemon_answers()["actions"])
            rig.go_where_pages_may_ask(browser)
            reasons = browser.run(
                "return Promise.all(Array.from({length: 500}, () =>"
                "countersign.authorize({name: 'mcp:x', resource: 'urn:x',"
                "purpose: 'flood'}).then(() => '', (e) => e.reason)))")
            expect(reasons.count("rate_limited") > 400, len(reasons))
            expect(int(rig.daemon_answers()["actions"]) - before < 100)
            expect(rig.fetch(browser, "/still") == 200)


# A47
def test_a_user_level_manifest_does_not_shadow_the_systems():
    with BrowserRig().all_up() as rig:
        profile = rig.dir / "profile"
        hosts = profile / "NativeMessagingHosts"
        hosts.mkdir(parents=True)
        trap = rig.dir / "trap"
        trap.write_text(f"#!/bin/sh\ntouch {rig.dir}/trapped\n")
        trap.chmod(0o755)
        manifest = json.loads(
            (SYSTEM_HOSTS / "countersign.agent.json").read_text())
        manifest["path"] = str(trap)
        (hosts / "countersign.agent.json").write_text(json.dumps(manifest))
        with rig.chromium(profile=str(profile)) as browser:
            expect(rig.fetch(browser, "/real") == 200)
            expect(not (rig.dir / "trapped").exists(), "the trap was started")


# A47
def test_an_unpacked_copy_with_our_id_is_not_loaded():
    with BrowserRig().all_up() as rig:
        copy = rig.dir / "copy"
        shutil.copytree(rig.packed / "chromium", copy)
        manifest = json.loads((copy / "manifest.json").read_text())
        manifest["version"] = "9.9.9"
        (copy / "manifest.json").write_text(json.dumps(manifest))
        with rig.chromium(f"--load-extension={copy}") as browser:
            browser.go(f"chrome-extension://{rig.extension}/ui/options.html")
            version = browser.run("return chrome.runtime.getManifest().version")
            expect(version != "9.9.9", "the copy runs")
        # Nor where the forced one is not installed.
        policy = pathlib.Path("/etc/chromium/policies/managed/countersign.json")
        content = json.loads(policy.read_text())
        del content["ExtensionSettings"]
        policy.write_text(json.dumps(content))
        until(lambda: not rig.daemon_answers().get("sessions"), PATIENCE_S,
              "the end of the first browser's session")
        seen = len(rig.gateway.seen)
        with rig.chromium(f"--load-extension={copy}", ready=False) as browser:
            time.sleep(5)
            # Chromium lets no page load, ever, if on a busy machine it takes
            # the copy's listeners away while requests wait for them.
            try:
                browser.go(f"{rig.origin}/open/blank")
                status = rig.fetch_once(browser, "/copy")
            except BrowserError:
                status = "stuck"
            expect(status in (401, "stuck"), "the copy gave a proof", status)
            expect(not [s for s in rig.gateway.seen[seen:] if s["receipt"]],
                   "a proof has come")
            expect(not rig.daemon_answers().get("sessions"),
                   "the copy has a session")


def test_a_program_cannot_approve_its_own_action():
    policy = """\
[[rule]]
name = "ask-first"
outcome = "approval_required"
approval = "prompt"
"""
    with BrowserRig(policy=policy).all_up() as rig:
        client = rig.client()
        session = client.open_session()
        answer = client.authorize(session, "http:POST", f"{rig.origin}/pay")
        expect(answer["decision"] == "approval_required", answer)
        asked = {"session_id": session, "approve": True,
                 "request_digest": answer["request_digest"]}
        try:
            client.call("approve", **asked)
        except Refused as refusal:
            expect(refusal.reason == "approver_not_apart", refusal)
        else:
            expect(False, "it approved its own action")
        # Nor through a relay that it starts.
        host = HostByHand(rig, f"chrome-extension://{rig.extension}/")
        told = host.ask("approve", **asked)
        expect(told["error"]["reason"] == "approver_not_apart", told)
        host.close()
        again = client.authorize(session, "http:POST", f"{rig.origin}/pay")
        expect(again["decision"] == "approval_required", again)


if __name__ == "__main__":
    need("chromium", "chromedriver", "swtpm")
    main(globals())
