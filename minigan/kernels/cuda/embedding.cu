// Rows of a weight by index, and the adjoint as a gather.

// weight (V,D), index (n,), y (n,D). An index out of range gives nan: a GPU raises no errors.
extern "C" __global__ void embedding(const T* weight, const long long* index, T* y, long long n,
                                     long long V, long long D)
{
    for EACH(i, n * D) {
        const long long v = index[i / D];
        y[i] = v >= 0 && v < V ? weight[v * D + i % D] : T(0) / T(0);
    }
}

// One block a row of g_weight (V,D), which looks for itself in index (n,): no two blocks add to the
// same number. g (n,D). The row `padding` gets nothing; -1 for none.
extern "C" __global__ void embedding_backward(const T* g, const long long* index, T* g_weight,
                                              long long n, long long D, long long padding)
{
    const long long v = blockIdx.x;
    for (long long d = threadIdx.x; d < D; d += blockDim.x) {
        T sum = T(0);
        for (long long i = 0; i < n; ++i)
            if (index[i] == v && v != padding)
                sum += g[i * D + d];
        g_weight[v * D + d] = sum;
    }
}
