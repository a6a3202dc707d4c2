"""How the network that finds capillary loops is made: `locate.py` is the order of things."""
