"""User prompt templates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.prompt import PLACEHOLDER, render


def test_placeholders_are_replaced_with_or_without_spaces():
    assert render("Q: {{request}} ({{ tone }})", {"request": "why?", "tone": "kind"}) == "Q: why? (kind)"


@given(st.text(), st.text())
def test_what_a_value_holds_is_not_a_template(request, other):
    assert render("{{request}}|{{other}}", {"request": request, "other": other}) == f"{request}|{other}"


@given(st.text())
def test_a_template_without_placeholders_stays_as_it_is(text):
    if not PLACEHOLDER.search(text):
        assert render(text, {}) == text


def test_other_braces_are_text():
    assert render('{"a": {}} { {x} }', {}) == '{"a": {}} { {x} }'


def test_a_placeholder_without_a_value_is_a_key_error():
    with pytest.raises(KeyError, match="tone"):
        render("{{tone}}", {})
