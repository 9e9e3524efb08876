"""Where a result comes from: code, bytes of external files, versions, circumstances."""
