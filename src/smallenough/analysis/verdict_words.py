"""The verdict in words: an answer, the numbers behind it, and what is in the way of a better one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smallenough.analysis.costs import COSTS
from smallenough.analysis.criterion import Costs, equal
from smallenough.analysis.verdict import POWER, SMALL_SUITE, Candidate, Verdict
from smallenough.analysis.wording import listed, p_value, points


def headline(verdict: Verdict) -> str:
    """The answer in one sentence."""
    base = repr(verdict.baseline)
    if verdict.kind == "found":
        assert verdict.arm is not None
        found = verdict.candidate(verdict.arm)
        if found.cheaper is None:
            return f"{verdict.arm!r} is good enough; whether it is cheaper than {base} is not known."
        if _as_cheap(found, verdict):
            return f"{verdict.arm!r} is good enough, and about as cheap as {base}."
        return f"{verdict.arm!r} is good enough, and cheaper than {base}."
    if verdict.kind == "not enough data":
        hopeful = min((one for one in _hopeful(verdict) if one.more_tasks), key=lambda one: one.more_tasks or 0)
        more = f"about {hopeful.more_tasks:,} more tasks"
        return f"Not enough data: {more} would settle whether {hopeful.arm!r} is good enough."
    if verdict.kind == "none cheaper":
        return f"{base} is the cheapest that is good enough: no cheaper arm is."
    if verdict.kind == "nothing solved":
        return "No verdict: no arm solves any of the tasks that it has in common with another."
    if verdict.kind == "no cost":
        return f"No verdict: {verdict.criterion.told} was measured for no arm, so that none is known to be cheaper."
    if not verdict.candidates:
        return f"No verdict: there is no other arm to compare {base} with."
    if verdict.kind == "not comparable":
        return f"No verdict: no other arm has a scored task in common with {base}."
    against = any(one.standing == "undecided" for one in _hopeful(verdict))
    return f"None: no cheaper arm is {'likely' if against else 'shown'} to be good enough beside {base}."


def sentences(verdict: Verdict) -> tuple[str, ...]:
    """The headline, and the numbers behind it."""
    return (headline(verdict), *_about(verdict))


def _about(verdict: Verdict) -> Iterator[str]:
    if verdict.arm is not None:
        found = verdict.candidate(verdict.arm)
        yield f"It solves {_against(found)}, and {_not_worse(found, verdict)}."
        if taken := _taken(found.costs, verdict.baseline_costs, verdict):
            yield f"A task takes it {taken}."
    if verdict.kind == "none cheaper":
        nearest = next((one for one in verdict.candidates if one.cheaper is False), None)
        if nearest and (taken := _taken(verdict.baseline_costs, nearest.costs, verdict)):
            yield f"A task takes it {taken} of {nearest.arm!r}, the next cheapest."
    rate = _baseline_rate(verdict)
    if rate is not None and rate <= verdict.margin and verdict.kind != "nothing solved":
        yield (
            f"{verdict.baseline!r} itself solves {100 * rate:.0f}%: hardly a yardstick, since what solves nothing"
            " is not worse by more than the margin either."
        )
    if verdict.kind == "no cost":
        good = [one.arm for one in verdict.candidates if one.standing == "not worse"]
        yield f"Good enough: {listed(good) or 'none is shown to be'}."
        if "money" in verdict.unmeasured:
            yield "Money takes prices: give --price-per-hour or --price-per-kwh of this machine, or --price of a model."
    elif verdict.kind != "nothing solved":
        yield from _others(verdict)
    yield from _terms(verdict)


def _others(verdict: Verdict) -> Iterator[str]:
    """What was in the way of the other arms that would have been cheaper."""
    for one in _hopeful(verdict):
        if one.arm == verdict.arm:
            continue
        if one.standing == "worse":
            yield f"{one.arm!r} is worse by more than the margin: {_against(one)}."
        elif one.standing == "undecided":
            yield f"{one.arm!r} is {_undecided(one)}: {_against(one)}; {_more(one)}."
        elif one.standing == "not compared":
            yield f"{one.arm!r} has no scored task in common with {verdict.baseline!r}."


def _terms(verdict: Verdict) -> Iterator[str]:
    """What the words mean here: the margin, the order, what was not measured."""
    margin = f"{100 * verdict.margin:g} points"
    why = "" if verdict.margin_given else f", the default for {_size(verdict)}"
    yield (
        f"Good enough means: not worse than {verdict.baseline!r} by more than {margin}{why}; shown by a one-sided"
        f" paired test at {100 * verdict.alpha:g}%, corrected over the arms. Cheap means: {verdict.criterion.told}."
    )
    if verdict.unmeasured and verdict.kind != "no cost":
        told = ", ".join(COSTS[name].arm_title for name in verdict.unmeasured)
        yield f"Not measured for any arm, and so no part of what cheap means: {told}."
    first = verdict.criterion.costs[0]
    unranked = [one.arm for one in verdict.candidates if one.costs.get(first) is None]
    if unranked and first not in verdict.unmeasured:
        yield f"{listed(unranked)}: the {COSTS[first].arm_title} was not measured, so that they can't be ordered by it."
    if verdict.baseline_costs.get(first) is None and first not in verdict.unmeasured:
        yield f"The {COSTS[first].arm_title} of {verdict.baseline!r} was not measured."


def _hopeful(verdict: Verdict) -> Sequence[Candidate]:
    """The arms that come before the one that was found, or before the baseline."""
    if verdict.arm is None:
        return [one for one in verdict.candidates if one.cheaper is not False]
    names = [one.arm for one in verdict.candidates]
    return verdict.candidates[: names.index(verdict.arm)]


def _against(one: Candidate) -> str:
    assert one.difference is not None
    arm, base = 100 * one.difference.arm_mean, 100 * one.difference.baseline_mean
    return f"{arm:.0f}% of the tasks against {base:.0f}% ({points(one.difference)} points)"


def _not_worse(one: Candidate, verdict: Verdict) -> str:
    return f"is not worse by more than {100 * verdict.margin:g} points (p {_p(one.p_corrected)})"


def _p(value: float | None) -> str:
    told = p_value(value)
    return told if told.startswith("<") else f"= {told}"


def _undecided(one: Candidate) -> str:
    return "undecided" if one.more_tasks is not None else "not shown to be good enough, nor to be worse"


def _more(one: Candidate) -> str:
    if one.more_tasks is None:
        return "as it stands, more tasks would rather show that it is worse"
    return f"about {one.more_tasks:,} more tasks would settle it with a power of {100 * POWER:g}%, if this is the truth"


def _baseline_rate(verdict: Verdict) -> float | None:
    """The share that the baseline solves of what it has in common with another arm."""
    return next((one.difference.baseline_mean for one in verdict.candidates if one.difference), None)


def _taken(costs: Costs, base: Costs, verdict: Verdict) -> str:
    """What the costs come to beside another arm's, up to the one that decides; all of those that make a score."""
    told = []
    for name in verdict.criterion.costs:
        own, other = costs.get(name), base.get(name)
        if own is None:
            continue
        amount = COSTS[name].told(own, verdict.currency)
        beside = "" if other is None else f" against {COSTS[name].told(other, verdict.currency)}"
        same = other is not None and equal(own, other)
        what = "" if name == "money" and verdict.currency else f" of {COSTS[name].arm_title}"
        told.append(f"{amount}{what}{beside}{' (about equal)' if same else ''}")
        if not same and not verdict.criterion.weights:
            break
    return " and ".join(told)


def _as_cheap(one: Candidate, verdict: Verdict) -> bool:
    """Whether an arm and the baseline take about the same of everything that is known of both."""
    both = [(one.costs.get(name), verdict.baseline_costs.get(name)) for name in verdict.criterion.costs]
    return all(equal(own, other) for own, other in both if own is not None and other is not None)


def _size(verdict: Verdict) -> str:
    few = verdict.tasks < SMALL_SUITE
    return f"fewer than {SMALL_SUITE} tasks" if few else f"{SMALL_SUITE} tasks or more"
