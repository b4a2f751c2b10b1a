"""One pure function per rule: `Facts` in, `Check` out, sorted by theme.

| file | what its rules look at |
|---|---|
| `state.py` | whether anything may be sent at all: instrument, gate, journal, arming, account, closed segments |
| `form.py` | the order's own terms: lot, freeze, tick, stop, protection, product |
| `market.py` | the market: session, square-off, feed, quote, price band, fat finger |
| `money.py` | funds, value, exposure, risk at the stop, losses of day, week, month |
| `counts.py` | how many: positions, entries, equal orders, orders a second, losses in a row |
| `lists.py` | what exchanges and brokers publish: F&O ban, intraday list, surveillance; expiry; free holdings |
| `strategy.py` | strategies only: holding, cooldown, window, score, reward over risk |

A rule that only limits new risk passes at once for orders that reduce a position: nothing may stand between a
person and the exit. To add a rule, write a function in the file of its theme and list it in `gate.RULES`.
"""
