"""Other frameworks' observability modules on coati's engine: their programs need no change."""
