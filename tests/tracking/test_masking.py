from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.tracking.masking import masked, shown_uri


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://user:SECRET@host:5000/path", "http://user:***@host:5000/path"),
        ("https://:SECRET@host", "https://:***@host"),
        ("http://user:SEC@RET@host", "http://user:***@host"),
        ("postgresql+psycopg2://u:SEC/RET@db/mlflow", "postgresql+psycopg2://u:***@db/mlflow"),
        ("postgresql://mlflow:mlflow@db/mlflow", "postgresql://mlflow:***@db/mlflow"),
        ("postgresql://db/mlflow?user=u&password=SECRET&x=1", "postgresql://db/mlflow?user=u&password=***&x=1"),
        ("mssql+pyodbc:///?odbc_connect=PWD%3DSECRET", "mssql+pyodbc:///?odbc_connect=***"),
        ("http://host:5000/team@org", "http://host:5000/team@org"),
        ("http://token@host", "http://token@host"),
        ("sqlite:////home/me/mlruns/mlflow.db", "sqlite:////home/me/mlruns/mlflow.db"),
        ("databricks", "databricks"),
    ],
)
def test_a_shown_uri_has_everything_but_the_password(uri: str, shown: str) -> None:
    assert shown_uri(uri) == shown
    assert shown_uri(shown) == shown


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.sampled_from(["http", "https", "postgresql", "mysql+x"]))
def test_no_password_is_left_in_any_text(password: str, scheme: str) -> None:
    written = f"user:{quote(password, safe='')}@"
    uri = f"{scheme}://{written}host:5000/path?x=1"
    assert shown_uri(uri) == f"{scheme}://user:***@host:5000/path?x=1"
    assert written not in masked(f"API request to {uri}/api failed", uri)
    assert written not in masked(f"API request to {uri}/api failed")
    assert masked(f"<{password}>", uri) == "<***>"


def test_a_command_line_loses_the_passwords_of_every_url_in_it() -> None:
    command = "run --tracking-uri http://me:one@host --url=https://you:two@other/x --model m:1b --task 'mail a:b@c'"
    assert masked(command) == (
        "run --tracking-uri http://me:***@host --url=https://you:***@other/x --model m:1b --task 'mail a:b@c'"
    )


def test_a_librarys_own_words_lose_the_password_too() -> None:
    uri = "http://me:p%40ss@host"
    assert masked("could not log in as me with p@ss (p%40ss) at http://me:p%40ss@host/api", uri) == (
        "could not log in as me with *** (***) at http://me:***@host/api"
    )
