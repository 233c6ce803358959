"""Tasks never trained on: neural IC-Q over features of what agents see."""
