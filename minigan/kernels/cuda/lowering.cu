// im2col and its adjoint as gathers: one thread an element of the result, which only it writes.
//
// Shapes as in kernels/lowering.py: images (C,H,W,N), columns (C*KH*KW, OH*OW*N). Entry
// (c,kh,kw; oh,ow,n) of the columns is pixel (oh * SH + kh * DH - top, ow * SW + kw * DW - left) of
// channel c of image n, or 0 where that lies outside.

#define GEOMETRY                                                                    \
    long long N, long long H, long long W, long long KH, long long KW,              \
    long long OH, long long OW, long long SH, long long SW,                         \
    long long top, long long left, long long DH, long long DW

// The image by its strides, in elements: it need not be contiguous, and is never padded.
extern "C" __global__ void im2col(const T* x, T* columns, long long rows, GEOMETRY,
                                  long long x_c, long long x_h, long long x_w, long long x_n)
{
    const int places = OH * OW * N;
    for (long long row = blockIdx.y; row < rows; row += gridDim.y) {
        const int kw = row % KW, kh = row / KW % KH;
        const T* channel = x + row / (KW * KH) * x_c;
        for EACH(place, places) {
            const int n = (int)place % (int)N, pixel = (int)place / (int)N;
            const int ow = pixel % (int)OW, oh = pixel / (int)OW;
            const long long h = oh * SH + kh * DH - top, w = ow * SW + kw * DW - left;
            const bool inside = h >= 0 && h < H && w >= 0 && w < W;
            columns[row * places + place] =
                inside ? channel[h * x_h + w * x_w + n * x_n] : T(0);
        }
    }
}

extern "C" __global__ void col2im(const T* columns, T* x, long long channels, GEOMETRY)
{
    const long long places = OH * OW * N;
    for (long long row = blockIdx.y; row < channels * H; row += gridDim.y) {
        const int c = row / H, h = row % H;
        for EACH(pixel, W * N) {
            const int n = (int)pixel % (int)N, w = (int)pixel / (int)N;
            T sum = T(0);
            for (int kh = 0; kh < KH; ++kh) {
                const int down = h + (int)top - kh * (int)DH;  // oh * SH, if there is such an oh
                if (down < 0 || down % (int)SH || down / (int)SH >= OH)
                    continue;
                const int oh = down / (int)SH;
                for (int kw = 0; kw < KW; ++kw) {
                    const int right = w + (int)left - kw * (int)DW;
                    if (right < 0 || right % (int)SW || right / (int)SW >= OW)
                        continue;
                    const int ow = right / (int)SW;
                    sum += columns[((c * KH + kh) * KW + kw) * places + (oh * OW + ow) * N + n];
                }
            }
            x[row * W * N + pixel] = sum;
        }
    }
}
