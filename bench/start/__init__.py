"""How long a run waits on an idle fleet."""
