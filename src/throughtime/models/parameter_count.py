"""How many free numbers a model of discrete variables has, in words and numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ParameterCount:
    """A number of parameters with its formula and its reason, n variables of m sides each.

    Probabilities that sum to one have one free number less than there are of them; the models differ in how many such
    sets they keep.

    Args:
        formula: in n and m.
        count: its value.
        reason: why, in words.

    Example:
        >>> print(ParameterCount.joint(1, sides=6))  # a die
        mⁿ − 1 = 5: one for each of the 6 outcomes but the last, as they sum to one
        >>> ParameterCount.joint(3, sides=256).count  # an RGB pixel: 256³ − 1
        16777215
        >>> for explained in (ParameterCount.joint, ParameterCount.independent, ParameterCount.chain):
        ...     print(explained(8).formula, "=", explained(8).count)
        2ⁿ − 1 = 255
        n = 8
        2n − 1 = 15
    """

    formula: str
    count: int
    reason: str

    def __str__(self) -> str:
        return f"{self.formula} = {self.count:,}: {self.reason}"

    @classmethod
    def joint(cls, variables: int, sides: int = 2) -> ParameterCount:
        """Of the full table: nothing is assumed."""
        outcomes = sides**variables
        reason = f"one for each of the {outcomes:,} outcomes but the last, as they sum to one"
        return cls("2ⁿ − 1" if sides == 2 else "mⁿ − 1", outcomes - 1, reason)

    @classmethod
    def independent(cls, variables: int, sides: int = 2) -> ParameterCount:
        """Of independent variables."""
        reason = f"{sides - 1} for each of the {variables} variables, as none depends on another"
        return cls("n" if sides == 2 else "n (m − 1)", variables * (sides - 1), reason)

    @classmethod
    def chain(cls, variables: int, sides: int = 2) -> ParameterCount:
        """Of variables of which each depends on the one before it alone.

        It is this assumption that makes the count linear in n, not the chain rule, which holds for every distribution:
        without it, x_i needs a set of probabilities for each of the m^(i−1) values of those before it.
        """
        count = (sides - 1) * (1 + (variables - 1) * sides)
        reason = (
            f"{sides - 1} for the first variable, and for each of the {variables - 1} others {sides - 1} "
            f"given each of the {sides} values of the one before it"
        )
        return cls("2n − 1" if sides == 2 else "(m − 1)(1 + (n − 1) m)", count, reason)

    @classmethod
    def naive_bayes(cls, variables: int, classes: int, sides: int = 2) -> ParameterCount:
        """Of variables that are independent given one of k classes."""
        count = classes - 1 + classes * variables * (sides - 1)
        reason = f"{classes - 1} for the {classes} classes, and in each {sides - 1} for each of {variables} variables"
        return cls("k − 1 + k n" if sides == 2 else "k − 1 + k n (m − 1)", count, reason)
