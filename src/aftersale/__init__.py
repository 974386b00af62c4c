"""What should happen after the sale, for this customer, now?"""

__version__ = "0.1.0"
