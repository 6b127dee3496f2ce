"""The DARTS family: what relaxes a choice (relaxation.py) times who is optimised on which data (levels.py)."""
