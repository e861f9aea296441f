"""Arithmetic: right, exact where it can be, and bounded whatever it is given."""

import time
from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.tools.servers.arithmetic import ArithmeticFault, evaluate, written


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", "7"),
        ("0.1 + 0.2", "0.3"),
        ("2^10 + 1", "1025"),
        ("2 ** -3", "0.125"),
        ("-2 ** 2", "-4"),
        ("7 // 2", "3"),
        ("-7 % 3", "2"),
        ("1 / 3", "≈ 0.333333333333333"),
        ("1/3 + 1/3 + 1/3", "1"),
        ("-1/8", "-0.125"),
        ("6 × 7 ÷ 2 − 1", "20"),  # noqa: RUF001 - signs people type
        ("sqrt(16/9) * 3", "4"),
        ("sqrt(2) ^ 2", "≈ 2"),
        ("round(2.675, 2)", "2.68"),
        ("factorial(20)", "2432902008176640000"),
        ("comb(52, 5)", "2598960"),
        ("gcd(12, 18) + lcm(4, 6)", "18"),
        ("max(1, 2.5, 2)", "2.5"),
        ("floor(2.7) + ceil(2.1) + abs(-1)", "6"),
        ("log10(1000)", "≈ 3"),
        ("sin(0)", "≈ 0"),
        ("0 ^ 0", "1"),
        ("(-1) ^ 1000001", "-1"),
        ("(1 + 1e-9) ^ 1000000", "≈ 1.00100050016621"),
        ("1e300", "1" + "0" * 300),
        ("(" * 50 + "1" + ")" * 50, "1"),
    ],
)
def test_expressions_have_their_value(expression, value):
    assert written(evaluate(expression)) == value


@pytest.mark.parametrize(
    "expression",
    [
        *(
            "",
            " ",
            "1 +",
            "1; 2",
            "a",
            "x = 1",
            "'1'",
            "True",
            "None",
            "[1]",
            "(1, 2)",
            "{}",
            "1 if 1 else 2",
            "1 < 2",
            "1j",
        ),
        *("__import__('os')", "open('x')", "(1).real", "abs.__class__", "lambda: 1", "f'{1}'", "sqrt(x for x in y)"),
        *("abs(*[1])", "abs(number=1)", "().__class__", "1 and 2", "not 1", "~1", "1 << 2", "1 & 1", "1 @ 2", "..."),
        *(
            "1 / 0",
            "1 % 0",
            "0 ^ -1",
            "sqrt(-1)",
            "(-8) ^ (1/3)",
            "log(0)",
            "asin(2)",
            "factorial(-1)",
            "factorial(1.5)",
        ),
        *("9 ^ 9 ^ 9", "10 ^ 10 ^ 10", "factorial(100000)", "comb(10^9, 5)", "1e400", "exp(1000)", "2 ^ 0.5 ^ -9999"),
        *("abs()", "abs(1, 2)", "round(1, 1e9)", "1" * 1_001, "(" * 400 + "1" + ")" * 400, "1\0", "import os", "1 if"),
    ],
)
def test_what_is_no_arithmetic_or_has_no_value_is_refused(expression):
    began = time.perf_counter()
    with pytest.raises(ArithmeticFault):
        written(evaluate(expression))
    assert time.perf_counter() - began < 1


NUMBERS = st.integers(-1_000, 1_000)


@given(NUMBERS, NUMBERS, st.sampled_from(["+", "-", "*", "/", "//", "%"]))
def test_whole_numbers_are_calculated_exactly(a, b, sign):
    if sign in ("/", "//", "%") and b == 0:
        return
    expected = {"+": a + b, "-": a - b, "*": a * b}.get(sign)
    if expected is None:
        expected = {"/": Fraction(a, b), "//": a // b, "%": a % b}[sign] if b else None
    assert evaluate(f"({a}) {sign} ({b})") == expected


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6))
def test_decimals_are_written_as_they_were_read(number):
    assert Fraction(written(evaluate(f"{number:f}"))) == Fraction(number)


@given(st.text(alphabet="0123456789+-*/%^(). ,esqrtlogmaxfc", max_size=40))
def test_no_expression_breaks_the_evaluator_or_keeps_it_busy(expression):
    began = time.perf_counter()
    with suppress(ArithmeticFault):
        written(evaluate(expression))
    assert time.perf_counter() - began < 2


async def test_the_server_calculates(server):
    ask = server("calculator")
    assert (await ask("calculate", expression="(1 + 2/3) * sqrt(9)")).text() == "5"
    refused = await ask("calculate", expression="open('/etc/passwd')")
    assert refused.failed
    assert "not allowed" in refused.text()
