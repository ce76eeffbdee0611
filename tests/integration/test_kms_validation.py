"""Every constraint of the service model, violated one at a time against a running server; what to expect comes from the model."""

import base64
import importlib.util
import os
import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader

import pytest
from test_kms_wire import ask

GENERATOR = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../contrib/kms-shapes"))


def generator():
    loader = SourceFileLoader("kms_shapes", GENERATOR)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def models():
    found = list(generator().find_models())
    if not found:
        pytest.skip("no botocore with a service model on this machine")
    return found


def test_the_tables_are_what_the_generator_makes():
    done = subprocess.run([sys.executable, GENERATOR, "--check"], stdout=subprocess.PIPE, text=True, timeout=60)
    if done.returncode == 77:
        pytest.skip(done.stdout)
    assert done.returncode == 0, done.stdout


def camel(name):
    return name[0].lower() + name[1:]


def plain(text):
    return base64.b64encode(text).decode()


class Model:
    def __init__(self, source):
        self.operations, self.shapes = source["operations"], source["shapes"]

    def matching(self, shape):
        """A value that satisfies the shape."""
        s = self.shapes[shape]
        if "enum" in s:
            return s["enum"][0]
        if "pattern" in s or s["type"] == "string":
            candidates = ["alias/a", "a" * 64, "1" * 12, "us-east-1", "cluster-" + "a" * 12, "https://a.example", "/kms/xks/v1", "A" * 20,
                          "com.amazonaws.vpce.us-east-1.vpce-svc-0", "a" * 43, "12345678-1234-1234-1234-123456789012"]
            fits = [c for c in candidates if re.fullmatch(s.get("pattern", ".*"), c) and s.get("min", 0) <= len(c) <= s.get("max", 99)]
            return fits[0]
        return {"blob": plain(b"x" * max(1, s.get("min", 1))), "integer": max(1, s.get("min", 1)), "long": 1, "boolean": False, "timestamp": 1,
                "map": {}, "list": s["type"] == "list" and [self.matching(s["member"]["shape"])],
                "structure": s["type"] == "structure" and self.request(shape)}[s["type"]]

    def request(self, shape):
        """The required members of a structure."""
        s, made = self.shapes[shape], {}
        for name in s.get("required", []):
            made[name] = self.matching(s["members"][name]["shape"])
        return made

    def violations(self, shape, limits):
        """(value, as it is shown, constraints) of values that break each constraint of the shape."""
        s = self.shapes[shape]
        low, high = limits or (s.get("min"), s.get("max"))
        kind = s["type"]
        if "enum" in s:
            yield "no-such", "'no-such'", ["Member must satisfy enum value set: [" + ", ".join(s["enum"]) + "]"]
        elif kind == "string":
            pattern = s.get("pattern")
            for n, word in ((low - 1, f"greater than or equal to {low}") if low else (None, None), (high + 1, f"less than or equal to {high}") if high else (None, None)):
                if n is None or n < 0 or n > 9000:
                    continue
                value = (self.matching(shape)[:1] or "a") * n
                constraints = [f"Member must have length {word}"]
                if pattern and not re.fullmatch(pattern, value, re.ASCII):
                    constraints.append("Member must satisfy regular expression pattern: " + pattern)
                yield value, "'" + value[:256] + "'", constraints
            for value in ("a b\x7f\x01" + "c" * 20, "ü€" + "a" * 40, "alias/a?" + "b" * 40):
                if pattern and not re.fullmatch(pattern, value, re.ASCII) and (low or 0) <= len(value) <= (high or 999):
                    yield value, "'" + re.sub("[\x01\x7f]", "?", value) + "'", ["Member must satisfy regular expression pattern: " + pattern]
        elif kind == "blob":
            for n, word in ((0, f"greater than or equal to {low}"), (high + 1, f"less than or equal to {high}")):
                if n < 40000:
                    yield plain(b"x" * n), f"'java.nio.HeapByteBuffer[pos=0 lim={n} cap={n}]'", [f"Member must have length {word}"]
        elif kind == "integer" and high:
            yield low - 1, f"'{low - 1}'", [f"Member must have value greater than or equal to {low}"]
            yield high + 1, f"'{high + 1}'", [f"Member must have value less than or equal to {high}"]
        elif kind == "list":
            element = self.shapes[s["member"]["shape"]]
            if high:
                yield ["x"] * (high + 1), "'[" + ", ".join(["x"] * (high + 1)) + "]'", [f"Member must have length less than or equal to {high}"]
            if "enum" in element:
                yield ["no-such"], "'[no-such]'", ["Member must satisfy constraint: [Member must satisfy enum value set: [" + ", ".join(element["enum"]) + "]]"]


def check_operation(service, model, limits, operation):
    shape = model.shapes[model.operations[operation]]
    sound, count = model.request(model.operations[operation]), 0
    for name, member in shape["members"].items():
        at = camel(name)
        if name in shape.get("required", []):
            without = {k: v for k, v in sound.items() if k != name}
            assert ask(service, operation, **without) == {"__type": "ValidationException", "message":
                f"1 validation error detected: Value null at '{at}' failed to satisfy constraint: Member must not be null"}
            count += 1
        for value, shown, constraints in model.violations(member["shape"], limits.get((operation, name))):
            shown = "" if model.shapes[member["shape"]].get("sensitive") else shown + " "
            findings = "; ".join(f"Value {shown}at '{at}' failed to satisfy constraint: {c}" for c in constraints)
            expected = f"{len(constraints)} validation error{'s' if len(constraints) > 1 else ''} detected: {findings}"
            answer = ask(service, operation, **{**sound, name: value})
            assert answer["__type"] == "ValidationException", (operation, name, answer)
            assert answer["message"][:900] == expected[:900], (operation, name)
            count += 1
        wrong = {"map": "x", "list": "x", "structure": [1]}.get(model.shapes[member["shape"]]["type"], {"x": [1]})
        assert ask(service, operation, **{**sound, name: wrong})["__type"] == "SerializationException", (operation, name)
    return count


def test_every_constraint_of_every_operation(kms_service):
    newest = max(models(), key=lambda m: len(m["operations"]))
    model, limits = Model(newest), generator().LIMITS
    counts = {o: check_operation(kms_service, model, limits, o) for o in model.operations}
    assert sum(counts.values()) > 250, counts
    tags = [{"TagKey": "a" * 129, "TagValue": "b"}, {"TagKey": "c"}]
    assert ask(kms_service, "TagResource", KeyId="k", Tags=tags)["message"] == (
        "2 validation errors detected: Value '" + "a" * 129 + "' at 'tags.1.member.tagKey' failed to satisfy constraint: Member must have "
        "length less than or equal to 128; Value null at 'tags.2.member.tagValue' failed to satisfy constraint: Member must not be null")
