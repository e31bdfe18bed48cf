#!/usr/bin/python3
"""The extension in headless Chromium: what an employee would see.

    browser.py --port PORT --issuer URL --ca FILE --bin DIR --out DIR

Starts a small AI chat behind a gateway at localhost:PORT, packs the extension
with the development key, force-installs it by policy (in a copy of /etc that
only this browser sees) and asks the assistant something: with the extension,
and again without. Writes OUT/{allowed,device,refused}.png, and OUT/browser.json
with what the gateway saw.
"""
import argparse
import json
import pathlib
import shutil
import ssl
import subprocess
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests/e2e/browser"))
import chat_app  # noqa: E402
import own_etc  # noqa: E402
from webdriver import BrowserError, Chromium  # noqa: E402

INSTALLERS = SOURCE / "installers/browser"
POLICIES = pathlib.Path("/etc/chromium/policies/managed")


def parse_flags():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    for name in ("issuer", "ca", "bin", "out"):
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args()


def deploy(options, origin):
    """Packs the extension and writes the machine's policies; its id."""
    packed = pathlib.Path(options.out) / "packed"
    made = subprocess.run([INSTALLERS / "pack", "--out", packed], check=True,
                          capture_output=True, text=True)
    policy = pathlib.Path(options.out) / "managed.json"
    policy.write_text(json.dumps({"rules": [
        {"match": [f"{origin}/*"], "purpose": "ask the assistant"}]}))
    app_id = made.stdout.strip()
    subprocess.run([INSTALLERS / "deploy", "--development", "--id", app_id,
                    "--base-url",
                    packed.as_uri(), "--policy", policy, "--host",
                    f"{options.bin}/countersign-native-host", "--browser",
                    "chromium"], check=True)
    # Lets WebDriver take a picture of the extension's own page.
    (POLICIES / "zz-pictures.json").write_text(
        json.dumps({"DeveloperToolsAvailability": 1}))
    return app_id


def until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not come true within {seconds} s")
        # Chromium hands out policies when it has nothing else to do.
        time.sleep(3)


def ask(browser, origin, text, wanted):
    """Opens the chat and asks; True once the page shows `wanted`."""
    def shown():
        browser.go(f"{origin}/open/index.html", fails=True)
        try:
            browser.run("document.getElementById('text').value = args[0];"
                        "document.querySelector('button').click();"
                        "await new Promise((d) => setTimeout(d, 700))", text)
            return wanted in browser.run("return document.body.innerText")
        except BrowserError:
            return False
    until(shown, 90, f"the page that shows '{wanted}'")


def main():
    options = parse_flags()
    if not own_etc.enter():
        sys.exit("a browser with policies of its own takes root")
    origin = f"http://localhost:{options.port}"
    gateway = chat_app.Gateway(
        origin, options.issuer, ssl.create_default_context(cafile=options.ca))
    chat_app.serve(gateway, "127.0.0.1", options.port)
    app_id = deploy(options, origin)
    out = pathlib.Path(options.out)
    with Chromium(log=out / "chromium.log") as browser:
        # A browser needs some seconds on its first start to get policies.
        ask(browser, origin, "What is due on invoice 2117?", "I agree")
        browser.screenshot(out / "allowed.png")
        proven = [s for s in gateway.seen if s["path"] == "/chat"][-1]
        browser.go(f"chrome-extension://{app_id}/ui/options.html")
        until(lambda: "trusted" in browser.run(
            "return document.body.innerText"), 10, "the device's page")
        browser.screenshot(out / "device.png")
    shutil.rmtree(POLICIES)
    with Chromium(log=out / "chromium.log") as browser:
        ask(browser, origin, "And without the extension?", "Refused")
        browser.screenshot(out / "refused.png")
        bare = [s for s in gateway.seen if s["path"] == "/chat"][-1]
    (out / "browser.json").write_text(json.dumps({
        "allowed": proven["claims"], "refused": bare["reason"]}, indent=1))


if __name__ == "__main__":
    main()
