"""`tmebox bench openssl` and `tmebox bench nbench`: programs that compute, by their own build systems."""
