"""What nobody may look at while tuning: products and faults whose figures stand apart. Only the bench reads this.

Held out of tuning is not off the library: fingerprints of every fault, these too, are in a station's own reference set.
Stories off the library are told against a profile whose set lacks their fault.
"""

PRODUCTS = ("GLA01_TL", "FVN02_RL")
FAULTS = ("glare", "motion_blur")
