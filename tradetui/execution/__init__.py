"""How we get there: order state, sizing, reconciliation."""
