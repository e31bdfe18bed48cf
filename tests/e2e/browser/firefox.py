#!/usr/bin/python3
"""The extension in real Firefox ESR, force-installed by policy."""
from browser_rig import (BrowserRig, enter_namespace, expect, main, need, time,
                         until)
from kinds import every_kind_is_proven

enter_namespace()


def test_every_kind_of_request_carries_its_own_proof():
    with BrowserRig().all_up() as rig, rig.firefox() as browser:
        every_kind_is_proven(rig, browser, unbound={"/fetch-form"})


def test_parallel_requests_never_share_a_proof():
    with BrowserRig().all_up() as rig, rig.firefox() as browser:
        statuses = browser.run(
            "return Promise.all(Array.from({length: 100}, (_, i) => "
            "fetch(`/parallel/${i % 2}`).then((r) => r.status)))")
        expect(statuses == [200] * 100, statuses)
        proofs = [s["receipt"] for s in rig.gateway.seen
                  if s["path"].startswith("/parallel/")]
        expect(len(set(proofs)) == 100, len(set(proofs)))


# F32
def test_the_next_request_works_after_the_page_was_idle():
    with BrowserRig().all_up() as rig, rig.firefox() as browser:
        expect(rig.fetch(browser, "/before") == 200)
        time.sleep(40)
        expect(rig.fetch(browser, "/after") == 200)


# F32
def test_everything_is_stopped_while_the_daemon_is_down_and_recovers():
    with BrowserRig().all_up() as rig, rig.firefox() as browser:
        rig.daemon.stop()
        start = time.monotonic()
        expect(rig.fetch(browser, "/down") == "stopped")
        expect(time.monotonic() - start < 3, "it hung")
        expect(not [s for s in rig.gateway.seen if s["path"] == "/down"],
               "a request went without a proof")
        rig.start_daemon()
        rig.uplink.stop()
        rig.start_uplink()
        until(lambda: rig.fetch(browser, "/back") == 200, 20, "the recovery")


def test_a_page_api_works_for_allowed_origins_alone():
    with BrowserRig() as rig:
        rig.managed["page_api"] = [{"origins": [rig.origin]}]
        rig.all_up()
        with rig.firefox() as browser:
            browser.go(f"{rig.origin}/open/blank")
            answer = browser.run(
                "return await new Promise((done) => { addEventListener('message',"
                "(e) => e.data.countersign === 'answer' && done(e.data));"
                "postMessage({countersign: 'authorize', id: 99, request: {name:"
                "'mcp:tools/call', resource: 'urn:tool:x', purpose: 'test'}},"
                "location.origin); })")
            expect(answer.get("result", {}).get("decision") == "permit", answer)


if __name__ == "__main__":
    need("firefox-esr", "swtpm")
    main(globals())
