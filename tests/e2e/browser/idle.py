#!/usr/bin/python3
"""The extension after its worker or page was idle, in both browsers at once."""
import contextlib
import pathlib

from browser_rig import (PATIENCE_S, BrowserRig, enter_namespace, expect, main,
                         need, time, until)

enter_namespace()

# Chromium ends an idle worker after 30 s.
IDLE_S = 40


# F32
def test_the_next_request_works_after_the_worker_was_idle():
    with BrowserRig().all_up() as rig, rig.chromium() as chromium, \
            rig.firefox() as firefox:
        for browser in (chromium, firefox):
            expect(rig.fetch(browser, "/before") == 200)
        rig.gateway.seen.clear()
        time.sleep(IDLE_S)
        expect(not rig.gateway.seen, "nobody was idle")
        for browser in (chromium, firefox):
            expect(rig.fetch(browser, "/after") == 200)
        rig.expect_proven("/after", 2)


def hosts_of(rig):
    """The host processes that the browser has started for this rig."""
    found = set()
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            mine = str(rig.socket).encode() in (entry / "environ").read_bytes()
            if mine and (entry / "comm").read_text().startswith("countersign-nat"):
                found.add(entry.name)
    return found


# F32
def test_the_next_request_works_after_the_worker_was_ended():
    with BrowserRig().all_up() as rig, rig.chromium() as browser:
        expect(rig.fetch(browser, "/before") == 200)
        before = hosts_of(rig)
        expect(before, "no host is there")
        browser.go(f"{browser.pages}/options.html")
        for method in ("ServiceWorker.enable", "ServiceWorker.stopAllWorkers"):
            browser.command("cdp", {"cmd": method, "params": {}})
        browser.go(f"{rig.origin}/open/blank")
        until(lambda: not hosts_of(rig) & before, PATIENCE_S, "the host's end")
        expect(rig.fetch(browser, "/after") == 200)
        rig.expect_proven("/after")


if __name__ == "__main__":
    need("chromium", "chromedriver", "firefox-esr", "swtpm")
    main(globals())
