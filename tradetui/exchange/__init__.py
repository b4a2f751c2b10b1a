"""Sans-I/O exchange: the one matching core of the simulator and of the paper broker.

`exchange.Exchange` is the front door; `orders` has the values it speaks in.
"""
