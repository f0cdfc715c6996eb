"""Between the bodies in `contracts.http.clinics` and the domain's values. Both have the same fields."""

from msgspec import convert

from contracts.http.clinics import ClinicIn, ClinicOut
from services.invoice.clinics.domain import Clinic, ClinicSettings


def settings_of(body: ClinicIn) -> ClinicSettings:
    return convert(body, ClinicSettings, from_attributes=True)


def answer_of(clinic: Clinic) -> ClinicOut:
    return convert(clinic, ClinicOut, from_attributes=True)
