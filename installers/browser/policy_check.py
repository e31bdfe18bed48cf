"""What is wrong with an extension's policy, before a browser sees it.

A browser drops without a word what its schema does not know: one value of a
wrong type takes all rules with it, and nothing is protected. The extension
never learns of it, so this is the place to be strict: types, values and names
by agent/extension/managed_schema.json, and what no schema says (patterns,
methods, origins) as the extension reads it (src/policy.js, src/match.js).
"""
import difflib
import ipaddress
import json
import pathlib
import re
import urllib.parse

SCHEMA = (pathlib.Path(__file__).resolve().parents[2]
          / "agent/extension/managed_schema.json")
TYPES = {"object": (dict, "an object {…}"), "array": (list, "a list […]"),
         "string": (str, "a text"), "boolean": (bool, "true or false"),
         "integer": (int, "a whole number")}
MAX_TEXT = 256
MAX_SENTENCE = 1024
MAX_LIFETIME_S = 86400
PATTERN = re.compile(r"(https?|\*)://(\*\.)?"
                     r"([^/*?#@:\[\]\s]+|\[[0-9a-fA-F:.]+\])"
                     r"(?::(\d{1,5}))?(/[^#]*)")
ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?")
DOT_SEGMENT = re.compile(r"/(\.|%2e){1,2}(/|$)", re.IGNORECASE)
LABEL = re.compile(r"[^\W_]([\w-]*\w)?")
HOLE = re.compile(r"\{[a-z_]+\}")
METHOD = re.compile(r"[A-Z][A-Z-]*")
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")


class Twice(ValueError):
    """A key that is named twice, of which a browser keeps one."""


def load(text):
    """The policy in `text`. ValueError says what is wrong with it."""
    def once(pairs):
        made = {}
        for key, value in pairs:
            if key in made:
                raise Twice(f"{key}: named twice. Keep one of them.")
            made[key] = value
        return made
    return json.loads(text, object_pairs_hook=once)


def is_host(text):
    """Stricter than a browser: what it takes beyond this is no host's name."""
    last = text.rstrip(".").split(".")[-1]
    if text.startswith("[") or last.isdigit():
        try:
            ipaddress.ip_address(text.strip("[]"))
            return True
        except ValueError:
            return False
    return all(LABEL.fullmatch(label)
               for label in text.removesuffix(".").split("."))


def is_pattern(text):
    found = PATTERN.fullmatch(text)
    return (bool(found) and int(found[4] or 0) <= 65535 and is_host(found[3])
            and not DOT_SEGMENT.search(found[5].split("?")[0]))


def is_boundary(text):
    return bool(HOLE.search(text)) and is_pattern(HOLE.sub("*", text))


def is_origin(text):
    found = ORIGIN.fullmatch(text)
    usual = found and {"http": "80", "https": "443"}[found[1]]
    return (bool(found) and found[3] != usual
            and int(found[3] or 0) <= 65535)


def is_url(text):
    parts = urllib.parse.urlsplit(text)
    return bool(parts.scheme and parts.netloc)


def is_sentence(text):
    return 0 < len(text) <= MAX_SENTENCE


ORIGIN_FORM = ("Write scheme, host and port alone, in lower case, as "
               "https://agents.example.")
SENTENCE_FORM = "Write 1 to 1024 characters, or leave the key out."
# Key without its indices -> (what holds of it, what to write).
PATTERN_FORM = "Write SCHEME://HOST[:PORT]/PATH, as https://ai.example/*."
VALUES = {
    "header": (HEADER.fullmatch, "Write a header's name."),
    "rules[].match": (len, "Name at least one address."),
    "rules[].match[]": (is_pattern, PATTERN_FORM),
    "rules[].methods": (len, "Name at least one, or leave the key out."),
    "rules[].methods[]": (METHOD.fullmatch, "Write it in capitals: POST."),
    "rules[].initiators": (len, "Name at least one, or leave the key out."),
    "rules[].initiators[]": (is_origin, ORIGIN_FORM),
    "rules[].audience": (is_url, "Write an origin, as https://ai.example."),
    "session.lifetime_s": (lambda n: 0 < n <= MAX_LIFETIME_S,
                           f"Write 1 to {MAX_LIFETIME_S} seconds."),
    "session.boundaries[]": (
        is_boundary, "Write an address with a {name} in it, as "
                     "https://ai.example/c/{conversation}."),
    "session.end_on[]": (is_pattern, PATTERN_FORM),
    "page_api[].origins": (len, "Name at least one origin."),
    "page_api[].origins[]": (is_origin, ORIGIN_FORM),
    "texts.blocked": (is_sentence, SENTENCE_FORM),
    "texts.approval": (is_sentence, SENTENCE_FORM),
    "texts.help_url": (lambda url: url.startswith("https://"),
                       "Write an https address."),
}
NEEDED = {"": ("rules", "Without rules nothing is protected: write [] if that "
                        "is meant."),
          "rules[]": ("match", "Name the rule's addresses."),
          "page_api[]": ("origins", "Name who may ask.")}


class Checker:
    """Walks policy and schema side by side."""

    def __init__(self, schema):
        self.named = {}
        self.find_names(schema)
        self.faults = []

    def find_names(self, schema):
        if "id" in schema:
            self.named[schema["id"]] = schema
        for part in [*schema.get("properties", {}).values(),
                     *filter(None, [schema.get("items")])]:
            self.find_names(part)

    def fault(self, where, text):
        self.faults.append(f"{where or 'the policy'}: {text}")

    def check(self, value, schema, where=""):
        schema = self.named.get(schema.get("$ref"), schema)
        kind, words = TYPES[schema["type"]]
        # In Python a bool is an int.
        if not isinstance(value, kind) or (
                kind is int and isinstance(value, bool)):
            self.fault(where, f"Write {words}.")
            return
        form = re.sub(r"\d+(?=\])", "", where)
        if "enum" in schema and value not in schema["enum"]:
            self.fault(where, f"Write one of: {', '.join(schema['enum'])}.")
        if kind is str and ".texts." not in f".{where}" and not (
                0 < len(value) <= MAX_TEXT):
            self.fault(where, f"Write 1 to {MAX_TEXT} characters.")
            return
        holds, remedy = VALUES.get(form.removeprefix("rules[].")
                                   if ".texts." in form else form, (None, ""))
        if holds and not holds(value):
            self.fault(where, f"{json.dumps(value)} cannot be used. {remedy}")
        if kind is dict:
            self.check_members(value, schema["properties"], where, form)
        elif kind is list:
            for i, item in enumerate(value):
                self.check(item, schema["items"], f"{where}[{i}]")

    def check_members(self, value, properties, where, form):
        key, remedy = NEEDED.get(form, (None, ""))
        if key and key not in value:
            self.fault(f"{where}.{key}".lstrip("."), f"missing. {remedy}")
        for key, item in value.items():
            inner = f"{where}.{key}".lstrip(".")
            if key in properties:
                self.check(item, properties[key], inner)
                continue
            near = difflib.get_close_matches(key, properties, 1)
            self.fault(inner, "not known. " + (
                f"Did you mean {near[0]}?" if near else
                f"Known are: {', '.join(sorted(properties))}."))


def faults(policy):
    """Each with the key that it is in, and what to do."""
    checker = Checker(json.loads(SCHEMA.read_text()))
    checker.check(policy, json.loads(SCHEMA.read_text()))
    return checker.faults
