"""What serving a policy takes besides the policy itself: standard library, numpy and Pillow alone.

It runs on Python 3.8 and later, so that a robot's computer needs neither PyTorch nor this project.
"""
