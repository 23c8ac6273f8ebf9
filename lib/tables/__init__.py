"""What both databases speak about: tables, plans, digests, results."""
