// Activations, one thread an element; formulas as in kernels/activation.py.

extern "C" __global__ void sigmoid(const T* x, T* y, long long n)
{
    for EACH(i, n)
        y[i] = T(1) / (T(1) + exp(-x[i]));
}

extern "C" __global__ void sigmoid_backward(const T* y, const T* g, T* gx, long long n)
{
    for EACH(i, n)
        gx[i] = g[i] * (y[i] * (T(1) - y[i]));
}

extern "C" __global__ void tanh_backward(const T* y, const T* g, T* gx, long long n)
{
    for EACH(i, n)
        gx[i] = g[i] * (T(1) - y[i] * y[i]);
}

extern "C" __global__ void leaky_relu(const T* x, T* y, long long n, double negative_slope)
{
    const T slope = T(negative_slope);
    for EACH(i, n) {
        const bool zero = slope == T(0) && x[i] == x[i];  // 0 * infinity would be nan
        y[i] = x[i] > T(0) ? x[i] : zero ? T(0) : slope * x[i];
    }
}

extern "C" __global__ void leaky_relu_backward(const T* x, const T* g, T* gx, long long n,
                                               double negative_slope)
{
    const T slope = T(negative_slope);
    for EACH(i, n)
        gx[i] = x[i] > T(0) ? g[i] : slope * g[i];
}

const T ROOT_HALF = T(0.70710678118654752440);           // sqrt(1 / 2)
const T DENSITY_AT_0 = T(0.39894228040143267794);        // 1 / sqrt(2 pi)

__device__ T normal_cdf(T x)
{
    return T(0.5) * erfc(-x * ROOT_HALF);
}

extern "C" __global__ void gelu(const T* x, T* y, long long n)
{
    for EACH(i, n)
        y[i] = x[i] * normal_cdf(x[i]);
}

extern "C" __global__ void gelu_backward(const T* x, const T* g, T* gx, long long n)
{
    for EACH(i, n) {
        const T density = DENSITY_AT_0 * exp(T(-0.5) * x[i] * x[i]);
        gx[i] = g[i] * (normal_cdf(x[i]) + x[i] * density);
    }
}
