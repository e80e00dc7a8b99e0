// On a CPU: the sum of all numbers of an array, and its gradient.
#include <algorithm>

namespace arithmetic {

// In double, and in halves: each number goes through few additions, whose errors would add up.
static double sum_of_halves(const T* x, long long n)
{
    const int LANES = 32, FEW = 1024;
    if (n > FEW) {
        const long long half = (n / 2 + FEW - 1) / FEW * FEW;
        return sum_of_halves(x, half) + sum_of_halves(x + half, n - half);
    }
    double part[LANES] = {};
    long long i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; ++lane)
            part[lane] += x[i + lane];
    for (int lane = 0; i + lane < n; ++lane)
        part[lane] += x[i + lane];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; ++lane)
            part[lane] += part[lane + half];
    return part[0];
}

// y (1,): the sum of x (n,), divided by `count`
extern "C" __global__ void sum_all(const T* x, T* y, double count, long long n)
{
    *y = T(sum_of_halves(x, n) / count);
}

// gx (n,): g (1,), divided by `count`
extern "C" __global__ void sum_all_backward(const T* g, T* gx, double count, long long n)
{
    std::fill_n(gx, n, T(*g / count));
}

}  // namespace arithmetic

using arithmetic::sum_all;
using arithmetic::sum_all_backward;
