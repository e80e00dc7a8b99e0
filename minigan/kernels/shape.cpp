// Joining two arrays on a CPU, and taking them apart: rows of P and Q numbers side by side.

// y (R,P+Q) from a (R,P) and b (R,Q)
extern "C" __global__ void join(const T* a, const T* b, T* y, long long R, long long P, long long Q)
{
    for (long long r = 0; r < R; ++r) {
        y = std::copy_n(a + r * P, P, y);
        y = std::copy_n(b + r * Q, Q, y);
    }
}

// a (R,P) and b (R,Q), or one of them and null, from y (R,P+Q)
extern "C" __global__ void split(const T* y, T* a, T* b, long long R, long long P, long long Q)
{
    for (long long r = 0; r < R; ++r, y += P + Q) {
        if (a)
            std::copy_n(y, P, a + r * P);
        if (b)
            std::copy_n(y + P, Q, b + r * Q);
    }
}
