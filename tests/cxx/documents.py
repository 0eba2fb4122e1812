"""JSON documents for simdjson's own tests, which Debian's source package comes without."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

VALID = (
    "{}",
    "[]",
    "[1,-2,3.25e-7,4E+22,0,-0.0,123456789012345678901234567890.5]",
    '{"a":{"b":[null,true,false,{"c":"d"}]},"":[[[[[]]]]]}',
    r'["\" \\ \/ \b \f \n \r \t \u00e9 \ud83d\ude00", "grüße 東京"]',
    "[18446744073709551615,-9223372036854775808]",
    "[[1],[2]]\n[3]\n{}",
)
INVALID = (
    "[1,]",
    '{"a" 1}',
    '{"a":}',
    "[01]",
    "[1.]",
    "[tru]",
    r'["\x"]',
    r'["\ud800"]',
    '["a\nb"]',
    "[1e]",
    "[+1]",
    "{1:2}",
    "[1 2]",
    '{"a":1,}',
)
SMALL = {
    "adversarial": r'["\\\"","\\\\",[[[[[[{"\\":{}}]]]]]]]',
    "flatadversarial": '["{[:,]}",":","\\"",{"[":"]"}]',
    "demo": '{"Image":{"Width":800,"Title":"View","Animated":false,"IDs":[116,943]}}',
    "smalldemo": '[{"a":1.5},{"b":null}]',
    "truenull": "[true,null,false]",
}
"""Names that the tests ask for."""
LARGE = ("twitter_timeline", "repeat", "canada", "mesh", "apache_builds", "gsoc-2018")
"""Further ones, of some 100 KB each."""


def documents_of_simdjson(tree: Path, directory: Path) -> Path:
    """The directory in which the tests run: the package's two documents, and ours by others' names."""
    examples, checked = directory / "jsonexamples", directory / "jsonchecker"
    shutil.copytree(tree / "jsonexamples", examples)
    (examples / "small").mkdir()
    checked.mkdir()
    for name, text in SMALL.items():
        (examples / "small" / f"{name}.json").write_text(text)
    for seed, name in enumerate(LARGE):
        value = made(random.Random(seed), 2000)
        (examples / f"{name}.json").write_text(json.dumps(value, ensure_ascii=seed % 2 == 0))
    for kind, texts in (("pass", VALID), ("fail", INVALID)):
        for number, text in enumerate(texts, start=100):  # some numbers below are excepted
            (checked / f"{kind}{number}.json").write_text(text)
    return directory


def made(chance: random.Random, rows: int) -> list[object]:
    """Rows of everything that JSON has."""
    return [
        {
            "id": chance.getrandbits(63) - (1 << 62),
            "at": [chance.uniform(-180, 180), chance.gauss(0, 1e-9), chance.random() * 1e250],
            "text": "".join(chance.choice('ab "\\\n\té東😀/') for _ in range(chance.randrange(40))),
            "tags": {f"k{n}": chance.choice([None, True, False, [], {}]) for n in range(chance.randrange(4))},
        }
        for _ in range(rows)
    ]
