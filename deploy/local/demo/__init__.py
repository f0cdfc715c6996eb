"""Demo data: three clinics with everything a visitor of the portal may meet. Made through the public ways only."""
