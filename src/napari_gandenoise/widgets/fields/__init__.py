"""Single fields of forms, for what magicgui has none."""
