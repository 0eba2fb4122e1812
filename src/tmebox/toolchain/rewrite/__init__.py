"""Assembly to assembly whose every access is confined: what the verifier will demand."""
