"""Latent inversion: propose latents for tiles and follow the likelihood."""
