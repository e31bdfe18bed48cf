"""What a browser does while a part of the way is missing, and afterwards."""
from browser_rig import expect


def all_is_stopped_while_the_daemon_is_down(rig, browser):
    rig.daemon.stop()
    rig.stops_at_once(browser, "/down", 3)
    expect(not [s for s in rig.gateway.seen if s["path"] == "/down"],
           "a request went without a proof")
    rig.start_daemon()
    rig.uplink.stop()
    rig.start_uplink()
    rig.comes_to(browser, "/back", 200)
    rig.expect_proven("/back")


def all_is_stopped_in_time_while_the_service_is_down(rig, browser):
    rig.service.stop()
    rig.stops_at_once(browser, "/service-down", 5)
    expect(not [s for s in rig.gateway.seen if s["path"] == "/service-down"],
           "a request went without a proof")
    rig.start_service()
    rig.comes_to(browser, "/service-back", 200)
    rig.expect_proven("/service-back")
