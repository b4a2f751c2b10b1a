"""What we are allowed to do: one pure function per rule."""
