#!/usr/bin/python3
"""installers/browser: the packages and the files that deploy them."""
import hashlib
import json
import pathlib
import re
import struct
import subprocess
import tempfile
import unittest
import zipfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BROWSER = SOURCE / "installers/browser"
EXTENSION = SOURCE / "agent/extension"


def run(program, *arguments):
    return subprocess.run([BROWSER / program, *map(str, arguments)],
                          capture_output=True, text=True, check=False)


class PackTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name)

    def pack(self, *arguments, name="a"):
        done = run("pack", "--out", self.out / name, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.out / name

    def test_the_same_sources_give_the_same_bytes(self):
        url = ("--base-url", "https://dl.example/cs")
        first, second = self.pack(*url), self.pack(*url, name="b")
        for file in ("countersign.crx", "countersign.xpi", "update.xml"):
            self.assertEqual((first / file).read_bytes(),
                             (second / file).read_bytes(), file)

    def test_the_package_is_signed_by_the_key_of_its_id(self):
        packed = self.pack()
        crx = (packed / "countersign.crx").read_bytes()
        magic, version, size = struct.unpack("<4sII", crx[:12])
        self.assertEqual((magic, version), (b"Cr24", 3))
        header, archive = crx[12:12 + size], crx[12 + size:]
        # CrxFileHeader{2: {1: key, 2: signature}, 10000: {1: id}}, read by its
        # fixed lengths: a 294-byte key of 2048 bits, a 256-byte signature.
        key = header[6:6 + 294]
        signature = header[303:303 + 256]
        app_id = header[-16:]
        self.assertEqual(hashlib.sha256(key).digest()[:16], app_id)
        message = (b"CRX3 SignedData\0" + struct.pack("<I", 18) + b"\n\x10"
                   + app_id + archive)
        for name, data in (("key", key), ("sig", signature), ("msg", message)):
            (self.out / name).write_bytes(data)
        subprocess.run(["openssl", "dgst", "-sha256", "-verify", "key",
                        "-keyform", "DER", "-signature", "sig", "msg"],
                       cwd=self.out, check=True, stdout=subprocess.DEVNULL)
        letters = "".join(chr(ord("a") + int(d, 16)) for d in app_id.hex())
        self.assertEqual((packed / "id").read_text().strip(), letters)

    def test_the_update_manifests_name_the_packages(self):
        packed = self.pack("--base-url", "https://dl.example/cs/")
        version = json.loads((EXTENSION / "manifest.json").read_text())["version"]
        xml = (packed / "update.xml").read_text()
        self.assertIn(f"appid='{(packed / 'id').read_text().strip()}'", xml)
        self.assertIn("codebase='https://dl.example/cs/countersign.crx' "
                      f"version='{version}'", xml)
        update, = json.loads((packed / "updates.json").read_text())["addons"][
            "extension@countersign"]["updates"]
        xpi = (packed / "countersign.xpi").read_bytes()
        self.assertEqual(update["update_hash"],
                         "sha256:" + hashlib.sha256(xpi).hexdigest())
        manifest = json.loads(
            zipfile.ZipFile(packed / "countersign.xpi").read("manifest.json"))
        self.assertEqual(
            manifest["browser_specific_settings"]["gecko"]["update_url"],
            "https://dl.example/cs/updates.json")
        self.assertNotIn("storage", manifest)

    def test_the_package_holds_no_key_and_no_test(self):
        names = zipfile.ZipFile(self.pack() / "countersign.xpi").namelist()
        self.assertTrue(names)
        for name in names:
            self.assertRegex(
                name, r"^(manifest\.json|(src|page|ui)/\w+\.(js|html|css)|"
                      r"icons/\d+\.png)$")


class DeployTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.policy = self.root / "policy.json"
        self.policy.write_text('{"mode": "observe"}')

    def deploy(self, *arguments):
        return run("deploy", "--id", "a" * 32, "--base-url", "https://dl.example",
                   "--policy", self.policy, "--root", self.root, *arguments)

    def test_each_browser_gets_manifest_and_policy(self):
        self.assertEqual(self.deploy().returncode, 0)
        hosts = sorted(self.root.rglob("countersign.agent.json"))
        self.assertEqual(len(hosts), 5)
        for host in hosts:
            content = json.loads(host.read_text())
            self.assertEqual(content["name"], "countersign.agent")
            self.assertEqual(content.get("allowed_origins",
                                         content.get("allowed_extensions")),
                             ["extension@countersign"] if "mozilla" in str(host)
                             else [f"chrome-extension://{'a' * 32}/"])
        policies = sorted(self.root.rglob("countersign.json"))
        self.assertEqual(len(policies), 4)
        for policy in policies:
            content = json.loads(policy.read_text())
            self.assertIs(content["NativeMessagingUserLevelHosts"], False)
            self.assertEqual(content["NativeMessagingBlocklist"], ["*"])
            self.assertEqual(content["3rdparty"]["extensions"]["a" * 32],
                             {"mode": "observe"})

    def test_a_file_of_somebody_else_is_left_alone(self):
        theirs = self.root / "etc/firefox/policies/policies.json"
        theirs.parent.mkdir(parents=True)
        theirs.write_text('{"policies": {"DisableTelemetry": true}}')
        done = self.deploy()
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(theirs), done.stderr)
        self.assertIn("DisableTelemetry", theirs.read_text())
        self.assertEqual(self.deploy("--browser", "chromium").returncode, 0)


class SchemaTest(unittest.TestCase):
    def test_the_schema_names_the_keys_that_the_extension_reads(self):
        schema = json.loads((EXTENSION / "managed_schema.json").read_text())
        source = (EXTENSION / "src/policy.js").read_text()

        def keys(name):
            text = re.search(rf"const {name} = \[(.*?)\]", source, re.S)[1]
            return set(re.findall(r"'(\w+)'", text))
        properties = schema["properties"]
        rule = properties["rules"]["items"]["properties"]
        page = properties["page_api"]["items"]["properties"]
        self.assertEqual(keys("KEYS"), set(properties))
        self.assertEqual(keys("RULE_KEYS"), set(rule))
        self.assertEqual(keys("SESSION_KEYS"),
                         set(properties["session"]["properties"]))
        self.assertEqual(keys("PAGE_KEYS"), set(page))


if __name__ == "__main__":
    unittest.main()
