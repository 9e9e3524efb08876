"""Fine-tune Kosmos-2 into a mobile-robot velocity policy, and compare experiments.

The library knows nothing of Snakemake. Imports run one way:
config → data → simulator → audit → backbone → model → features → training → timing → evaluation
→ reporting.
"""
