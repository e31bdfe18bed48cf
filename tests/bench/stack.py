"""One complete Countersign on a software TPM whose quotes take as long as a
chip's, with a load generator that waits for orders.

A Stack has a TPM, countersignd and, behind it, either the real service and
uplink ("whole") or bench-stand-in ("agent"): the same daemon, measured with
and without what it talks to.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests/e2e"))
import rig  # noqa: E402  (after the path that it is found by)

AUDIENCE = "https://api.example"
RAW_KEY = "0x81018000"

# The quota of one client, far above the 2,048 actions that are outstanding.
LIMITS = {"outstanding_per_peer": 4096, "outstanding_total": 8192}
# The service's, far above a batch for each quote of the quickest TPM.
SERVICE_LIMITS = {"requests_per_s": 100_000, "batches_per_s": 10_000}

manufactured = None  # The folder of the TPM that all are copies of.

POLICY = f"""\
[[rule]]
name = "everything"
outcome = "permit"
audiences = ["{AUDIENCE}"]
[rule.user]
subject = ["os:*"]
"""


class Stack(rig.Rig):
    """Use as a context manager."""

    def __init__(self, kind, delay_ms, max_batch=2048):
        super().__init__(config={"limits": {**LIMITS, "max_batch": max_batch}},
                         policy=POLICY)
        self.service_extra = "[limits]\n" + "\n".join(
            f"{name} = {value}" for name, value in SERVICE_LIMITS.items())
        self.kind = kind
        self.delay_ms = delay_ms
        self.load = None

    def __enter__(self):
        self.make_tpm()
        self.make_raw_key()
        self.config["tpm"] = {"tcti": self.tcti}
        if self.kind == "whole":
            self.init_service()
            self.start_service()
            self.start_agent()
            self.enroll()
        else:
            self.start_agent_alone()
        return self

    def __exit__(self, kind, value, trace):
        if self.load:
            self.load.close()
        super().__exit__(kind, value, trace)

    @property
    def tcti(self):
        library = rig.BIN.parent / "lib/libtss2-tcti-delay.so.0"
        return (f"{library}:ms={self.delay_ms}:"
                f"swtpm:path={self.dir}/tpm/tpm.sock")

    def make_tpm(self, name="tpm"):
        """Manufactured once, then copied: seconds for each stack count."""
        global manufactured
        if manufactured is None:
            manufactured = tempfile.TemporaryDirectory()
            self.swtpm("manufacture", manufactured.name)
        folder = self.dir / name
        shutil.copytree(manufactured.name, folder)
        self.tpm_folders.append(folder)
        self.swtpm("start", folder)
        self.swtpm("extend", folder)

    @staticmethod
    def swtpm(command, folder):
        subprocess.run([rig.SWTPM, command, folder], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def tools(self, script):
        """Runs tpm2-tools on this stack's TPM."""
        return subprocess.run(
            ["sh", "-ec", script], cwd=self.dir, check=True,
            stdin=subprocess.DEVNULL, capture_output=True,
            env={**os.environ, "TPM2TOOLS_TCTI": self.tcti,
                 "TSS2_LOG": "all+none"})

    def make_raw_key(self):
        """A key to quote with outside of the agent: an AK without a
        password, as tpm2-tools makes it. There is no resource manager, so
        each step clears the TPM's memory for the next."""
        self.tools(f"""
            tpm2_createprimary -Q -C o -G ecc -c primary.ctx
            tpm2_flushcontext -Q -t
            tpm2_create -Q -C primary.ctx -G ecc:ecdsa-sha256:null \
                -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|sign' \
                -u raw.pub -r raw.priv
            tpm2_flushcontext -Q -t
            tpm2_load -Q -C primary.ctx -u raw.pub -r raw.priv -c raw.ctx
            tpm2_flushcontext -Q -t
            tpm2_evictcontrol -Q -C o -c raw.ctx {RAW_KEY}
            tpm2_flushcontext -Q -t
            tpm2_readpublic -Q -c {RAW_KEY} -f pem -o raw.pem""")

    def start_agent_alone(self):
        key = self.dir / "stand-in.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-out", key], check=True,
                       stderr=subprocess.DEVNULL)
        program = [rig.BIN / "bench-stand-in", "--key", key]
        jwks = self.dir / "jwks.json"
        jwks.write_bytes(subprocess.run([*program, "--jwks"], check=True,
                                        stdout=subprocess.PIPE).stdout)
        self.config["service"] = {"jwks_file": str(jwks), "ca_file": ""}
        self.start_daemon()
        self.uplink = self.start("stand-in", *program, "--issuer", self.issuer,
                                 "--socket", self.dir / "uplink.sock")
        rig.until(lambda: self.daemon_answers().get("uplink_connected"), 20,
                  "the stand-in's connection")
        client = self.client()
        client.call("enroll", service=self.issuer)
        client.close()

    def batches(self):
        """How many the service, or its stand-in, has answered."""
        program = self.service if self.kind == "whole" else self.uplink
        return program.output().count("POST /v1/actions 200")

    # -- measuring ------------------------------------------------------------

    def connect(self):
        """Starts the load generator; it opens a session."""
        if self.load is None:
            self.load = Load(self)

    def ask(self, *words):
        """One measurement by the load generator, as a dictionary."""
        self.connect()
        return self.load.ask(*words)


class Load:
    """bench-load, connected to one stack."""

    def __init__(self, stack):
        audience = AUDIENCE if stack.kind == "whole" else ""
        self.stack = stack
        self.process = subprocess.Popen(
            [rig.BIN / "bench-load", "--socket", stack.socket, "--audience",
             audience, "--tcti", stack.tcti, "--key", RAW_KEY],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "TSS2_LOG": "all+none"})

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.stack.show_logs()
            raise rig.Failure(f"bench-load ended at: {words}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
