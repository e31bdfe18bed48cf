"""The real programs on one machine, for tests that break them.

A Rig is a software TPM with a manufacturer of its own, the authorization
service over HTTPS, countersignd and countersign-uplink, in a temporary folder.
Everything that a Rig started ends with it. A test file defines functions
`test_…`, each with the adversary or fault it answers in a comment, and ends in
`rig.main(globals())`.
"""
import base64
import contextlib
import importlib
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import sqlite3
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
from xml.sax.saxutils import quoteattr

from proxies import CuttingProxy

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("COUNTERSIGN_BIN", SOURCE / "build/dev/bin"))
SWTPM = SOURCE / "tests/fakes/swtpm.sh"

POLICY = """\
[[rule]]
name = "never"
outcome = "deny"
action = ["deny:*"]

[[rule]]
name = "ask-first"
outcome = "approval_required"
action = ["approve:*"]
approval = "webauthn"

[[rule]]
name = "everything-else"
outcome = "permit"
audiences = ["*"]
"""


class Failure(AssertionError):
    """A promise that did not hold; the message says what was seen."""


class Skip(Exception):
    """The test cannot run on this machine; the message says why."""


def expect(condition, *seen):
    if not condition:
        raise Failure(" ".join(str(s) for s in seen) or "not as promised")


def until(condition, seconds=20, what="a condition"):
    """What `condition()` gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"{what} did not come true within {seconds} s")
        time.sleep(0.02)


def hex_of(value):
    """Digests as people write them, from protobuf's base64."""
    return base64.b64decode(value).hex()


def raise_open_files(count):
    """Lets this process open `count` files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE,
                       (count, max(count, hard)))


def mount(*arguments):
    """mount(8); skips the test where one may not, as in most containers and
    without root."""
    done = subprocess.run(["mount", *(str(a) for a in arguments)],
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)
    if done.returncode != 0:
        raise Skip(done.stderr.strip().split("\n")[0])


def free_port():
    """A port of 127.0.0.1 that nobody has. Not one of those that the kernel
    gives to outgoing connections: it may give it away before it is used."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Program:
    """One program in the background, its output in a file."""

    def __init__(self, name, command, log, env=None, preexec=None):
        self.name = name
        self.log = pathlib.Path(log)
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                [str(c) for c in command], stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, env={**os.environ, **(env or {})},
                preexec_fn=preexec)

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def kill9(self):
        self.signal(signal.SIGKILL)
        self.process.wait(20)

    def stop(self, seconds=25):
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise Failure(f"{self.name} did not end within {seconds} s of "
                          "SIGTERM") from None

    def output(self):
        return self.log.read_text(errors="replace")


def snake(value):
    """protobuf's JSON names as in the .proto files."""
    if isinstance(value, dict):
        return {re.sub(r"[A-Z]", lambda m: "_" + m[0].lower(), k): snake(v)
                for k, v in value.items()}
    if isinstance(value, list):
        return [snake(v) for v in value]
    return value


class Refused(Exception):
    """An answer that was an error; `info` is its ErrorInfo."""

    def __init__(self, info):
        super().__init__(f"{info.get('reason')}: {info.get('message')} "
                         f"({info.get('detail', '')})")
        self.info = info
        self.code = info.get("code")
        self.reason = info.get("reason")


class LocalClient:
    """The local socket in its JSON form, spoken by this very process."""

    def __init__(self, path, timeout=60):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.next_id = 0
        hello = self.read_frame()
        if hello.startswith(b"{"):
            answer = snake(json.loads(hello))
            if "error" in answer:
                raise Refused(answer["error"])
            self.nonce = answer["hello"]["nonce"]
        else:
            # Response{hello = 3 {nonce = 1}}, as protobuf writes it.
            at = hello.index(b"\x0a\x10")
            self.nonce = base64.b64encode(hello[at + 2:at + 18]).decode()

    def close(self):
        self.socket.close()

    def read_exactly(self, count):
        data = bytearray()
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the daemon closed the connection")
            data += more
        return bytes(data)

    def read_frame(self):
        return self.read_exactly(struct.unpack("<I", self.read_exactly(4))[0])

    def send(self, verb, **fields):
        self.next_id += 1
        payload = json.dumps({"request_id": str(self.next_id),
                              "nonce": self.nonce, verb: fields}).encode()
        self.socket.sendall(struct.pack("<I", len(payload)) + payload)
        return self.next_id

    def receive(self):
        """(request id, verb, answer); the verb may be "error"."""
        answer = snake(json.loads(self.read_frame()))
        request_id = int(answer.pop("request_id", 0))
        (verb, value), = answer.items()
        return request_id, verb, value

    def call(self, verb, **fields):
        wanted = self.send(verb, **fields)
        while True:
            request_id, kind, value = self.receive()
            if request_id != wanted:
                continue
            if kind == "error":
                raise Refused(value)
            return value

    def open_session(self, purpose="testing", **fields):
        answer = self.call("open_session", purpose=purpose, **fields)
        return answer["session"]["session_id"]

    def authorize(self, session, name="http:POST",
                  resource="https://api.example/things", **fields):
        return self.call("authorize", session_id=session, name=name,
                         resource=resource, purpose="testing", **fields)


class Rig:
    """See the module's text. As context manager it ends what it started."""

    def __init__(self, config=None, service="", policy=POLICY, proxy=False,
                 state_dir=None, store_dir=None, database=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="countersign-e2e."))
        self.config = config or {}
        self.service_extra = service  # Appended to authz.toml.
        self.policy = policy
        self.database = database  # URI of a server's; else a file.
        self.programs = []
        self.daemon = self.uplink = self.service = None
        self.store = pathlib.Path(store_dir or self.dir / "store")
        self.state = pathlib.Path(state_dir or self.dir / "state")
        self.port = free_port()
        self.proxy = CuttingProxy(self.port) if proxy else None
        self.issuer = ("https://localhost:"
                       f"{self.proxy.port if proxy else self.port}")
        self.socket = self.dir / "agent.sock"
        self.tpm_folders = []
        self.enrolled = False

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for program in reversed(self.programs):
            with contextlib.suppress(Exception):
                program.kill9()
        for folder in self.tpm_folders:
            subprocess.run([SWTPM, "stop", folder], check=False,
                           stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        if self.proxy:
            self.proxy.stop()
        if kind is not None:
            self.show_logs()
        shutil.rmtree(self.dir, ignore_errors=True)

    def show_logs(self):
        for log in sorted(self.dir.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()
            print(f"-- the end of {log.name}:", *lines[-25:], sep="\n   ")

    # -- set-up ---------------------------------------------------------------

    def all_up(self):
        """TPM, service, agent, enrolled."""
        self.make_tpm()
        self.init_service()
        self.start_service()
        self.start_agent()
        self.enroll()
        return self

    def make_tpm(self, name="tpm"):
        folder = self.dir / name
        for command in ("manufacture", "start", "extend"):
            subprocess.run([SWTPM, command, folder], check=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.tpm_folders.append(folder)
        return folder

    def make_tls(self, days=30):
        def openssl(*arguments):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec",
                            "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-days", str(days), *arguments], check=True,
                           stdin=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        ca, key = self.dir / "ca.pem", self.dir / "ca.key"
        openssl("-subj", "/CN=e2e CA", "-keyout", key, "-out", ca)
        openssl("-subj", "/CN=localhost", "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext",
                "basicConstraints=critical,CA:FALSE", "-CA", ca, "-CAkey", key,
                "-keyout", self.dir / "server.key",
                "-out", self.dir / "server.pem")

    def authz(self, *arguments, check=True):
        """Runs countersign-authz; its standard output."""
        done = subprocess.run(
            [str(BIN / "countersign-authz"), *map(str, arguments)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False)
        if check and done.returncode != 0:
            raise Failure(f"countersign-authz {arguments[0]}: exit "
                          f"{done.returncode}: {done.stderr} {done.stdout}")
        return done.stdout if check else (done.returncode,
                                          done.stdout + done.stderr)

    def init_service(self):
        self.make_tls()
        self.authz("init", "--dir", self.store, "--issuer", self.issuer,
                   "--listen", f"127.0.0.1:{self.port}",
                   "--tls-cert", self.dir / "server.pem",
                   "--tls-key", self.dir / "server.key",
                   *(["--store", self.database] if self.database else []))
        for folder in (self.store / "ek-roots", self.store / "trust/ek-roots"):
            for tpm in self.tpm_folders:
                shutil.copy(tpm / "ca/root.pem", folder / f"{tpm.name}.pem")
        (self.store / "policy.toml").write_text(self.policy)
        with open(self.store / "authz.toml", "a", encoding="utf-8") as toml:
            toml.write("\n" + self.service_extra + "\n")

    @property
    def toml(self):
        return self.store / "authz.toml"

    def start(self, name, *command, **how):
        program = Program(name, command, self.dir / f"{name}.log", **how)
        self.programs.append(program)
        return program

    def start_service(self, prefix=(), wait=True, **how):
        self.service = self.start("authz", *prefix, BIN / "countersign-authz",
                                  "serve", "--config", self.toml, **how)
        if wait:
            until(self.service_answers, 20, "the service's first answer")

    def service_answers(self):
        expect(self.service.running(), self.service.output()[-2000:])
        try:
            return self.https("/v1/jwks")[0] == 200
        except OSError:
            return False

    def https(self, path, body=None, headers=None, timeout=10):
        """(status, body) straight from the service, past any proxy."""
        request = urllib.request.Request(
            f"https://localhost:{self.port}{path}", data=body,
            headers=headers or {})
        try:
            with urllib.request.urlopen(request, context=self.tls(),
                                        timeout=timeout) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def tls(self):
        return ssl.create_default_context(cafile=self.dir / "ca.pem")

    def write_config(self, tpm="tpm"):
        folder = self.dir / tpm
        config = {
            "service": {"url": self.issuer,
                        "ca_file": str(self.dir / "ca.pem"),
                        "proxy": "none"},
            "tpm": {"tcti": f"swtpm:path={folder}/tpm.sock",
                    "event_log": str(folder / "eventlog.bin")},
            "state_dir": str(self.state), "socket": str(self.socket),
            "uplink_socket": str(self.dir / "uplink.sock")}
        for key, value in self.config.items():
            if isinstance(value, dict):
                config.setdefault(key, {}).update(value)
            else:
                config[key] = value
        path = self.dir / "agent.json"
        path.write_text(json.dumps(config, indent=1))
        return path

    def start_daemon(self, prefix=(), wait=True, tpm="tpm", **how):
        config = self.write_config(tpm)
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.daemon = self.start("countersignd", *prefix, BIN / "countersignd",
                                 "--config", config, **how)
        if wait:
            # Between its start and the TPM's first answer it has no device.
            until(lambda: (answer := self.daemon_answers()) is not None and
                  (answer.get("enrolled") or not self.enrolled), 20,
                  "the daemon's first answer")

    def daemon_answers(self):
        expect(self.daemon.running(), self.daemon.output()[-2000:])
        try:
            client = LocalClient(self.socket, 5)
        except (OSError, ConnectionError):
            return None
        try:
            return client.call("status")
        finally:
            client.close()

    def start_uplink(self, prefix=(), wait=True, **how):
        self.uplink = self.start("countersign-uplink", *prefix,
                                 BIN / "countersign-uplink", "--config",
                                 self.dir / "agent.json", **how)
        if wait:
            until(lambda: self.daemon_answers().get("uplink_connected"), 20,
                  "the uplink's connection")

    def start_agent(self):
        self.start_daemon()
        self.start_uplink()

    def token(self, *arguments):
        return self.authz("token", "create", "--config", self.toml,
                          *arguments).split()[-1]

    def enroll(self, token=None):
        """The answer of `countersign enroll --json`; raises Refused."""
        path = self.dir / "token"
        path.write_text(token or self.token())
        code, answer = self.cli("enroll", "--service", self.issuer,
                                "--token-file", path, "--ca-file",
                                self.dir / "ca.pem")
        if code != 0:
            raise Refused(answer.get("error", answer))
        self.enrolled = True
        return answer

    # -- use ------------------------------------------------------------------

    def client(self, timeout=60):
        return LocalClient(self.socket, timeout)

    def cli(self, *arguments, env=None, timeout=120):
        """(exit code, JSON answer) of a countersign command."""
        done = subprocess.run(
            [str(BIN / "countersign"), *map(str, arguments), "--json"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, timeout=timeout,
            env={**os.environ, "COUNTERSIGN_SOCKET": str(self.socket),
                 **(env or {})})
        try:
            return done.returncode, json.loads(done.stdout or "{}")
        except ValueError:
            return done.returncode, {"stdout": done.stdout,
                                     "stderr": done.stderr}

    # -- what the service recorded --------------------------------------------

    def audit_list(self):
        """Every ledger entry, in order."""
        out = json.loads(self.authz("audit", "list", "--since", "1970-01-01",
                                    "--config", self.toml, "--json"))
        return out["entries"] if isinstance(out, dict) else out

    def audit_verify(self):
        """(exit code, output) of audit verify."""
        return self.authz("audit", "verify", "--config", self.toml,
                          check=False)

    def sql(self, query, *values):
        with contextlib.closing(sqlite3.connect(
                f"file:{self.store}/ledger.db?mode=ro", uri=True)) as db:
            return db.execute(query, values).fetchall()

    def newest_workload(self):
        """The Workload of the newest session that the service accepted, and
        {fact: the weakest grade observed}."""
        statements = self.messages("statements")
        binding = statements.SessionBinding()
        binding.ParseFromString(self.sql(
            "SELECT binding FROM sessions ORDER BY ledger_index DESC")[0][0])
        weakest = {}
        for seen in binding.workload.observations:
            weakest[seen.name] = max(weakest.get(seen.name, seen.grade),
                                     seen.grade)
        return binding.workload, {
            name: statements.Grade.Name(grade)
            for name, grade in weakest.items()}

    def messages(self, name):
        """The Python classes of countersign/v1/NAME.proto."""
        out = self.dir / "python"
        if not out.exists():
            out.mkdir()
            protos = SOURCE / "attest/proto"
            subprocess.run(["protoc", f"--python_out={out}", f"-I{protos}",
                            *map(str, protos.glob("countersign/v1/*.proto"))],
                           check=True)
            sys.path.insert(0, str(out))
        return importlib.import_module(f"countersign.v1.{name}_pb2")


def junit(path, results):
    """The same report that GoogleTest writes, for tests/count_results."""
    with open(path, "w", encoding="utf-8") as out:
        out.write('<?xml version="1.0"?>\n<testsuites><testsuite>\n')
        for name, error, skipped in results:
            out.write(f'<testcase name={quoteattr(name)} status="run">')
            if error:
                out.write(f"<failure message={quoteattr(error)}/>")
            if skipped:
                out.write(f"<skipped message={quoteattr(skipped)}/>")
            out.write("</testcase>\n")
        out.write("</testsuite></testsuites>\n")


def main(names):
    """Runs the test functions in `names`, or those whose name the command
    line holds; the exit code says whether all held, or 77 if none could
    run."""
    wanted = sys.argv[1:]
    results = []
    for name, test in list(names.items()):
        if not name.startswith("test_") or (
                wanted and not any(w in name for w in wanted)):
            continue
        start = time.monotonic()
        error = skipped = ""
        try:
            test()
        except Skip as reason:
            skipped = str(reason)
        except Exception as raised:  # Every failure is a result.
            traceback.print_exc()
            error = f"{type(raised).__name__}: {raised}"
        took = time.monotonic() - start
        verdict = "FAIL" if error else "skip" if skipped else "ok  "
        print(f"{verdict}  {name} ({took:.1f} s) {skipped}".rstrip(),
              flush=True)
        results.append((name, error, skipped))
    report = os.environ.get("GTEST_OUTPUT", "")
    if report.startswith("xml:"):
        # What ctest calls it: e2e_NAME here, e2e_FOLDER_NAME below.
        file = pathlib.Path(sys.argv[0]).resolve().with_suffix("")
        name = "_".join(file.relative_to(SOURCE / "tests").parts)
        junit(pathlib.Path(report[4:]) / f"{name}.xml", results)
    if not results or any(error for _, error, _ in results):
        sys.exit(1)
    sys.exit(77 if all(skipped for _, _, skipped in results) else 0)
