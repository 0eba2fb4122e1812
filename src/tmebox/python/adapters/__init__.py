"""Small pieces that let agents' libraries run a model's code here. Each imports its library when it is
imported."""
