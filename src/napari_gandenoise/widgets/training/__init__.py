"""What the Train panel is made of: the run in its own process, the answers, the finished model."""
