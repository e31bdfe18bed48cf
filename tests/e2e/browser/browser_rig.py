"""A Rig (../rig.py) with a browser that policy has given the extension.

Policies and host manifests are files of the machine. So that no browser of
this machine's user ever sees them, the test runs in a mount namespace of its
own whose /etc is a copy; where that is not allowed, it skips.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import chat_app  # noqa: E402
import own_etc  # noqa: E402
import rig  # noqa: E402
from rig import BIN, SOURCE, Rig, Skip, expect, free_port, until  # noqa: E402
from webdriver import Chromium, Firefox, ScriptError  # noqa: E402

INSTALLERS = SOURCE / "installers/browser"


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise Skip(f"{program} is not installed")
    if not (BIN / "countersign-native-host").exists():
        raise Skip("countersign-native-host is not built")


def enter_namespace():
    """Runs this very test again where /etc and /usr/lib/mozilla are ours."""
    if not own_etc.enter():
        print("skip  all: no mount namespace without root", flush=True)
        sys.exit(77)


class BrowserRig(Rig):
    """A Rig with a chat application behind a gateway, and the extension packed
    and deployed. `managed` edits the extension's policy before it is;
    `tpm_delay_ms` makes each quote take that much longer."""

    def __init__(self, managed=None, online=False, tpm_delay_ms=0, **how):
        super().__init__(**how)
        self.tpm_delay_ms = tpm_delay_ms
        self.app_port = free_port()
        self.origin = f"http://localhost:{self.app_port}"
        self.managed = {
            "mode": "enforce",
            "rules": [
                {"match": [f"{self.origin}/open/*"], "protect": False},
                {"match": [f"{self.origin}/*"],
                 "purpose": "ask the assistant"}],
            **(managed or {})}
        self.online = online
        self.packed = self.dir / "packed"
        self.servers = []

    def __exit__(self, *about):
        for server in self.servers:
            server.shutdown()
        super().__exit__(*about)

    def all_up(self):
        super().all_up()
        self.start_app()
        self.pack()
        self.deploy()
        return self

    def start_app(self):
        self.gateway = chat_app.Gateway(self.origin, self.issuer, self.tls(),
                                        self.online)
        self.servers.append(
            chat_app.serve(self.gateway, "127.0.0.1", self.app_port))

    def other_origin(self):
        """The same pages at an origin that no policy names."""
        port = free_port()
        origin = f"http://localhost:{port}"
        gateway = chat_app.Gateway(origin, self.issuer, self.tls())
        self.servers.append(chat_app.serve(gateway, "127.0.0.1", port))
        return gateway

    def pack(self, *arguments, out=None):
        out = out or self.packed
        subprocess.run([INSTALLERS / "pack", "--out", out, *arguments],
                       check=True, stdout=subprocess.DEVNULL)
        self.extension = (out / "id").read_text().strip()

    def deploy(self):
        """Writes the machine's policies. Test-only additions beside ours let
        WebDriver look into the extension's own pages, and Firefox take an
        unsigned package."""
        expect(own_etc.entered(), "not in a namespace of our own")
        policy = self.dir / "managed.json"
        policy.write_text(json.dumps(self.managed))
        subprocess.run([INSTALLERS / "deploy", "--id", self.extension,
                        "--base-url", self.packed.as_uri(), "--policy", policy,
                        "--host", BIN / "countersign-native-host"], check=True)
        extra = pathlib.Path("/etc/chromium/policies/managed/zz-test.json")
        extra.write_text(json.dumps({"DeveloperToolsAvailability": 1}))
        path = pathlib.Path("/etc/firefox/policies/policies.json")
        firefox = json.loads(path.read_text())
        firefox["policies"]["Preferences"] = {
            "xpinstall.signatures.required": {"Value": False,
                                              "Status": "locked"}}
        path.write_text(json.dumps(firefox))

    def set_policy(self, **changes):
        self.managed.update(changes)
        self.deploy()

    def write_config(self, tpm="tpm"):
        path = super().write_config(tpm)
        if self.tpm_delay_ms:
            # Of TPM2_Quote (0x158) alone, as on a real chip.
            library = BIN.parent / "lib/libtss2-tcti-delay.so.0"
            if not library.exists():
                raise Skip(f"{library} is not built")
            config = json.loads(path.read_text())
            config["tpm"]["tcti"] = (f"{library}:ms={self.tpm_delay_ms}:"
                                     f"cc=0x158:{config['tpm']['tcti']}")
            path.write_text(json.dumps(config))
        return path

    def env(self):
        return {"COUNTERSIGN_SOCKET": str(self.socket)}

    def chromium(self, *arguments, ready=True, **how):
        browser = Chromium(self.env(), arguments,
                           log=self.dir / "chromium.log", **how)
        if ready:
            self.wait_until_ready(browser)
        return browser

    def firefox(self, **how):
        browser = Firefox(self.env(), log=self.dir / "firefox.log", **how)
        self.wait_until_ready(browser)
        return browser

    def wait_until_ready(self, browser):
        """The extension is there and has its policy, which takes a browser
        some seconds on its first start."""
        browser.go(f"{self.origin}/open/blank")

        def ready():
            # Chromium hands out policies when it has nothing else to do.
            time.sleep(0.5)
            return self.fetch(browser, "/ready") == 200
        until(ready, 60, "the extension's first proof")

    # -- what tests ask -------------------------------------------------------

    def fetch(self, browser, path, **options):
        """The status of a fetch in the page; "stopped" if it failed."""
        try:
            return browser.run(
                "const r = await fetch(args[0], args[1]); await r.text();"
                "return r.status", path, options)
        except ScriptError:
            return "stopped"

    def seen(self, path):
        """What the gateway saw at `path`, once something has arrived."""
        return until(lambda: [s for s in self.gateway.seen
                              if s["path"] == path], 10, f"{path} arrives")

    def expect_proven(self, path, count=1):
        until(lambda: len(self.seen(path)) >= count, 10, f"{count} of {path}")
        for seen in self.seen(path):
            expect(seen["reason"] == "", path, seen["reason"])
            expect(len(seen["receipt"]) < 4096, "a header that is too long")
        return self.seen(path)

    def page_state(self, browser):
        """What the extension's own pages show."""
        back = browser.address()
        browser.go(f"chrome-extension://{self.extension}/ui/options.html")
        state = browser.run(
            "return await chrome.runtime.sendMessage({kind: 'state'})")
        browser.go(back)
        return state


main = rig.main
__all__ = ["BIN", "free_port", "SOURCE", "BrowserRig", "Skip", "ScriptError", "enter_namespace", "expect", "main",
           "need", "time", "until"]
