from __future__ import annotations

import ast
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smallenough.extraction import extract_code
from smallenough.syntax import MAX_CHARS, defined_names, parse

SOLUTION = "def f(n):\n    return n + 1"


@pytest.mark.parametrize(
    "response",
    [
        f"```python\n{SOLUTION}\n```",
        f"Sure! Here it is:\n\n```py\n{SOLUTION}\n```\nIt adds one.",
        f"```\n{SOLUTION}\n```",
        f"~~~\n{SOLUTION}\n~~~",
        f"````python\n{SOLUTION}\n````",
        f"```Python3\n{SOLUTION}\n```",
        f"``` python\n{SOLUTION}\n```",
        f"```{{.python .numberLines}}\n{SOLUTION}\n```",
        "1. First:\n   ```python\n   def f(n):\n       return n + 1\n   ```\n2. Done.",
        "- ```python\n  def f(n):\n      return n + 1\n  ```",
        f"Here: ```python\n{SOLUTION}\n```",
        f"```python\n{SOLUTION}```",
        f"```python\n{SOLUTION}",
        f"```python\r\n{SOLUTION}\r\n```\r\n".replace("\n    ", "\r\n    "),
        SOLUTION,
        f"Here is the function:\n\n{SOLUTION}\n\nIt takes a number and adds one.",
        f"Here is the function:\n{SOLUTION}\nThis function adds one to (n).",
        "The code:\n\n    def f(n):\n        return n + 1\n\nThat's all.",
        ">>> def f(n):\n...     return n + 1\n...\n>>> f(3)\n4\n",
        "```python\n>>> def f(n):\n...     return n + 1\n>>> f(3)\n4\n```",
        f"```python\n{SOLUTION}\n\nprint(f(3))\n```",
        f"```python\n{SOLUTION}\n\nassert f(1) == 2\nfor i in range(3):\n    print(f(i))\n```",
        f"```python\n{SOLUTION}\n\nn = int(input('n? '))\nresult = f(n)\nprint(result)\n```",
        f"```python\n{SOLUTION}\n\nif __name__ == '__main__':\n    import sys\n    print(f(sys.argv))\n",
        f"```python\nimport unittest\n\n{SOLUTION}\n\nclass TestF(unittest.TestCase):\n    def test_f(self):\n"
        "        self.assertEqual(f(1), 2)\n\nunittest.main()\n```",
        f"```python\nimport pytest\n\n{SOLUTION}\n\ndef test_f():\n    assert f(pytest) == 1\n```",
        f"```python\n{SOLUTION}\n```\nExample:\n```python\nprint(f(3))\n```\nOutput:\n```\n4\n```",
        f"```bash\npip install numpy\n```\n```python\n{SOLUTION}\n```",
        f"A first try:\n```python\ndef f(n):\n    return n\n```\nWrong. Now:\n```python\n{SOLUTION}\n```",
        f"```python\n{SOLUTION}\n```\nAnd recursively:\n```python\ndef f(n):\n    return 1 + f(n -",
        f"```python\n{SOLUTION}\n\ndef g(n):\n    return f(n) + (1,",
        f"```python\n{SOLUTION}\n\n@decorator\ndef g(n):\n    return f(n) + (1,",
        f"```javascript\n{SOLUTION}\n```",
        f"<think>\nMaybe ```python\ndef f(n): return 0\n```\n</think>\n```python\n{SOLUTION}\n```",
        f"```text\nf(1) is 2\n```\n\n{SOLUTION}\n",
    ],
)
def test_the_solution_is_found_and_nothing_else(response: str) -> None:
    code = extract_code(response, "f")
    assert code is not None
    assert code.strip() == SOLUTION


@pytest.mark.parametrize(
    "response",
    [
        "",
        "I can't help with that.",
        "Hello",
        "f",
        "Let f be a function. Then f(2) = 3.",
        "<think>\n```python\ndef f(n):\n    return n + 1\n```\n",
        f"<think>{SOLUTION}",
        "```\n\n```",
    ],
)
def test_no_code_is_none(response: str) -> None:
    assert extract_code(response, "f") is None


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ("```python\ndef f(n):\n    return (n +\n```", "def f(n):\n    return (n +"),
        ("Well:\ndef f(n):\n    return n +", "def f(n):\n    return n +"),
        ("```python\ndef f(n)\n    return n\n```", "def f(n)\n    return n"),
        ("```python\nthis is not Python\n```", "this is not Python"),
        ("```python\ns = “smart”\ndef f(n):\n    return s\n```", "s = “smart”\ndef f(n):\n    return s"),
    ],
)
def test_code_with_a_fault_comes_back_as_it_is(response: str, code: str) -> None:
    assert extract_code(response, "f") == code


def test_a_solution_by_another_name_is_given_back_so_that_the_model_can_be_told() -> None:
    assert extract_code("```python\ndef g(n):\n    return n\n```", "f") == "def g(n):\n    return n"


def test_helpers_in_other_blocks_are_joined_when_they_are_needed() -> None:
    response = (
        "```python\nimport math\n```\n```python\ndef unused():\n    return 0\n```\n"
        "```python\ndef helper(n):\n    return math.sqrt(n)\n```\n```python\ndef f(n):\n    return helper(n)\n```"
    )
    code = extract_code(response, "f")
    assert code is not None
    assert defined_names(parse(code).body) == {"math", "helper", "f"}
    space: dict[str, object] = {}
    exec(code, space)
    assert eval("f(16)", space) == 4


@pytest.mark.parametrize(
    "kept",
    [
        "import sys\nsys.setrecursionlimit(10**6)\n\ndef f(n):\n    return n",
        "memo = {}\n\ndef f(n):\n    return memo.setdefault(n, n)",
        "table = [0] * 10\nfor i in range(10):\n    table[i] = i * i\n\ndef f(n):\n    return table[n]",
        "def square(n):\n    return n * n\n\nALL = [square(i) for i in range(10)]\n\ndef f(n):\n    return ALL[n]",
        "def g(n):\n    return n\n\nf = g",
        "f = lambda n: n + 1",
        "from functools import lru_cache\n\n@lru_cache(maxsize=None)\ndef f(n):\n    return n",
        "class f:\n    def __init__(self, x):\n        self.x = x",
        "async def f(n):\n    return n",
        '"""A module."""\n\n# About f.\ndef f(n):\n    return "```"  # not a fence',
        "def f(n):\n\tif n:\n\t\treturn 1\n\treturn 0",
        "def f(n):\n    return [n for n in VALUES] + [n]\n\nn = 3\nVALUES = [f(0) for n in ()]",
        "limit = int(input())\n\ndef f(n):\n    return n < limit",
        "def test_prime(n):\n    return n == 2\n\ndef f(n):\n    return test_prime(n)",
    ],
)
def test_what_the_solution_may_need_stays_to_the_letter(kept: str) -> None:
    assert extract_code(f"```python\n{kept}\n```", "f") == kept


def test_without_an_entry_point_any_definition_will_do() -> None:
    assert (
        extract_code("Text\n```python\nx = 1\n```\n```python\ndef g():\n    return 2\n```") == "def g():\n    return 2"
    )
    assert extract_code("```python\nx = 1\n```") == "x = 1"


SIGNATURE = 'import math\n\n\ndef f(n: float) -> float:\n    """The root."""\n'


@pytest.mark.parametrize(
    "answer",
    [
        "    return math.sqrt(n)\n",
        "return math.sqrt(n)",
        "root = math.sqrt(n)\n    return root",
        "```python\n    return math.sqrt(n)\n```",
        "```python\ndef f(n):\n    return math.sqrt(n)\n```",
        "Here you are:\n```python\nreturn math.sqrt(n)\n```",
        "    if n < 0:\n        return -1\n    return math.sqrt(n)\n\n\ndef main():\n    print(",
        "    return math.sqrt(n)\n\nThis uses the library (it is quick).",
        "    import math\n    return math.sqrt(n)",
    ],
)
def test_an_answer_may_continue_the_prompt(answer: str) -> None:
    code = extract_code(answer, "f", SIGNATURE)
    assert code is not None
    space: dict[str, object] = {}
    exec(code, space)
    assert eval("f(16.0)", space) == 4


@pytest.mark.parametrize("answer", ["Sorry", "no", "    pass the parameter", '    """More words."""'])
def test_words_are_no_continuation(answer: str) -> None:
    assert extract_code(answer, "f", SIGNATURE) is None


def test_a_prompt_in_prose_is_never_continued() -> None:
    assert extract_code("return 1", "f", "Write a function def f(n) that returns 1.") is None


identifiers = st.sampled_from(["a", "b", "total", "items"])
bodies = st.lists(
    st.builds("    {} = {}".format, identifiers, st.one_of(st.integers(), st.text("ab `'\\n", max_size=5).map(repr))),
    max_size=5,
)


@given(bodies, st.sampled_from(["```", "~~~", "`````"]), st.text("xyz ,.\n", max_size=40), st.booleans())
def test_what_is_fenced_comes_back_to_the_letter(body: list[str], fence: str, prose: str, labelled: bool) -> None:
    source = "\n".join(["def f(a):", *body, "    return a"])
    response = f"{prose}\n{fence}{'python' if labelled else ''}\n{source}\n{fence}\n{prose}"
    assert extract_code(response, "f") == source


@given(st.text(), st.one_of(st.none(), st.just("f")), st.sampled_from(["", SIGNATURE, "def f("]))
@example("```python\n\x00def f(): pass\n```", "f", "")
@example("```python\ndef f():\n    return '\ud800'\n```", "f", "")
@example("def f(n):\n    return '\\d'\n", "f", "")
def test_nothing_makes_it_raise(response: str, entry_point: str | None, prompt: str) -> None:
    code = extract_code(response, entry_point, prompt)
    assert code is None or code.strip()


fragments = st.one_of(
    st.sampled_from(["```", "```python", "~~~", "<think>", "</think>", "Text.", ">>> f(1)", "", "\t"]),
    st.sampled_from(["def f(n):", "    return n", "    print(f(1))", "import math", "class f:", "@x", "else:"]),
    st.sampled_from(["(", "]", "x = [", '"""', "if __name__ == '__main__':"]),
)


@given(st.lists(fragments, max_size=25))
def test_no_order_of_the_usual_pieces_makes_it_raise(lines: list[str]) -> None:
    code = extract_code("\n".join(lines), "f", SIGNATURE)
    assert code is None or code.strip()


@given(st.lists(fragments, max_size=25), st.integers(0, 400))
def test_what_is_cut_anywhere_gives_code_that_parses_or_was_clearly_meant(lines: list[str], cut: int) -> None:
    code = extract_code("\n".join([*lines, "```python", SOLUTION, "```"])[:cut], "f")
    if code is not None and _tree(code) is None:
        assert "f" in code or "```" in "\n".join(lines) or "~~~" in "\n".join(lines)


def _tree(code: str) -> ast.Module | None:
    try:
        return parse(code)
    except SyntaxError:
        return None


@pytest.mark.parametrize(
    "hostile",
    [
        "```python\n" + "(" * 50_000,
        "```python\ndef f(n):\n    return " + "(" * 3_000 + ")" * 3_000 + "\n```",
        "```python\nx = " + "-" * 100_000 + "1\n```",
        "```python\n" + "f(1)\n" * 40_000,
        "```python\n" + "".join(f"x{i} = f(x{i - 1})\n" for i in range(1, 8_000)) + "def f(n):\n    return x7999\n```",
        "```\n" * 50_000,
        "<think>\n" * 25_000,
        "def f(n):\n" * 20_000,
        "def f(n):\n    return n\nand so on (\n" * 5_000,
        ">>> f(\n" * 25_000,
        "```python\nimport a\n```\n" * 8_000,
        "@x\n" * 60_000,
        "    " * 50_000,
        "x = 1 = " * 20_000,
        "```python\n" + "if 1:\n" + "".join(" " * i + "if 1:\n" for i in range(1, 120)) + "```",
        "a" * 10 * MAX_CHARS,
    ],
    ids=range(16),
)
def test_hostile_answers_take_no_time(hostile: str) -> None:
    before = time.process_time()
    extract_code(hostile, "f", SIGNATURE)
    assert time.process_time() - before < 5


def test_a_doubtful_escape_is_code_like_any_other() -> None:
    code = extract_code('```python\nimport re\n\ndef f(s):\n    return re.sub("\\d", "", s)\n```', "f")
    assert code is not None
    assert isinstance(parse(code), ast.Module)
