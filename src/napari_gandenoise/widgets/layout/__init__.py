"""How panels are laid out."""
