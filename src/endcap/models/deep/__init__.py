"""What a sequence model is made of; only `network`, `loss` and `training` need PyTorch."""
