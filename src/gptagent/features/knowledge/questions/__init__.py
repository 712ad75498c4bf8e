"""Questions with the sources that should answer them: what the base is measured and calibrated by."""
