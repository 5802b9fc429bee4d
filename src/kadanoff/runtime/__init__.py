"""How work runs: the executor, progress, atomic files, locks; knows no physics."""
