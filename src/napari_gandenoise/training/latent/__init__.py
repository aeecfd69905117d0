"""Latent GANs: an adversarial stage, and an encoder beside it or after it."""
