"""A circle on the globe. Pure."""

import math

from pydantic import BaseModel, ConfigDict, Field

EARTH_RADIUS_KM = 6371.0088
"""Mean radius (IUGG)."""


class Place(BaseModel):
    """Everything within ``radius_km`` of a point, WGS 84 degrees.

    >>> alps = Place(decimal_latitude=47.0, decimal_longitude=11.0, radius_km=50)
    >>> alps.holds(47.3, 11.4), alps.holds(48.2, 11.0)
    (True, False)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    decimal_latitude: float = Field(ge=-90, le=90)
    decimal_longitude: float = Field(ge=-180, le=180)
    radius_km: float = Field(gt=0, le=20_038)

    def holds(self, latitude: float, longitude: float) -> bool:
        """Whether a position lies in it."""
        return (
            distance_km(self.decimal_latitude, self.decimal_longitude, latitude, longitude) <= self.radius_km
        )


def distance_km(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Great-circle distance by the haversine formula; it is exact on a sphere and 0.6% off on the Earth at most.

    >>> round(distance_km(0, 179.5, 0, -179.5))
    111
    """
    phi, other_phi = math.radians(latitude), math.radians(other_latitude)
    half_latitude = math.sin((other_phi - phi) / 2)
    half_longitude = math.sin(math.radians(other_longitude - longitude) / 2)
    chord = half_latitude**2 + math.cos(phi) * math.cos(other_phi) * half_longitude**2
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(chord)))
