"""What Endcap reaches and what it costs, measured: ``python -m benchmarks`` lists all."""
