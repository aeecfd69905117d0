"""Direct denoisers: supervised, or against a critic."""
