"""Forms made from settings, what they remember, and their settings as text."""
