"""What a panel has of the viewer: parts of layers, masks, layers that show a run."""
