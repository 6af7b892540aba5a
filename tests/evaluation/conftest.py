from __future__ import annotations

import pytest

from smallenough.protocols import Sandbox
from smallenough.sandboxes.subprocess import SubprocessSandbox


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return SubprocessSandbox()
