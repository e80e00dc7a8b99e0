// What a linear layer has beside its matrix products, and rows of a weight by index.

// y (R,P) += b (P,), along each row
extern "C" __global__ void add_bias(T* y, const T* b, long long R, long long P)
{
    EACH_ROW(r, R) {
        T* row = y + r * P;
        EACH_ENTRY(p, P)
            row[p] += b[p];
    }
}

// The sum of the rows of x (R,P): y (P,), or with several rows of blocks a sum for each of them
extern "C" __global__ void column_sum(const T* x, T* y, long long R, long long P)
{
    column_sums(R, P, y, [=](long long r, long long p) { return x[r * P + p]; });
}

// y (R,): the sum of each row of x (R,P).
extern "C" __global__ void row_sum(const T* x, T* y, long long R, long long P)
{
    EACH_ROW(r, R) {
        const Row row = {x + r * P};
        const double sum = sum_of(0, P, [=](PLACE p) { return row[p]; });
        if (threadIdx.x == 0)
            y[r] = T(sum);
    }
}

// y[r,p] = a[r] * b[p]
extern "C" __global__ void outer_product(const T* a, const T* b, T* y, long long R, long long P)
{
    EACH_ROW(r, R) {
        T* row = y + r * P;
        const T scale = a[r];
        EACH_ENTRY(p, P)
            row[p] = scale * b[p];
    }
}

// weight (V,D), index (n,), y (n,D). An index out of range gives a row of nan, and is counted in
// `outside`, if that is there: a GPU raises no errors.
extern "C" __global__ void embedding(const T* weight, const long long* index, T* y,
                                     long long* outside, long long V, long long n, long long D)
{
    EACH_ROW(i, n) {
        const long long v = index[i];
        const bool inside = v >= 0 && v < V;
        const T* row = weight + (inside ? v : 0) * D;
        T* out = y + i * D;
        EACH_ENTRY(d, D)
            out[d] = inside ? row[d] : T(0) / T(0);
        if (threadIdx.x == 0 && outside && !inside)
            ++*outside;
    }
}

// g (n,D) added into g_weight (V,D), by a block for each row of it, which looks for itself in index
// (n,): no two blocks add to the same number. The row `padding` gets nothing; -1 for none.
extern "C" __global__ void embedding_backward(const T* g, const long long* index, T* g_weight,
                                              long long padding, long long n, long long V,
                                              long long D)
{
    EACH_ROW(v, V) {
        T* out = g_weight + v * D;
        EACH_ENTRY(d, D)
            out[d] = T(0);
        // Each thread looks at one index; most often all look in vain, and go on to the next ones.
        for (long long start = 0; start < n; start += blockDim.x) {
            const long long own = start + threadIdx.x;
            const bool found = own < n && index[own] == v && v != padding;
            if (block_sum(found) == 0)
                continue;
            const long long stop = start + blockDim.x < n ? start + blockDim.x : n;
            for (long long i = start; i < stop; ++i)
                if (index[i] == v)
                    EACH_ENTRY(d, D)
                        out[d] += g[i * D + d];
        }
    }
}

// The same by one thread, which has no need to look.
extern "C" __global__ void embedding_backward_in_order(const T* g, const long long* index,
                                                       T* g_weight, long long padding, long long n,
                                                       long long V, long long D)
{
    for (long long i = 0; i < V * D; ++i)
        g_weight[i] = T(0);
    for (long long i = 0; i < n; ++i) {
        const long long v = index[i];
        T* out = g_weight + v * D;
        if (v != padding && v >= 0 && v < V)
            for (long long d = 0; d < D; ++d)
                out[d] += g[i * D + d];
    }
}
