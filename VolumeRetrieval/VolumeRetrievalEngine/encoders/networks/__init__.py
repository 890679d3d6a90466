"""Networks as encoders: loading tensors, input sizes, devices, batches."""
