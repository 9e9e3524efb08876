"""The policy: backbone, frozen prefix, prompts, head, and the folder it is stored in."""
