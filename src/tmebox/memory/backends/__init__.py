"""Who enforces what of a shared heap belongs to whom: one file per backend, behind one contract."""
