"""Arithmetic that a user writes in problem.toml, evaluated without running code.

The functions take plain arguments, because an exported script carries their source.
"""

import ast
import math
import operator
import warnings
from collections.abc import Mapping
from typing import Any

from gbar.sim.errors import GbarError, nearest

OPERATORS: dict[type, Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
FUNCTIONS: dict[str, Any] = {
    "abs": abs,
    "exp": math.exp,
    "log": math.log,
    "log10": math.log10,
    "max": max,
    "min": min,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
}
LONGEST = 500  # characters; more is no formula, and deep nesting is a way to exhaust a parser


class Formula:
    """One formula, parsed: numbers, names, + - * / **, parentheses and FUNCTIONS ("math.exp" is read as "exp").

    Raises:
        GbarError: it is anything else.
    """

    def __init__(self, text: str):
        self.text = text
        self.names: set[str] = set()
        if len(text) > LONGEST:
            raise GbarError(f"a formula of {len(text)} characters: expected {LONGEST} or fewer")
        try:
            with warnings.catch_warnings(action="ignore"):  # Python's advice on style
                self._tree = ast.parse(text.strip(), mode="eval").body
            self._check(self._tree)
        except (SyntaxError, ValueError):
            raise GbarError(
                f"'{text}' is no formula: expected arithmetic such as value * exp(distance / 100)"
            ) from None
        except (RecursionError, MemoryError):
            raise GbarError(f"'{text[:40]} …' is nested too deep: expected arithmetic with fewer brackets") from None

    def _check(self, node: ast.expr) -> None:
        """Look at every part once, so that evaluating can only meet what is known."""
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return
            case ast.Name(id=name):
                self.names.add(name)
            case ast.UnaryOp(op=op, operand=inner) if type(op) in OPERATORS:
                self._check(inner)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                self._check(left)
                self._check(right)
            case ast.Call(func=called, args=[_, *_] as inner, keywords=[]):
                name = _function(called)
                if name not in FUNCTIONS:
                    raise GbarError(f"'{self.text}': no function '{name}'{nearest(name, FUNCTIONS)}")
                for part in inner:
                    self._check(part)
            case _:
                raise GbarError(
                    f"'{self.text}': '{ast.unparse(node)}' is no arithmetic: expected numbers, names, + - * / **"
                )

    def __call__(self, values: Mapping[str, float]) -> float:
        """The value, with a number for every name.

        Raises:
            GbarError: a name without a number, or a result that is not finite.
        """
        try:
            result = float(_value(self._tree, values))
        except KeyError as missing:
            name = missing.args[0]
            raise GbarError(f"'{self.text}': nothing is called '{name}'{nearest(name, values)}") from None
        except (ArithmeticError, ValueError, TypeError) as error:
            raise GbarError(f"'{self.text}' has no value: {error}") from None
        if not math.isfinite(result):
            raise GbarError(f"'{self.text}' is {result}: expected a finite number")
        return result


def _function(called: ast.expr) -> str:
    match called:
        case ast.Attribute(value=ast.Name(id="math"), attr=name) | ast.Name(id=name):
            return name
    return ast.unparse(called)


def _value(node: ast.expr, values: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=op, operand=inner):
            return float(OPERATORS[type(op)](_value(inner, values)))
        case ast.BinOp(left=left, op=op, right=right):
            return float(OPERATORS[type(op)](_value(left, values), _value(right, values)))
        case ast.Call(func=called, args=inner):
            return float(FUNCTIONS[_function(called)](*(_value(part, values) for part in inner)))
    raise AssertionError(ast.dump(node))  # _check has seen every part
