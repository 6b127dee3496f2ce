"""What tells of an architecture before any training, by name: encodings (N, L) -> (N,), the higher the better."""

from supernet.az_nas import AzNas
from supernet.naswot import Naswot

MEASURES = {"naswot": Naswot, "az-nas": AzNas}  # of (space, data, seed)
