"""Numbers as a Spanish reader expects them."""


def percent(share: float, digits: int = 1) -> str:
    """0.0834 -> «8,3 %»."""
    return f"{100 * share:.{digits}f}".replace(".", ",") + " %"


def decimal(number: float, digits: int = 1) -> str:
    """2.25 -> «2,2»."""
    return f"{number:.{digits}f}".replace(".", ",")
