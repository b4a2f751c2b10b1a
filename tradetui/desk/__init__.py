"""The order desk: what people and strategies want, through the risk gate, to the order manager.

| file | what it does |
|---|---|
| `desk.py` | takes requests, events and operator acts, and hands them to the parts below |
| `facts.py` | gathers everything that the risk rules may look at |
| `figures.py` | profit, charges, exposure |
| `closing.py` | gets out of positions: one exit after its resting orders are gone |
| `books.py` | what all of them look at |
"""

from tradetui.desk.books import Books, Market, price_of
from tradetui.desk.closing import EXIT_RETRY_NS
from tradetui.desk.desk import Desk

__all__ = ["EXIT_RETRY_NS", "Books", "Desk", "Market", "price_of"]
