"""Where a prompt is cut: what begins alike has to be cut alike."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smallenough.models.engine.prompt import LARGEST_PART, Prompt, starts
from smallenough.records import Message

tokens = st.integers(1, 1300).map(lambda count: list(range(count)))
places = st.lists(st.integers(0, 1400), max_size=6, unique=True).map(sorted)


@given(tokens, places)
def test_the_parts_are_the_prompt(prompt: list[int], cuts: list[int]) -> None:
    cut = Prompt.cut(prompt, cuts)
    assert [token for part in cut.parts for token in part] == prompt
    assert len(cut) == len(prompt)
    assert all(0 < len(part) <= LARGEST_PART for part in cut.parts)
    assert 0 <= cut.before_last < len(cut.parts)


@given(tokens, places, st.integers(16, 600))
def test_another_last_message_leaves_the_parts_before_it(prompt: list[int], cuts: list[int], more: int) -> None:
    starts_ = [*(cut for cut in cuts if cut < len(prompt)), len(prompt)]
    one = Prompt.cut(prompt + [-1] * more, starts_)
    other = Prompt.cut(prompt + [-2] * (more + 1), starts_)
    assert one.before_last == other.before_last
    assert one.parts[: one.before_last] == other.parts[: one.before_last]
    before = sum(map(len, one.parts[: one.before_last]))
    assert before == len(prompt) or any(len(prompt) - cut < 16 for cut in [0, *starts_[:-1]])


def test_few_tokens_are_no_part_of_their_own() -> None:
    cut = Prompt.cut(list(range(100)), [3, 40, 50, 90])
    assert [len(part) for part in cut.parts] == [40, 50, 10]
    assert cut.before_last == 2


messages = st.lists(
    st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=9), min_size=1, max_size=5
)


@given(messages)
def test_messages_are_found_where_they_begin(contents: list[str]) -> None:
    text = "".join(f"<{number}>{content}</>" for number, content in enumerate(contents))
    spans = [(0, 0), *((place, place + 1) for place in range(len(text)))]  # the first token only marks the beginning
    found = list(starts(text, [Message("user", content) for content in contents], spans))
    assert len(found) == len(contents)
    at = 0
    for start, content in zip(found, contents, strict=True):
        place = spans[start][0]
        assert place >= at
        assert text.startswith(content, place)
        at = place + len(content)


def test_a_message_that_a_template_changed_is_left_out() -> None:
    given_ = [Message("user", "  one \n"), Message("user", "TWO"), Message("user", ""), Message("user", "three")]
    assert list(starts("one|two|three", given_, [(at, at + 1) for at in range(13)])) == [0, 8]
    assert list(starts("one", given_, [])) == [0], "a tokenizer that does not tell where its tokens lie"
