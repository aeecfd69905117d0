"""What goes on in the background, and what panels show of it."""
