from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallenough.analysis.costs import COSTS
from smallenough.analysis.pareto import Front, FrontArm, on_front, pareto_front, sentences
from smallenough.errors import UnknownName
from tests.thorough import examples

FEW = 300
TIME = COSTS["seconds"].title

Cell = tuple[float | None, float | None]
"""Whether a trial is solved, and its seconds."""


def table(**arms: list[Cell] | dict[tuple[str, int], Cell]) -> pd.DataFrame:
    """Trials of arms: at tasks t0, t1, …, or by task and repeat."""
    rows = []
    for label, given_cells in arms.items():
        cells = (
            given_cells if isinstance(given_cells, dict) else {(f"t{n}", 0): one for n, one in enumerate(given_cells)}
        )
        for (task, repeat), (solved, seconds) in cells.items():
            outcome = "model_failed" if solved is None else "solved" if solved else "unsolved"
            rows.append((label, "basics", task, repeat, outcome, None if solved is None else bool(solved), seconds))
    names = ["label", "suite", "task", "repeat", "outcome", "solved", "latency_seconds"]
    return pd.DataFrame(rows, columns=names).astype(
        {"label": "string", "task": "string", "solved": "boolean", "latency_seconds": "Float64"}
    )


def front(trials: pd.DataFrame, cost: str = "seconds", totals: dict[str, float | None] | None = None) -> Front:
    return pareto_front(trials, cost, totals=totals, resamples=FEW)


def by_name(found: Front) -> dict[str, FrontArm]:
    return {one.arm: one for one in found.arms}


class TestTheFront:
    def test_an_arm_that_is_worse_and_dearer_is_not_on_it(self) -> None:
        found = by_name(front(table(cheap=[(0, 1.0), (1, 1.0)], good=[(1, 5.0), (1, 5.0)], poor=[(0, 9.0), (1, 9.0)])))
        assert {name: one.on_front for name, one in found.items()} == {"cheap": True, "good": True, "poor": False}
        assert found["poor"].front_share == 0
        assert (found["good"].success, found["good"].cost) == (1.0, 5.0)

    def test_as_good_for_less_leaves_the_dearer_one_out(self) -> None:
        found = by_name(front(table(cheap=[(1, 1.0), (0, 1.0)], dear=[(1, 2.0), (0, 2.0)])))
        assert (found["cheap"].front_share, found["dear"].front_share) == (1, 0)

    def test_equal_arms_are_both_on_it(self) -> None:
        cells: list[Cell] = [(1, 0.1), (0, 0.2), (1, 0.3)]
        assert {one.front_share for one in front(table(one=cells, two=cells, three=cells)).arms} == {1.0}

    def test_rounding_tells_no_arms_apart(self) -> None:
        equal = np.array([[0.3, 0.1 + 0.2]])
        assert on_front(equal, np.array([[1.0, 2.0]])).tolist() == [[True, False]]
        assert on_front(np.array([[0.5, 0.6]]), equal).tolist() == [[False, True]]
        assert on_front(equal, equal[:, ::-1]).tolist() == [[True, True]]

    def test_the_share_tells_how_sure_it_is(self) -> None:
        many: list[Cell] = [*[(1, 1.0)] * 30, *[(0, 1.0)] * 30]
        hardly: list[Cell] = [*[(1, 2.0)] * 31, *[(0, 2.0)] * 29]
        found = by_name(front(table(cheap=many, dear=hardly)))
        assert found["dear"].on_front
        assert found["dear"].front_share == pytest.approx(1 - (59 / 60) ** 60, abs=0.1)

    def test_one_arm_is_the_front(self) -> None:
        found = front(table(only=[(0, 1.0), (0, 1.0)]))
        assert [(one.on_front, one.front_share, one.success) for one in found.arms] == [(True, 1.0, 0.0)]

    def test_free_arms_are_told_apart_by_success(self) -> None:
        found = by_name(front(table(good=[(1, 0.0), (1, 0.0)], poor=[(1, 0.0), (0, 0.0)])))
        assert (found["good"].on_front, found["poor"].on_front) == (True, False)

    def test_each_task_counts_once(self) -> None:
        cells: dict[tuple[str, int], Cell] = {
            **{("a", repeat): (1.0, 1.0) for repeat in range(4)},
            ("b", 0): (0.0, 3.0),
        }
        (arm,) = front(table(only=cells)).arms
        assert (arm.success, arm.cost) == (0.5, 2.0)

    def test_totals_are_the_same_in_every_resample(self) -> None:
        cells: list[Cell] = [(1, 1.0), (0, 9.0)]
        found = front(table(small=cells, large=cells, unknown=cells), "memory", {"small": 1e9, "large": 4e9})
        assert [(one.arm, one.cost, one.cost_interval, one.front_share) for one in found.arms] == [
            ("small", 1e9, None, 1.0),
            ("large", 4e9, None, 0.0),
        ]
        assert found.missing == ("unknown",)

    def test_an_unknown_cost_is_refused(self) -> None:
        with pytest.raises(UnknownName):
            front(table(one=[(1, 1.0)]), "second")


class TestWhatIsLeftOut:
    def test_arms_without_the_cost_are_named(self) -> None:
        found = front(table(known=[(1, 1.0)] * 4, none=[(1, None)] * 4, few=[(1, 1.0)] + [(1, None)] * 3))
        assert [one.arm for one in found.arms] == ["known"]
        assert found.missing == ("none", "few")
        assert sentences(found)[-1].endswith("or not of all of their tasks: 'none', 'few'.")

    def test_tasks_that_an_arm_lacks_are_counted(self) -> None:
        alike: list[tuple[float | None, float | None]] = [(1, 1.0)] * 20
        found = front(table(one=[*alike, (0, 3.0)], two=[*alike, (1, None)]))
        assert (found.tasks, found.other_tasks) == (20, 1)
        assert by_name(found)["one"].success == 1.0
        assert "1 task that not all arms have" in sentences(found)[-1]

    def test_infrastructure_failures_have_no_part(self) -> None:
        found = front(table(one=[(1, 1.0), (None, 50.0), (0, 1.0)]))
        assert [(one.success, one.cost) for one in found.arms] == [(0.5, 1.0)]

    def test_an_arm_that_only_failed_is_left_out(self) -> None:
        found = front(table(one=[(1, 1.0)], broken=[(None, 1.0)]))
        assert ([one.arm for one in found.arms], found.missing) == (["one"], ("broken",))

    def test_nothing_common_is_no_front(self) -> None:
        found = front(table(one={("a", 0): (1, 1.0)}, two={("b", 0): (1, 1.0)}))
        assert (found.arms, found.tasks, found.other_tasks) == ((), 0, 2)
        assert sentences(found) == (
            f"There is no front of success against {TIME}: no task has both measured for every arm.",
        )
        assert len(found.to_frame()) == 0


class TestWords:
    def test_front_and_rest_are_named_with_their_shares(self) -> None:
        cells: list[Cell] = [(1, 1.0), (0, 2.0)]
        said = sentences(front(table(cheap=cells, dear=[(1, 5.0), (0, 6.0)])))
        assert said == (
            f"On the front of success against {TIME}, by 2 tasks: 'cheap' (in 100% of resamples).",
            "Not on it, since another arm solves at least as much for at most as much: 'dear' (in 0% of resamples).",
        )

    def test_frame_has_units_and_types(self) -> None:
        frame = front(table(one=[(1, 1.0), (0, 2.0)])).to_frame()
        assert frame.dtypes.astype(str).to_dict() == {
            "arm": "string",
            "success_rate": "Float64",
            "success_rate_low": "Float64",
            "success_rate_high": "Float64",
            "latency_seconds": "Float64",
            "latency_seconds_low": "Float64",
            "latency_seconds_high": "Float64",
            "on_front": "bool",
            "front_share": "Float64",
        }


TASKS = 5
CELLS = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0]), st.floats(0, 100).map(lambda value: round(value, 2))),
    min_size=TASKS,
    max_size=TASKS,
)


class TestProperties:
    @settings(max_examples=examples(30), deadline=None)
    @given(st.lists(CELLS, min_size=1, max_size=5))
    def test_the_best_and_the_cheapest_arms_are_on_it(self, arms: list[list[Cell]]) -> None:
        found = front(table(**{f"arm{n}": cells for n, cells in enumerate(arms)})).arms
        best = max(one.success for one in found)
        assert any(one.on_front for one in found if one.success == pytest.approx(best))
        cheapest = min(one.cost for one in found)
        assert any(one.on_front for one in found if one.cost == pytest.approx(cheapest))
        assert all(0 <= one.front_share <= 1 for one in found)
        assert sum(one.front_share for one in found) >= 1 - 1e-9  # every resample has a front

    @settings(max_examples=examples(30), deadline=None)
    @given(CELLS, st.lists(CELLS, max_size=3), st.lists(st.booleans(), min_size=TASKS, max_size=TASKS), st.data())
    def test_a_dominated_copy_is_never_on_it_more_often(
        self, cells: list[Cell], others: list[list[Cell]], spoilt: list[bool], data: st.DataObject
    ) -> None:
        dearer = data.draw(st.lists(st.sampled_from([0.0, 0.5, 7.0]), min_size=TASKS, max_size=TASKS))
        copy: list[Cell] = [
            (0.0 if worse else solved, (seconds or 0.0) + more)
            for (solved, seconds), worse, more in zip(cells, spoilt, dearer, strict=True)
        ]
        rest = {f"arm{n}": one for n, one in enumerate(others)}
        found = by_name(front(table(own=cells, copy=copy, **rest)))
        assert found["copy"].front_share <= found["own"].front_share

    @settings(max_examples=examples(30), deadline=None)
    @given(
        st.integers(1, 6).flatmap(
            lambda arms: st.lists(
                st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=arms, max_size=arms),
                min_size=1,
                max_size=4,
            )
        )
    )
    def test_agrees_with_the_definition(self, rows: list[list[tuple[int, int]]]) -> None:
        values = np.array(rows, dtype=np.float64)
        found = on_front(values[..., 0], values[..., 1])
        for row, flags in zip(rows, found, strict=True):
            for (success, cost), flag in zip(row, flags, strict=True):
                dominated = any(s >= success and c <= cost and (s > success or c < cost) for s, c in row)
                assert flag == (not dominated)
