"""Studies: Optuna chooses settings, ``run`` tries them. Below this room nothing imports optuna."""
