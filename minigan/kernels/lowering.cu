// im2col and its adjoint col2im, both as gathers: each element of a result is written once, by one
// thread, so that results do not depend on the threads' timing.
//
// Images are (C,H,W,N), columns (C*KH*KW, OH*OW*N). Entry (c,kh,kw; oh,ow,n) of the columns is
// pixel (oh * SH + kh * DH - top, ow * SW + kw * DW - left) of channel c of image n, or 0 where
// that lies outside.
//
// The threads of a block go over a row of places or pixels, (w,n): neighbours write neighbouring
// memory. A division takes longer than moving a number, so a thread divides only to find where it
// starts, and then steps from tap to tap. A row has fewer than 2^31 places or pixels, for which
// 32-bit integers are enough; an array may have more elements, and pointers step through it.

// The geometry comes by value, not as an array: a launch copies nothing to the GPU, and one that is
// recorded keeps its own.
#define GEOMETRY                                                                    \
    int C, int N, int H, int W, int KH, int KW, int OH, int OW, int SH, int SW, int top, int left, \
    int DH, int DW

// The image by its strides, in elements: it need not be contiguous, and is never padded.
extern "C" __global__ void im2col(const T* __restrict__ x, T* __restrict__ columns, GEOMETRY,
                                  long long x_c, long long x_h, long long x_w, long long x_n)
{
    const unsigned row_places = OW * N;
    const long long places = (long long)OH * row_places, next_w = DW * x_w;
    for (int row = blockIdx.y; row < C * KH; row += gridDim.y)
        for (int oh = blockIdx.x; oh < OH; oh += gridDim.x) {
            const int c = row / KH, kh = row % KH, h = oh * SH + kh * DH - top;
            const unsigned pixels = h >= 0 && h < H ? W : 0;
            for (unsigned p = threadIdx.x; p < row_places; p += blockDim.x) {
                const int ow = p / N, n = p % N;
                int w = ow * SW - left;
                const T* from = x + c * x_c + h * x_h + w * x_w + n * x_n;
                T* to = columns + row * KW * places + (long long)oh * row_places + p;
#pragma unroll 4  // four loads are under way at once: hence __restrict__, too
                for (int kw = 0; kw < KW; ++kw, w += DW, from += next_w, to += places)
                    *to = unsigned(w) < pixels ? *from : T(0);  // a w below 0 is a large one
            }
        }
}

// The taps k of an axis that reach a pixel, each from a place o: o * S + k * D == distance, that of
// the pixel from the first place's first tap. Every `every`th tap does, from the first one on; place
// is that of the first.
struct Taps { int place, first, count; };
__device__ Taps taps_at(unsigned distance, int O, int K, unsigned S, unsigned D, int every)
{
    int place = distance / S;
    place = place < O ? place : O - 1;
    while (place >= 0 && (distance - place * S) % D)
        --place;
    const int first = (distance - place * S) / D, last = distance / D;
    return {place, first, place < 0 ? 0 : ((last < K ? last : K - 1) - first + every) / every};
}

// bias (C,) or 0. From one tap that reaches a pixel to the next it is `every` taps, and `back` places
// back: every * D == back * S.
extern "C" __global__ void col2im(const T* columns, const T* bias, T* x, GEOMETRY, int every_h,
                                  int every_w, int back_h, int back_w)
{
    const unsigned row_pixels = W * N;
    const long long row_places = (long long)OW * N, places = OH * row_places;
    const long long next_h = every_h * KW * places - back_h * row_places;
    const long long next_w = every_w * places - (long long)back_w * N;
    for (int c = blockIdx.y; c < C; c += gridDim.y)
        for (int h = blockIdx.x; h < H; h += gridDim.x) {
            const Taps down = taps_at(h + top, OH, KH, SH, DH, every_h);
            T* to = x + ((long long)c * H + h) * row_pixels;
            for (unsigned p = threadIdx.x; p < row_pixels; p += blockDim.x) {
                const int w = p / N, n = p % N;
                const Taps right = taps_at(w + left, OW, KW, SW, DW, every_w);
                const T* row = columns +
                               (((long long)c * KH + down.first) * KW + right.first) * places +
                               down.place * row_places + (long long)right.place * N + n;
                T sum = T(0);
                for (int i = 0; i < down.count; ++i, row += next_h) {
                    const T* from = row;
#pragma unroll 4  // as above
                    for (int j = 0; j < right.count; ++j, from += next_w)
                        sum += *from;
                }
                to[p] = bias ? sum + bias[c] : sum;
            }
        }
}
