"""What nobody may look at while tuning: products and faults whose figures stand apart. Only the bench reads this."""

PRODUCTS = ("GLA01_TL", "FVN02_RL")
FAULTS = ("glare", "motion_blur")
