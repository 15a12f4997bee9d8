"""Adapters and counts of the bundled world are what they were: bit by bit on the machine that stored them."""

import json

import pytest
from golden import BUNDLE, STORED, cells, machine

from wildpdiff.bundle import Bundle


@pytest.mark.slow
def test_every_regime_and_way_writes_the_adapters_and_counts_that_are_stored() -> None:
    stored = json.loads(STORED.read_text())
    found = dict(cells(Bundle.open(BUNDLE)))
    assert found.keys() == stored["cells"].keys()
    if machine() == stored["machine"]:
        assert found == stored["cells"]
    for name, cell in found.items():
        assert cell["numbers"] == pytest.approx(stored["cells"][name]["numbers"], rel=1e-2, abs=1e-4), name
        assert cell["norm"] == pytest.approx(stored["cells"][name]["norm"], rel=1e-3), name
        assert max(abs(a - b) for a, b in zip(cell["right"], stored["cells"][name]["right"], strict=True)) <= 1, name
