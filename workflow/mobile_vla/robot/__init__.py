"""A policy outside the workflow: predictions by hand, serving over HTTP, merged weights."""
