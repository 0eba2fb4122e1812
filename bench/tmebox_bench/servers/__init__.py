"""`tmebox bench servers`: real servers, natively and in a sandbox, under load."""
