// Binary cross entropy; formulas as in functional/loss.py.

// log held at -100; nan stays nan
__device__ T held(T log)
{
    return log < T(-100) ? T(-100) : log;
}

// p, t (n,); sums (blocks,): each block's part of the sum of all losses times share.
extern "C" __global__ void binary_cross_entropy(const T* p, const T* t, T* sums, long long n,
                                                double share)
{
    T sum = T(0);
    for EACH(i, n)
        sum += (t[i] - T(1)) * held(log1p(-p[i])) - t[i] * held(log(p[i]));
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum * T(share);
}

// g: one number.
extern "C" __global__ void binary_cross_entropy_backward(const T* g, const T* p, const T* t, T* gp,
                                                         long long n, double share)
{
    for EACH(i, n) {
        const T slope = p[i] * (T(1) - p[i]);
        gp[i] = *g * T(share) * ((p[i] - t[i]) / (slope < T(1e-12) ? T(1e-12) : slope));
    }
}
