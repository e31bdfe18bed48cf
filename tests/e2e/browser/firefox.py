#!/usr/bin/python3
"""The extension in real Firefox ESR, force-installed by policy."""
from browser_rig import BrowserRig, enter_namespace, expect, main, need
from kinds import every_kind_is_proven, parallel_requests_share_no_proof

enter_namespace()


def test_every_kind_of_request_carries_its_own_proof():
    with BrowserRig().all_up() as rig, rig.firefox() as browser:
        every_kind_is_proven(rig, browser, unbound={"/fetch-form"})


def test_parallel_requests_never_share_a_proof():
    with BrowserRig().all_up() as rig, rig.firefox() as browser:
        parallel_requests_share_no_proof(rig, browser, 100)


# F32
def test_everything_is_stopped_while_the_daemon_is_down_and_recovers():
    with BrowserRig().all_up() as rig, rig.firefox() as browser:
        rig.daemon.stop()
        rig.stops_at_once(browser, "/down", 3)
        expect(not [s for s in rig.gateway.seen if s["path"] == "/down"],
               "a request went without a proof")
        rig.start_daemon()
        rig.uplink.stop()
        rig.start_uplink()
        rig.comes_to(browser, "/back", 200)


def test_a_page_api_works_for_allowed_origins_alone():
    with BrowserRig() as rig:
        rig.managed["page_api"] = [{"origins": [rig.origin]}]
        rig.all_up()
        with rig.firefox() as browser:
            rig.go_where_pages_may_ask(browser)
            answer = rig.patiently(browser, lambda: browser.run(
                "return await new Promise((done) => { addEventListener('message',"
                "(e) => e.data.countersign === 'answer' && done(e.data));"
                "postMessage({countersign: 'authorize', id: 99, request: {name:"
                "'mcp:tools/call', resource: 'urn:tool:x', purpose: 'test'}},"
                "location.origin); })"), lambda answer: "result" in answer)
            expect(answer.get("result", {}).get("decision") == "permit", answer)


if __name__ == "__main__":
    need("firefox-esr", "swtpm")
    main(globals())
