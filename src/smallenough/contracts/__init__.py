"""What every implementation of a protocol must do, as tests to inherit; for the authors of plugins, too.

    from smallenough.contracts.strategy import StrategyContract

    class TestMine(StrategyContract):
        name = "mine"
        options = st.builds(Options, most=st.integers(1, 5))

Each is a class of pytest tests that wants a fixture or an attribute, as its docstring says. The extra `contracts`
brings what they need.
"""

import pytest

_MODULES = ("model_client", "probe", "sandbox", "scorer", "strategy", "task_source")

pytest.register_assert_rewrite(*(f"smallenough.contracts.{name}" for name in _MODULES))
