// Activations, one thread an element; formulas as in functional/activation.py.

extern "C" __global__ void sigmoid(const T* x, T* y, long long n)
{
    EACH(i, n)
        y[i] = T(1) / (T(1) + exp(-x[i]));
}

extern "C" __global__ void sigmoid_backward(const T* y, const T* g, T* gx, long long n)
{
    EACH(i, n)
        gx[i] = g[i] * (y[i] * (T(1) - y[i]));
}

extern "C" __global__ void tanh_activation(const T* x, T* y, long long n)
{
    EACH(i, n)
        y[i] = tanh(x[i]);
}

extern "C" __global__ void tanh_activation_backward(const T* y, const T* g, T* gx, long long n)
{
    EACH(i, n)
        gx[i] = g[i] * (T(1) - y[i] * y[i]);
}

// Selected, not multiplied by 0 or 1; and so that nan is no number to be masked: it stays nan, and its gradient passes.
extern "C" __global__ void relu(const T* x, T* y, long long n)
{
    EACH(i, n)
        y[i] = x[i] <= T(0) ? T(0) : x[i];
}

extern "C" __global__ void relu_backward(const T* x, const T* g, T* gx, long long n)
{
    EACH(i, n)
        gx[i] = x[i] <= T(0) ? T(0) : g[i];
}

// 0 * infinity would be nan: a slope of 0 selects, too.
__device__ T times_slope(T slope, T x)
{
    return slope == T(0) ? T(0) : slope * x;
}

extern "C" __global__ void leaky_relu(const T* x, T* y, double negative_slope, long long n)
{
    const T slope = T(negative_slope);
    EACH(i, n)
        y[i] = x[i] > T(0) ? x[i] : x[i] != x[i] ? x[i] : times_slope(slope, x[i]);
}

extern "C" __global__ void leaky_relu_backward(const T* x, const T* g, T* gx, double negative_slope,
                                               long long n)
{
    const T slope = T(negative_slope);
    EACH(i, n)
        gx[i] = x[i] > T(0) ? g[i] : times_slope(slope, g[i]);
}

const T ROOT_HALF = T(0.70710678118654752440);      // sqrt(1 / 2)
const T DENSITY_AT_0 = T(0.39894228040143267794);   // 1 / sqrt(2 pi)

// x within -100 ... 100: beyond, Phi and tanh are constant, and no power overflows.
__device__ T bounded(T x)
{
    return x > T(100) ? T(100) : x < T(-100) ? T(-100) : x;
}

__device__ T normal_cdf(T x)
{
    return T(0.5) * erfc(-x * ROOT_HALF);
}

extern "C" __global__ void gelu(const T* x, T* y, long long n)
{
    EACH(i, n)
        y[i] = x[i] * normal_cdf(bounded(x[i]));
}

extern "C" __global__ void gelu_backward(const T* x, const T* g, T* gx, long long n)
{
    EACH(i, n) {
        const T b = bounded(x[i]), density = DENSITY_AT_0 * exp(T(-0.5) * b * b);
        gx[i] = g[i] * (normal_cdf(b) + b * density);
    }
}

const T ROOT_2_BY_PI = T(0.79788456080286535588);
const T CUBIC = T(0.044715);

extern "C" __global__ void gelu_tanh(const T* x, T* y, long long n)
{
    EACH(i, n) {
        const T b = bounded(x[i]);
        y[i] = T(0.5) * x[i] * (T(1) + tanh(ROOT_2_BY_PI * b * (T(1) + CUBIC * b * b)));
    }
}

extern "C" __global__ void gelu_tanh_backward(const T* x, const T* g, T* gx, long long n)
{
    EACH(i, n) {
        const T b = bounded(x[i]);
        const T h = tanh(ROOT_2_BY_PI * b * (T(1) + CUBIC * b * b));
        const T slope = (T(1) - h * h) * (ROOT_2_BY_PI * (T(1) + T(3) * CUBIC * b * b));
        gx[i] = g[i] * (T(0.5) * (T(1) + h) + T(0.5) * b * slope);
    }
}

extern "C" __global__ void softplus(const T* x, T* y, double beta, double threshold, long long n)
{
    EACH(i, n) {
        const T z = T(beta) * x[i], size = z < T(0) ? -z : z, above = z < T(0) ? T(0) : z;
        y[i] = z > T(threshold) ? x[i] : (above + log1p(exp(-size))) / T(beta);
    }
}

extern "C" __global__ void softplus_backward(const T* x, const T* g, T* gx, double beta,
                                             double threshold, long long n)
{
    EACH(i, n) {
        const T z = T(beta) * x[i];
        gx[i] = z > T(threshold) ? g[i] : g[i] / (T(1) + exp(-z));
    }
}

// Those whose number in 0..1 is below p are zeroed, the others scaled. Forward and backward.
extern "C" __global__ void dropout(const T* x, const float* random, T* y, double p, double scale,
                                   long long n)
{
    EACH(i, n)
        y[i] = random[i] >= float(p) ? x[i] * T(scale) : T(0);
}
