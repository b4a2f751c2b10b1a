"""What we are allowed to do: pure rules (`checks`), their numbers (`limits`), and the gate that runs them."""
