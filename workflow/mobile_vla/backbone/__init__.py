"""The vision-language model: a checkpoint folder that is made here, or one from outside."""
