"""What a raw file says of its images when they were decoded from a video."""

VIDEO_CODEC = "video_codec"
"""Attribute with the name of the video's format, such as ``av1``."""
