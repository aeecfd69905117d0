"""Settings of every job, listed once: forms, options, files, snippets, reference and provenance are made from them."""
