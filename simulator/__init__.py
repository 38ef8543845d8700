"""A board without a board: U-Boot's behaviour as a pure function, and a device made of files that lives by it."""
