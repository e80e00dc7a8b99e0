// Steps of optimisers over all their parameters in one launch; formulas as in optim/.
//
// table (columns,count): the addresses of each parameter's arrays, and in the last row their size.
// One of the arrays is the parameter's number of steps, an integer. It and the options are read
// from memory, so that a launch that is recorded follows their changes.

#define EACH_PARAMETER(k, count) for (long long k = blockIdx.y; k < (count); k += gridDim.y)

#ifdef CPU
// The number of this step.
__device__ long long counted(long long* steps) { return ++*steps; }
#else
struct TinyIsZero { bool on; };  // does nothing: a GPU is no slower for them
// On a GPU every block reads it: it is raised before, by `count_step`.
__device__ long long counted(long long* steps) { return *steps; }
#endif

// steps (count,): the addresses of the numbers.
extern "C" __global__ void count_step(const long long* steps, long long count)
{
    EACH(k, count)
        ++*(long long*)steps[k];
}

// p, g: a parameter and its gradient; m, v: the running means of the gradient and of its square.
// options: lr, beta1, beta2, eps, weight_decay.
extern "C" __global__ void adam(const long long* table, const double* options,
                                long long size, long long count)
{
    // Squares of small gradients are tiny, and so is what decays; beside this eps they are nothing.
    const TinyIsZero mode{options[3] > 1e-12};
    EACH_PARAMETER(k, count) {
        T* p = (T*)table[k];
        const T* g = (const T*)table[count + k];
        T* m = (T*)table[2 * count + k];
        T* v = (T*)table[3 * count + k];
        long long* steps = (long long*)table[4 * count + k];
        const long long n = table[5 * count + k];
        __shared__ T size, eps;
        __syncthreads();
        if (threadIdx.x == 0) {
            const double step = (double)counted(steps);
            const double root = sqrt(1 - pow(options[2], step));
            size = T(options[0] * root / (1 - pow(options[1], step)));
            eps = T(options[3] * root);
        }
        __syncthreads();
        const T lr = size, e = eps, decay = T(options[4]);
        const T beta1 = T(options[1]), rest1 = T(1 - options[1]);
        const T beta2 = T(options[2]), rest2 = T(1 - options[2]);
        EACH(i, n) {
            const T d = decay == T(0) ? g[i] : g[i] + decay * p[i];
            const T mean = beta1 * m[i] + rest1 * d, square = beta2 * v[i] + rest2 * (d * d);
            m[i] = mean;
            v[i] = square;
            p[i] -= lr * (mean / (sqrt(square) + e));
        }
    }
}

// b: the sum of gradients, of which the first step's is the gradient itself.
// options: lr, momentum, dampening, weight_decay, nesterov (0 or 1).
extern "C" __global__ void sgd(const long long* table, const double* options,
                               long long size, long long count)
{
    const TinyIsZero mode{true};  // sums decay
    const T lr = T(options[0]), momentum = T(options[1]), rest = T(1 - options[2]);
    const T decay = T(options[3]);
    const bool nesterov = options[4] != 0;
    EACH_PARAMETER(k, count) {
        T* p = (T*)table[k];
        const T* g = (const T*)table[count + k];
        T* b = (T*)table[2 * count + k];
        const long long n = table[4 * count + k];
        if (momentum == T(0)) {
            EACH(i, n)
                p[i] -= lr * (decay == T(0) ? g[i] : g[i] + decay * p[i]);
            continue;  // a step without momentum does not count
        }
        const bool first = counted((long long*)table[3 * count + k]) == 1;
        EACH(i, n) {
            const T d = decay == T(0) ? g[i] : g[i] + decay * p[i];
            const T sum = first ? d : momentum * b[i] + rest * d;
            b[i] = sum;
            p[i] -= lr * (nesterov ? d + momentum * sum : sum);
        }
    }
}
