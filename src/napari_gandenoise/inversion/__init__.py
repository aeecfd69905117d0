"""Latent inversion: propose latents for tiles, follow the likelihood, add back what the residual proves."""
