"""Before and after: what a result is held against, on the canvas and below it."""
