// Losses, reduced to one number; formulas as in functional/loss.py. x, t, gx (n,); g: one number.
//
// Each block adds up its part of the losses, times `share`, into sums (blocks,); `total` adds up
// these. On a CPU there is one block, and its sum is the loss.

extern "C" __global__ void total(const T* sums, T* y, long long n)
{
    const double sum = sum_of(0, n, [=](long long i) { return sums[i]; });
    if (threadIdx.x == 0)
        *y = T(sum);
}

// The sum of f(i) over this block's part of 0 ... n - 1, times share, into sums.
template <class Function> __device__ void block_part(long long n, double share, T* sums, Function f)
{
    const Part part = part_of_block(blockIdx.x, n);
    const double sum = sum_of(part.first, part.end, f);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = T(sum * share);
}

// log clamped at -100; nan stays nan
__device__ T clamped_log(T log)
{
    return log < T(-100) ? T(-100) : log;
}

extern "C" __global__ void binary_cross_entropy(const T* p, const T* t, T* sums, double share,
                                                long long n)
{
    block_part(n, share, sums, [=](long long i) {
        const T loss = (t[i] - T(1)) * clamped_log(log1p(-p[i])) - t[i] * clamped_log(log(p[i]));
        return t[i] >= T(0) && t[i] <= T(1) ? loss : T(0) / T(0);  // a GPU raises no errors
    });
}

extern "C" __global__ void binary_cross_entropy_backward(const T* g, const T* p, const T* t, T* gp,
                                                         double share, long long n)
{
    const T scale = *g * T(share);
    EACH(i, n) {
        const T slope = p[i] * (T(1) - p[i]);
        gp[i] = scale * ((p[i] - t[i]) / (slope < T(1e-12) ? T(1e-12) : slope));
    }
}

// (1 - t) x + log(1 + e^-x) = max(x, 0) - t x + log(1 + e^-|x|), in which nothing large cancels
extern "C" __global__ void binary_cross_entropy_with_logits(const T* x, const T* t, T* sums,
                                                            double share, long long n)
{
    block_part(n, share, sums, [=](long long i) {
        const T size = x[i] < T(0) ? -x[i] : x[i], above = x[i] < T(0) ? T(0) : x[i];
        return above - t[i] * x[i] + log1p(exp(-size));
    });
}

extern "C" __global__ void binary_cross_entropy_with_logits_backward(
    const T* g, const T* x, const T* t, T* gx, double share, long long n)
{
    const T scale = *g * T(share);
    EACH(i, n)
        gx[i] = scale * (T(1) / (T(1) + exp(-x[i])) - t[i]);
}

extern "C" __global__ void mse_loss(const T* x, const T* t, T* sums, double share, long long n)
{
    block_part(n, share, sums, [=](long long i) { return (x[i] - t[i]) * (x[i] - t[i]); });
}

extern "C" __global__ void mse_loss_backward(const T* g, const T* x, const T* t, T* gx, double share,
                                             long long n)
{
    const T scale = T(2) * *g * T(share);
    EACH(i, n)
        gx[i] = scale * (x[i] - t[i]);
}

// x (R,C), class (R,): the logits and the index of each row's class; rows of class `ignored` count
// for nothing. largest, log_sum (R,): the largest logit m, and log of the sum of e^(x - m).
// sums (3,blocks): each block's sum of losses, how many rows counted, and how many classes are out
// of range.
extern "C" __global__ void cross_entropy(const T* x, const long long* classes, T* largest,
                                         T* log_sum, double* sums, long long ignored, long long R,
                                         long long C)
{
    double loss = 0, counted = 0, wrong = 0;
    EACH_ROW(r, R) {
        const T* row = x + r * C;
        const T m = largest_of(C, row);
        const T log_of_sum = log(T(sum_of(0, C, [=](long long c) { return exp(row[c] - m); })));
        if (threadIdx.x == 0) {
            const long long c = classes[r];
            largest[r] = m;
            log_sum[r] = log_of_sum;
            if (c == ignored)
                continue;
            counted += 1;
            if (c >= 0 && c < C)
                loss += log_of_sum - (row[c] - m);
            else
                wrong += 1;
        }
    }
    if (threadIdx.x == 0) {
        sums[blockIdx.x] = loss;
        sums[gridDim.x + blockIdx.x] = counted;
        sums[2 * gridDim.x + blockIdx.x] = wrong;
    }
}

// loss and share, one number each: the sum or the mean of the losses, and what one counts in it.
extern "C" __global__ void cross_entropy_total(T* loss, T* share, const double* sums, long long mean,
                                               long long blocks)
{
    if (blockIdx.x || threadIdx.x)
        return;
    double sum = 0, counted = 0, wrong = 0;
    for (long long b = 0; b < blocks; ++b) {
        sum += sums[b];
        counted += sums[blocks + b];
        wrong += sums[2 * blocks + b];
    }
    // The mean of nothing is nan, but the gradients stay 0.
    *loss = wrong ? T(0) / T(0) : T(mean ? sum / counted : sum);
    *share = wrong ? T(0) / T(0) : mean ? T(1 / (counted + (counted == 0))) : T(1);
}

extern "C" __global__ void cross_entropy_backward(const T* g, const T* x, const T* largest,
                                                  const T* log_sum, const T* share,
                                                  const long long* classes, T* gx,
                                                  long long ignored, long long R, long long C)
{
    EACH_ROW(r, R) {
        const T* row = x + r * C;
        T* out = gx + r * C;
        const long long own = classes[r];
        const T scale = own == ignored ? T(0) : *g * *share;
        const T m = largest[r], log_of_sum = log_sum[r];
        EACH_ENTRY(c, C) {
            const T p = exp(row[c] - m - log_of_sum);
            out[c] = scale * (c == own ? p - T(1) : p);
        }
    }
}
