"""Every kind of request that a page can make, and what the server must see."""
from browser_rig import ScriptError, expect, until
from rig import Failure

KINDS = {
    "/fetch": "await fetch('/fetch')",
    "/fetch-text": "await fetch('/fetch-text', {method: 'POST', body: 'hello ü'})",
    "/fetch-buffer": "await fetch('/fetch-buffer', {method: 'PUT', "
                     "body: new Uint8Array([0, 255, 7])})",
    "/fetch-form": "await fetch('/fetch-form', {method: 'POST', "
                   "body: new URLSearchParams({a: 'b c'})})",
    "/fetch-blob": "await fetch('/fetch-blob', {method: 'POST', "
                   "body: new Blob(['bl', 'ob'])})",
    "/xhr": "await new Promise((done, fail) => { const x = new XMLHttpRequest();"
            "x.onload = done; x.onerror = fail; x.open('POST', '/xhr');"
            "x.send('by xhr'); })",
    "/beacon": "navigator.sendBeacon('/beacon', 'a beacon')",
    "/events": "await new Promise((done, fail) => { const e = "
               "new EventSource('/events'); e.onmessage = () => { e.close();"
               "done(); }; e.onerror = () => { e.close(); fail(); }; })",
    "/socket": "await new Promise((done, fail) => { const s = new WebSocket("
               "location.origin.replace('http', 'ws') + '/socket');"
               "s.onmessage = () => { s.close(); done(); };"
               "s.onerror = fail; })",
    "/from-worker": "await new Promise((done, fail) => { const w = "
                    "new Worker('/open/worker.js'); w.onmessage = done;"
                    "w.onerror = fail; w.postMessage('/from-worker'); })",
    "/from-frame": "await new Promise((done) => { const f = "
                   "document.createElement('iframe'); f.src = '/frame.html';"
                   "addEventListener('message', done);"
                   "document.body.append(f); })",
    "/after-redirect": "await fetch('/redirect?to=/after-redirect')",
    "/after-307": "await fetch('/redirect?status=307&to=/after-307', "
                  "{method: 'POST', body: 'kept'})",
    "/image": "await new Promise((done) => { const i = new Image();"
              "i.onload = i.onerror = done; i.src = '/image'; })",
    "/odd path|[x]%7e%e2?q=a{b}|c d%zz": "await fetch("
                                         "'/odd path|[x]%7e%e2?q=a{b}|c d%zz')",
}
BOUND = {"/fetch", "/fetch-text", "/fetch-buffer", "/xhr", "/beacon",
         "/after-307"}
# Not even bytes to Chromium; Firefox shows a Blob.
UNBOUND = {"/fetch-form", "/fetch-blob"}


def arrives(rig, browser, path, act):
    """Does `act()`, and patiently until a request has come to `path`."""
    def seen():
        return any(s["path"].startswith(path) for s in rig.gateway.seen)

    def done(error):
        if not error:
            try:
                until(seen, 5)
            except Failure:
                pass  # Stopped, or on its way: the caller waits for it.
        return seen()

    def tried():
        try:
            act()
        except ScriptError as raised:
            return str(raised)
        return ""
    error = rig.patiently(browser, tried, done)
    expect(not error, path, error)


def every_kind_is_proven(rig, browser, unbound=frozenset(UNBOUND)):
    rig.go_blank(browser)
    for path, script in KINDS.items():
        # What is stopped says nothing at all to some pages.
        limited = (f"await Promise.race([(async () => {{ {script} }})(),"
                   "new Promise((done) => setTimeout(done, 15_000))])")
        arrives(rig, browser, path.split(" ")[0],
                lambda script=limited: browser.run(script))
        if path.startswith("/odd"):
            continue
        (seen,) = rig.expect_proven(path)
        if path in BOUND:
            expect("request_sha256" in seen["claims"], path, "is unbound")
        if path in unbound:
            expect(seen["claims"].get("body") == "unbound", path, "is bound")
    odd = [s for s in rig.gateway.seen if s["path"].startswith("/odd")]
    expect(len(odd) == 1 and not odd[0]["reason"], odd)

    def submit():
        arrives(rig, browser, "/form.html",
                lambda: browser.go(f"{rig.origin}/form.html", fails=True))
        browser.run("document.getElementById('form')?.submit()")
    arrives(rig, browser, "/form-target", submit)
    arrives(rig, browser, "/navigated", lambda: browser.go(
        f"{rig.origin}/redirect?to=/navigated", fails=True))
    for path in ("/form.html", "/form-target", "/navigated"):
        rig.expect_proven(path)
    proofs = [s["receipt"] for s in rig.gateway.seen if s["receipt"]]
    expect(len(set(proofs)) == len(proofs), "two requests shared a proof")


def parallel_requests_share_no_proof(rig, browser, count):
    def ask():
        rig.gateway.seen.clear()
        return browser.run(
            "return Promise.all(Array.from({length: args[0]}, (_, i) =>"
            "fetch(`/parallel/${i % 2}`)"
            ".then((r) => r.status, () => 'stopped')))", count)
    statuses = rig.patiently(browser, ask, lambda s: "stopped" not in s)
    expect(statuses == [200] * count, statuses)
    proofs = [s["receipt"] for s in rig.gateway.seen
              if s["path"].startswith("/parallel/")]
    expect(len(proofs) == len(set(proofs)) == count, len(set(proofs)))
