"""What would two years of a believable shop look like?"""

from aftersale.testing.shop.simulation import Shop, Truth, simulate

__all__ = ["Shop", "Truth", "simulate"]
