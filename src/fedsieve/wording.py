"""Numbers as tables, figures, pages and the terminal write them; standard library only."""

MINUS = "\N{MINUS SIGN}"


def say_share(share: float) -> str:
    """Write a share as a label, as short as it goes: 12.5 %."""
    return f"{say_points(share)} %"


def say_points(rate: float, digits: int = 6) -> str:
    """Write a rate, or a difference of rates, in per cent, as short as it goes: 12.5."""
    return f"{100 * rate:.{digits}g}"


def say_rate(rate: float, decimals: int = 1) -> str:
    """Write a rate, from 0 to 1, or a difference of rates, in per cent: 85.0."""
    return say_number(100 * rate, decimals)


def say_number(value: float, decimals: int = 1) -> str:
    """Write a number with so many decimals, without a minus before a zero."""
    return f"{round(float(value), decimals) + 0.0:.{decimals}f}"  # NumPy would round otherwise


def say_range(low: float, high: float) -> str:
    """Write from where to where numbers go: (83.1 to 86.0)."""
    return f"({say_number(low)} to {say_number(high)})"


def with_minus(text: str) -> str:
    """The text with minus signs in place of hyphens, as figures and prose have them."""
    return text.replace("-", MINUS)
