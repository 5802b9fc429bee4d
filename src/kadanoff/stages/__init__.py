"""One module per DVC stage: read parameters, call, write."""
