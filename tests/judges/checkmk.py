"""Reads local checks by Checkmk's documented rules, and refuses whatever it would complain about or read otherwise."""

import re
import sys

raw = sys.stdin.buffer.read()
text = raw.decode("utf-8")
assert text.endswith("\n"), "the last line has no end"
number = r"-?[0-9]+(?:\.[0-9]+)?"
limit = rf"(?:(?:{number}:)?{number}|{number}:)?"
metric = re.compile(rf"([A-Za-z_][A-Za-z0-9_]*)={number}(?:;{limit})?(?:;{limit})?(?:;(?:{number})?)?(?:;(?:{number})?)?")
names = set()
for line in text[:-1].split("\n"):
    assert line.splitlines() == [line], f"more than one line to some reader: {line!r}"
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in line), f"control characters: {line!r}"
    assert not line.startswith("<<<"), f"the head of another section: {line!r}"
    parts = re.fullmatch(r'([0-3]) "([^"\']+)" ([^ ]+) (.+)', line)
    assert parts, f"no local check: {line!r}"
    state, name, metrics, words = parts.groups()
    assert name == name.strip() and words == words.strip(), f"blanks that Checkmk takes away: {line!r}"
    assert name not in names, f"a name comes twice: {name!r}"
    names.add(name)
    assert "\\n" not in words, f"a new line that is none: {line!r}"
    if metrics == "-":
        continue
    found = [metric.fullmatch(each) for each in metrics.split("|")]
    assert all(found), f"no metrics: {metrics!r}"
    assert len({each[1] for each in found}) == len(found), f"a metric comes twice: {metrics!r}"
    print(state, name, sep="\t")
assert "Health" in names
