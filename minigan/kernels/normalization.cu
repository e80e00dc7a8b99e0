// Batch and layer normalization; formulas as in functional/normalization.py. A pointer may be 0 for
// what is not there.
//
// Of batch normalization's grid each row has a channel, whose P entries its blocks share. One block
// adds up the whole channel. Several would each add up all of it: before them, a kernel of the same
// grid leaves the sums of each block's part, which they add up in the blocks' order.

#define EACH_CHANNEL(c, C) for (long long c = blockIdx.y; c < (C); c += gridDim.y)

// x (C,P), sums (2,C,blocks): of a block's part, and of its squares about the mean of this part.
extern "C" __global__ void batch_norm_sums(const T* x, double* sums, long long C, long long P)
{
    const Part part = part_of_block(blockIdx.x, P);
    EACH_CHANNEL(c, C) {
        const Row row = {x + c * P};
        const double sum = sum_of(part.first, part.end, [=](PLACE p) { return row[p]; });
        const T m = T(sum / (part.end - part.first));
        const double squares = sum_of(part.first, part.end, [=](PLACE p) {
            return (row[p] - m) * (row[p] - m);
        });
        if (threadIdx.x == 0) {
            sums[c * gridDim.x + blockIdx.x] = sum;
            sums[(C + c) * gridDim.x + blockIdx.x] = squares;
        }
    }
}

// x, y (C,P); weight, bias, mean, deviation and the running statistics (C,); sums as above, or 0.
extern "C" __global__ void batch_norm(const T* x, const T* weight, const T* bias, T* y, T* mean,
                                      T* deviation, T* running_mean, T* running_var,
                                      const double* sums, double eps, double momentum,
                                      long long training, long long C, long long P)
{
    const Part part = part_of_block(blockIdx.x, P);
    const bool is_first = blockIdx.x == 0 && threadIdx.x == 0;
    EACH_CHANNEL(c, C) {
        const Row row = {x + c * P};
        T* out = y + c * P;
        T m, var;
        if (training) {
            double squares;
            if (sums) {
                const double *sum = sums + c * gridDim.x, *square = sum + C * gridDim.x;
                m = T(sum_over_blocks([=](long long b) { return sum[b]; }) / P);
                squares = sum_over_blocks([=](long long b) {
                    const Part of = part_of_block(b, P);
                    const double n = of.end - of.first, distance = sum[b] / n - m;
                    return square[b] + n * distance * distance;
                });
            } else {
                m = T(sum_of(0, P, [=](PLACE p) { return row[p]; }) / P);
                squares = sum_of(0, P, [=](PLACE p) { return (row[p] - m) * (row[p] - m); });
            }
            var = T(squares / P);
            if (is_first && running_mean)
                running_mean[c] = T(1 - momentum) * running_mean[c] + T(momentum) * m;
            if (is_first && running_var)  // the unbiased estimate
                running_var[c] = T(1 - momentum) * running_var[c] + T(momentum / (P - 1) * squares);
        } else {
            m = running_mean[c];
            var = running_var[c];
        }
        const T d = sqrt(var + T(eps));
        const T a = (weight ? weight[c] : T(1)) / d, b = bias ? bias[c] : T(0);
        EACH_IN(p, part)
            out[p] = (row[p] - m) * a + b;
        if (is_first) {
            mean[c] = m;
            deviation[c] = d;
        }
    }
}

// g, x (C,P), mean (C,), sums (2,C,blocks): of a block's part of g, and of g * (x - mean).
extern "C" __global__ void batch_norm_backward_sums(const T* g, const T* x, const T* mean,
                                                    double* sums, long long C, long long P)
{
    const Part part = part_of_block(blockIdx.x, P);
    EACH_CHANNEL(c, C) {
        const Row g_row = {g + c * P}, row = {x + c * P};
        const T m = mean[c];
        const double g_sum = sum_of(part.first, part.end, [=](PLACE p) { return g_row[p]; });
        const double g_x = sum_of(part.first, part.end, [=](PLACE p) {
            return g_row[p] * (row[p] - m);
        });
        if (threadIdx.x == 0) {
            sums[c * gridDim.x + blockIdx.x] = g_sum;
            sums[(C + c) * gridDim.x + blockIdx.x] = g_x;
        }
    }
}

// g, x, gx (C,P); sums as above, or 0; the others (C,).
extern "C" __global__ void batch_norm_backward(const T* g, const T* x, const T* weight,
                                               const T* mean, const T* deviation, T* gx,
                                               T* g_weight, T* g_bias, const double* sums,
                                               long long training, long long C, long long P)
{
    const Part part = part_of_block(blockIdx.x, P);
    const bool is_first = blockIdx.x == 0 && threadIdx.x == 0;
    EACH_CHANNEL(c, C) {
        const Row g_row = {g + c * P}, row = {x + c * P};
        const T m = mean[c], d = deviation[c];
        double sum, products;
        if (sums) {
            const double *left = sums + c * gridDim.x, *right = left + C * gridDim.x;
            sum = sum_over_blocks([=](long long b) { return left[b]; });
            products = sum_over_blocks([=](long long b) { return right[b]; });
        } else {
            sum = sum_of(0, P, [=](PLACE p) { return g_row[p]; });
            products = sum_of(0, P, [=](PLACE p) { return g_row[p] * (row[p] - m); });
        }
        const T g_sum = T(sum), g_xhat = T(products) / d;
        if (is_first && g_weight)
            g_weight[c] = g_xhat;
        if (is_first && g_bias)
            g_bias[c] = g_sum;
        if (!gx)
            continue;
        T* out = gx + c * P;
        const T a = (weight ? weight[c] : T(1)) / d;
        if (!training) {  // the statistics do not depend on x
            EACH_IN(p, part)
                out[p] = g_row[p] * a;
            continue;
        }
        const T shift = a / T(P) * g_sum, scale = a / T(P) * g_xhat / d;
        EACH_IN(p, part)
            out[p] = g_row[p] * a - shift - (row[p] - m) * scale;
    }
}

// x, y (R,P); weight, bias (P,); mean and scale (R,).
extern "C" __global__ void layer_norm(const T* x, const T* weight, const T* bias, T* y, T* mean,
                                      T* scale, double eps, long long R, long long P)
{
    EACH_ROW(r, R) {
        const Row row = {x + r * P};
        T* out = y + r * P;
        const T rounded = T(sum_of(0, P, [=](PLACE p) { return row[p]; }) / P);
        // Corrected by the mean of what is left, so that of equal numbers nothing is left.
        const T m = rounded + T(sum_of(0, P, [=](PLACE p) { return row[p] - rounded; }) / P);
        const T var = T(sum_of(0, P, [=](PLACE p) {
            return (row[p] - m) * (row[p] - m);
        }) / P);
        const T s = T(1) / sqrt(var + T(eps));
        EACH_ENTRY(p, P)
            out[p] = (row[p] - m) * s * (weight ? weight[p] : T(1)) + (bias ? bias[p] : T(0));
        if (threadIdx.x == 0) {
            mean[r] = m;
            scale[r] = s;
        }
    }
}

// g, x, gx (R,P); weight (P,); mean and scale (R,).
extern "C" __global__ void layer_norm_backward(const T* g, const T* x, const T* weights,
                                               const T* mean, const T* scale, T* gx, long long R,
                                               long long P)
{
    const Row weight = {weights};
    EACH_ROW(r, R) {
        const Row g_row = {g + r * P}, row = {x + r * P};
        T* out = gx + r * P;
        const T m = mean[r], s = scale[r];
        const T h_mean = T(sum_of(0, P, [=](PLACE p) {
            return weight ? g_row[p] * weight[p] : g_row[p];
        }) / P);
        const T h_xhat = T(sum_of(0, P, [=](PLACE p) {
            return (weight ? g_row[p] * weight[p] : g_row[p]) * (row[p] - m);
        }) / P) * s;
        EACH_ENTRY(p, P) {
            const T h = weight ? g_row[p] * weight[p] : g_row[p];
            out[p] = (h - h_mean - (row[p] - m) * s * h_xhat) * s;
        }
    }
}

// The sums over rows: g, x (R,P); g_weight, g_bias (P,) or 0; mean and scale (R,). With several rows
// of blocks g_weight and g_bias (blocks,P) have sums over a part of the rows for each of them.
extern "C" __global__ void layer_norm_backward_affine(const T* g, const T* x, const T* mean,
                                                      const T* scale, T* g_weight, T* g_bias,
                                                      long long R, long long P)
{
    if (g_weight)
        column_sums(R, P, g_weight, [=](long long r, long long p) {
            return g[r * P + p] * ((x[r * P + p] - mean[r]) * scale[r]);
        });
    if (g_bias)
        column_sums(R, P, g_bias, [=](long long r, long long p) { return g[r * P + p]; });
}
