"""What a CUDA GPU has of its own: kernels (the .cu files here) and matrix products by cuBLAS.

Each function has the name and the signature of its NumPy twin in the room above, which calls it
for arrays on a GPU; the formulas are told there.
"""
