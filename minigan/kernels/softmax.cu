// Softmax along rows; formulas as in functional/activation.py. x, y, g, gx (R,P).

extern "C" __global__ void softmax(const T* x, T* y, long long R, long long P)
{
    EACH_ROW(r, R) {
        const T* row = x + r * P;
        T* out = y + r * P;
        const T largest = largest_of(P, row);
        EACH_ENTRY(p, P)
            out[p] = exp(row[p] - largest);
        __syncthreads();
        const Row exps = {out};
        const T sum = T(sum_of(0, P, [=](PLACE p) { return exps[p]; }));
        EACH_ENTRY(p, P)
            out[p] /= sum;
    }
}

extern "C" __global__ void softmax_backward(const T* y, const T* g, T* gx, long long R, long long P)
{
    EACH_ROW(r, R) {
        const Row row = {y + r * P}, g_row = {g + r * P};
        T* out = gx + r * P;
        const T sum = T(sum_of(0, P, [=](PLACE p) { return g_row[p] * row[p]; }));
        EACH_ENTRY(p, P)
            out[p] = row[p] * (g_row[p] - sum);
    }
}

extern "C" __global__ void log_softmax(const T* x, T* y, long long R, long long P)
{
    EACH_ROW(r, R) {
        const T* row = x + r * P;
        T* out = y + r * P;
        const T largest = largest_of(P, row);
        const T log_sum = log(T(sum_of(0, P, [=](long long p) { return exp(row[p] - largest); })));
        EACH_ENTRY(p, P)
            out[p] = row[p] - largest - log_sum;
    }
}

extern "C" __global__ void log_softmax_backward(const T* y, const T* g, T* gx, long long R,
                                                long long P)
{
    EACH_ROW(r, R) {
        const Row row = {y + r * P}, g_row = {g + r * P};
        T* out = gx + r * P;
        const T sum = T(sum_of(0, P, [=](PLACE p) { return g_row[p]; }));
        EACH_ENTRY(p, P)
            out[p] = g_row[p] - exp(row[p]) * sum;
    }
}
