"""What every strategy must do, whatever its policy. Subclass it and name the strategy and its options.

The properties hold for any options and for any answers; that trials are the same however many requests are in flight is
held against the real runner, in `tests/sessions/test_strategies.py`.
"""

from __future__ import annotations

from typing import ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smallenough.contracts.playing import EXAMPLES, World, asks, make, one_by_one, play, problems, turns, worlds
from smallenough.events import ActionsDecided, decode, encode
from smallenough.options import StrategyOptions
from smallenough.protocols import Strategy
from smallenough.records import Ask, Problem, Propose, TrialKey

inherited = settings(suppress_health_check=[HealthCheck.differing_executors], deadline=None)


class StrategyContract:
    """`name` is the strategy's, `options` brings any options of it."""

    name: ClassVar[str]
    options: ClassVar[st.SearchStrategy[StrategyOptions]]

    @inherited
    @given(st.data())
    def test_it_is_a_strategy_whose_options_are_all_told(self, data: st.DataObject) -> None:
        options = data.draw(self.options)
        assert isinstance(make(self.name, options), Strategy)
        assert options.most_asks is not None
        assert options.most_asks >= 1

    @inherited
    @given(st.data(), worlds, problems)
    def test_it_is_pure_and_what_it_wants_can_be_done(
        self, data: st.DataObject, world: World, problem: Problem
    ) -> None:
        options = data.draw(self.options)
        strategy, again = make(self.name, options), make(self.name, options)
        for steps, actions in turns(strategy, world, problem):
            before = list(steps)
            assert strategy.next(problem, steps, 7) == again.next(problem, steps, 7) == actions
            assert steps == before, "the past is not changed"
            for action in actions:
                parents = action.parents if isinstance(action, Propose) else (action.parent,)
                assert all(parent is None or 0 <= parent < len(steps) for parent in parents)
                if isinstance(action, Ask):
                    assert action.messages[-1].role == "user"
                    assert action.model is None or action.model in options.models
                    assert action.sampling.seed is not None, "the same session again gives the same"

    @inherited
    @given(st.data(), worlds, problems)
    def test_it_ends_within_the_inferences_that_it_tells(
        self, data: st.DataObject, world: World, problem: Problem
    ) -> None:
        options = data.draw(self.options)
        steps = play(make(self.name, options), world, problem)
        assert options.most_asks is not None
        assert 1 <= options.least_asks <= len(asks(steps)) <= options.most_asks

    @inherited
    @given(st.data(), worlds, problems)
    def test_the_answer_is_one_of_the_steps_that_no_other_beats_on_the_public_tests(
        self, data: st.DataObject, world: World, problem: Problem
    ) -> None:
        strategy = make(self.name, data.draw(self.options))
        assert strategy.choose(problem, []) is None
        steps = play(strategy, world, problem)
        chosen = strategy.choose(problem, steps)
        assert chosen is not None
        assert chosen is steps[chosen.index]
        assert not isinstance(chosen.action, Ask) or chosen.action.check
        ratios = [step.evaluation.ratio or 0.0 for step in steps if step.evaluation]
        assert ((chosen.evaluation and chosen.evaluation.ratio) or 0.0) == max(ratios, default=0.0)

    @inherited
    @given(st.data(), worlds, problems)
    def test_no_inference_is_made_twice(self, data: st.DataObject, world: World, problem: Problem) -> None:
        made = asks(play(make(self.name, data.draw(self.options)), world, problem))
        assert len({(ask.messages, ask.model, ask.sampling.seed) for ask in made}) == len(made)

    @inherited
    @given(st.data(), worlds, problems)
    def test_in_parallel_and_one_by_one_it_asks_the_same(
        self, data: st.DataObject, world: World, problem: Problem
    ) -> None:
        options = data.draw(self.options)
        both = [one_by_one(options, parallel=parallel) or options for parallel in (True, False)]
        together, apart = (play(make(self.name, each), world, problem) for each in both)
        assert apart == together[: len(apart)]
        if problem.public_tests:
            assert len(apart) == len(together), "without tests, one by one may end at the first that is acceptable"

    @inherited
    @given(st.data(), worlds, problems)
    def test_every_action_survives_the_journal(self, data: st.DataObject, world: World, problem: Problem) -> None:
        key = TrialKey("arm", "task")
        for steps, actions in turns(make(self.name, data.draw(self.options)), world, problem):
            event = ActionsDecided(key, len(steps), tuple(actions), 0.0)
            assert decode(encode(event)) == event

    @inherited
    @given(st.data())
    def test_examples_go_before_the_first_question(self, data: st.DataObject) -> None:
        options = data.draw(self.options)
        world = World(("",), (False,))
        first = asks(play(make(self.name, options), world))[0].messages
        shown = [message.content for message in first if message.role == "assistant"]
        assert len(shown) == options.shots
        for text, example in zip(shown, EXAMPLES, strict=False):
            assert (example.reference or "-").strip() in text
        assert "double" in first[-1].content
