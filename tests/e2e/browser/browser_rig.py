"""A Rig (../rig.py) with a browser that policy has given the extension.

Policies and host manifests are files of the machine. So that no browser of
this machine's user ever sees them, the test runs in a mount namespace of its
own whose /etc is a copy; where that is not allowed, it skips.
"""
import contextlib
import importlib.machinery
import importlib.util
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
from webdriver import BrowserError, Chromium, Firefox, ScriptError  # noqa: E402

INSTALLERS = SOURCE / "installers/browser"
sys.path.insert(0, str(INSTALLERS))
# A program, whose functions sign another package as well.
PACK = importlib.util.module_from_spec(importlib.util.spec_from_loader(
    "pack", importlib.machinery.SourceFileLoader("pack",
                                                 str(INSTALLERS / "pack"))))
PACK.__spec__.loader.exec_module(PACK)

# For what has to happen at some time. A browser, a TPM and a service on a busy
# machine take theirs, and Chromium hands out policies when it has nothing else
# to do: whoever polls it must leave it some rest.
PATIENCE_S = 60
FIREFOX_UUID = "6f6e2c0a-3b1e-4d59-9f0e-0c1d5a7e4b21"
REST_S = 0.5


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
        if _plain_parts and _plain_parts[0] is not self:
            _end_plain()  # Its policies were these very files.
        policy = self.dir / "managed.json"
        policy.write_text(json.dumps(self.managed))
        subprocess.run([INSTALLERS / "deploy", "--development",
                        "--id", self.extension,
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

    def install_beside(self, manifest, **files):
        """Another extension that Chromium's policy forces in beside ours; its
        id. `files` are its pages."""
        folder = self.dir / "beside"
        folder.mkdir()
        key = self.dir / "beside.pem"
        key.write_bytes(PACK.extension_key.openssl("genrsa", "2048"))
        for name, text in {**files, "manifest.json": json.dumps(
                {"manifest_version": 3, "name": "beside", "version": "1",
                 **manifest})}.items():
            (folder / name.replace("_html", ".html")).write_text(text)
        package = self.dir / "beside.crx"
        package.write_bytes(PACK.crx3(
            PACK.zipped(folder, self.dir / "beside.zip"), key))
        made = PACK.extension_key.extension_id(
            PACK.extension_key.public_key(key))
        update = self.dir / "beside.xml"
        update.write_text(PACK.update_xml(made, package.as_uri(), "1"))
        self.force_beside(made)
        return made

    def force_beside(self, extension):
        """What deploy() writes knows ours alone."""
        policy = pathlib.Path("/etc/chromium/policies/managed/countersign.json")
        content = json.loads(policy.read_text())
        content["ExtensionSettings"][extension] = {
            "installation_mode": "force_installed",
            "update_url": (self.dir / "beside.xml").as_uri(),
            "override_update_url": True}
        policy.write_text(json.dumps(content))

    def env(self):
        return {"COUNTERSIGN_SOCKET": str(self.socket)}

    def chromium(self, *arguments, ready=True, **how):
        browser = Chromium(self.env(), arguments,
                           log=self.dir / "chromium.log", **how)
        browser.pages = f"chrome-extension://{self.extension}/ui"
        if ready:
            self.wait_until_ready(browser)
        return browser

    def firefox(self, ready=True, **how):
        # Firefox gives an extension an address of its own in each profile.
        gecko = json.loads((SOURCE / "agent/extension/manifest.firefox.json")
                           .read_text())["browser_specific_settings"]["gecko"]
        browser = Firefox(
            self.env(), log=self.dir / "firefox.log", preferences={
                "extensions.webextensions.uuids":
                    json.dumps({gecko["id"]: FIREFOX_UUID})}, **how)
        browser.pages = f"moz-extension://{FIREFOX_UUID}/ui"
        if ready:
            self.wait_until_ready(browser)
        return browser

    def wait_until_ready(self, browser):
        """The extension is there and has its policy, which takes a browser
        some seconds on its first start."""
        self.go_blank(browser)
        self.comes_to(browser, "/ready", 200)

    def reload_policies(self, browser):
        browser.go("chrome://policy")
        browser.run("chrome.send('reloadPolicies')")  # What its button does.
        self.go_blank(browser)

    def go_blank(self, browser):
        """To a page that the extension has no part in. On a busy machine a
        new browser's first page may never load, though the next one does."""
        for left in (2, 1, 0):
            try:
                browser.go(f"{self.origin}/open/blank")
                return
            except BrowserError as error:
                if left == 0 or "timeout" not in str(error).lower():
                    raise

    def go_where_pages_may_ask(self, browser):
        """To a page that has `countersign`: the extension places it there a
        moment after it has its policy."""
        def there():
            self.go_blank(browser)
            return browser.run("return (window.wrappedJSObject ?? window)"
                               ".countersign !== undefined")
        until(there, PATIENCE_S, "the page's API")

    # -- what tests ask -------------------------------------------------------

    def fetch_once(self, browser, path, **options):
        """The status of a fetch in the page; "stopped" if it failed."""
        try:
            return browser.run(
                "const r = await fetch(args[0], args[1]); await r.text();"
                "return r.status", path, options)
        except ScriptError:
            return "stopped"

    def fetch(self, browser, path, **options):
        """The same, and patient."""
        return self.patiently(
            browser, lambda: self.fetch_once(browser, path, **options),
            lambda status: status != "stopped")

    def patiently(self, browser, act, done):
        """What `act()` gives, once `done` says that it is an answer. Else the
        extension has to say that something took longer than it waits, which on
        a busy machine is right: then again. With any other reason, `done` or
        not, this is the answer."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            before = time.time() * 1000
            value = act()
            if done(value) or time.monotonic() > deadline:
                return value
            if self.reasons(browser, before) != {"timeout"}:
                return value
            time.sleep(REST_S)

    def reasons(self, browser, since_ms=0):
        """Why the extension stopped what it stopped since then."""
        return {action["reason"] for action in self.page_state(browser)["history"]
                if action["at"] >= since_ms and action["outcome"] in
                ("failed", "deny")}

    def comes_to(self, browser, path, status, **options):
        """Waits until a fetch of `path` ends with `status`."""
        def come():
            time.sleep(REST_S)
            return self.fetch_once(browser, path, **options) == status
        until(come, PATIENCE_S, f"{status} for {path}")

    def stops_at_once(self, browser, path, seconds):
        """A fetch is stopped, and does not hang: its best of three shows."""
        took = []
        for _ in range(3):
            start = time.monotonic()
            expect(self.fetch_once(browser, path) == "stopped", path)
            took.append(time.monotonic() - start)
        expect(min(took) < seconds, path, "hung", took)

    def seen(self, path):
        """What the gateway saw at `path`, once something has arrived."""
        return until(lambda: [s for s in self.gateway.seen
                              if s["path"] == path], PATIENCE_S,
                     f"{path} arrives")

    def expect_proven(self, path, count=1):
        until(lambda: len(self.seen(path)) >= count, PATIENCE_S,
              f"{count} of {path}")
        for seen in self.seen(path):
            expect(seen["reason"] == "", path, seen["reason"])
            expect(len(seen["receipt"]) < 4096, "a header that is too long")
        return self.seen(path)

    def page_state(self, browser):
        """What the extension's own pages show. Seen in a tab of its own: the
        page that is looked at stays as it is."""
        back = browser.window()
        browser.switch(browser.command("new", {"type": "tab"})["handle"])
        try:
            browser.go(f"{browser.pages}/options.html")
            return browser.run(
                "return await chrome.runtime.sendMessage({kind: 'state'})")
        finally:
            browser.command("close")
            browser.switch(back)


_plain = contextlib.ExitStack()
_plain_parts = []


@contextlib.contextmanager
def plain_chromium():
    """(rig, browser) as most tests want them: the same pair for all tests in a
    row that leave it as it was. After one that failed there is a new one."""
    try:
        if not _plain_parts:
            made = _plain.enter_context(BrowserRig())
            _plain_parts.append(made)
            _plain_parts.append(
                _plain.enter_context(made.all_up().chromium()))
        made, browser = _plain_parts
        made.gateway.seen.clear()
        made.go_blank(browser)
        yield made, browser
    except BaseException:
        made = _plain_parts[0] if _plain_parts else None
        if made:
            made.show_logs()
        _end_plain()
        raise


def _end_plain():
    _plain_parts.clear()
    _plain.close()


def main(names):
    try:
        rig.main(names)
    finally:
        _end_plain()


__all__ = ["BIN", "PATIENCE_S", "REST_S", "SOURCE", "BrowserError",
           "BrowserRig", "ScriptError", "Skip", "enter_namespace", "expect",
           "free_port", "main", "need", "plain_chromium", "time", "until"]
