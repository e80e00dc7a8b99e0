// The three products of a convolution on a CPU, without columns in memory. T is float or double.
//
// An entry of im2col's columns is a pixel, and where that pixel lies is a sum of two offsets:
//
//     columns[tap, place] = image[offset of tap + offset of place]
//
// A tap is a weight's position in the kernel, (c,kh,kw); a place is an output pixel, (oh,ow,n).
// So one small loop, `tile`, multiplies by columns that are never written down:
//
//     correlate   y[o, place] = sum over taps of   w[o, tap]   * columns[tap, place]
//     outer       gw[o, tap]  = sum over places of g[o, place] * columns[tap, place]
//     scatter     gx[c,h,w]   = sum of w[o, tap] * g[o, place] where tap and place meet at (h,w)
//
// The outputs o lie side by side in vectors: they are the lanes. scatter is a correlation as well:
// with stride S, every S-th pixel of its result is a stride-1 correlation of g with every S-th
// weight, and the S * S of them differ only in which weights these are. So they are further lanes.
//
// Each sum is done in an order that does not depend on the number of threads.
//
// Shapes: N batch, C channels in, O out, H W image, KH KW kernel, OH OW output.

namespace convolution {

using namespace vectors;

const Long R = REGISTERS / 4;                 // rows of a tile
const int VECTORS = REGISTERS == 32 ? 3 : 2;  // in a row, at most: all fill most of the registers
const T LARGEST = std::numeric_limits<T>::max();

// The first-level cache holds a matrix of MATRIX rows, by which CHUNK tiles are multiplied;
// the second-level cache holds the sums, or the matrix rows, of MOST places.
const Long MATRIX = 512 / VECTORS, CHUNK = 32, MOST = 4096;

// sums[r, lane] += the sum over i < count of image[row[r] + step[i]] * matrix[i, lane],
// for R rows and V * L lanes: about as many sums as there are registers.
template <int V>
static void tile(const T* image, const Long* row, const Long* step, Long count, const T* matrix,
                 T* sums)
{
    const T* pixel[R];
    Vector sum[R][V];  // from 0: two short sums have smaller errors than a long one
    for (int r = 0; r < R; ++r) {
        pixel[r] = image + row[r];
        for (int v = 0; v < V; ++v)
            sum[r][v] = Vector{};
    }
#pragma GCC unroll 4
    for (Long i = 0; i < count; ++i) {
        const Long at = step[i];
        Vector m[V];
        for (int v = 0; v < V; ++v)
            m[v] = load(matrix + (i * V + v) * L);
        for (int r = 0; r < R; ++r)
            for (int v = 0; v < V; ++v)
                sum[r][v] += pixel[r][at] * m[v];
    }
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v)
            store(sums + (r * V + v) * L, load(sums + (r * V + v) * L) + sum[r][v]);
}

// Lanes that are taken together: up to VECTORS vectors, split evenly among the groups.
struct Group {
    Long first, width, used;  // all lanes, and those that are there
    decltype(&tile<1>) multiply;
    Group(Long lane, Long end)
        : first(lane), width(L * pieces(pieces(end - lane, L), pieces(end - lane, VECTORS * L))),
          used(std::min(width, end - lane)),
          multiply(width == L ? tile<1> : width == 2 * L ? tile<2> : tile<VECTORS>) {}
};

// ---- Images ----

struct Image {  // channels, rows, columns and images of the batch are these steps apart
    const T* data;
    Long c, h, w, n;
};

// Along the height or the width: from place p, tap t sees pixel p * place_step + t * tap_step +
// start, which is 0 outside of 0 ... size - 1.
struct Axis {
    Long size, taps, tap_step, places, place_step, start;

    Long before() const  // how many rows of zeros are seen above the image
    {
        return std::max(0LL, -(start + std::min(0LL, (taps - 1) * tap_step)));
    }
    Long after() const  // and below it
    {
        return std::max(0LL, (places - 1) * place_step + start +
                                 std::max(0LL, (taps - 1) * tap_step) - (size - 1));
    }
};

static bool is_padded(const Axis& h, const Axis& w)
{
    return h.before() || h.after() || w.before() || w.after();
}

// The image (C,H,W,N) with as many zeros around as are seen.
static Image padded(const Image& x, Long C, const Axis& h, const Axis& w, Long N, Long threads)
{
    const Long top = h.before(), left = w.before();
    const Long H = top + h.size + h.after(), W = left + w.size + w.after();
    Image y = {nullptr, H * W * N, W * N, N, 1};
    if (y.c * sizeof(T) % 4096 == 0)
        y.c += 64 / sizeof(T);  // see `crowded`
    T* const to = memory_for(IMAGE, C * y.c);
    in_parallel(C, threads, [&](Long c) {
        T* row = std::fill_n(to + c * y.c, top * y.h, T(0));
        for (Long i = 0; i < h.size; ++i) {
            const T* from = x.data + c * x.c + i * x.h;
            row = std::fill_n(row, left * N, T(0));
            if (x.n == 1 && x.w == N)
                row = std::copy(from, from + w.size * N, row);
            else
                for (Long j = 0; j < w.size; ++j)
                    for (Long n = 0; n < N; ++n)
                        *row++ = from[j * x.w + n * x.n];
            row = std::fill_n(row, (W - left - w.size) * N, T(0));
        }
        std::fill_n(row, (H - top - h.size) * y.h, T(0));
    });
    y.data = to + top * y.h + left * y.w;
    return y;
}

// The channels of a pixel would compete for a few lines of the cache.
static bool crowded(const Image& x, Long C) { return C > 8 && x.c * sizeof(T) % 4096 == 0; }

// i * first + j * second + k * third, for all i < A, j < B and k < D.
static std::vector<Long> offsets(Long A, Long B, Long D, Long first, Long second, Long third)
{
    std::vector<Long> result(A * B * D);
    Long* to = result.data();
    for (Long i = 0; i < A; ++i)
        for (Long j = 0; j < B; ++j)
            for (Long k = 0; k < D; ++k)
                *to++ = i * first + j * second + k * third;
    return result;
}

// ---- Correlation ----

// For each place the taps first ... end - 1, beyond which it sees nothing but zeros.
static std::vector<Range> seen_from_places(const Axis& a)
{
    std::vector<Range> result(a.places, Range{a.taps, 0});
    for (Long p = 0; p < a.places; ++p)
        for (Long t = 0; t < a.taps; ++t) {
            const Long pixel = p * a.place_step + t * a.tap_step + a.start;
            if (pixel >= 0 && pixel < a.size)
                result[p].include({t, t + 1});
        }
    return result;
}

struct Lane {
    Long weight;       // where its weights begin
    Long down, right;  // row and column of its first result, which may lie outside
    Long out;          // where that lies in memory
    T bias;
};

struct Place {
    Long down, right, out;  // its result lies so far from the first one
};

struct Seen {  // from the places of a tile
    Range h, w;
};

struct Correlation {
    // What is asked for: image (C,H,W,N); weights, by the steps between them; where results go.
    Image x;
    Long C, N;
    Axis h, w;
    const T* weight;
    Long weight_c, weight_h, weight_w;
    T* y;
    Long H, W;                // of y
    Long stride_h, stride_w;  // so many rows and columns of y lie between places
    std::vector<Lane> lanes;

    // Worked out by `prepare`.
    bool in_order;  // the places are one after the other in y
    std::vector<Long> row, tap_offset, tap_weight;
    std::vector<Place> places;
    std::vector<Seen> tiles;

    // Return false if a weight is nan or infinite where zeros are seen: skipping these zeros, or
    // adding some, would make a difference then.
    bool run(Long threads);
    void prepare(Long threads);
    bool part(Range of_lanes, Range of_tiles) const;
    bool pack(const Group& group, Long c0, Long channels, T* matrix, Long* step) const;
    void multiply(const Group& group, const Seen& seen, Long kh, Long end, Long channels,
                  const T* image, const Long* rows, const Long* step, const T* matrix,
                  T* sums) const;
    void write(const Group& group, const T* sums, Long begin, Long end) const;
};

void Correlation::prepare(Long threads)
{
    // Of a tile within one pixel all places see the same taps, so those that see zeros can be left
    // out. Otherwise the zeros must be there.
    if ((N % R && is_padded(h, w)) || crowded(x, C))
        x = padded(x, C, h, w, N, threads);
    in_order = stride_h == 1 && stride_w == 1;
    tap_offset = offsets(1, h.taps, w.taps, 0, h.tap_step * x.h, w.tap_step * x.w);
    tap_weight = offsets(1, h.taps, w.taps, 0, weight_h, weight_w);
    row = offsets(h.places, w.places, N, h.place_step * x.h, w.place_step * x.w, x.n);
    places.resize(row.size());
    tiles.assign((row.size() + R - 1) / R, {{h.taps, 0}, {w.taps, 0}});
    row.resize(tiles.size() * R, Long(row.back()));  // the last tile repeats a place

    const std::vector<Range> seen_h = seen_from_places(h), seen_w = seen_from_places(w);
    Long p = 0;
    for (Long i = 0; i < h.places; ++i)
        for (Long j = 0; j < w.places; ++j)
            for (Long n = 0; n < N; ++n, ++p) {
                const Long down = i * stride_h, right = j * stride_w;
                places[p] = {down, right, (down * W + right) * N + n};
                if (n == 0 || p % R == 0) {
                    tiles[p / R].h.include(seen_h[i]);
                    tiles[p / R].w.include(seen_w[j]);
                }
            }
}

// matrix[(kh,kw,c), lane] = weight, for some channels, and what each of its rows sees.
bool Correlation::pack(const Group& group, Long c0, Long channels, T* matrix, Long* step) const
{
    const Long taps = tap_offset.size(), width = group.width;
    const bool weights_in_order = weight_w == 1 && weight_h == w.taps;
    for (Long c = 0; c < channels; ++c) {
        for (Long v = 0; v < width; v += L) {
            const T* from[L];
            for (Long l = 0; l < L; ++l)
                from[l] = v + l >= group.used ? nullptr
                    : weight + lanes[group.first + v + l].weight + (c0 + c) * weight_c;
            to_lanes(from, weights_in_order ? nullptr : tap_weight.data(), taps,
                     matrix + c * width + v, channels * width);
        }
        for (Long t = 0; t < taps; ++t)
            step[t * channels + c] = tap_offset[t] + (c0 + c) * x.c;
    }
    auto finite = Vector{} == Vector{};
    for (Long i = 0; i < taps * channels * width; i += L)
        finite &= (load(matrix + i) >= -LARGEST) & (load(matrix + i) <= LARGEST);
    for (Long l = 0; l < L; ++l)
        if (!finite[l])
            return false;
    return true;
}

// The sums of the tiles begin ... end - 1 to where they belong.
void Correlation::write(const Group& group, const T* sums, Long begin, Long end) const
{
    const Long all = std::min((Long)places.size(), end * R) - begin * R;
    const Long run = N % R ? 1 : std::min(L, R);  // so many places lie side by side in y
    for (Long v = 0; v < group.width; v += L) {
        const Lane* lane = &lanes[group.first + v];
        const Long used = std::min(L, group.used - v);
        T bias[L] = {}, block[L][L];
        T* to[L];
        for (Long l = 0; l < used; ++l)
            bias[l] = lane[l].bias;
        for (Long first = 0; first < all; first += L) {
            const Place* place = &places[begin * R + first];
            const Long count = std::min(L, all - first);
            for (Long l = 0; l < used; ++l)
                to[l] = in_order ? y + lane[l].out + place->out : block[l];
            from_lanes(sums + first * group.width + v, group.width, count, bias, to, used);
            for (Long i = 0; i < count && !in_order; i += run)
                for (Long l = 0; l < used; ++l) {
                    const Long down = place[i].down + lane[l].down;
                    const Long right = place[i].right + lane[l].right;
                    T* out = y + lane[l].out + place[i].out;
                    if (down < 0 || down >= H || right < 0 || right >= W)
                        continue;
                    if (run > 1)
                        std::memcpy(out, block[l] + i, std::min(L, R) * sizeof(T));
                    else
                        *out = block[l][i];
                }
        }
    }
}

// One tile, by the rows kh ... end - 1 of the kernel, as far as they see the image.
void Correlation::multiply(const Group& group, const Seen& seen, Long kh, Long end, Long channels,
                           const T* image, const Long* rows, const Long* step, const T* matrix,
                           T* sums) const
{
    end = std::min(end, seen.h.end);
    const bool whole = seen.w.end - seen.w.first == w.taps;  // then row follows row
    for (Long k = std::max(kh, seen.h.first), next; k < end; k = next) {
        next = whole ? end : k + 1;
        const Long i = (k * w.taps + seen.w.first) * channels;
        const Long j = ((next - 1) * w.taps + seen.w.end) * channels;
        group.multiply(image, rows, step + i, j - i, matrix + i * group.width, sums);
    }
}

bool Correlation::part(Range of_lanes, Range of_tiles) const
{
    // So many channels are taken at a time, and so many `rows` of the kernel.
    const Long channels = std::min(C, std::max(1LL, MATRIX / std::max(1LL, w.taps)));
    T* const sums = memory_for(SUMS, (MOST + L) * VECTORS * L);
    T* const matrix = memory_for(MATRICES, tap_offset.size() * channels * VECTORS * L);
    std::vector<Long> step(tap_offset.size() * channels);
    const T* image = x.data + h.start * x.h + w.start * x.w;
    bool finite = true;

    for (Long lane = of_lanes.first, next; lane < of_lanes.end; lane = next) {
        const Group group(lane, of_lanes.end);
        next = lane + group.width;
        const Long tile_sums = R * group.width;
        const Long most = channels < C ? MOST / R : of_tiles.end;  // tiles with the same weights
        for (Long start = of_tiles.first; start < of_tiles.end; start += most) {
            const Long stop = std::min(of_tiles.end, start + most);
            for (Long c0 = 0; c0 < C; c0 += channels) {
                const Long depth = std::min(channels, C - c0);
                finite = pack(group, c0, depth, matrix, step.data()) && finite;
                const Long rows = std::max(1LL, MATRIX / std::max(1LL, w.taps * depth));
                for (Long begin = start; begin < stop; begin += CHUNK) {
                    const Long end = std::min(stop, begin + CHUNK);
                    T* const chunk = sums + (channels < C ? (begin - start) * tile_sums : 0);
                    if (c0 == 0)
                        std::fill_n(chunk, (end - begin) * tile_sums, T(0));
                    for (Long kh = 0; kh < h.taps; kh += rows)
                        for (Long t = begin; t < end; ++t)
                            multiply(group, tiles[t], kh, kh + rows, depth, image, &row[t * R],
                                     step.data(), matrix, chunk + (t - begin) * tile_sums);
                    if (c0 + depth == C)
                        write(group, chunk, begin, end);
                }
            }
        }
    }
    return finite;
}

bool Correlation::run(Long threads)
{
    prepare(threads);
    const Range all_lanes = {0, (Long)lanes.size()}, all_tiles = {0, (Long)tiles.size()};
    const bool by_lanes = all_lanes.end >= threads * 2 * L;  // so that each packs its own weights
    std::vector<char> finite(threads);
    in_parallel(threads, threads, [&](Long i) {
        finite[i] = part(by_lanes ? share(all_lanes.end, 2 * L, i, threads) : all_lanes,
                         by_lanes ? all_tiles : share(all_tiles.end, 2, i, threads));
    });
    return std::count(finite.begin(), finite.end(), true) == threads || !is_padded(h, w);
}

// ---- What Python calls ----

struct Geometry {  // every size is at least 1
    Long N, C, O, H, W, KH, KW, OH, OW, SH, SW, top, left, DH, DW;
};

// y (O,OH,OW,N) from x (C,H,W,N), by its strides, w (O,C,KH,KW) and bias (O,) or null.
extern "C" __global__ void correlate(const T* x, const T* w, const T* bias, T* y, const long long* geometry,
    const long long* strides, long long* done, long long size, long long threads)
{
    const Geometry& s = *(const Geometry*)geometry;
    Correlation c = {{x, strides[0], strides[1], strides[2], strides[3]}, s.C, s.N,
                     {s.H, s.KH, s.DH, s.OH, s.SH, -s.top}, {s.W, s.KW, s.DW, s.OW, s.SW, -s.left},
                     w, s.KH * s.KW, s.KW, 1, y, s.OH, s.OW, 1, 1};
    for (Long o = 0; o < s.O; ++o)
        c.lanes.push_back({o * s.C * s.KH * s.KW, 0, 0, o * s.OH * s.OW * s.N, bias ? bias[o] : 0});
    *done = c.run(threads);
}

// Along one axis, pixels r, r + S, r + 2 S, ... of the padded result, and as many with r + 1, ...,
// r + count - 1. They are reached by every `apart`th tap, from `tap`, `tap` + 1, ... on; the first
// of these from `shift` places before.
struct Phases {
    Long r, count, tap, taps, apart, shift, first, end;  // places from `first` to `end` - 1
};

static std::vector<Phases> phases_of(Long K, Long S, Long D, Long padding, Long size)
{
    const bool together = D == 1 && K % S == 0;  // they see the same places
    Long apart = 1;
    while (apart * D % S)
        ++apart;
    std::vector<Phases> result;
    for (Long r = 0; r < S; r += together ? S : 1) {
        Long tap = 0;
        while (tap < K && (tap * D - r) % S)
            ++tap;
        const Long count = together ? S : 1, first = (padding + S - r - count) / S;
        const Long end = (padding + size - r + S - 1) / S;
        if (first < end)
            result.push_back({r, count, tap, (K - tap + apart - 1) / apart, apart,
                              (tap * D - r) / S, first, end});
    }
    return result;
}

// x (C,H,W,N) from w (O,C,KH,KW), g (O,OH,OW,N), by its strides, and bias (C,) or null: w[kh,kw] *
// g[oh,ow] is added to pixel (oh * SH + kh * DH - top, ow * SW + kw * DW - left).
extern "C" __global__ void scatter(const T* g, const T* w, const T* bias, T* x, const long long* geometry,
    const long long* strides, long long* done, long long size, long long threads)
{
    const Geometry& s = *(const Geometry*)geometry;
    bool finite = true;
    for (const Phases& a : phases_of(s.KH, s.SH, s.DH, s.top, s.H))
        for (const Phases& b : phases_of(s.KW, s.SW, s.DW, s.left, s.W)) {
            Correlation c = {
                {g, strides[0], strides[1], strides[2], strides[3]}, s.O, s.N,
                {s.OH, a.taps, -a.apart * s.DH / s.SH, a.end - a.first, 1, a.first - a.shift},
                {s.OW, b.taps, -b.apart * s.DW / s.SW, b.end - b.first, 1, b.first - b.shift},
                w, s.C * s.KH * s.KW, a.apart * s.KW, b.apart, x, s.H, s.W, s.SH, s.SW};
            for (Long channel = 0; channel < s.C; ++channel)
                for (Long i = 0; i < a.count; ++i)
                    for (Long j = 0; j < b.count; ++j) {
                        const Long down = a.first * s.SH + a.r + i - s.top;
                        const Long right = b.first * s.SW + b.r + j - s.left;
                        c.lanes.push_back({(channel * s.KH + a.tap + i) * s.KW + b.tap + j, down,
                                           right, ((channel * s.H + down) * s.W + right) * s.N,
                                           bias ? bias[channel] : 0});
                    }
            finite = c.run(threads) && finite;
        }
    *done = finite;
}

// gw (O,C,KH,KW) from x (C,H,W,N) and g (O,OH,OW,N), by their strides: x's four, then g's; and the
// sums of g, gb (O,), unless that is null.
extern "C" __global__ void outer(const T* x, const T* g, T* gw, T* gb, const long long* geometry,
    const long long* strides, long long size, long long threads)
{
    const Geometry& s = *(const Geometry*)geometry;
    const Axis h = {s.H, s.KH, s.DH, s.OH, s.SH, -s.top};
    const Axis w = {s.W, s.KW, s.DW, s.OW, s.SW, -s.left};
    Image image = {x, strides[0], strides[1], strides[2], strides[3]};
    if (is_padded(h, w))
        image = padded(image, s.C, h, w, s.N, threads);
    const T* first = image.data + h.start * image.h + w.start * image.w;
    const Long K = s.C * s.KH * s.KW, tiles = (K + R - 1) / R, places = s.OH * s.OW * s.N;
    std::vector<Long> tap = offsets(s.C, s.KH, s.KW, image.c, s.DH * image.h, s.DW * image.w);
    tap.resize(tiles * R, Long(tap.back()));  // the last tile repeats a tap
    const auto place = offsets(s.OH, s.OW, s.N, s.SH * image.h, s.SW * image.w, image.n);
    const auto place_g = offsets(s.OH, s.OW, s.N, strides[5], strides[6], strides[7]);
    const bool in_order = strides[7] == 1 && strides[6] == s.N && strides[5] == s.OW * s.N;

    in_parallel(threads, threads, [&](Long i) {
        const Range mine = share(tiles, 1, i, threads);
        T* const sums = memory_for(SUMS, (mine.end - mine.first) * R * VECTORS * L);
        T* const matrix = memory_for(MATRICES, MOST * VECTORS * L);  // [place, lane]
        const T no_bias[L] = {};
        for (Long lane = 0, next; lane < s.O && mine.first < mine.end; lane = next) {
            const Group group(lane, s.O);
            next = lane + group.width;
            const Long tile_sums = R * group.width;
            Vector total[VECTORS] = {};
            std::fill_n(sums, (mine.end - mine.first) * tile_sums, T(0));
            for (Long start = 0; start < places; start += MOST) {
                const Long end = std::min(places, start + MOST);
                for (Long v = 0; v < group.width; v += L) {
                    const T* from[L];
                    for (Long l = 0; l < L; ++l)
                        from[l] = v + l >= group.used ? nullptr
                            : g + (lane + v + l) * strides[4] + (in_order ? start : 0);
                    to_lanes(from, in_order ? nullptr : &place_g[start], end - start, matrix + v,
                             group.width);
                    for (Long p = start; p < end; p += MATRIX) {
                        Vector sum = {};
                        for (Long q = p - start; q < std::min(end, p + MATRIX) - start; ++q)
                            sum += load(matrix + q * group.width + v);
                        total[v / L] += sum;
                    }
                }
                for (Long begin = mine.first; begin < mine.end; begin += CHUNK)
                    for (Long p = start; p < end; p += MATRIX)
                        for (Long t = begin; t < std::min(mine.end, begin + CHUNK); ++t)
                            group.multiply(first, &tap[t * R], &place[p], std::min(MATRIX, end - p),
                                           matrix + (p - start) * group.width,
                                           sums + (t - mine.first) * tile_sums);
            }
            for (Long v = 0; v < group.width; v += L) {
                T* to[L];
                for (Long l = 0; l < L; ++l)
                    to[l] = gw + (lane + v + l) * K + mine.first * R;
                from_lanes(sums + v, group.width, std::min(K, mine.end * R) - mine.first * R,
                           no_bias, to, std::min(L, group.used - v));
            }
            for (Long l = 0; l < group.used && gb && mine.first == 0; ++l)
                gb[lane + l] = total[l / L][l % L];
        }
    });
}

}  // namespace convolution

using convolution::correlate;
using convolution::outer;
using convolution::scatter;
