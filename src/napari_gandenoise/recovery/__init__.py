"""Latent recovery as the literature has it: what only reproduces papers, beside the main road, which never imports it."""
