"""Samples as rows of a table, and back."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from smallenough.resources.samples import GpuSample, Sample, others

amounts = st.none() | st.integers(0, 2**40)
numbers = st.none() | st.floats(0, 1e9)
gpus = st.integers(0, 3).flatmap(
    lambda count: st.tuples(
        *(st.builds(GpuSample, st.just(index), numbers, amounts, amounts, numbers, numbers) for index in range(count))
    )
)
names = st.text(min_size=1, max_size=8) | st.sampled_from(["gpus", "more", "gpu_fan", "gpu_0_fan", "gpu_temperature"])
samples = st.builds(
    Sample,
    st.floats(0, 2e9),
    numbers,
    numbers,
    amounts,
    amounts,
    numbers,
    gpus,
    st.integers(0, 99),
    st.dictionaries(names, st.floats(0, 1e9)).map(others),
)


@given(samples)
def test_a_sample_is_the_same_after_a_row_of_json(sample: Sample) -> None:
    assert Sample.from_row(json.loads(json.dumps(sample.row()))) == sample


def test_only_names_that_mean_nothing_here_are_other_probes() -> None:
    told = {"cpu_seconds": 1.0, "gpu_0_percent": 2.0, "gpu_0_fan": 3.0, "load_average": 4.0, "gpus": 1.0}
    assert others(told) == {"gpu_0_fan": 3.0, "load_average": 4.0}
