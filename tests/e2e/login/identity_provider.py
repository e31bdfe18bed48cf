#!/usr/bin/python3
"""A real OpenID provider (npm oidc-provider) and a browser without a screen.

The browser is what `countersign login` finds as xdg-open: this same file, run
as a program, which signs ACCOUNT in and follows the redirects.
"""
import contextlib
import fcntl
import html
import http.cookiejar
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[2]


def modules():
    """The folder where the provider's packages are installed."""
    at = SOURCE / "build/login-tests"
    at.mkdir(parents=True, exist_ok=True)
    with open(at / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (HERE / "package-lock.json").read_bytes()
        have = at / "package-lock.json"
        done = at / "node_modules/oidc-provider/package.json"
        if not done.exists() or have.read_bytes() != wanted:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, at / name)
            subprocess.run(["npm", "ci", "--prefix", at, "--ignore-scripts",
                            "--no-audit", "--no-fund"], check=True,
                           stdin=subprocess.DEVNULL, capture_output=True)
    return at


class Browser:
    """Cookies, redirects and forms; no more than a login needs."""

    def __init__(self, ca, jar, account):
        self.account = account
        self.jar = http.cookiejar.LWPCookieJar(str(jar))
        with contextlib.suppress(OSError):
            self.jar.load(ignore_discard=True)
        context = ssl.create_default_context(cafile=ca)
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPCookieProcessor(self.jar))
        self.opener.addheaders = [("Accept", "text/html")]

    def fetch(self, url, form=None):
        """(final URL, body) after redirects; the account is given where the
        provider asks for it."""
        body = urllib.parse.urlencode(form).encode() if form else None
        try:
            answer = self.opener.open(url, body, timeout=20)
        except urllib.error.HTTPError as error:
            answer = error
        text = answer.read().decode()
        self.jar.save(ignore_discard=True)
        if "/interaction/" in answer.url and "login=" not in answer.url:
            return self.fetch(answer.url + "?" + urllib.parse.urlencode(
                {"login": self.account}))
        return answer.url, text

    def submit(self, url, text, **fields):
        """Sends the form of a page, with its hidden fields."""
        action = re.search(r'action="([^"]*)"', text)[1]
        for tag in re.findall(r"<input[^>]*type=\"hidden\"[^>]*>", text):
            name = re.search(r'name="([^"]*)"', tag)[1]
            value = re.search(r'value="([^"]*)"', tag)[1]
            fields.setdefault(name, html.unescape(value))
        return self.fetch(urllib.parse.urljoin(url, html.unescape(action)),
                          fields)

    def enter_device_code(self, url):
        """Types the code of RFC 8628 that `url` holds, and confirms it."""
        at, text = self.fetch(url)
        for _ in range(6):
            if "<form" in text:
                at, text = self.submit(at, text)
        return text

    def end_session(self, issuer):
        """Signs out at the provider, which tells its clients."""
        at, text = self.fetch(issuer + "/session/end")
        return self.submit(at, text, logout="yes")


class IdentityProvider:
    """The provider beside a Rig: same CA, its own port."""

    def __init__(self, one, port, keys=(("first", "RS256"),), **client):
        self.rig = one
        self.port = port
        self.issuer = f"https://localhost:{port}"
        self.client = {
            "client_id": "countersign", "application_type": "native",
            "token_endpoint_auth_method": "none",
            "grant_types": [
                "authorization_code",
                "urn:ietf:params:oauth:grant-type:device_code"],
            "redirect_uris": ["http://127.0.0.1/callback"],
            "id_token_signed_response_alg": keys[0][1],
            "backchannel_logout_uri":
                one.issuer + "/v1/oidc/backchannel-logout",
            "backchannel_logout_session_required": True, **client}
        self.program = None
        self.start(keys)

    def start(self, keys):
        """Starts it, or starts it again with other keys."""
        if self.program:
            self.program.kill9()
        self.client["id_token_signed_response_alg"] = keys[0][1]
        told = {"port": self.port, "cert": str(self.rig.dir / "server.pem"),
                "key": str(self.rig.dir / "server.key"),
                "modules": str(modules()), "client": self.client,
                "keys": [{"kid": k, "alg": a} for k, a in keys],
                "acr": "urn:mfa",
                "accounts": {
                    "alice": {"preferred_username": "alice@example.com",
                              "groups": ["staff", "ops"], "name": "Alice"},
                    "mallory'); DROP TABLE logins;--": {
                        "preferred_username": "a\n2026 ERROR \x1b[31mroot",
                        "groups": ["'; DELETE FROM sessions;--", "a\nb"],
                        "name": "<script>alert(1)</script>"}}}
        self.program = self.rig.start(
            "provider", "node", HERE / "provider.mjs", json.dumps(told),
            env={"NODE_EXTRA_CA_CERTS": str(self.rig.dir / "ca.pem")})
        import rig  # Beside this folder; the test has it already.
        rig.until(lambda: self.answers(), 20, "the provider's answer")

    def answers(self):
        with contextlib.suppress(OSError):
            context = ssl.create_default_context(
                cafile=self.rig.dir / "ca.pem")
            with urllib.request.urlopen(
                    self.issuer + "/.well-known/openid-configuration",
                    context=context, timeout=5) as answer:
                return answer.status == 200
        return False

    def stop(self):
        self.program.kill9()

    def browser(self, account="alice"):
        return Browser(self.rig.dir / "ca.pem", self.rig.dir / "cookies",
                       account)

    def environment(self, account="alice"):
        """For `countersign login`: who sits at the screen."""
        bin_dir = self.rig.dir / "browser"
        bin_dir.mkdir(exist_ok=True)
        program = bin_dir / "xdg-open"
        if not program.exists():
            program.symlink_to(pathlib.Path(__file__).resolve())
        return {"PATH": f"{bin_dir}:{os.environ['PATH']}", "BROWSER": "any",
                "LOGIN_CA": str(self.rig.dir / "ca.pem"),
                "LOGIN_JAR": str(self.rig.dir / "cookies"),
                "LOGIN_ACCOUNT": account}


if __name__ == "__main__":
    Browser(os.environ["LOGIN_CA"], os.environ["LOGIN_JAR"],
            os.environ["LOGIN_ACCOUNT"]).fetch(sys.argv[1])
