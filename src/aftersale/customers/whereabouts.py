"""Which clock is on this customer's wall, and how do we know?

The zone comes from the customer's own word, else from the country of the address, else from the
shop. Where a country has several zones and nothing says which, all of them are plausible and the
strictest serves.
"""

import msgspec

from aftersale.customers.profile import Profile

_EUROPE = {
    "AT": "Vienna",
    "BE": "Brussels",
    "BG": "Sofia",
    "CH": "Zurich",
    "CY": "Nicosia",
    "CZ": "Prague",
    "DE": "Berlin",
    "DK": "Copenhagen",
    "EE": "Tallinn",
    "FI": "Helsinki",
    "FR": "Paris",
    "GB": "London",
    "GR": "Athens",
    "HR": "Zagreb",
    "HU": "Budapest",
    "IE": "Dublin",
    "IT": "Rome",
    "LT": "Vilnius",
    "LU": "Luxembourg",
    "LV": "Riga",
    "MT": "Malta",
    "NL": "Amsterdam",
    "NO": "Oslo",
    "PL": "Warsaw",
    "RO": "Bucharest",
    "RS": "Belgrade",
    "SE": "Stockholm",
    "SI": "Ljubljana",
    "SK": "Bratislava",
    "TR": "Istanbul",
    "UA": "Kyiv",
}
COUNTRY_ZONES: dict[str, tuple[str, ...]] = {
    **{code: (f"Europe/{city}",) for code, city in _EUROPE.items()},
    "AE": ("Asia/Dubai",),
    "AR": ("America/Argentina/Buenos_Aires",),
    "AU": ("Australia/Perth", "Australia/Adelaide", "Australia/Brisbane", "Australia/Sydney"),
    "BH": ("Asia/Bahrain",),
    "BR": ("America/Rio_Branco", "America/Manaus", "America/Sao_Paulo"),
    "CA": (
        "America/Vancouver",
        "America/Edmonton",
        "America/Winnipeg",
        "America/Toronto",
        "America/Halifax",
        "America/St_Johns",
    ),
    "CL": ("America/Santiago",),
    "CN": ("Asia/Shanghai",),
    "CO": ("America/Bogota",),
    "ES": ("Atlantic/Canary", "Europe/Madrid"),
    "HK": ("Asia/Hong_Kong",),
    "ID": ("Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura"),
    "IL": ("Asia/Jerusalem",),
    "IN": ("Asia/Kolkata",),
    "IS": ("Atlantic/Reykjavik",),
    "JP": ("Asia/Tokyo",),
    "KR": ("Asia/Seoul",),
    "LB": ("Asia/Beirut",),
    "MX": ("America/Tijuana", "America/Hermosillo", "America/Mexico_City", "America/Cancun"),
    "MY": ("Asia/Kuala_Lumpur",),
    "NZ": ("Pacific/Auckland",),
    "PT": ("Atlantic/Azores", "Europe/Lisbon"),
    "SA": ("Asia/Riyadh",),
    "SG": ("Asia/Singapore",),
    "TH": ("Asia/Bangkok",),
    "TW": ("Asia/Taipei",),
    "US": (
        "Pacific/Honolulu",
        "America/Anchorage",
        "America/Los_Angeles",
        "America/Phoenix",
        "America/Denver",
        "America/Chicago",
        "America/New_York",
    ),
    "ZA": ("Africa/Johannesburg",),
}


class Whereabouts(msgspec.Struct, frozen=True, gc=False):
    """The zones that may be the customer's and what they were taken from."""

    zones: tuple[str, ...]
    """The most likely last: it serves for slots, all of them for quiet hours."""
    source: str
    """stated, address or shop."""

    @property
    def zone(self) -> str:
        """The zone that serves where one is needed."""
        return self.zones[-1]


_BY_COUNTRY = {code: Whereabouts(zones, "address") for code, zones in COUNTRY_ZONES.items()}


def whereabouts(profile: Profile, shop_zone: str) -> Whereabouts:
    """Where the customer is, as far as anybody said."""
    if profile.zone is not None:
        return Whereabouts((profile.zone.value,), "stated")
    if profile.country is not None:
        found = _BY_COUNTRY.get(profile.country.value)
        if found is not None:
            return found
    return Whereabouts((shop_zone,), "shop")
