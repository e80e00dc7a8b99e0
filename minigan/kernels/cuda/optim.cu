// Steps of optimisers over flat arrays of n numbers; formulas as in optim/. The options and the
// number of the step are read from the device, so that a recorded launch follows their changes.

// options: lr, beta1, beta2, eps, weight_decay; m and v: the means of the gradient and its square.
extern "C" __global__ void adam(const double* options, const long long* step, T* p, const T* g, T* m,
                                T* v, long long n)
{
    __shared__ T beta1, beta2, size, eps, decay;
    if (threadIdx.x == 0) {
        const double correction1 = 1 - pow(options[1], (double)*step);
        const double root = sqrt(1 - pow(options[2], (double)*step));
        beta1 = T(options[1]);
        beta2 = T(options[2]);
        size = T(options[0] * root / correction1);
        eps = T(options[3] * root);
        decay = T(options[4]);
    }
    __syncthreads();
    const T rest1 = T(1 - options[1]), rest2 = T(1 - options[2]);
    for EACH(i, n) {
        const T d = decay == T(0) ? g[i] : g[i] + decay * p[i];
        m[i] = beta1 * m[i] + rest1 * d;
        v[i] = beta2 * v[i] + rest2 * (d * d);
        p[i] -= size * (m[i] / (sqrt(v[i]) + eps));
    }
}

// options: lr, momentum, weight_decay, nesterov (0 or 1); b: the sum of gradients.
extern "C" __global__ void sgd(const double* options, T* p, const T* g, T* b, long long n)
{
    const T lr = T(options[0]), momentum = T(options[1]), decay = T(options[2]);
    const bool nesterov = options[3] != 0;
    for EACH(i, n) {
        T d = decay == T(0) ? g[i] : g[i] + decay * p[i];
        if (momentum != T(0)) {
            b[i] = momentum * b[i] + d;
            d = nesterov ? d + momentum * b[i] : b[i];
        }
        p[i] -= lr * d;
    }
}
