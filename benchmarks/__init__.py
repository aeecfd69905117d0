"""Benchmarks: one command a table, results beside them as JSON and Markdown."""
