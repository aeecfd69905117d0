"""What only reproduces papers: latent vector recovery, sharpness attributes, and a discriminator's word."""
