"""Evaluates arithmetic, and nothing but arithmetic, within bounds.

Numbers are exact fractions as long as an operation keeps them so (`0.1 + 0.2` is `0.3`); roots, logarithms and
trigonometric functions give floating-point numbers.
"""

import ast
import decimal
import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction

LONGEST = 1_000
"""Characters of an expression."""
BITS = 10_000
"""Of a numerator or denominator, about 3,000 decimal digits."""
LARGEST_EXPONENT = 10**12
DIGITS = 40
"""Decimal places written of a fraction; one with more is given approximately."""

Number = Fraction | float


class ArithmeticFault(Exception):
    """The expression cannot be evaluated; the message says why, for its author."""


def evaluate(expression: str) -> Number:
    """The value. Takes time and memory within bounds whatever it is given; ArithmeticFault where it has none."""
    if len(expression) > LONGEST:
        raise ArithmeticFault(f"The expression has {len(expression)} characters; {LONGEST} are allowed.")
    text = expression.translate(_SIGNS).replace("^", "**").strip()
    try:
        tree = ast.parse(text, mode="eval")
        return _value(tree.body)
    except SyntaxError as error:
        raise ArithmeticFault(f"{expression!r} is no arithmetic expression: {error.msg}.") from None
    except ZeroDivisionError:
        raise ArithmeticFault("The expression divides by zero.") from None
    except OverflowError:
        raise ArithmeticFault("The result is too large.") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ArithmeticFault(f"{expression!r} cannot be evaluated: {error}.") from None


def written(number: Number) -> str:
    """The number in decimal notation: exact where that takes few digits, else to 15 significant ones with a `≈`."""
    if isinstance(number, float):
        return f"≈ {number:.15g}"
    if number.denominator == 1:
        return str(number.numerator)
    scaled = number * 10**DIGITS
    if scaled.denominator == 1:
        whole, decimals = divmod(abs(scaled.numerator), 10**DIGITS)
        sign = "-" if number < 0 else ""
        return f"{sign}{whole}.{decimals:0{DIGITS}d}".rstrip("0")
    try:
        return f"≈ {float(number):.15g}"
    except OverflowError:
        raise ArithmeticFault("The result is too large.") from None


_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})  # noqa: RUF001 - signs people type


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=bool()):
            raise ArithmeticFault("True and False are no numbers.")
        case ast.Constant(value=int() as number):
            return _bounded(Fraction(number))
        case ast.Constant(value=float() as number) if math.isfinite(number):
            # From its shortest decimal form: 0.1 means a tenth here, not the nearest binary number.
            return Fraction(repr(number))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(op=ast.Pow(), left=left, right=right):
            return _bounded(_power(_value(left), _value(right)))
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _OPERATORS:
            return _bounded(_OPERATORS[type(op)](_value(left), _value(right)))
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            try:
                return _bounded(_FUNCTIONS[name](*map(_value, arguments)))
            except TypeError:
                raise ArithmeticFault(f"{name} does not take {len(arguments)} such arguments.") from None
    raise ArithmeticFault(
        f"{ast.unparse(node)[:80]!r} is not allowed here: numbers, + - * / // % ** and parentheses, "
        f"{', '.join(sorted(_CONSTANTS))}, {', '.join(sorted(_FUNCTIONS))} are."
    )


def _bounded(number: Number | int) -> Number:
    if isinstance(number, float):
        if not math.isfinite(number):
            raise ArithmeticFault("The result is too large, or no number.")
        return number
    number = Fraction(number)
    exact = max(number.numerator.bit_length(), number.denominator.bit_length()) <= BITS
    return number if exact else float(number)


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        # The size is known before the work is done.
        size = max(base.numerator.bit_length(), base.denominator.bit_length())
        if size <= 1:
            return Fraction(base ** (exponent.numerator % 2)) if base else Fraction(base**exponent)
        if (size - 1) * abs(exponent.numerator) <= BITS:
            return Fraction(base**exponent.numerator)
        if abs(exponent.numerator) <= LARGEST_EXPONENT:
            return _approximate(base, exponent.numerator)
    if base < 0:
        raise ArithmeticFault("The root of a negative number is no real number.")
    return math.pow(base, exponent)


def _approximate(base: Fraction, exponent: int) -> float:
    """A power to the precision of floats, which a float's own power would miss where the exponent is large."""
    with decimal.localcontext(decimal.Context(prec=50)):
        try:
            return float((decimal.Decimal(base.numerator) / decimal.Decimal(base.denominator)) ** exponent)
        except decimal.DecimalException:
            raise ArithmeticFault("The result is too large.") from None


def _root(number: Number) -> Number:
    if isinstance(number, Fraction) and number >= 0:
        above, below = math.isqrt(number.numerator), math.isqrt(number.denominator)
        if above**2 == number.numerator and below**2 == number.denominator:
            return Fraction(above, below)
    if number < 0:
        raise ArithmeticFault("The root of a negative number is no real number.")
    return math.sqrt(number)


def _whole(function: Callable[..., int], largest: int) -> Callable[..., Number]:
    """A function of whole numbers up to `largest`."""

    def checked(*numbers: Number) -> Number:
        whole = []
        for number in numbers:
            if not isinstance(number, Fraction) or number.denominator != 1 or abs(number) > largest:
                raise ArithmeticFault(f"Whole numbers up to {largest} are needed, not {written(number)}.")
            whole.append(number.numerator)
        return Fraction(function(*whole))

    return checked


def _round(number: Number, places: Number = Fraction(0)) -> Number:
    if not -DIGITS <= places <= DIGITS or places != int(places):
        raise ArithmeticFault(f"Numbers are rounded to {DIGITS} places at most.")
    return Fraction(round(Fraction(number), int(places)))


_OPERATORS: Mapping[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_CONSTANTS: Mapping[str, Number] = {"pi": math.pi, "e": math.e, "tau": math.tau}
_FUNCTIONS: Mapping[str, Callable[..., Number]] = {
    **{name: getattr(math, name) for name in ("acos", "asin", "atan", "atan2", "cos", "sin", "tan")},
    **{name: getattr(math, name) for name in ("cosh", "sinh", "tanh", "degrees", "radians", "hypot")},
    **{name: getattr(math, name) for name in ("exp", "log", "log2", "log10", "floor", "ceil")},
    "abs": abs,
    "comb": _whole(math.comb, 1_000),
    "factorial": _whole(math.factorial, 1_000),
    "gcd": _whole(math.gcd, 2**256),
    "lcm": _whole(math.lcm, 2**256),
    "max": max,
    "min": min,
    "perm": _whole(math.perm, 1_000),
    "round": _round,
    "sqrt": _root,
}
