"""The shapes that travel between functions and state machines."""
