#!/usr/bin/python3
"""The extension in real Firefox ESR, force-installed by policy."""
import json
import pathlib

from browser_rig import BrowserRig, enter_namespace, expect, main, need
from kinds import every_kind_is_proven, parallel_requests_share_no_proof
from outages import (all_is_stopped_in_time_while_the_service_is_down,
                     all_is_stopped_while_the_daemon_is_down)

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
        all_is_stopped_while_the_daemon_is_down(rig, browser)
        all_is_stopped_in_time_while_the_service_is_down(rig, browser)


def test_a_slow_tpm_is_waited_for():
    with BrowserRig(tpm_delay_ms=200).all_up() as rig, rig.firefox() as browser:
        parallel_requests_share_no_proof(rig, browser, 20)


def test_an_edit_of_the_policy_and_its_removal_take_effect_with_a_restart():
    with BrowserRig().all_up() as rig:
        with rig.firefox() as browser:
            expect(rig.fetch(browser, "/free/a") == 200)
            expect(rig.seen("/free/a")[-1]["receipt"])
        rig.set_policy(rules=[
            {"match": [f"{rig.origin}/free/*"], "protect": False},
            *rig.managed["rules"]])
        with rig.firefox() as browser:
            expect(rig.fetch(browser, "/free/b") == 401)
            expect(rig.fetch(browser, "/other") == 200)
        path = pathlib.Path("/etc/firefox/policies/policies.json")
        content = json.loads(path.read_text())
        del content["policies"]["3rdparty"]
        path.write_text(json.dumps(content))
        with rig.firefox(ready=False) as browser:
            rig.go_blank(browser)
            expect(rig.fetch(browser, "/removed") == 401)
            expect(rig.seen("/removed")[-1]["reason"] == "no_proof")


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
