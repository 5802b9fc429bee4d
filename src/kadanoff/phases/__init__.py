"""What a configuration tells of its temperature: the regions, exact limits, baselines, and networks that read it."""
