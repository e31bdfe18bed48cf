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
from xml.etree import ElementTree

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
        self.assertIn(f'appid="{(packed / "id").read_text().strip()}"', xml)
        self.assertIn('codebase="https://dl.example/cs/countersign.crx" '
                      f'version="{version}"', xml)
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

    def test_an_address_is_escaped_in_the_update_manifest(self):
        url = "https://dl.example/a?b='1'&c=<2>"
        xml = (self.pack("--base-url", url) / "update.xml").read_text()
        check, = ElementTree.fromstring(xml).iter(
            "{http://www.google.com/update2/response}updatecheck")
        self.assertEqual(check.get("codebase"), f"{url}/countersign.crx")

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
        self.managed = {"mode": "observe",
                        "rules": [{"match": ["https://ai.example/*"]}]}

    def deploy(self, *arguments, app_id="a" * 32, root=True):
        self.policy.write_text(json.dumps(self.managed))
        where = ("--root", self.root) if root else ()
        return run("deploy", "--id", app_id, "--base-url",
                   "https://dl.example", "--policy", self.policy, *where,
                   *arguments)

    def expect_refused(self, *words, **how):
        """Nothing may have been written, and all `words` have been said."""
        before = self.everything()
        done = self.deploy(**how)
        self.assertEqual(done.returncode, 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(self.everything(), before)

    def everything(self):
        return {path: path.read_bytes() for path in self.root.rglob("*")
                if path.is_file() and path != self.policy}

    def place(self, name, content):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str)
                        else json.dumps(content))
        return path

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
            self.assertIs(content["BrowserGuestModeEnabled"], False)
            self.assertEqual(
                content["MandatoryExtensionsForIncognitoNavigation"],
                ["a" * 32])
            self.assertEqual(content["3rdparty"]["extensions"]["a" * 32],
                             self.managed)
            self.assertEqual(policy.stat().st_mode & 0o777, 0o644)

    def test_it_leaves_nothing_else_behind_and_can_be_repeated(self):
        self.assertEqual(self.deploy().returncode, 0)
        first = self.everything()
        self.assertEqual(len(first), 10)
        self.assertEqual(self.deploy().returncode, 0)
        self.assertEqual(self.everything(), first)

    def test_firefox_keeps_what_others_have_set(self):
        path = self.place("etc/firefox/policies/policies.json", {"policies": {
            "DisableTelemetry": True,
            "ExtensionSettings": {"*": {"installation_mode": "blocked"}},
            "3rdparty": {"Extensions": {"other@example": {"a": 1}}}}})
        for mode in ("observe", "enforce"):
            self.managed["mode"] = mode
            self.assertEqual(self.deploy().returncode, 0)
            policies = json.loads(path.read_text())["policies"]
            self.assertIs(policies["DisableTelemetry"], True)
            self.assertEqual(set(policies["ExtensionSettings"]),
                             {"*", "extension@countersign"})
            self.assertEqual(policies["3rdparty"]["Extensions"], {
                "other@example": {"a": 1},
                "extension@countersign": self.managed})

    def test_a_file_that_cannot_be_merged_is_left_alone(self):
        for name, content in (
                ("etc/firefox/policies/policies.json", "{broken"),
                ("etc/firefox/policies/policies.json", "[]"),
                ("etc/firefox/policies/policies.json",
                 {"policies": {"ExtensionSettings": []}}),
                ("etc/chromium/policies/managed/other.json", "{broken"),
                ("etc/chromium/native-messaging-hosts/countersign.agent.json",
                 {"name": "other.host"}),
                ("etc/chromium/policies/managed/countersign.json",
                 {"HomepageLocation": "https://corp.example"})):
            path = self.place(name, content)
            self.expect_refused(str(path), "Nothing was written.")
            path.unlink()

    def test_another_file_that_sets_our_policies_is_named(self):
        theirs = {"ExtensionSettings": {"*": {"installation_mode": "blocked"}},
                  "3rdparty": {"extensions": {"b" * 32: {}}}}
        path = self.place("etc/chromium/policies/managed/zz-corp.json", theirs)
        self.expect_refused(str(path), "ExtensionSettings")
        # Where both are in one file, it is that file's.
        self.assertEqual(self.deploy("--browser", "edge").returncode, 0)
        edge = self.root / "etc/opt/edge/policies/managed/countersign.json"
        ours = json.loads(edge.read_text())
        theirs["ExtensionSettings"].update(ours["ExtensionSettings"])
        path.write_text(json.dumps(theirs))
        self.assertEqual(self.deploy().returncode, 0)
        made = json.loads((path.parent / "countersign.json").read_text())
        self.assertNotIn("ExtensionSettings", made)
        self.assertEqual(set(made), set(ours) - {"ExtensionSettings"})
        self.assertEqual(json.loads(path.read_text()), theirs)

    def test_the_development_id_is_for_development(self):
        packed = self.root / "packed"
        self.assertEqual(run("pack", "--out", packed).returncode, 0)
        app_id = (packed / "id").read_text().strip()
        self.assertEqual(self.deploy(app_id=app_id).returncode, 0)
        # The last of all refusals before the machine's own files.
        self.expect_refused("--development", app_id=app_id, root=False)
        self.expect_refused("--id", app_id="not-an-id")


class PolicyTest(unittest.TestCase):
    """What deploy says of the extension's policy."""
    RULE = {"match": ["https://ai.example/*"]}

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.policy = self.root / "policy.json"

    def deploy(self, text):
        self.policy.write_text(text if isinstance(text, str)
                               else json.dumps(text))
        return run("deploy", "--id", "a" * 32, "--base-url", "https://dl.example",
                   "--policy", self.policy, "--root", self.root / "to")

    def expect_fault(self, policy, where, remedy):
        done = self.deploy(policy)
        self.assertEqual(done.returncode, 1, policy)
        self.assertIn(f"{self.policy}: {where}: ", done.stderr)
        self.assertIn(remedy, done.stderr)
        self.assertFalse((self.root / "to").exists())

    def test_the_documented_policy_is_accepted(self):
        text = (SOURCE / "docs/deployment/browser.md").read_text()
        sample = re.search(r'^    \{\n      "mode".*?^    \}$', text,
                           re.S | re.M)[0]
        done = self.deploy(sample)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_wrong_type_or_value_is_named(self):
        for rule, where, remedy in (
                ({"dpop": "yes"}, "dpop", "true or false"),
                ({"protect": 0}, "protect", "true or false"),
                ({"methods": "POST"}, "methods", "a list"),
                ({"methods": []}, "methods", "leave the key out"),
                ({"methods": ["GET", "post"]}, "methods[1]", "capitals"),
                ({"purpose": ""}, "purpose", "1 to 256"),
                ({"purpose": "x" * 257}, "purpose", "1 to 256"),
                ({"query": "drop"}, "query", "bind, omit"),
                ({"unbound_body": True}, "unbound_body", "a text"),
                ({"audience": "ai.example"}, "audience", "https://"),
                ({"texts": {"help_url": "http://a.example"}}, "texts.help_url",
                 "https"),
                ({"texts": {"blocked": 7}}, "texts.blocked", "a text"),
                ({"match": []}, "match", "at least one"),
                ({"match": ["https://a/x/../y"]}, "match[0]", "SCHEME://"),
                ({"match": ["https://a/%2E%2e/y"]}, "match[0]", "SCHEME://"),
                ({"match": ["https://1.2.3.999/*"]}, "match[0]", "SCHEME://"),
                ({"match": ["https://-.x%y/*"]}, "match[0]", "SCHEME://"),
                ({"match": ["https://a\ud800/*"]}, "match[0]", "SCHEME://"),
                ({"initiators": []}, "initiators", "leave the key out"),
                ({"initiators": ["https://ai.example/"]}, "initiators[0]",
                 "alone"),
                ({"texts": {"blocked": ""}}, "texts.blocked", "1 to 1024"),
                ({"match": ["ai.example"]}, "match[0]", "SCHEME://"),
                ({"match": ["https://ai.example"]}, "match[0]", "SCHEME://"),
                ({"match": ["ftp://ai.example/*"]}, "match[0]", "SCHEME://"),
                ({"match": ["https://a*.example/*"]}, "match[0]", "SCHEME://"),
                ({"match": ["https://a.example:99999/*"]}, "match[0]",
                 "SCHEME://")):
            self.expect_fault({"rules": [self.RULE, {**self.RULE, **rule}]},
                              f"rules[1].{where}", remedy)
        for more, where, remedy in (
                ({"mode": "enforced"}, "mode", "enforce, observe"),
                ({"header": "X Y"}, "header", "header's name"),
                ({"session": []}, "session", "an object"),
                ({"session": {"lifetime_s": 86401}}, "session.lifetime_s",
                 "86400"),
                ({"session": {"lifetime_s": True}}, "session.lifetime_s",
                 "whole number"),
                ({"session": {"boundaries": ["https://a.example/c/*"]}},
                 "session.boundaries[0]", "{name}"),
                ({"session": {"end_on": ["/logout"]}}, "session.end_on[0]",
                 "SCHEME://"),
                ({"page_api": [{"actions": ["*"]}]}, "page_api[0].origins",
                 "missing"),
                ({"page_api": [{"origins": ["https://a.example/"]}]},
                 "page_api[0].origins[0]", "scheme, host and port"),
                ({"page_api": [{"origins": ["https://a.example:443"]}]},
                 "page_api[0].origins[0]", "scheme, host and port"),
                ({"agent_extensions": [""]}, "agent_extensions[0]", "1 to")):
            self.expect_fault({"rules": [self.RULE], **more}, where, remedy)

    def test_a_key_that_is_not_known_is_named_with_the_nearest(self):
        self.expect_fault({"rules": [{**self.RULE, "purposee": "x"}]},
                          "rules[0].purposee", "Did you mean purpose?")
        self.expect_fault({"rules": [], "zzz": 1}, "zzz", "Known are: ")

    def test_a_policy_without_rules_is_a_fault(self):
        self.expect_fault({"mode": "observe"}, "rules", "missing")
        self.expect_fault({"rules": [{"protect": False}]}, "rules[0].match",
                          "missing")
        self.expect_fault("[]", "the policy", "an object")
        self.assertEqual(self.deploy({"rules": []}).returncode, 0)

    def test_what_is_no_json_is_a_fault(self):
        self.expect_fault('{"rules": []', "no JSON", "line 1")
        self.expect_fault('{"rules": [], "rules": []}', "rules", "named twice")


class SchemaTest(unittest.TestCase):
    def test_the_schema_names_the_keys_that_the_extension_reads(self):
        schema = json.loads((EXTENSION / "managed_schema.json").read_text())

        def keys(name, file="policy.js"):
            source = (EXTENSION / "src" / file).read_text()
            text = re.search(rf"const {name} = \[(.*?)\]", source, re.S)[1]
            return set(re.findall(r"'(\w+)'", text))
        properties = schema["properties"]
        rule = properties["rules"]["items"]["properties"]
        page = properties["page_api"]["items"]["properties"]
        self.assertEqual(keys("KEYS"), set(properties))
        self.assertEqual(keys("KEYS", "rules.js"), set(rule))
        self.assertEqual(keys("SESSION_KEYS"),
                         set(properties["session"]["properties"]))
        self.assertEqual(keys("PAGE_KEYS"), set(page))


if __name__ == "__main__":
    unittest.main()
