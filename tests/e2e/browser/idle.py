#!/usr/bin/python3
"""The extension after its worker or page was idle, in both browsers at once."""
from browser_rig import (BrowserRig, enter_namespace, expect, main, need, time)

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


if __name__ == "__main__":
    need("chromium", "chromedriver", "firefox-esr", "swtpm")
    main(globals())
