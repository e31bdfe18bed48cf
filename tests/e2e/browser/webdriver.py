"""Two real browsers behind one small interface: Chromium by ChromeDriver (W3C
WebDriver) and Firefox by Marionette. No package is needed for either.

    browser.go(url); browser.run("return await f()") ; browser.screenshot(path)
"""
import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from rig import free_port  # noqa: E402

# An asynchronous function's body, and how its promise gets back to us.
SCRIPT = """const done = arguments[arguments.length - 1];
(async (...args) => { %s })(...Array.from(arguments).slice(0, -1))
  .then((value) => done({value}), (error) => done({error: String(error)}));"""


class BrowserError(Exception):
    """What the browser said."""


class ScriptError(BrowserError):
    """What a script in a page threw."""


class Browser:
    """What both share. Subclasses give command(name, body) and stop()."""

    def go(self, url, fails=False):
        try:
            self.command("url", {"url": url})
        except BrowserError:
            if not fails:
                raise

    def run(self, body, *arguments):
        answer = self.command("script", {"script": SCRIPT % body,
                                         "args": list(arguments)})
        if "error" in answer:
            raise ScriptError(answer["error"])
        return answer.get("value")

    def screenshot(self, path):
        pathlib.Path(path).write_bytes(
            base64.b64decode(self.command("screenshot", {})))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def end(process):
    """Ends a process and its group, which we started."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(10)


class Chromium(Browser):
    """Headless Chromium. `profile` keeps a folder across starts."""

    # ChromeDriver's usual switches that would keep policy from installing.
    NOT = ["disable-background-networking", "disable-extensions",
           "disable-component-extensions-with-background-pages",
           "disable-default-apps"]
    PATHS = {"url": ("POST", "/url"), "script": ("POST", "/execute/async"),
             "screenshot": ("GET", "/screenshot"),
             "current": ("GET", "/url"), "handles": ("GET", "/window/handles"),
             "handle": ("GET", "/window"),
             "window": ("POST", "/window"), "new": ("POST", "/window/new"),
             "frame": ("POST", "/frame"),
             "cdp": ("POST", "/goog/cdp/execute"),
             "rect": ("POST", "/window/rect"), "close": ("DELETE", "/window")}

    def __init__(self, env=None, arguments=(), profile=None, log=None):
        self.own_profile = profile is None
        self.session = None
        self.profile = profile or tempfile.mkdtemp(prefix="cs-chromium.")
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        out = open(log, "ab") if log else subprocess.DEVNULL
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdin=subprocess.DEVNULL,
            stdout=out, stderr=out, start_new_session=True,
            env={**os.environ, **(env or {})})
        options = {"excludeSwitches": self.NOT,
                   "enableExtensionTargets": True, "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu",
            "--no-first-run", "--disable-component-update", "--disable-sync",
            "--noerrdialogs",  # Nobody would answer them.
            f"--user-data-dir={self.profile}", *arguments]}
        try:
            self.wait_for_driver()
            made = self.http("POST", "/session", {"capabilities": {
                "alwaysMatch": {"browserName": "chrome",
                                "goog:chromeOptions": options}}})
            self.session = f"/session/{made['sessionId']}"
            self.http("POST", f"{self.session}/timeouts", {"script": 60_000,
                                                           "pageLoad": 30_000})
        except BaseException:
            self.stop()
            raise

    def wait_for_driver(self):
        for _ in range(1200):
            try:
                self.http("GET", "/status")
                return
            except OSError:
                time.sleep(0.05)
        raise BrowserError("chromedriver does not answer")

    def http(self, method, path, body=None):
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(self.base + path, data=data,
                                         method=method)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.loads(answer.read())["value"]
        except urllib.error.HTTPError as error:
            value = json.loads(error.read())["value"]
            raise BrowserError(value["message"].split("\n")[0]) from None

    def command(self, name, body=None):
        method, path = self.PATHS[name]
        return self.http(method, self.session + path, body)

    def address(self):
        return self.command("current")

    def windows(self):
        return self.command("handles")

    def window(self):
        return self.command("handle")

    def switch(self, handle):
        self.command("window", {"handle": handle})

    def stop(self):
        # The driver's browser is in a group of its own and ends with its session.
        if self.session:
            with contextlib.suppress(OSError, BrowserError):
                self.http("DELETE", self.session)
        end(self.driver)
        if self.own_profile:
            shutil.rmtree(self.profile, ignore_errors=True)


class Firefox(Browser):
    """Headless Firefox ESR over Marionette: [kind, id, name, parameters]."""

    NAMES = {"url": "WebDriver:Navigate",
             "script": "WebDriver:ExecuteAsyncScript",
             "screenshot": "WebDriver:TakeScreenshot",
             "current": "WebDriver:GetCurrentURL",
             "handle": "WebDriver:GetWindowHandle",
             "handles": "WebDriver:GetWindowHandles",
             "window": "WebDriver:SwitchToWindow",
             "new": "WebDriver:NewWindow", "close": "WebDriver:CloseWindow"}

    def __init__(self, env=None, arguments=(), preferences=None, log=None):
        self.profile = tempfile.mkdtemp(prefix="cs-firefox.")
        port = free_port()
        settings = {"marionette.port": port, "app.update.enabled": False,
                    "browser.shell.checkDefaultBrowser": False,
                    "datareporting.policy.dataSubmissionEnabled": False,
                    "network.captive-portal-service.enabled": False,
                    "network.connectivity-service.enabled": False,
                    **(preferences or {})}
        (pathlib.Path(self.profile) / "user.js").write_text("".join(
            f"user_pref({json.dumps(k)}, {json.dumps(v)});\n"
            for k, v in settings.items()))
        out = open(log, "ab") if log else subprocess.DEVNULL
        # System access: to look at the extension's own pages.
        self.driver = subprocess.Popen(
            ["firefox-esr", "--headless", "--marionette", "--no-remote",
             "--remote-allow-system-access",
             "--profile", self.profile, *arguments],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,
            env={**os.environ, "HOME": self.profile, **(env or {})})
        self.next_id = 0
        try:
            self.socket = self.connect(port)
            self.receive()
            self.send("WebDriver:NewSession", {})
            self.send("WebDriver:SetTimeouts", {"script": 60_000,
                                                "pageLoad": 30_000})
        except BaseException:
            self.stop()
            raise

    def connect(self, port):
        for _ in range(1200):
            try:
                return socket.create_connection(("127.0.0.1", port), 90)
            except OSError:
                time.sleep(0.05)
        raise BrowserError("Firefox does not listen")

    def receive(self):
        size = b""
        while not size.endswith(b":"):
            one = self.socket.recv(1)
            if not one:
                raise BrowserError("Firefox has gone")
            size += one
        left, data = int(size[:-1]), b""
        while len(data) < left:
            data += self.socket.recv(left - len(data))
        return json.loads(data)

    def send(self, name, parameters):
        self.next_id += 1
        data = json.dumps([0, self.next_id, name, parameters]).encode()
        self.socket.sendall(str(len(data)).encode() + b":" + data)
        _, _, error, value = self.receive()
        if error:
            raise BrowserError(error["message"].split("\n")[0])
        if isinstance(value, dict) and list(value) == ["value"]:
            return value["value"]
        return value

    def command(self, name, body=None):
        return self.send(self.NAMES[name], body or {})

    def address(self):
        return self.command("current")

    def windows(self):
        return self.command("handles")

    def window(self):
        return self.command("handle")

    def switch(self, handle):
        self.command("window", {"handle": handle})

    def stop(self):
        end(self.driver)
        shutil.rmtree(self.profile, ignore_errors=True)
