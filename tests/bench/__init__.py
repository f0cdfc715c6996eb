"""`clinicpay bench`: how fast the running system is, each figure beside the physical limit of the same run."""
