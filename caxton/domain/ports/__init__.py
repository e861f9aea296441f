"""The seams of the house, one Protocol file each."""
