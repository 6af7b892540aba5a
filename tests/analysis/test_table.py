from __future__ import annotations

import csv as csv_reader
import io
from dataclasses import replace

import pytest

from smallenough import wording
from smallenough.analysis.comparison import compare
from smallenough.analysis.evidence import Comparison
from smallenough.analysis.money import Prices
from smallenough.analysis.statistics import Difference, Interval, Proportion
from smallenough.analysis.table import csv, markdown, table
from smallenough.analysis.wording import interval_share, p_value, points
from tests.analysis.builders import study

OUTCOMES = ["solved", "unsolved", "solved", "solved", "unsolved", "solved", "unsolved", "solved"]


@pytest.fixture(scope="module")
def four() -> Comparison:
    """Four arms, everything measured, with money."""
    arms = ["codellama:7b single", "mistral:7b single", "smollm2:135m single", "smollm2:135m branching"]
    outcomes = {arm: OUTCOMES[index:] + OUTCOMES[:index] for index, arm in enumerate(arms)}
    return compare(*study(outcomes), prices=Prices(0.3, 1.0, "EUR"))


class TestEssentialTable:
    def test_four_arms_fit_120_characters(self, four: Comparison) -> None:
        found = table(four)
        assert found.width <= 120
        assert found.headers[:3] == ("Arm", "Solved\n[95%]", "Difference\npoints [95%]")
        assert {"Time/\ntrial", "Peak\nmemory", "CPU/\ntrial", "Time/\nsolved"} <= set(found.headers)
        assert [line[0] for line in found.rows] == [row.arm for row in four.rows]
        assert all(len(line) == len(found.headers) for line in found.rows)

    def test_cells_read_as_words(self, four: Comparison) -> None:
        found = table(four, width=None)
        cells = dict(zip(found.headers, found.rows[0], strict=True))
        assert cells["Solved\n[95%]"] == "62% [31–86]"
        assert cells["Time/\ntrial"] == "2.0 s"
        assert cells["Peak\nmemory"] == "2.0 GB"
        assert cells["Difference\npoints [95%]"] == ""
        assert cells["Depth/calls/\nsandboxes"] == "1/1/1"

    def test_the_costs_that_decide_stand_beside_the_difference(self, four: Comparison) -> None:
        assert table(four, width=100).headers[3:5] == ("Peak\nmemory", "Wall/\ntrial")
        found = table(four, width=100, costs=("money", "energy"))
        assert found.headers[3:5] == ("Money/\ntrial", "Energy/\ntrial")
        costs = four.rows[0].costs
        assert found.rows[0][3:5] == (wording.money(costs["money"], "EUR"), wording.energy(costs["energy"]))

    def test_width_takes_the_lightest_columns_and_says_which(self, four: Comparison) -> None:
        whole = table(four, width=None)
        previous = set(whole.headers)
        for width in (160, 120, 100, 80, 60, 10):
            found = table(four, width=width)
            assert found.width <= max(width, 60)
            assert set(found.headers) <= previous
            assert len(found.headers) + len(found.left_out) == len(whole.headers) + len(whole.left_out)
            previous = set(found.headers)
        assert previous == {"Arm", "Solved\n[95%]", "Difference\npoints [95%]"}

    def test_columns_that_tell_nothing_are_left_out(self) -> None:
        nothing = {"energy_joules": None, "peak_memory_bytes": None}
        frames = study({"large": OUTCOMES, "small": OUTCOMES[::-1]}, large=nothing, small=nothing)
        found = table(compare(*frames), width=None)
        assert {"Energy/solved", "Peak memory", "Less memory", "Money/1000 solved", "Failed trials"} == set(
            found.left_out
        )

    def test_long_names_are_shortened_in_the_middle_while_they_differ(self) -> None:
        arms = [f"a-model-with-a-very-long-name-indeed:{size}b strategy-with-options" for size in (7, 13)]
        found = table(compare(*study({arms[0]: OUTCOMES, f"{arms[1]} too": OUTCOMES[::-1]})), width=100)
        assert all("…" in line[0] and len(line[0]) == 33 for line in found.rows)
        alike = table(compare(*study({arms[0]: OUTCOMES, arms[1]: OUTCOMES[::-1]})), width=100)
        assert [line[0] for line in alike.rows] == arms

    def test_a_provider_that_all_share_is_the_first_to_go(self) -> None:
        names = ["big:7b single", "small:1b branching max_depth=1"]
        shared = {f"ollama:{name}": OUTCOMES for name in names}
        assert [line[0] for line in table(compare(*study(shared)), width=100).rows] == names
        assert [line[0] for line in table(compare(*study(shared)), width=None).rows] == list(shared)
        mixed = {f"ollama:{names[0]}": OUTCOMES, f"other:{names[1]}": OUTCOMES}
        assert table(compare(*study(mixed)), width=100).rows[0][0] == f"ollama:{names[0]}"


def test_the_detailed_table_has_everything(four: Comparison) -> None:
    found = table(four, detailed=True)
    assert found.headers == ("", *(row.arm for row in four.rows))
    cells = {line[0]: line[1] for line in found.rows}
    assert len(cells) == len(found.rows)
    assert cells["time per trial"] == "2.0 s (median 2.0 s)"
    assert cells["energy"] == "3.6 kJ"
    assert cells["GPU use, %"] == "–"
    assert cells["difference in points [95%]"] == ""
    assert cells["baseline"] == "yes"


def test_a_gap_is_told_in_the_detailed_table() -> None:
    trials, arms = study({"large": OUTCOMES, "small": OUTCOMES})
    trials.loc[0, "latency_seconds"] = None
    cells = {line[0]: line[1] for line in table(compare(trials, arms), detailed=True).rows}
    assert cells["time per trial"] == "2.0 s (median 2.0 s, 7 of 8)"


def test_csv_holds_the_numbers_themselves(four: Comparison) -> None:
    lines = list(csv_reader.DictReader(io.StringIO(csv(four))))
    assert [line["arm"] for line in lines] == [row.arm for row in four.rows]
    assert float(lines[1]["solved_rate"]) == 0.625
    assert lines[0]["difference"] == ""
    assert float(lines[2]["energy_joules"]) == 3600.0


def test_markdown_is_a_table_with_notes_below() -> None:
    frames = study({"large|one": OUTCOMES, "small": ["model_failed", *OUTCOMES[1:]]})
    lines = markdown(compare(*frames)).splitlines()
    assert lines[0].startswith("| Arm | Solved [95%] | Difference points [95%] |")
    assert set(lines[1]) <= set("|-: ")
    assert lines[2].startswith("| large\\|one | 62% [31–86] |")
    assert lines[1].count("|") == lines[0].count("|")
    assert lines[4] == ""
    assert any(line.startswith("- Infrastructure failures") for line in lines[5:])


def test_markdown_without_notes_is_the_table_alone(four: Comparison) -> None:
    assert four.notes == ("Money is 0.3 EUR a kilowatt-hour and 1 EUR an hour of the machine.",)
    four = replace(four, notes=())
    assert len(markdown(four).splitlines()) == 2 + 4
    assert len(markdown(four, detailed=True).splitlines()) == 2 + len(table(four, detailed=True).rows)


def test_intervals() -> None:
    assert interval_share(Proportion(31, 50, 0.62, Interval(0.51, 0.72))) == "62% [51–72]"
    difference = Difference(0.5, 0.62, -0.12, Interval(-0.2, -0.04), 50, 50)
    assert points(difference) == "−12 [−20, −4]"
    close = Difference(0.5, 0.5, 0.0, Interval(-0.004, 0.03), 50, 50)
    assert points(close) == "0 [−0.4, 3]"
    assert points(Difference(1.0, 0.0, 1.0, None, 1, 1)) == "100"
    assert [p_value(p) for p in (None, 0.0001, 0.0312, 1.0)] == ["–", "<0.001", "0.031", "1.000"]
