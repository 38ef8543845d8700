"""What is measured. Each module has `run(quick) -> {figure: value}`; `make bench` runs them all."""
