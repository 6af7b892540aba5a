"""What every probe must do. Subclass it and bring the fixture `probe`."""

from __future__ import annotations

import math

import pytest

from smallenough.protocols import Probe


class ProbeContract:
    """`probe` reads something that is there."""

    @pytest.fixture
    def probe(self) -> Probe:
        raise NotImplementedError

    def test_it_is_a_probe(self, probe: Probe) -> None:
        assert isinstance(probe, Probe)

    def test_it_reads_finite_numbers_by_name(self, probe: Probe) -> None:
        values = probe.read()
        assert values
        assert all(name and math.isfinite(value) for name, value in values.items())

    def test_it_reads_the_same_names_again(self, probe: Probe) -> None:
        assert set(probe.read()) == set(probe.read())
