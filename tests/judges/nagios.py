"""Holds the output of a plug-in against the Monitoring Plugins' guidelines, to the letter."""

import re
import sys

raw = sys.stdin.buffer.read()
text = raw.decode("utf-8")
assert len(raw) <= 8192, f"{len(raw)} bytes: Nagios keeps 8 KiB"
assert text.endswith("\n"), "the last line has no end"
lines = text[:-1].split("\n")
first = lines[0]
assert len(first.encode()) <= 4096, f"the first line has {len(first.encode())} bytes: Docker keeps 4,096"
for line in lines:
    control = [c for c in line if ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u2028\u2029"]
    assert not control, f"control characters {control!r} in {line!r}"
assert text.count("|") == 1, "a bar that begins no performance data"
match = re.fullmatch(r"HEALTH (OK|WARNING|CRITICAL|UNKNOWN) - (\S.*?) \|(.*)", first)
assert match, f"no first line: {first!r}"
assert "\\n" not in text, "Nagios takes a backslash and an n for a new line"

number = r"-?[0-9]+(?:\.[0-9]+)?"
limit = rf"@?(?:{number}|(?:{number}|~):(?:{number})?)?"
item = re.compile(rf" '([^'=|]+)'=({number})(s|ms|us|%|B|KB|MB|TB|c|)(?:;({limit}))?(?:;({limit}))?(?:;({number})?)?(?:;({number})?)?(?= |$)")
at, labels, data = 0, [], match[3]
while at < len(data):
    found = item.match(data, at)
    assert found, f"no performance data from here on: {data[at:at + 200]!r}"
    labels.append(found[1])
    at = found.end()
assert labels, "no performance data"
assert len(set(labels)) == len(labels), f"a label comes twice: {sorted(labels)}"
assert all(label == label.strip() for label in labels), labels
print(match[1])
