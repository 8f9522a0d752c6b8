"""What Broadsheet is measured with. Nothing here is asserted: `make demo` shows, `make bench` measures."""
