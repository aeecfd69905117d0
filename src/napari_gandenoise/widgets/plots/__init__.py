"""Curves and pictures within panels."""
