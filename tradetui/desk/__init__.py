"""The order desk: what people and strategies want, through the risk gate, to the order manager.

| file | what it does |
|---|---|
| `desk.py` | takes requests, events and operator acts, and hands them to the parts below |
| `facts.py` | gathers everything that the risk rules may look at |
| `figures.py` | profit, charges, exposure |
| `closing.py` | gets out of positions: one exit after its resting orders are gone |
| `protection.py` | exit plans: what is watched, what is swept, what is naked and why |
| `resting.py` | the one stop (or GTT) that rests for a position |
| `plans.py`, `trails.py`, `stop_terms.py` | a managed position, where its stop stands, at which prices |
| `groups.py`, `slices.py`, `baskets.py` | parents: freeze-quantity slices and baskets |
| `acts.py` | what a person asked for |
| `books.py` | what all of them look at |
"""

from tradetui.desk.books import Books, Market, price_of
from tradetui.desk.closing import EXIT_RETRY_NS
from tradetui.desk.desk import Desk

__all__ = ["EXIT_RETRY_NS", "Books", "Desk", "Market", "price_of"]
