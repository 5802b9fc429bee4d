"""What the command line does with a user's own data."""
