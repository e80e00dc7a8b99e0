// Batch and layer normalization, one block a channel or a row; formulas as in
// kernels/normalization.py. A pointer may be 0 for what is not there.

// x, y (C,P); weight, bias, mean, deviation and the running statistics (C,).
extern "C" __global__ void batch_norm(const T* x, const T* weight, const T* bias, T* y, T* mean,
                                      T* deviation, T* running_mean, T* running_var, long long P,
                                      double eps, double momentum, long long training)
{
    const int c = blockIdx.x;
    x += c * P;
    y += c * P;
    T m, var;
    if (training) {
        T sum = T(0), squares = T(0);
        for (long long p = threadIdx.x; p < P; p += blockDim.x)
            sum += x[p];
        m = block_sum(sum) / T(P);
        for (long long p = threadIdx.x; p < P; p += blockDim.x)
            squares += (x[p] - m) * (x[p] - m);
        squares = block_sum(squares);
        var = squares / T(P);
        if (threadIdx.x == 0 && running_mean)
            running_mean[c] = T(1 - momentum) * running_mean[c] + T(momentum) * m;
        if (threadIdx.x == 0 && running_var)
            running_var[c] = T(1 - momentum) * running_var[c] + T(momentum / (P - 1)) * squares;
    } else {
        m = running_mean[c];
        var = running_var[c];
    }
    const T d = sqrt(var + T(eps));
    const T a = (weight ? weight[c] : T(1)) / d, b = bias ? bias[c] : T(0);
    for (long long p = threadIdx.x; p < P; p += blockDim.x)
        y[p] = (x[p] - m) * a + b;
    if (threadIdx.x == 0) {
        mean[c] = m;
        deviation[c] = d;
    }
}

// g, x, gx (C,P); the others (C,).
extern "C" __global__ void batch_norm_backward(const T* g, const T* x, const T* weight,
                                               const T* mean, const T* deviation, T* gx,
                                               T* g_weight, T* g_bias, long long P,
                                               long long training)
{
    const int c = blockIdx.x;
    g += c * P;
    x += c * P;
    const T m = mean[c], d = deviation[c];
    T g_sum = T(0), g_xhat = T(0);
    for (long long p = threadIdx.x; p < P; p += blockDim.x) {
        g_sum += g[p];
        g_xhat += g[p] * (x[p] - m);
    }
    g_sum = block_sum(g_sum);
    g_xhat = block_sum(g_xhat) / d;
    if (threadIdx.x == 0) {
        g_weight[c] = g_xhat;
        g_bias[c] = g_sum;
    }
    if (!gx)
        return;
    gx += c * P;
    const T a = (weight ? weight[c] : T(1)) / d;
    // Without training the statistics do not depend on x.
    const T share = training ? a / T(P) : T(0);
    for (long long p = threadIdx.x; p < P; p += blockDim.x)
        gx[p] = g[p] * a - share * g_sum - (x[p] - m) * (share * g_xhat / d);
}

// x, y (R,P); weight, bias (P,); mean and scale (R,).
extern "C" __global__ void layer_norm(const T* x, const T* weight, const T* bias, T* y, T* mean,
                                      T* scale, long long P, double eps)
{
    const int r = blockIdx.x;
    x += r * P;
    y += r * P;
    T sum = T(0), squares = T(0);
    for (long long p = threadIdx.x; p < P; p += blockDim.x)
        sum += x[p];
    const T m = block_sum(sum) / T(P);
    for (long long p = threadIdx.x; p < P; p += blockDim.x)
        squares += (x[p] - m) * (x[p] - m);
    const T s = T(1) / sqrt(block_sum(squares) / T(P) + T(eps));
    for (long long p = threadIdx.x; p < P; p += blockDim.x)
        y[p] = (x[p] - m) * s * (weight ? weight[p] : T(1)) + (bias ? bias[p] : T(0));
    if (threadIdx.x == 0) {
        mean[r] = m;
        scale[r] = s;
    }
}

// g, x, gx (R,P); weight (P,); mean and scale (R,).
extern "C" __global__ void layer_norm_backward(const T* g, const T* x, const T* weight,
                                               const T* mean, const T* scale, T* gx, long long P)
{
    const int r = blockIdx.x;
    g += r * P;
    x += r * P;
    gx += r * P;
    const T m = mean[r], s = scale[r];
    T h_sum = T(0), h_xhat = T(0);
    for (long long p = threadIdx.x; p < P; p += blockDim.x) {
        const T h = weight ? g[p] * weight[p] : g[p];
        h_sum += h;
        h_xhat += h * (x[p] - m) * s;
    }
    h_sum = block_sum(h_sum) / T(P);
    h_xhat = block_sum(h_xhat) / T(P);
    for (long long p = threadIdx.x; p < P; p += blockDim.x) {
        const T h = weight ? g[p] * weight[p] : g[p];
        gx[p] = (h - h_sum - (x[p] - m) * s * h_xhat) * s;
    }
}

// One thread a column: g, x (R,P); g_weight, g_bias (P,); mean and scale (R,).
extern "C" __global__ void layer_norm_backward_affine(const T* g, const T* x, const T* mean,
                                                      const T* scale, T* g_weight, T* g_bias,
                                                      long long R, long long P)
{
    for EACH(p, P) {
        T by_weight = T(0), by_bias = T(0);
        for (long long r = 0; r < R; ++r) {
            by_weight += g[r * P + p] * ((x[r * P + p] - mean[r]) * scale[r]);
            by_bias += g[r * P + p];
        }
        g_weight[p] = by_weight;
        g_bias[p] = by_bias;
    }
}
