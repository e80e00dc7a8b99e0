// im2col and its adjoint col2im, both as gathers: each element of a result is written once, by one
// thread, so that results do not depend on the threads' timing.
//
// Images are (C,H,W,N), columns (C*KH*KW, OH*OW*N). Entry (c,kh,kw; oh,ow,n) of the columns is
// pixel (oh * SH + kh * DH - top, ow * SW + kw * DW - left) of channel c of image n, or 0 where
// that lies outside.
//
// The threads of a block go over the pixels of a row, (w,n), in steps of the block, so that
// neighbours write neighbouring memory. Only the first of these is found by a division.

// The geometry comes by value, not as an array: a launch copies nothing to the GPU, and one that is
// recorded keeps its own.
#define GEOMETRY                                                                    \
    int C, int N, int H, int W, int KH, int KW, int OH, int OW, int SH, int SW, int top, int left, \
    int DH, int DW

#define STEPS                                                                       \
    const int first_n = threadIdx.x % N, first_pixel = threadIdx.x / N;             \
    const int step_n = blockDim.x % N, step_pixel = blockDim.x / N

// Pixel w of image n, for each place p of a row of so many.
#define EACH_PIXEL(p, w, n, places)                                                 \
    (int p = threadIdx.x, w = first_pixel, n = first_n; p < (places);               \
     p += blockDim.x, w += step_pixel, n += step_n, w += n >= N, n -= n >= N ? N : 0)

// The image by its strides, in elements: it need not be contiguous, and is never padded.
extern "C" __global__ void im2col(const T* x, T* columns, GEOMETRY, long long x_c,
                                  long long x_h, long long x_w, long long x_n)
{
    STEPS;
    const long long places = (long long)OH * OW * N;
    for (int row = blockIdx.y; row < C * KH; row += gridDim.y) {
        const int c = row / KH, kh = row % KH;
        for (int oh = blockIdx.x; oh < OH; oh += gridDim.x) {
            const int h = oh * SH + kh * DH - top;
            const T* from = x + c * x_c + h * x_h;
            T* to = columns + row * KW * places + (long long)oh * OW * N;
            for (int kw = 0; kw < KW; ++kw, to += places)
                for EACH_PIXEL(p, ow, n, OW * N) {
                    const int w = ow * SW + kw * DW - left;
                    const bool inside = h >= 0 && h < H && w >= 0 && w < W;
                    to[p] = inside ? from[w * x_w + n * x_n] : T(0);
                }
        }
    }
}

// The first of K taps that reaches a pixel at this distance from the first place's first tap, or K.
__device__ int first_tap(int distance, int K, int S, int D)
{
    for (int k = 0; k < K && k < S; ++k)
        if ((distance - k * D) % S == 0)
            return k;
    return K;
}

// Every how many taps one reaches the same pixel.
__device__ int taps_apart(int S, int D)
{
    int apart = 1;
    while (apart * D % S)
        ++apart;
    return apart;
}

extern "C" __global__ void col2im(const T* columns, T* x, GEOMETRY)
{
    STEPS;
    const long long places = (long long)OH * OW * N;
    const int apart_h = taps_apart(SH, DH), apart_w = taps_apart(SW, DW);
    for (int c = blockIdx.y; c < C; c += gridDim.y)
        for (int h = blockIdx.x; h < H; h += gridDim.x) {
            const int first_h = first_tap(h + top, KH, SH, DH);
            T* to = x + ((long long)c * H + h) * W * N;
            for EACH_PIXEL(p, w, n, W * N) {
                const int first_w = first_tap(w + left, KW, SW, DW);
                int oh = (h + top - first_h * DH) / SH;
                const int last_ow = (w + left - first_w * DW) / SW;
                T sum = T(0);
                for (int kh = first_h; kh < KH; kh += apart_h, oh -= apart_h * DH / SH) {
                    if (oh < 0 || oh >= OH)
                        continue;
                    const T* from = columns + ((long long)c * KH + kh) * KW * places +
                                    (long long)oh * OW * N + n;
                    int ow = last_ow;
                    for (int kw = first_w; kw < KW; kw += apart_w, ow -= apart_w * DW / SW)
                        if (ow >= 0 && ow < OW)
                            sum += from[kw * places + (long long)ow * N];
                }
                to[p] = sum;
            }
        }
}
