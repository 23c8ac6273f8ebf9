"""The mirrors: planned, mended, filled, proven, read back."""
