"""The bookkeeping: runs, versions, limits, whose it is and who can see it."""
